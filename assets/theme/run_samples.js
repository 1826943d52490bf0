// Watch it learn: the answers to the same questions through the run, one step at a time, with what changed marked word by word.
// All texts are set as text.
window.luthier.runSamples = (element) => {
  'use strict';
  const PACE = 900, ALL = -1;
  const prompts = new Map();  // question -> answers, [step, text] in the order of steps
  let steps = [], place = 0, chosen = 0, follows = true, timer = 0;

  const panel = () => element.querySelector('.watch');
  const line = () => panel().querySelector('[type=range]');
  const make = (name, words, className) => {
    const made = document.createElement(name);
    if (words !== undefined) made.textContent = words;
    if (className) made.className = className;
    return made;
  };
  const named = (step) => (step === 0 ? 'before training' : `step ${step.toLocaleString('en')}`);

  // The words of `now`, each with whether it was not there before: what the longest common sequence of words leaves over.
  const changes = (before, now) => {
    const one = before.split(/(\s+)/).filter((word) => word.trim()), parts = now.split(/(\s+)/).filter(Boolean);
    const other = parts.map((word, at) => [word, at]).filter(([word]) => word.trim());
    if (one.length * other.length > 250000) return parts.map((word) => [word, false]);
    const lengths = Array.from({length: one.length + 1}, () => new Uint16Array(other.length + 1));
    for (let a = one.length - 1; a >= 0; a -= 1) {
      for (let b = other.length - 1; b >= 0; b -= 1) {
        lengths[a][b] = one[a] === other[b][0] ? lengths[a + 1][b + 1] + 1 : Math.max(lengths[a + 1][b], lengths[a][b + 1]);
      }
    }
    const kept = new Set();
    for (let a = 0, b = 0; a < one.length && b < other.length;) {
      if (one[a] === other[b][0]) { kept.add(other[b][1]); a += 1; b += 1; }
      else if (lengths[a + 1][b] >= lengths[a][b + 1]) a += 1;
      else b += 1;
    }
    return parts.map((word, at) => [word, Boolean(word.trim()) && !kept.has(at)]);
  };
  const answerShown = (before, now, className) => {
    const said = make('p', undefined, className);
    if (!now) { said.append(make('span', '(nothing)', 'muted')); return said; }
    if (before === null) { said.textContent = now; return said; }
    const parts = changes(before, now), words = parts.filter(([word]) => word.trim()), fresh = words.filter(([, isNew]) => isNew);
    // An answer that is another one altogether is not marked: nothing in it stayed to be compared with.
    if (fresh.length > 0.7 * words.length) { said.textContent = now; return said; }
    for (const [word, isNew] of parts) said.append(isNew ? make('span', word, 'changed') : word);
    return said;
  };
  const answerAt = (answers, step) => {
    let found = ALL;
    answers.forEach(([at], index) => { if (at <= step) found = index; });
    return found;
  };

  const show = () => {
    const step = steps[place];
    line().max = String(Math.max(0, steps.length - 1));
    line().value = String(place);
    line().setAttribute('aria-valuetext', named(step));
    panel().querySelector('[data-slot=watch-step]').textContent = `${named(step)} · ${place + 1} of ${steps.length}`;
    const room = panel().querySelector('.watch-answers'), shown = [...prompts.entries()];
    const top = room.querySelector('.watch-stack')?.scrollTop || 0;
    room.classList.toggle('all', chosen === ALL);
    room.replaceChildren(...(chosen === ALL ? shown.map(([question, answers]) => one(question, answers, step)) : alone(...shown[chosen], step)));
    // Only what scrolls in here moves, never the page.
    const stack = room.querySelector('.watch-stack'), at = stack?.querySelector('[aria-current]')?.closest('li');
    if (!at) return;
    stack.scrollTop = top;
    if (at.offsetTop < stack.scrollTop || at.offsetTop + at.offsetHeight > stack.scrollTop + stack.clientHeight) stack.scrollTop = at.offsetTop - stack.clientHeight / 2;
  };
  const one = (question, answers, step) => {
    const made = make('article', undefined, 'watch-one'), at = answerAt(answers, step);
    made.append(make('p', question, 'watch-question'), at < 0 ? make('p', 'No answer yet', 'muted') : answerShown(at ? answers[at - 1][1] : null, answers[at][1], 'watch-answer'));
    return made;
  };
  // The answer at this step large, and under it the same question through time; an answer that stayed is there once.
  const alone = (question, answers, step) => {
    const made = [one(question, answers, step)], at = answerAt(answers, step), list = make('ol', undefined, 'watch-stack'), stayed = [];
    list.tabIndex = 0;
    list.setAttribute('aria-label', 'This answer through time');
    answers.forEach(([when, words], index) => {
      const last = stayed[stayed.length - 1];
      if (last?.words === words) { last.until = when; last.to = index; }
      else stayed.push({words, when, until: when, from: index, to: index});
    });
    stayed.forEach(({words, when, until, from, to}, index) => {
      const item = make('li'), button = make('button', until === when ? named(when) : `step ${when.toLocaleString('en')} to ${until.toLocaleString('en')}`, 'button link');
      button.type = 'button';
      button.dataset.step = String(when);
      if (from <= at && at <= to) button.setAttribute('aria-current', 'step');
      item.append(button, answerShown(index ? stayed[index - 1].words : null, words, 'watch-then'));
      list.append(item);
    });
    if (stayed.length > 1) made.push(make('h3', 'Through time'), list);
    return made;
  };

  const list = () => {
    const field = panel().querySelector('.watch-prompts'), texts = [...prompts.keys()];
    if (field.querySelectorAll('label').length === texts.length + (texts.length > 1)) return;
    const option = (words, value) => {
      const label = make('label'), radio = make('input');
      Object.assign(radio, {type: 'radio', name: 'watch-prompt', value: String(value), checked: value === chosen});
      label.append(radio, make('span', words));
      label.title = words;
      return label;
    };
    const options = texts.map((words, index) => option(words, index));
    if (texts.length > 1) options.push(option('All questions', ALL));
    field.replaceChildren(field.querySelector('legend'), ...options);
  };

  const add = (fresh) => {
    if (!fresh.length) return;
    for (const {prompt, answers} of fresh) {
      const known = prompts.get(prompt) || [];
      for (const [step, words] of answers) {
        const last = known[known.length - 1];
        if (last && last[0] === step) last[1] = words;
        else if (!last || step > last[0]) known.push([step, words]);
      }
      prompts.set(prompt, known);
    }
    const before = steps[place];
    steps = [...new Set([...prompts.values()].flatMap((answers) => answers.map(([step]) => step)))].sort((one, other) => one - other);
    place = follows ? steps.length - 1 : Math.max(0, steps.indexOf(before));
    panel().hidden = false;
    list();
    show();
  };

  // From then on it stays where it was put, unless that is the end.
  const goTo = (at) => {
    place = Math.max(0, Math.min(steps.length - 1, at));
    follows = place === steps.length - 1;
    show();
  };
  const pointed = (step) => {
    if (step === null || timer || steps.length < 2) return;
    let at = 0;
    steps.forEach((one, index) => { if (one <= step) at = index; });
    if (at !== place) goTo(at);
  };

  const stop = () => {
    clearInterval(timer);
    timer = 0;
    const button = panel().querySelector('[data-play]');
    button.textContent = 'Play';
    button.setAttribute('aria-pressed', 'false');
  };
  const play = () => {
    if (timer) { stop(); return; }
    const button = panel().querySelector('[data-play]');
    button.textContent = 'Pause';
    button.setAttribute('aria-pressed', 'true');
    goTo(place === steps.length - 1 ? 0 : place);
    timer = setInterval(() => {
      if (!element.isConnected || place >= steps.length - 1) { stop(); return; }
      goTo(place + 1);
    }, PACE);
  };

  element.addEventListener('input', (event) => {
    if (event.target.name === 'watch-prompt') { chosen = Number(event.target.value); show(); }
    if (event.target.closest('.watch-scrub')) { if (timer) stop(); goTo(Number(event.target.value)); }
  });
  element.addEventListener('click', (event) => {
    if (event.target.closest('[data-play]')) play();
    const step = event.target.closest('.watch-stack [data-step]');
    if (!step) return;
    if (timer) stop();
    goTo(steps.indexOf(Number(step.dataset.step)));
    panel().querySelector(`.watch-stack [data-step="${step.dataset.step}"]`)?.focus();
  });

  const forget = () => {
    if (timer) stop();
    prompts.clear();
    [steps, place, chosen, follows] = [[], 0, 0, true];
    panel().querySelector('.watch-prompts').replaceChildren(panel().querySelector('legend'));
    panel().hidden = true;
  };
  return {add, forget, pointed};
};
