// Other runs over the one on view: which are chosen, their legend, and both tables. Their points are pulled as those of any run.
window.luthier.runOverlay = (element, asked, changed) => {
  'use strict';
  const MOST = 5, AGAIN = 4000;
  let current = null, chosen = [], offered = [], sorted = {}, shown = null;
  const picker = () => element.querySelector('.overlay-picker'), button = () => element.querySelector('[data-overlay]');
  const make = (name, words, className) => {
    const made = document.createElement(name);
    if (words !== undefined) made.textContent = words;
    if (className) made.className = className;
    return made;
  };

  // --- which runs ---
  const open = async (wanted) => {
    picker().hidden = !wanted;
    button().setAttribute('aria-expanded', String(wanted));
    if (!wanted) return;
    offered = (await asked.others(current.id)).runs;
    list();
    (picker().querySelector('.overlay-list input') || picker().querySelector('[data-overlay-close]')).focus();
  };
  const list = () => {
    const search = picker().querySelector('.overlay-search'), words = search.value.toLowerCase();
    search.hidden = offered.length < 8;
    const found = offered.filter((run) => `${run.title} ${run.about} ${run.state}`.toLowerCase().includes(words));
    const says = !offered.length ? 'There is no other run with curves yet.' : chosen.length === MOST ? `${MOST} at most` : `up to ${MOST}; those of the same technique first`;
    picker().querySelector('[data-slot=overlay-says]').textContent = says;
    picker().querySelector('.overlay-list').replaceChildren(...found.map((run) => {
      const item = make('li'), label = make('label', undefined, 'overlay-choice'), box = make('input'), isChosen = chosen.some(({id}) => id === run.run);
      Object.assign(box, {type: 'checkbox', value: run.run, checked: isChosen, disabled: !isChosen && chosen.length >= MOST});
      const text = make('span');
      text.append(make('strong', run.title), ' ', make('span', `${run.state} · ${run.about}`, 'muted'));
      label.append(box, text);
      item.append(label);
      return item;
    }));
  };
  const choose = (id, wanted) => {
    if (wanted && (chosen.length >= MOST || chosen.some((run) => run.id === id))) return;
    if (!wanted) chosen = chosen.filter((run) => run.id !== id);
    else {
      // The first colour that is free, so that a line keeps its colour when another one goes.
      const place = [0, 1, 2, 3, 4].find((free) => !chosen.some((run) => run.place === free)), of = offered.find((run) => run.run === id);
      chosen = [...chosen, {id, place, title: of.title, short: short(place), curves: window.luthier.curvesOf(), cursor: 0, over: false, askedAt: 0}];
    }
    list();
    legend();
    changed();
    tables();
  };
  const short = (place) => 'ABCDE'[place];

  // --- their points: all of them once, then what is new while such a run goes on ---
  const pull = async () => {
    let isNew = false;
    for (const run of chosen) {
      if (run.over || Date.now() - run.askedAt < AGAIN) continue;
      run.askedAt = Date.now();
      const now = await asked.source(run.id, run.cursor);
      if (!now || now.run !== run.id) { run.over = true; continue; }
      if (now.reset) run.curves = window.luthier.curvesOf();
      run.curves.add(now.blocks);
      Object.assign(run, {cursor: now.cursor, thinned: run.thinned || now.thinned, over: now.over});
      isNew ||= now.blocks.length > 0;
    }
    return isNew;
  };

  // What tells it from the others, once that is known.
  const labelOf = (run) => shown?.labels[shown.runs.indexOf(run?.id)] || run?.title;
  const legend = () => {
    const place = element.querySelector('.overlay-legend');
    place.hidden = !chosen.length;
    const own = make('li', undefined, 'overlay-own');
    own.append(make('i', undefined, 'over-line-0'), make('span', `On view · ${labelOf(current) || ''}`));
    place.replaceChildren(own, ...chosen.map((run) => {
      const item = make('li'), away = make('button', '×', 'tool');
      away.type = 'button';
      away.dataset.remove = run.id;
      away.setAttribute('aria-label', `Take ${run.title} away`);
      away.title = 'Take this run away';
      item.append(make('i', undefined, `over-line-${run.place + 1}`), make('span', `${run.short} · ${labelOf(run)}`), away);
      return item;
    }));
    button().textContent = chosen.length ? `Other runs (${chosen.length})` : 'Other runs';
  };

  // --- the tables ---
  const tables = async () => {
    const room = element.querySelector('.side-by-side');
    if (!chosen.length) { room.hidden = true; shown = null; return; }
    const told = await asked.compared([current.id, ...chosen.map((run) => run.id)]);
    if (!told?.runs) return;
    shown = told;
    room.hidden = false;
    legend();
    draw();
  };
  const nameOf = (id) => { const run = chosen.find((one) => one.id === id); return run ? run.short : 'On view'; };
  const draw = () => {
    const {runs, labels, figures, settings} = shown;
    const names = runs.map(nameOf);
    const rowsOfRuns = runs.map((id, place) => ({head: `${names[place]} · ${labels[place]}`, line: chosen.find((run) => run.id === id)?.place + 1 || 0, cells: figures.map((row) => row.cells[place])}));
    table('[data-figures]', [{title: 'Run'}, ...figures], rowsOfRuns, 'Figures of the runs, one line a run');
    table('[data-settings]', [{title: 'Setting'}, ...runs.map((id, place) => ({title: names[place], meaning: labels[place]}))], settings.map((row) => ({head: row.title, cells: row.cells})), 'Settings that differ, one line a setting');
    element.querySelector('.side-by-side [data-settings]').hidden = !settings.length;
    element.querySelector('[data-slot=no-difference]').textContent = settings.length ? '' : 'Nothing: the plans are the same.';
  };
  const table = (where, heads, rows, caption) => {
    const made = make('table'), head = make('thead'), body = make('tbody'), line = make('tr'), wish = sorted[where];
    line.append(...heads.map(({title, meaning}, column) => {
      const cell = make('th'), press = make('button', title);
      cell.scope = 'col';
      cell.setAttribute('aria-sort', wish?.column !== column ? 'none' : wish.way > 0 ? 'ascending' : 'descending');
      press.type = 'button';
      press.dataset.column = String(column);
      press.append(make('span', undefined, 'arrow'));
      if (meaning) press.title = meaning;
      cell.append(press);
      return cell;
    }));
    head.append(line);
    body.append(...inOrder(rows, wish).map((row) => {
      const tr = make('tr'), th = make('th');
      th.scope = 'row';
      if (row.line !== undefined) th.append(make('i', undefined, `over-line-${row.line}`));
      th.append(row.head);
      tr.append(th, ...row.cells.map((cell) => make('td', cell.text)));
      return tr;
    }));
    made.append(make('caption', caption, 'sr-only'), head, body);
    const place = element.querySelector(`.side-by-side ${where}`), focused = place.contains(document.activeElement) && document.activeElement.dataset.column;
    place.replaceChildren(made);
    if (focused) place.querySelector(`[data-column="${focused}"]`)?.focus();
  };
  const inOrder = (rows, wish) => {
    if (!wish) return rows;
    const of = (row) => (wish.column === 0 ? row.head : row.cells[wish.column - 1]?.value ?? null);
    return [...rows].sort((one, other) => {
      const [a, b] = [of(one), of(other)];
      if (a === null || b === null) return (a === null) - (b === null);  // what was not told stands last, either way
      return wish.way * (typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b)));
    });
  };

  element.addEventListener('click', (event) => {
    if (event.target.closest('[data-overlay]')) open(picker().hidden);
    if (event.target.closest('[data-overlay-close]')) { open(false); button().focus(); }
    const away = event.target.closest('[data-remove]'), head = event.target.closest('.side-by-side [data-column]');
    if (away) { choose(away.dataset.remove, false); button().focus(); }
    if (!head) return;
    const where = head.closest('[data-figures]') ? '[data-figures]' : '[data-settings]', column = Number(head.dataset.column), wish = sorted[where];
    sorted[where] = wish?.column !== column ? {column, way: 1} : wish.way > 0 ? {column, way: -1} : null;
    draw();
  });
  element.addEventListener('input', (event) => {
    if (event.target.closest('.overlay-list')) {
      const id = event.target.value;
      choose(id, event.target.checked);
      picker().querySelector(`.overlay-list [value="${CSS.escape(id)}"]`)?.focus();
    }
    if (event.target.matches('.overlay-search')) list();
  });
  element.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && picker().contains(event.target)) { open(false); button().focus(); }
  });

  // A series asks for its runs over the one on view.
  document.addEventListener('luthier-overlay', async ({detail}) => {
    if (!element.isConnected || !current) return;
    offered = (await asked.others(current.id)).runs;
    for (const id of detail.runs) if (offered.some(({run}) => run === id)) choose(id, true);
    element.scrollIntoView({block: 'start'});
  });

  // The run on view is never drawn over itself; the others stay when another one comes into view.
  const turn = (run) => {
    current = run;
    chosen = chosen.filter(({id}) => id !== run.id);
    if (!picker().hidden) open(false);
    legend();
    tables();
  };
  return {pull, refresh: tables, runs: () => chosen, turn};
};
