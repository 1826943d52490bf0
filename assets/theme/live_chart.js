// The live view of a run: pulls what is new since its cursor, appends it to the charts, and never redraws what is there.
window.luthier.liveRun = (element, props, server, watch) => {
  'use strict';
  const PERIOD = 600, QUIET_PERIOD = 4000;
  const charts = new Map();
  let run = '', cursor = 0, steps = 0, reached = 0, busy = false, over = false, askedAt = 0, syncing = false, generation = 0;

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

  const layout = ({main: large, from_zero: fromZero}) => {
    const c = palette();
    const axis = {gridcolor: c.grid, zeroline: false, linecolor: c.grid, tickfont: {color: c.text, size: 11}, automargin: true, fixedrange: false};
    return {
      height: large ? 300 : 150, margin: {l: 8, r: 12, t: 8, b: 8}, paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)',
      showlegend: false, hovermode: 'x unified', dragmode: 'zoom', uirevision: 'keep',
      font: {family: getComputedStyle(document.body).fontFamily, color: c.text},
      hoverlabel: {bgcolor: c.panel, bordercolor: c.border, font: {color: c.ink, size: 12}},
      xaxis: {...axis, showgrid: false, range: whole(), title: large ? {text: 'step', font: {size: 11, color: c.text}, standoff: 4} : undefined},
      yaxis: {...axis, fixedrange: true, nticks: large ? 6 : 4, exponentformat: 'SI', rangemode: fromZero ? 'tozero' : 'normal'},
    };
  };

  const traces = (chart) => {
    const c = palette();
    return chart.series.flatMap((series) => {
      const line = c[series.tone];
      if (series.style === 'markers') {
        return [{x: [], y: [], name: series.title, mode: 'lines+markers', line: {color: line, width: 1.5, dash: 'dot'}, marker: {color: line, size: 8, symbol: 'diamond'}, hovertemplate: '%{y:.4g}'}];
      }
      if (series.style === 'smoothed') {
        return [
          {x: [], y: [], name: series.title, mode: 'lines', opacity: 0.32, line: {color: line, width: 1}, hoverinfo: 'skip'},
          {x: [], y: [], name: series.title, mode: 'lines', line: {color: line, width: 2.4}, hovertemplate: '%{y:.4g}'},
        ];
      }
      return [{x: [], y: [], name: series.title, mode: 'lines', line: {color: line, width: 2}, hovertemplate: '%{y:.4g}'}];
    });
  };

  const start = async (chart) => {
    const place = element.querySelector(`[data-chart="${chart.key}"]`);
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

  const append = async (entry, points) => {
    const xs = [], ys = [], places = [];
    let index = 0;
    for (const series of entry.chart.series) {
      const fresh = points[series.key] || [];
      if (fresh.length) {
        const x = fresh.map((point) => point[0]), y = fresh.map((point) => point[1]);
        xs.push(x); ys.push(y); places.push(index);
        if (series.style === 'smoothed') {
          const state = (entry.averages[series.key] ||= {});
          const smooth = y.map((value) => average(state, value));
          xs.push(x); ys.push(smooth); places.push(index + 1);
          entry.latest[series.title] = smooth[smooth.length - 1];
          put(series.key, smooth[smooth.length - 1].toFixed(3));
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

  const forget = async () => {
    cursor = 0; over = false; askedAt = 0;
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
  };

  const pull = async () => {
    const wanted = props.value || '';
    if (wanted !== run) { run = wanted; generation += 1; await forget(); view().hidden = !run; }
    if (!run || busy || document.hidden || element.offsetParent === null) return;
    if (over && Date.now() - askedAt < QUIET_PERIOD) return;
    busy = true;
    const mine = generation;
    try {
      askedAt = Date.now();
      const now = await server.source({run, after: cursor});
      if (mine === generation && now && now.run === run) {
        if (now.reset && cursor) await forget();
        show(now);
        if (!charts.size) for (const chart of props.charts) await start(chart);
        cursor = now.cursor;
        for (const entry of charts.values()) await append(entry, now.points);
        if (now.over && !over) await settle();
        over = now.over;
      }
    } catch (problem) { put('says', 'Luthier does not answer; trying again.'); }
    busy = false;
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
