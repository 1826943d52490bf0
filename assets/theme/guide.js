// The guide at the right: opens at a text, searches its texts, goes back, and leads those who do not know where to begin.
// Beside its texts it holds the lessons (lessons.js). All texts came with the page; nothing is asked of the server, and only the page's own controls are driven.
window.luthier.guide = (source) => {
  'use strict';
  document.getElementById('guide-drawer')?.remove();
  const drawer = source.querySelector('template').content.firstElementChild.cloneNode(true);
  document.body.append(drawer);

  const MOST_FOUND = 30;
  const one = (selector) => drawer.querySelector(selector);
  const toggle = () => document.querySelector('[data-guide-toggle]');
  const [home, found, results, search, scroll] = ['[data-guide-home]', '[data-guide-found]', '[data-guide-results]', 'input[type=search]', '.drawer-scroll'].map(one);
  const texts = new Map([...drawer.querySelectorAll('[data-guide-text]')].map((text) => [text.dataset.guideText, text]));
  const plain = (words) => ` ${words.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, ' ').trim()} `;
  const index = [...texts].map(([key, text], place) => {
    const body = text.querySelector('.drawer-text'), first = body.querySelector('p, li').textContent;
    return {key, place, title: text.dataset.title, kind: text.dataset.kindOfText, first, inTitle: plain(`${text.dataset.title} ${key}`), inText: plain(body.textContent)};
  });

  // `trail` is what was shown before, each with what was searched and how far it was scrolled; '' stands for the contents.
  let shown = '', trail = [], opener = null, openerTerm = '';
  let part = 'texts';
  const isOpen = () => !drawer.hidden;

  // The drawer shows its texts or the lessons; beside lessons the page makes room, since one works in both.
  const turnTo = (name) => {
    part = name;
    drawer.dataset.shows = name;
    for (const piece of drawer.querySelectorAll('[data-part]')) piece.hidden = piece.dataset.part !== name;
    for (const button of drawer.querySelectorAll('[data-guide-part]')) button.setAttribute('aria-pressed', String(button.dataset.guidePart === name));
    document.body.classList.toggle('beside-lessons', isOpen() && name === 'lessons');
    draw();
  };

  const draw = () => {
    const searching = search.value.trim() !== '';
    home.hidden = searching || shown !== '';
    results.hidden = !searching;
    for (const [key, text] of texts) text.hidden = searching || key !== shown;
    const reads = part === 'texts';
    one('[data-guide-back]').hidden = !reads || trail.length === 0;
    one('[data-guide-contents]').hidden = !reads || (!searching && shown === '');
    drawer.setAttribute('aria-label', !reads ? 'Guide: lessons' : shown && !searching ? `Guide: ${texts.get(shown).dataset.title}` : 'Guide');
  };

  const show = (key, {remember = true, top = 0, query = ''} = {}) => {
    if (key && !texts.has(key)) return;
    const before = {key: shown, top: scroll.scrollTop, query: search.value};
    if (remember && (key !== shown || before.query)) trail.push(before);
    [shown, search.value] = [key, query];
    find();
    scroll.scrollTop = top;
    (key && !query ? texts.get(key).querySelector('.drawer-title') : search).focus({preventScroll: true});
  };

  // A word matches at the beginning of a word; titles come first, then texts in the guide's order.
  const find = () => {
    const words = plain(search.value).split(' ').filter(Boolean);
    const rank = ({inTitle, inText}) => {
      if (inTitle.startsWith(` ${words.join(' ')}`)) return 0;
      if (words.every((word) => inTitle.includes(` ${word}`))) return 1;
      return words.every((word) => inTitle.includes(` ${word}`) || inText.includes(` ${word}`)) ? 2 : 9;
    };
    const hits = words.length ? index.map((entry) => ({...entry, rank: rank(entry)})).filter((entry) => entry.rank < 9) : [];
    hits.sort((a, b) => a.rank - b.rank || a.place - b.place);
    results.replaceChildren(...hits.slice(0, MOST_FOUND).map((entry) => {
      const item = document.createElement('li'), link = document.createElement('a'), title = document.createElement('strong');
      const [kind, says] = [document.createElement('span'), document.createElement('span')];
      [link.href, link.dataset.term, title.textContent, kind.textContent] = [`#guide-${entry.key}`, entry.key, entry.title, entry.kind];
      says.textContent = entry.first.length > 110 ? `${entry.first.slice(0, 110).replace(/\s+\S*$/, '')}…` : entry.first;
      kind.className = says.className = 'muted';
      link.append(title, kind, says);
      item.append(link);
      return item;
    }));
    const more = hits.length > MOST_FOUND ? `, the first ${MOST_FOUND} are shown` : '';
    found.textContent = !words.length ? '' : hits.length ? `${hits.length} found${more}` : 'The guide has no such word.';
    draw();
  };

  const open = (key, from) => {
    if (!isOpen()) [opener, openerTerm] = [from, from?.dataset.term || ''];
    drawer.hidden = false;
    toggle()?.setAttribute('aria-expanded', 'true');
    turnTo(texts.has(key) ? 'texts' : part);
    if (!texts.has(key)) begin();
    else show(key, {remember: from === null || drawer.contains(from) || shown !== ''});
  };

  const begin = () => (part === 'texts' ? search : one('[data-lessons] [aria-current] h4, [data-lessons] .drawer-title'))?.focus();

  // Where one was is where one comes back to; what was drawn anew since is found again by its word.
  const close = () => {
    drawer.hidden = true;
    document.body.classList.remove('beside-lessons');
    toggle()?.setAttribute('aria-expanded', 'false');
    const again = opener?.isConnected ? opener : openerTerm && document.querySelector(`[data-term="${CSS.escape(openerTerm)}"]`);
    (again && again.offsetParent ? again : toggle())?.focus({preventScroll: true});
  };

  const until = async (ready) => {
    const late = Date.now() + 20000;
    while (!ready()) {
      if (Date.now() > late) return false;
      await new Promise((resolve) => { setTimeout(resolve, 60); });
    }
    return true;
  };
  const pressed = (place, key) => document.querySelector(`#${place} [data-pick="${key}"][aria-pressed=true]`);
  const press = (place, key) => pressed(place, key) || document.querySelector(`#${place} [data-pick="${key}"]`)?.click();

  // Drives the controls that a person would: the example, then the model and the technique where others are chosen.
  const startHere = async (button) => {
    if (button.getAttribute('aria-disabled') === 'true') return;
    button.setAttribute('aria-disabled', 'true');
    document.querySelector('#examples [data-pick=shop]')?.click();
    const chosen = await until(() => pressed('examples', 'shop'));
    window.luthier.open(chosen ? 'technique' : 'data');
    if (chosen) {
      press('models', 'starter');
      if (await until(() => pressed('models', 'starter'))) press('techniques', 'lora');
    }
    button.setAttribute('aria-disabled', 'false');
    if (isOpen()) close();
    document.querySelector('#the-way .next[data-on=technique]')?.focus();
  };

  window.luthier.guideClicked = (event) => {
    const target = event.target.closest('[data-term], [data-guide-toggle], [data-guide-close], [data-guide-back], [data-guide-contents], [data-guide-part], [data-start-here]');
    if (!target) return;
    const has = (name) => target.hasAttribute(name);
    if (has('data-term')) { event.preventDefault(); open(target.dataset.term, target); }
    else if (has('data-guide-close')) close();
    else if (has('data-guide-contents')) show('');
    else if (has('data-guide-part')) turnTo(target.dataset.guidePart);
    else if (has('data-start-here')) startHere(target);
    else if (has('data-guide-back')) { const {key, ...where} = trail.pop(); show(key, {remember: false, ...where}); }
    else if (isOpen()) close();
    else open(undefined, target);
  };
  window.luthier.guidePressed = (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey) return;
    const field = event.target.closest?.('input, textarea, select, [contenteditable=true]');
    if (event.key === '?' && !field) { event.preventDefault(); if (isOpen()) begin(); else open(undefined, document.activeElement); }
    if (event.key !== 'Escape' || !isOpen() || document.querySelector('dialog[open]')) return;
    if (field && !drawer.contains(field) && field.type === 'search' && field.value) return;  // it empties that box first
    event.preventDefault();
    close();
  };
  if (!window.luthier.guideListens) {  // once a page, however often the drawer is put into it
    window.luthier.guideListens = true;
    document.addEventListener('click', (event) => window.luthier.guideClicked(event));
    document.addEventListener('keydown', (event) => window.luthier.guidePressed(event));
  }
  search.addEventListener('input', () => { scroll.scrollTop = 0; find(); });
  drawer.addEventListener('keydown', (event) => {
    const links = [...results.querySelectorAll('a')], place = links.indexOf(event.target);
    if (event.target === search && event.key === 'Enter' && links.length) { event.preventDefault(); links[0].click(); }
    const by = {ArrowDown: 1, ArrowUp: -1}[event.key];
    if (!by || results.hidden || (event.target !== search && place < 0)) return;
    event.preventDefault();
    (place + by < 0 ? search : links[Math.min(place + by, links.length - 1)])?.focus();
  });
  turnTo(part);
  window.luthier.drawLessons?.();
};
