// The live view of a run: pulls what is new since its cursor, and hands it to the parts that show it. Nothing that is there is
// drawn anew because of an update: zoom, pointer, scrubber and scroll stay where they are.
window.luthier.liveRun = (element, props, server, watch) => {
  'use strict';
  const PERIOD = 600, QUIET_PERIOD = 4000, SETTLES = 250, PATIENCE = 30000;
  let run = '', cursor = 0, busy = false, over = false, askedAt = 0, own = null, settling = 0, known = {}, judged = {};

  const view = () => element.querySelector('.live');
  const slot = (name) => element.querySelector(`[data-slot="${name}"]`);
  const put = (name, words) => { const place = slot(name); if (place && place.textContent !== words) place.textContent = words; };
  const make = (name, words, className) => {
    const made = document.createElement(name);
    if (words !== undefined) made.textContent = words;
    if (className) made.className = className;
    return made;
  };

  const samples = window.luthier.runSamples(element);
  const charts = window.luthier.runCharts(element, props, {
    pointed: (step) => samples.pointed(step),
    zoomed: () => { clearTimeout(settling); settling = setTimeout(() => lookCloser().catch(() => {}), SETTLES); },
    chosen: (number) => element.querySelector(`.run-findings [data-finding="${number}"]`)?.focus(),
  });
  const controls = window.luthier.runControls(element, charts, {table: async () => ({run, ...await server.table({run})})});
  const overlay = window.luthier.runOverlay(element, {
    source: (id, after) => server.source({run: id, after}), others: (id) => server.others({run: id}), compared: (runs) => server.compared({runs}),
  }, () => { draw(); pull(); });
  const draw = () => { if (own) charts.show({runs: [own, ...overlay.runs()]}); };

  // Of a long run the page holds only what a screen can show; a stretch that is zoomed into is fetched at full depth, with some
  // of what lies before it, so that its smooth line begins as it should.
  const lookCloser = async () => {
    const zoom = charts.zoomed();
    if (!zoom) return;
    const before = Math.max(0, Math.floor(zoom[0] - 0.25 * (zoom[1] - zoom[0]))), after = Math.max(0, Math.ceil(zoom[1]));
    for (const one of [own, ...overlay.runs()]) {
      if (!one || !(one.thinned || one.curves.isThinned()) || (one.detail && one.detail.from === zoom[0] && one.detail.to === zoom[1])) continue;
      const {blocks} = await server.detail({run: one.id, first: before, last: after});
      if (charts.zoomed() !== zoom) return;
      const curves = window.luthier.curvesOf();
      curves.add(blocks);
      one.detail = {from: zoom[0], to: zoom[1], curves};
    }
    draw();
  };

  const showStages = (parts) => {
    const list = element.querySelector('.run-stages'), shape = JSON.stringify(parts);
    if (known.stages === shape) return;
    known.stages = shape;
    list.hidden = parts.length === 0;
    list.replaceChildren(...parts.map((part) => {
      const item = make('li', undefined, `stage-${part.state}`);
      item.style.flexGrow = String(part.steps);
      item.append(make('strong', part.title), make('span', part.says, 'muted'));
      return item;
    }));
  };

  const addLines = (name, lines) => {
    const panel = element.querySelector(`[data-list="${name}"]`), list = panel.querySelector('ul');
    for (const line of lines) {
      const item = make('li', undefined, 'finding'), says = make('p', line.says);
      if (line.next) says.append(' ', make('span', line.next, 'next-step'));
      item.append(make('span', line.word, `pill pill-${line.tone}`), says);
      list.append(item);
    }
    panel.hidden = !list.childElementCount;
  };

  // What the curves say now; the list takes the place of the one before, and a line leads to its place on its chart.
  const showFindings = (findings, isOver) => {
    const panel = element.querySelector('.run-findings'), shape = JSON.stringify([findings, isOver]);
    if (known.findings === shape) return;
    known.findings = shape;
    panel.hidden = false;
    put('no-findings', findings.length ? '' : isOver ? 'Nothing unusual was found in these curves.' : 'Nothing unusual so far.');
    panel.querySelector('ul').replaceChildren(...findings.map((finding, place) => {
      const item = make('li', undefined, 'finding'), button = make('button', undefined, 'finding-line'), says = make('span', finding.sentence);
      button.type = 'button';
      button.dataset.finding = String(place + 1);
      button.title = 'Show this place on its chart';
      if (finding.suggestion) says.append(' ', make('span', finding.suggestion, 'next-step'));
      const pill = make('span', `${place + 1} · ${finding.severity === 'warning' ? 'Check' : 'Note'}`, `pill pill-${finding.severity}`);
      button.append(pill, says);
      button.onclick = () => showPlace(finding);
      item.append(button);
      return item;
    }));
  };
  const showPlace = ({chart, step}) => {
    const panel = element.querySelector(`[data-chart="${chart}"]`)?.closest('.chart');
    if (panel && !panel.hidden) panel.scrollIntoView({block: 'nearest', behavior: 'smooth'});
    const width = Math.max(4, 0.08 * Math.max(own.curves.lastStep(), 1));
    if (step !== null) charts.zoomTo([Math.max(0, step - width), step + width]);
  };

  // True labels down, said labels across; every cell says its number, and is the darker the larger its share of the line.
  const showConfusion = (table) => {
    for (const name of ['says', 'hidden', 'confused']) put(`confusion-${name}`, table[name]);
    const head = (words, scope) => { const cell = make('th'); cell.scope = scope; cell.append(make('span', words)); return cell; };
    const top = make('tr'), body = make('tbody'), drawn = make('table'), upper = make('thead');
    top.append(head('true label', 'col'), ...table.columns.map((name) => head(name, 'col')), head('right', 'col'));
    for (const row of table.rows) {
      const line = make('tr');
      line.append(head(row.label, 'row'), ...row.cells.map(({count, share, right}) => {
        const cell = make('td', String(count), right ? 'right' : count ? 'wrong' : 'none');
        cell.style.setProperty('--share', String(share));
        return cell;
      }), make('td', row.right, 'row-total'));
      body.append(line);
    }
    upper.append(top);
    drawn.append(make('caption', 'Said labels stand across, true labels down.', 'sr-only'), upper, body);
    drawn.classList.toggle('many', table.columns.length > 6);
    element.querySelector('.confusion-scroll').replaceChildren(drawn);
    element.querySelector('.confusion').hidden = false;
    element.querySelector('.run-main').classList.toggle('beside', table.columns.length <= 6);
  };

  // A headline tells how it was at first and how it is now; the others what the smooth line says.
  const showFigures = () => {
    for (const cell of element.querySelectorAll('[data-series]')) {
      const curve = cell.dataset.series.split(' ').map((key) => own.curves.get(key)).find(Boolean);
      if (!curve) continue;
      const shown = (value) => (cell.dataset.share === 'true' ? `${Math.round(100 * value)} %` : value.toFixed(2));
      const last = curve.steps.length - 1, first = shown(curve.first[1]);
      const words = curve.steps[last] > curve.first[0] ? `${first} → ${shown(curve.values[last])}` : `${first} at first`;
      if (cell.textContent !== words) cell.textContent = words;
    }
    for (const key of ['loss', 'reward', 'kl']) {
      const value = charts.value(key);
      if (value !== undefined) put(key, charts.figure(value));
    }
  };

  const forget = () => {
    [cursor, over, askedAt, own, known, judged] = [0, false, 0, null, {}, {}];
    for (const panel of element.querySelectorAll('.run-warnings, .run-proof, .confusion, .run-findings, .side-by-side')) panel.hidden = true;
    element.querySelector('.run-main').classList.remove('beside');
    for (const list of element.querySelectorAll('.findings')) list.replaceChildren();
    for (const place of element.querySelectorAll('.live-stats [data-slot]')) place.textContent = '\u2013';
    samples.forget();
    charts.forget();
  };

  const show = (now) => {
    view().hidden = false;
    element.querySelector('[data-when=comparable]').hidden = !now.comparable;
    for (const [name, words] of Object.entries(now.words)) put(name, words);
    element.querySelector('.run-state').dataset.tone = now.tone;
    const bar = element.querySelector('.progress');
    bar.setAttribute('aria-valuenow', String(Math.round(now.progress * 100)));
    bar.firstElementChild.style.width = `${(now.progress * 100).toFixed(1)}%`;
    showStages(now.stages);
  };

  const arrange = (now) => {
    own = {id: now.run, title: now.title, curves: window.luthier.curvesOf(), thinned: false};
    for (const cell of element.querySelectorAll('[data-figure]')) cell.hidden = !now.figures.includes(cell.dataset.figure);
    const parts = now.stages.length;
    charts.arrange(now.main, parts > 1 ? `Begins with stage ${parts} of ${parts}` : 'Begins with the first step');
    overlay.turn(own);
  };

  const take = (now) => {
    const zoom = now.reset && cursor ? charts.zoomed() : null, before = judged;
    if (now.reset && cursor) forget();
    show(now);
    if (!own) arrange(now);
    cursor = now.cursor;
    own.curves.add(now.blocks);
    own.detail?.curves.add(now.blocks);
    own.thinned ||= now.thinned;
    addLines('warnings', now.warnings);
    addLines('proof', now.proof);
    // What is the same as before is not sent again.
    judged = {known: now.known, findings: now.findings ?? before.findings ?? [], bands: now.bands ?? before.bands ?? {}};
    showFindings(judged.findings, now.over);
    samples.add(now.samples);
    if (now.confusion) showConfusion(now.confusion);
    const {main, stages, levels} = now, {findings, bands} = judged, ended = now.over && !over;
    charts.show({runs: [own, ...overlay.runs()], main, stages, levels, findings, bands, steps: now.steps, reached: now.step, over: now.over});
    if (zoom) charts.zoomTo(zoom);
    controls.show();
    showFigures();
    over = now.over;
    if (ended && overlay.runs().length) overlay.refresh();
  };

  // One pull at a time, so that nothing of the run watched before is drawn into the next one's charts. The old run stays in sight
  // until the new one's curves are there.
  const pull = async () => {
    if (busy) return;
    busy = true;
    let turned = false;
    try {
      const wanted = props.value || '', isNew = wanted !== run;
      if (isNew && !wanted) leave('');
      else if (wanted && !document.hidden && element.offsetParent !== null) {
        charts.plotly().catch(() => {});  // on its way while the points are
        if (isNew || !over || Date.now() - askedAt >= QUIET_PERIOD) {
          askedAt = Date.now();
          const now = await soon(server.source({run: wanted, after: isNew ? 0 : cursor, known: isNew ? '' : judged.known || ''}));
          if (isNew) leave(wanted);
          if (now && now.run === run) take(now);
          turned = (props.value || '') !== run;
        }
        if (own && await overlay.pull()) draw();
      }
    } catch (problem) { put('says', 'Luthier does not answer; trying again.'); }
    busy = false;
    if (turned) pull();
  };

  // A question that is never answered must not be the last one.
  const soon = (answer) => Promise.race([answer, new Promise((_, refuse) => { setTimeout(() => refuse(new Error('no answer')), PATIENCE); })]);

  const leave = (next) => {
    forget();
    run = next;
    view().hidden = true;
  };

  document.addEventListener('visibilitychange', pull);
  watch('value', pull);
  // As soon as the tab is opened, and not at the next turn of the clock.
  new IntersectionObserver(([{isIntersecting}]) => { if (isIntersecting) pull(); }).observe(element.parentElement || element);
  const timer = setInterval(() => (element.isConnected ? pull() : clearInterval(timer)), PERIOD);
  pull();
};
