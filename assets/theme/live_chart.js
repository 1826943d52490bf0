// The live view of a run: pulls what is new since its cursor, appends it to the charts, and never redraws what is there.
window.luthier.liveRun = (element, props, server, watch) => {
  'use strict';
  const PERIOD = 600, QUIET_PERIOD = 4000;
  const charts = new Map(), curves = new Map();
  let main = '', stages = [];
  let run = '', cursor = 0, steps = 0, reached = 0, busy = false, over = false, askedAt = 0, syncing = false;

  const view = () => element.querySelector('.live');
  const slot = (name) => element.querySelector(`[data-slot="${name}"]`);
  const put = (name, words) => { const place = slot(name); if (place && place.textContent !== words) place.textContent = words; };
  const colour = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();

  const plotly = () => {
    if (!window.luthier.plotly) {
      window.luthier.plotly = new Promise((resolve, reject) => {
        const script = document.createElement('script');
        script.src = props.plotly;
        script.onload = () => resolve(window.Plotly);
        script.onerror = () => reject(new Error('plotly.js did not load'));
        document.head.appendChild(script);
      });
    }
    return window.luthier.plotly;
  };

  const palette = () => ({
    accent: colour('--lu-accent-line'), second: colour('--lu-second-line'), quiet: colour('--lu-muted'),
    grid: colour('--lu-grid'), text: colour('--lu-muted'), panel: colour('--lu-panel'), border: colour('--lu-border'), ink: colour('--lu-ink'),
  });

  // All steps while the run goes on, so that one sees how far it is; what was reached when it has ended.
  const horizon = () => Math.max(over && reached ? reached : steps, 1);
  const whole = () => [-0.012 * horizon(), horizon() * 1.012];

  // Where one part of a run ends and the next begins.
  const borders = (c) => stages.slice(1).map(({begins}) => (
    {type: 'line', x0: begins, x1: begins, y0: 0, y1: 1, yref: 'paper', line: {color: c.border, width: 1, dash: 'dash'}}));

  const layout = ({key, from_zero: fromZero, is_share: isShare}) => {
    const c = palette(), large = key === main;
    const axis = {gridcolor: c.grid, zeroline: false, linecolor: c.grid, tickfont: {color: c.text, size: 11}, automargin: true, fixedrange: false};
    return {
      height: large ? 300 : 150, margin: {l: 8, r: 12, t: 8, b: 8}, paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)',
      showlegend: false, hovermode: 'x unified', dragmode: 'zoom', uirevision: 'keep',
      font: {family: getComputedStyle(document.body).fontFamily, color: c.text}, shapes: borders(c),
      hoverlabel: {bgcolor: c.panel, bordercolor: c.border, font: {color: c.ink, size: 12}},
      xaxis: {...axis, showgrid: false, range: whole(), title: large ? {text: 'step', font: {size: 11, color: c.text}, standoff: 4} : undefined},
      yaxis: {...axis, fixedrange: true, nticks: large ? 6 : 4, exponentformat: 'SI', rangemode: fromZero ? 'tozero' : 'normal',
        ...(isShare ? {range: [0, 1.04], tickformat: '.0%'} : {})},
    };
  };

  const traces = (chart) => {
    const c = palette(), hovertemplate = chart.is_share ? '%{y:.1%}' : '%{y:.4g}';
    return chart.series.flatMap((series) => {
      const line = c[series.tone];
      if (series.style === 'markers') {
        return [{x: [], y: [], name: series.title, mode: 'lines+markers', line: {color: line, width: 1.5, dash: 'dot'}, marker: {color: line, size: 8, symbol: 'diamond'}, hovertemplate}];
      }
      if (series.style === 'smoothed') {
        return [
          {x: [], y: [], name: series.title, mode: 'lines', opacity: 0.32, line: {color: line, width: 1}, hoverinfo: 'skip'},
          {x: [], y: [], name: series.title, mode: 'lines', line: {color: line, width: 2.4}, hovertemplate},
        ];
      }
      return [{x: [], y: [], name: series.title, mode: 'lines', line: {color: line, width: 2}, hovertemplate}];
    });
  };

  const placeOf = (key) => element.querySelector(`[data-chart="${key}"]`);

  // A chart is shown from its first point on; the large one from the beginning, so that nothing moves when it comes.
  const reveal = async (fresh) => {
    if (!fresh.length) return;
    for (const {key} of fresh) {
      placeOf(key).closest('.chart').hidden = false;
      if (key !== main) element.querySelector('.charts-more').hidden = false;
    }
    fit();
    for (const chart of fresh) await start(chart);
  };

  // What is drawn takes the room that its neighbours leave; plotly itself only follows the window. Nothing waits for it: when
  // two resizes meet, plotly 3 forgets the first one's promise for ever.
  const fit = async () => {
    const Plotly = charts.size ? await plotly() : null;
    for (const {place} of charts.values()) if (place.offsetParent) Plotly.Plots.resize(place).catch(() => {});
  };

  const start = async (chart) => {
    const place = placeOf(chart.key);
    const Plotly = await plotly();
    await Plotly.newPlot(place, traces(chart), layout(chart), {displayModeBar: false, responsive: true, doubleClick: 'reset'});
    place.on('plotly_relayout', (change) => follow(chart.key, change));
    charts.set(chart.key, {chart, place, averages: {}, points: 0, latest: {}});
    describe(chart.key);
  };

  // One zoom for all: steps are the same everywhere.
  const follow = async (key, change) => {
    if (syncing) return;
    const range = change['xaxis.range'] || (change['xaxis.range[0]'] === undefined ? null : [change['xaxis.range[0]'], change['xaxis.range[1]']]);
    if (!range && !change['xaxis.autorange']) return;
    syncing = true;
    const Plotly = await plotly();
    for (const [other, entry] of charts) {
      if (other !== key) await Plotly.relayout(entry.place, {'xaxis.range': range || whole()});
    }
    syncing = false;
  };

  // An exponential moving average with bias correction: it never looks ahead, so what is drawn stays. It follows a short
  // run quickly and a long one calmly.
  const average = (state, value) => {
    const SMOOTHING = 1 - Math.min(0.35, Math.max(0.02, 40 / Math.max(steps, 1)));
    state.sum = SMOOTHING * (state.sum || 0) + (1 - SMOOTHING) * value;
    state.count = (state.count || 0) + 1;
    return state.sum / (1 - SMOOTHING ** state.count);
  };

  const figure = (value) => (value === 0 || Math.abs(value) >= 0.01 ? value.toFixed(3) : value.toPrecision(2));

  const append = async (entry, points) => {
    const xs = [], ys = [], places = [];
    let index = 0;
    for (const series of entry.chart.series) {
      const fresh = points[series.key] || [];
      if (fresh.length) {
        const x = fresh.map((point) => point[0]), y = fresh.map((point) => point[1]);
        entry.place.closest('.chart').querySelector(`[data-of="${series.key}"]`).hidden = entry.chart.series.length < 2;
        xs.push(x); ys.push(y); places.push(index);
        if (series.style === 'smoothed') {
          const state = (entry.averages[series.key] ||= {});
          const smooth = y.map((value) => average(state, value));
          xs.push(x); ys.push(smooth); places.push(index + 1);
          entry.latest[series.title] = smooth[smooth.length - 1];
          put(series.key, figure(smooth[smooth.length - 1]));
        }
        entry.points += fresh.length;
        if (series.style !== 'smoothed') entry.latest[series.title] = y[y.length - 1];
      }
      index += series.style === 'smoothed' ? 2 : 1;
    }
    if (!places.length) return;
    await (await plotly()).extendTraces(entry.place, {x: xs, y: ys}, places);
    describe(entry.chart.key);
  };

  const describe = (key) => {
    const {chart, place, points, latest} = charts.get(key);
    const values = Object.entries(latest).map(([name, value]) => `${name} ${Number(value).toPrecision(3)}`).join(', ');
    place.dataset.points = String(points);
    place.setAttribute('aria-label', points ? `${chart.title}: ${points} points, latest ${values}` : `${chart.title}: no points yet`);
    place.classList.toggle('waiting', points === 0);
  };

  // The large chart is another one for another kind of run; it moves to its place before it is drawn.
  const arrange = async (now) => {
    main = now.main;
    stages = now.stages;
    for (const cell of element.querySelectorAll('[data-figure]')) cell.hidden = !now.figures.includes(cell.dataset.figure);
    const grid = element.querySelector('.charts-grid');
    for (const chart of props.charts) {
      const panel = placeOf(chart.key).closest('.chart'), large = chart.key === main;
      (large ? element.querySelector('.charts-main') : grid).appendChild(panel);
      panel.classList.toggle('chart-large', large);
    }
    placeOf(main).dataset.waiting = stages.length > 1 ? `Begins with stage ${stages.length} of ${stages.length}` : 'Begins with the first step';
    await reveal(props.charts.filter((chart) => chart.key === main));
  };

  const make = (name, words, className) => {
    const made = document.createElement(name);
    if (words !== undefined) made.textContent = words;
    if (className) made.className = className;
    return made;
  };

  const showStages = (parts) => {
    const list = element.querySelector('.run-stages');
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
    const panel = element.querySelector('.confusion'), isNew = panel.hidden;
    panel.hidden = false;
    element.querySelector('.run-main').classList.toggle('beside', table.columns.length <= 6);
    if (isNew) fit();
  };

  // A headline tells how it was at first and how it is now.
  const showHeadlines = () => {
    for (const cell of element.querySelectorAll('[data-series]')) {
      const curve = cell.dataset.series.split(' ').map((key) => curves.get(key)).find(Boolean);
      if (!curve) continue;
      const shown = (value) => (cell.dataset.share === 'true' ? `${Math.round(100 * value)} %` : value.toFixed(2));
      const words = curve.latest[0] > curve.first[0] ? `${shown(curve.first[1])} → ${shown(curve.latest[1])}` : `${shown(curve.first[1])} at first`;
      if (cell.textContent !== words) cell.textContent = words;
    }
  };

  const forget = async () => {
    cursor = 0; over = false; askedAt = 0; main = ''; stages = [];
    curves.clear();
    for (const panel of element.querySelectorAll('.chart, .charts-more, .run-warnings, .run-proof, .confusion')) panel.hidden = true;
    element.querySelector('.run-main').classList.remove('beside');
    for (const list of element.querySelectorAll('.findings')) list.replaceChildren();
    for (const place of element.querySelectorAll('.plot')) place.dataset.points = '0';
    for (const name of element.querySelectorAll('[data-of]')) name.hidden = true;
    const Plotly = charts.size ? await plotly() : null;
    for (const entry of charts.values()) Plotly.purge(entry.place);
    charts.clear();
    for (const place of element.querySelectorAll('.live-stats [data-slot]')) place.textContent = '\u2013';
  };

  const show = (now) => {
    view().hidden = false;
    steps = now.steps || steps;
    reached = now.step;
    element.querySelector('[data-when=comparable]').hidden = !now.comparable;
    for (const [name, words] of Object.entries(now.words)) put(name, words);
    element.querySelector('.run-state').dataset.tone = now.tone;
    const bar = element.querySelector('.progress');
    bar.setAttribute('aria-valuenow', String(Math.round(now.progress * 100)));
    bar.firstElementChild.style.width = `${(now.progress * 100).toFixed(1)}%`;
    showStages(now.stages);
  };

  const draw = async (now) => {
    if (now.reset && cursor) await forget();
    show(now);
    if (!main) await arrange(now);
    cursor = now.cursor;
    addLines('warnings', now.warnings);
    addLines('proof', now.proof);
    for (const [key, points] of Object.entries(now.points)) {
      if (points.length) curves.set(key, {first: curves.get(key)?.first || points[0], latest: points[points.length - 1]});
    }
    showHeadlines();
    if (now.confusion) showConfusion(now.confusion);
    await reveal(props.charts.filter((chart) => !charts.has(chart.key) && chart.series.some((series) => now.points[series.key]?.length)));
    for (const entry of charts.values()) await append(entry, now.points);
    if (now.over && !over) await settle();
    over = now.over;
  };

  // One pull at a time, so that nothing of the run watched before is drawn into the next one's charts.
  const pull = async () => {
    if (busy) return;
    busy = true;
    try {
      await turn(props.value || '');
      const rests = over && Date.now() - askedAt < QUIET_PERIOD;
      if (run && !rests && !document.hidden && element.offsetParent !== null) {
        askedAt = Date.now();
        const now = await server.source({run, after: cursor});
        if (now && now.run === run) await draw(now);
      }
    } catch (problem) { put('says', 'Luthier does not answer; trying again.'); }
    busy = false;
    if ((props.value || '') !== run) pull();
  };

  const turn = async (wanted) => {
    if (wanted === run) return;
    run = wanted;
    await forget();
    view().hidden = !run;
  };

  // The end of a run that stopped early: from here on the axis shows what there is.
  const settle = async () => {
    over = true;
    if (reached >= steps) return;
    const Plotly = await plotly();
    for (const {place} of charts.values()) await Plotly.relayout(place, {'xaxis.range': whole()});
  };

  const recolour = async () => {
    const Plotly = charts.size ? await plotly() : null;
    for (const {chart, place} of charts.values()) {
      const fresh = traces(chart), paint = layout(chart);
      for (const axis of ['xaxis', 'yaxis']) if (place.layout[axis].range && !place.layout[axis].autorange) paint[axis].range = place.layout[axis].range;
      place.data.forEach((trace, index) => { trace.line = fresh[index].line; if (fresh[index].marker) trace.marker = fresh[index].marker; });
      await Plotly.react(place, place.data, paint, {displayModeBar: false, responsive: true, doubleClick: 'reset'});
    }
  };

  window.addEventListener('luthier-theme', recolour);
  document.addEventListener('visibilitychange', pull);
  watch('value', pull);
  const timer = setInterval(() => (element.isConnected ? pull() : clearInterval(timer)), PERIOD);
  pull();
};
