// What the page itself does: light and dark, tabs by key, links between tabs, names for unnamed controls, the settings form.
// No data is put into the page as HTML here; texts are set as text.
window.luthier = (() => {
  'use strict';
  const STORED = 'luthier-theme';
  const TABS = ['data', 'technique', 'train', 'compare'];
  const system = window.matchMedia('(prefers-color-scheme: dark)');

  const remembered = () => {
    try { return localStorage.getItem(STORED); } catch { return null; }
  };
  const wantsDark = () => (remembered() || (system.matches ? 'dark' : 'light')) === 'dark';

  // Gradio sets the class by the system alone and at a time of its own, so the wish is put back whenever it differs.
  const applyTheme = () => {
    if (!document.body) return;
    const dark = wantsDark();
    if (document.body.classList.contains('dark') !== dark) document.body.classList.toggle('dark', dark);
    document.documentElement.style.colorScheme = dark ? 'dark' : 'light';
    const button = document.querySelector('[data-theme-toggle]');
    if (button) button.setAttribute('aria-pressed', String(dark));
    if (applyTheme.last !== dark) {
      applyTheme.last = dark;
      window.dispatchEvent(new CustomEvent('luthier-theme'));
    }
  };

  const toggleTheme = () => {
    try { localStorage.setItem(STORED, wantsDark() ? 'light' : 'dark'); } catch { /* private window: lasts until reload */ }
    applyTheme();
  };

  const open = (tab) => {
    const button = document.getElementById(`tab-${tab}-button`);
    if (button) { button.click(); window.scrollTo({top: 0}); }
  };

  const openTab = () => {
    const chosen = document.querySelector('#tabs button[role=tab][aria-selected=true]');
    const way = document.getElementById('the-way');
    if (chosen && way && way.dataset.tab !== chosen.dataset.tabId) way.dataset.tab = chosen.dataset.tabId;
  };

  const nameControls = () => {
    for (const input of document.querySelectorAll('input[type=file]:not([data-named])')) {
      const what = input.closest('#held-out-file') ? 'file of held-out rows' : 'dataset file';
      input.setAttribute('aria-label', what[0].toUpperCase() + what.slice(1));
      input.dataset.named = '';
      input.closest('button')?.setAttribute('aria-label', `Drop a ${what} here, or click to choose one`);
    }
    for (const button of document.querySelectorAll('.tab-nav button:not([aria-label]), .overflow-menu > button:not([aria-label])')) {
      if (!button.textContent.trim()) button.setAttribute('aria-label', 'More tabs');
    }
  };

  document.addEventListener('click', (event) => {
    const target = event.target.closest('[data-open], [data-theme-toggle]');
    if (!target || target.disabled || target.getAttribute('aria-disabled') === 'true') return;
    if (target.hasAttribute('data-theme-toggle')) toggleTheme();
    else open(target.dataset.open);
  });
  document.addEventListener('keydown', (event) => {
    if (!event.altKey || event.ctrlKey || event.metaKey) return;
    const place = ['Digit1', 'Digit2', 'Digit3', 'Digit4'].indexOf(event.code);
    if (place >= 0) { event.preventDefault(); open(TABS[place]); }
  });
  // A panel may be drawn anew between the press of a button and its release; browsers then tell of no click at all.
  let pressed = null;
  document.addEventListener('pointerdown', (event) => { pressed = event.target.closest('[data-pick]'); }, true);
  document.addEventListener('pointerup', (event) => {
    const before = pressed;
    pressed = null;
    if (!before || before.isConnected) return;
    document.elementFromPoint(event.clientX, event.clientY)?.closest(`[data-pick="${CSS.escape(before.dataset.pick)}"]`)?.click();
  }, true);
  system.addEventListener('change', applyTheme);
  const begin = () => {
    applyTheme();
    openTab();
    new MutationObserver(applyTheme).observe(document.body, {attributes: true, attributeFilter: ['class']});
    let waiting = false;
    new MutationObserver(() => {
      if (waiting) return;
      waiting = true;
      setTimeout(() => { waiting = false; nameControls(); applyTheme(); openTab(); }, 60);
    }).observe(document.body, {childList: true, subtree: true, attributes: true, attributeFilter: ['aria-selected']});
  };
  if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', begin);
  else begin();

  // --- settings form: keeps what is typed, sends what differs from the defaults, 350 ms after the last key ---
  // The form is drawn anew when a choice changes which fields there are; what was typed since, the focus and an opened part stay.
  const settingsForm = (element, send, watch, hasEstimate) => {
    let timer = 0, focused = '', sentAt = 0, opened = null;
    const typed = new Map();
    const controls = () => [...element.querySelectorAll('[data-kind]')];
    const current = (control) => (control.type === 'checkbox' ? String(control.checked) : control.value.trim());
    const put = (control, value) => {
      if (control.type === 'checkbox') control.checked = value === 'true';
      else control.value = value;
    };
    const changed = (control) => {
      const now = current(control), usual = control.dataset.default;
      if (control.type === 'number' && now !== '' && usual !== '') return Number(now) !== Number(usual);
      return now !== usual;
    };
    const isFar = (control) => {
      const {safeLow, safeHigh} = control.dataset, now = Number(control.value);
      if (control.value.trim() === '' || Number.isNaN(now) || !control.checkValidity()) return false;
      return (safeLow !== undefined && now < Number(safeLow)) || (safeHigh !== undefined && now > Number(safeHigh));
    };
    const mark = () => {
      let count = 0;
      for (const control of controls()) {
        const differs = changed(control), field = control.closest('.field'), far = field.querySelector('.far');
        count += differs && !control.disabled;
        field.classList.toggle('changed', differs && !control.disabled);
        const missing = control.value === '' && control.type === 'number';
        control.setAttribute('aria-invalid', String(!control.disabled && (!control.checkValidity() || missing)));
        if (far) far.hidden = !isFar(control);
      }
      const reset = hasEstimate && document.querySelector('[data-reset-settings]');
      if (reset) reset.disabled = count === 0;
    };
    const edit = () => {
      mark();
      outdate();
      clearTimeout(timer);
      timer = setTimeout(() => {
        const settings = {};
        for (const control of controls()) if (!control.disabled && changed(control)) settings[control.name] = current(control);
        typed.clear();
        sentAt = Date.now();
        send({settings});
      }, 350);
    };
    // The estimate no longer belongs to these settings until a new one has arrived.
    const outdate = () => {
      const cost = document.getElementById('cost');
      if (!cost || !hasEstimate) return;
      cost.classList.add('outdated');
      const fresh = () => { cost.classList.remove('outdated'); observer.disconnect(); };
      const observer = new MutationObserver(fresh);
      observer.observe(cost, {childList: true, subtree: true, characterData: true});
      setTimeout(fresh, 8000);
    };
    const redrawn = () => {
      for (const control of controls()) {
        if (control.type === 'checkbox') control.checked = control.hasAttribute('checked');
        else if (control.tagName === 'SELECT') control.value = (control.querySelector('option[selected]') || control.options[0]).value;
        else control.value = control.defaultValue;
        if (typed.has(control.name) && !control.disabled) put(control, typed.get(control.name));
      }
      const more = element.querySelector('details.advanced');
      if (more && opened !== null) more.open = opened;
      if (focused && Date.now() - sentAt < 15000 && [document.body, null].includes(document.activeElement)) document.getElementById(focused)?.focus();
      mark();
    };
    element.addEventListener('input', (event) => {
      if (event.target.name) typed.set(event.target.name, current(event.target));
      edit();
    });
    element.addEventListener('submit', (event) => event.preventDefault());
    element.addEventListener('toggle', (event) => { if (event.target.matches('details.advanced')) opened = event.target.open; }, true);
    document.addEventListener('focusin', (event) => { focused = element.contains(event.target) ? event.target.id : ''; });
    document.addEventListener('click', (event) => {
      if (!element.isConnected) return;
      const back = event.target.closest('[data-suggested]'), all = hasEstimate && event.target.closest('[data-reset-settings]');
      const wanted = back && element.contains(back) ? [back.closest('.field').querySelector('[data-kind]')] : all ? controls() : [];
      for (const control of wanted) {
        put(control, control.dataset.default);
        typed.set(control.name, control.dataset.default);
      }
      if (wanted.length) edit();
      if (wanted.length === 1) wanted[0].focus();
    });
    watch('value', redrawn);
    redrawn();
  };

  // --- the picker of techniques: a search on the page; what was searched, the place in the list and the focus stay when it is redrawn ---
  const picker = (element, pick, watch) => {
    let query = '', top = 0, focused = '', asked = 0;
    const entries = () => [...element.querySelectorAll('[data-pick]')];
    const shown = () => entries().filter((entry) => !entry.disabled && entry.offsetParent);
    const filter = () => {
      const plain = (text) => ` ${text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, ' ')} `;
      const words = plain(query).split(' ').filter(Boolean).map((word) => ` ${word}`);
      let count = 0;
      for (const family of element.querySelectorAll('.technique-family')) {
        const name = family.querySelector('.family').textContent;
        let here = 0;
        for (const entry of family.querySelectorAll('[data-pick]')) {
          const said = plain([entry.dataset.pick, ...[...entry.children].map((part) => part.textContent), name].join(' '));
          entry.hidden = !words.every((word) => said.includes(word));  // at the beginning of a word, so that "vera" is not "several"
          here += !entry.hidden;
        }
        family.hidden = here === 0;
        if (family.tagName === 'DETAILS') family.open = words.length ? here > 0 : family.dataset.opened === 'true';
        count += here;
      }
      const says = !words.length ? '' : count ? `${count} of ${entries().length} match` : 'No technique is described so.';
      element.querySelector('[data-found]').textContent = says;
    };
    const drawn = () => {
      const search = element.querySelector('.technique-search'), scroll = element.querySelector('.technique-scroll');
      if (!search || !scroll) return;
      for (const family of element.querySelectorAll('details.technique-family')) family.dataset.opened = String(family.open);
      search.value = query;
      filter();
      scroll.scrollTop = top;
      scroll.addEventListener('scroll', () => { top = scroll.scrollTop; }, {passive: true});
      const again = entries().find((entry) => entry.dataset.pick === focused);
      if (again && Date.now() - asked < 15000 && [document.body, null].includes(document.activeElement)) again.focus({preventScroll: true});
    };
    element.addEventListener('input', (event) => {
      if (event.target.matches('.technique-search')) { query = event.target.value; filter(); }
    });
    element.addEventListener('toggle', (event) => { if (!query && event.target.dataset.opened) event.target.dataset.opened = String(event.target.open); }, true);
    element.addEventListener('click', (event) => {
      const button = event.target.closest('[data-pick]');
      if (!button || button.disabled) return;
      [focused, asked] = [button.dataset.pick, Date.now()];
      pick(button.dataset.pick);
      const card = document.getElementById('guide')?.getBoundingClientRect();
      if (card && (card.top < 0 || card.top > innerHeight * .7)) window.scrollBy({top: card.top - 70});
    });
    element.addEventListener('keydown', (event) => {
      const search = element.querySelector('.technique-search');
      if (event.target === search && event.key === 'Escape' && query) { search.value = query = ''; filter(); return; }
      const by = {ArrowDown: 1, ArrowUp: -1}[event.key];
      const all = shown(), place = all.indexOf(event.target);
      if (!by || (event.target !== search && place < 0)) return;
      event.preventDefault();
      (place + by < 0 ? search : all[Math.min(place + by, all.length - 1)])?.focus();
    });
    watch('value', drawn);
    drawn();
  };

  // --- the table of all techniques: sorted on the page, and sorted again when more rows arrive ---
  const comparison = (element, pick, watch) => {
    let column = -1, way = 1;
    const sort = () => {
      const body = element.querySelector('tbody');
      if (!body) return;
      element.querySelectorAll('th[aria-sort]').forEach((head, place) =>
        head.setAttribute('aria-sort', place !== column ? 'none' : way > 0 ? 'ascending' : 'descending'));
      const value = (row) => row.cells[column].dataset.value;
      const compare = (one, other) => {
        const [a, b] = [value(one), value(other)];
        if (a === '' || b === '') return (a === '') - (b === '');
        return way * (column === 0 ? a.localeCompare(b) : Number(a) - Number(b));
      };
      const order = (one, other) => (column < 0 ? 0 : compare(one, other)) || Number(one.dataset.place) - Number(other.dataset.place);
      body.append(...[...body.rows].sort(order));
    };
    element.addEventListener('click', (event) => {
      const head = event.target.closest('[data-sort]'), button = event.target.closest('[data-pick]');
      if (button) pick(button.dataset.pick);
      if (!head) return;
      const place = head.closest('th').cellIndex;
      [column, way] = place !== column ? [place, 1] : way > 0 ? [place, -1] : [-1, 1];
      sort();
    });
    watch('value', sort);
    sort();
  };

  // --- the questions before the advice: what is chosen, all of it, whenever one changes; and the section that holds them ---
  const questions = (element, answer) => {
    element.addEventListener('change', () => {
      const answers = {};
      for (const one of element.querySelectorAll('input[type=radio]:checked')) answers[one.name.replace('answer-', '')] = one.value;
      answer({answers});
    });
  };
  const folded = (element, watch) => {
    const KEY = 'luthier-deciding';
    const remembered = () => { try { return localStorage.getItem(KEY); } catch { return null; } };
    const apply = () => {
      const open = document.body.classList.contains('deciding');
      const button = element.querySelector('[data-fold]');
      if (!button) return;
      button.setAttribute('aria-expanded', String(open));
      button.textContent = open ? button.dataset.close : button.dataset.show;
    };
    const turn = (open) => {
      document.body.classList.toggle('deciding', open);
      try { localStorage.setItem(KEY, open ? 'open' : 'closed'); } catch { /* private window */ }
      apply();
    };
    element.addEventListener('click', (event) => {
      if (event.target.closest('[data-fold]')) turn(!document.body.classList.contains('deciding'));
    });
    document.addEventListener('click', (event) => {
      if (!event.target.closest('[data-fold-away]')) return;
      turn(false);
      window.scrollTo({top: 0});
    });
    watch('value', apply);
    turn(remembered() === 'open');
  };

  // --- status bar: the one thing that is always there; it asks once a second while the page is visible ---
  const statusBar = (element, props, server, tell) => {  // tell: turned, rested, woken
    let last = '', busy = false, unheard = false, touched = 0;
    const slot = (name) => element.querySelector(`[data-slot="${name}"]`);
    const put = (name, words) => { const place = slot(name); if (place && place.textContent !== words) place.textContent = words; };
    const online = () => put('network', navigator.onLine ? 'Network on' : 'Offline');
    const ask = async () => {
      if (busy || document.hidden || !element.isConnected) return;
      busy = true;
      try {
        const [run, behind] = (props.value || '').split(' ');
        const now = await server.pulse({run});
        for (const [name, words] of Object.entries(now.words)) put(name, words);
        element.querySelector('.status').dataset.tone = now.tone;
        const way = document.querySelector('#the-way [data-slot="train"]');
        if (way && now.train) way.textContent = now.train;
        if (last && last !== now.turn) tell.turned({turn: now.turn});
        else if (unheard && now.unheard) tell.woken();
        else if (behind && performance.now() - touched > 3000) tell.rested();
        [last, unheard] = [now.turn, now.unheard];
      } catch { put('state', 'No answer from Luthier; is it still running?'); element.querySelector('.status').dataset.tone = 'error'; }
      busy = false;
    };
    online();
    window.addEventListener('online', online);
    window.addEventListener('offline', online);
    document.addEventListener('visibilitychange', ask);
    for (const kind of ['pointerdown', 'keydown', 'wheel']) document.addEventListener(kind, () => { touched = performance.now(); }, true);
    setInterval(ask, 1000);
    ask();
  };

  // --- lengths: the line that is dragged, and what cutting there does; only a length that is used is sent ---
  const lengths = (element, use, pick, watch) => {
    const drawn = () => {
      const picture = element.querySelector('.length-picture'), line = element.querySelector('[data-length]');
      if (!picture || !line) return;
      const effects = JSON.parse(picture.dataset.effects);
      const svg = picture.querySelector('svg'), width = svg.viewBox.baseVal.width;
      const button = element.querySelector('[data-use-length]');
      const nearest = (tokens) => effects.reduce((best, effect, place) =>
        (Math.abs(effect.length - tokens) < Math.abs(effects[best].length - tokens) ? place : best), 0);
      const begun = nearest(Number(line.value));
      let place = begun;
      const show = (at) => {
        place = Math.max(0, Math.min(effects.length - 1, at));
        const effect = effects[place], x = width * Math.min(1, effect.place);
        line.value = String(effect.length);
        for (const slot of element.querySelectorAll('[data-effect]')) {
          const value = effect[slot.dataset.effect];
          slot.textContent = typeof value === 'number' ? value.toLocaleString('en') : value;
        }
        svg.querySelector('.cut-line').setAttribute('x1', x);
        svg.querySelector('.cut-line').setAttribute('x2', x);
        svg.querySelector('.beyond').setAttribute('x', x);
        svg.querySelector('.beyond').setAttribute('width', Math.max(0, width - x));
        line.setAttribute('aria-valuetext', `${effect.length} tokens: ${effect.cut} cut, ${effect.lost} with nothing to learn`);
        if (button) button.disabled = place === begun;
      };
      // A press anywhere on the picture moves the line to the nearest counted length; arrows go from one to the next.
      const under = (event) => {
        const box = svg.getBoundingClientRect();
        show(nearest((event.clientX - box.left) / box.width * Number(picture.dataset.ends)));
      };
      svg.onpointerdown = (event) => { svg.setPointerCapture(event.pointerId); under(event); };
      svg.onpointermove = (event) => { if (event.buttons) under(event); };
      line.oninput = () => show(nearest(Number(line.value)));
      line.onkeydown = (event) => {
        const by = {ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 5, PageDown: -5, Home: -1e9, End: 1e9}[event.key];
        if (by) { event.preventDefault(); show(place + by); }
      };
      if (button) button.onclick = () => use({length: effects[place].length});
      show(begun);
    };
    element.addEventListener('click', (event) => {
      const button = event.target.closest('[data-pick]');
      if (button && !button.disabled) pick(button.dataset.pick);
    });
    watch('value', drawn);
    drawn();
  };

  return {comparison, folded, lengths, open, picker, questions, settingsForm, statusBar, wantsDark};
})();
