// The charts of a run: which lines, over what axis, how smooth, from where to where; one zoom and one pointer for all of them.
// It is told what to draw and keeps what a person wished; it asks nobody for anything.
window.luthier.runCharts = (element, props, heard) => {
  'use strict';
  const LARGE = 300, SMALL = 150;
  const entries = new Map();
  let now = {runs: [], main: '', stages: [], steps: 1, reached: 0, over: false, levels: {}, findings: [], bands: {}};
  let wishes = {axis: 'step', log: false, smoothing: null};
  let zoom = null, pointed = null, reach = {}, waiting = false, pressed = false, paint = null;

  const colour = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();
  const palette = () => ({
    accent: colour('--lu-accent-line'), second: colour('--lu-second-line'), quiet: colour('--lu-muted'), font: getComputedStyle(document.body).fontFamily,
    grid: colour('--lu-grid'), text: colour('--lu-muted'), panel: colour('--lu-panel'), border: colour('--lu-border'), ink: colour('--lu-ink'),
    band: colour('--lu-band'), warning: colour('--lu-warn'), note: colour('--lu-note'), runs: [1, 2, 3, 4, 5].map((place) => colour(`--lu-run-${place}`)),
  });
  const placeOf = (key) => element.querySelector(`[data-chart="${key}"]`);
  const panelOf = (key) => placeOf(key).closest('.chart');

  const plotly = () => {
    window.luthier.plotly ||= new Promise((resolve, reject) => {
      const script = document.createElement('script');
      script.src = props.plotly;
      script.onload = () => resolve(window.Plotly);
      script.onerror = () => reject(new Error('plotly.js did not load'));
      document.head.appendChild(script);
    });
    return window.luthier.plotly;
  };

  // --- the horizontal axis: steps, tokens, or time in the unit that suits its length ---
  const curves = () => now.runs[0].curves;
  // All steps while the run goes on, so that one sees how far it is; what was reached when it has ended.
  const planned = () => Math.max(now.over && now.reached ? now.reached : now.steps, 1);
  const horizon = () => {
    const last = curves().lastStep(), by = wishes.axis;
    let own = planned();
    if (by !== 'step') {
      const far = last ? curves().xOf(planned(), by) : 0, kept = reach[by] || 0;
      // A guess from the speed so far wavers; the axis only moves when it is far off.
      own = now.over ? curves().xOf(last, by) : far > kept || far < 0.75 * kept ? far * 1.05 : kept;
      reach[by] = own;
    }
    return Math.max(own, ...now.runs.slice(1).map((run) => run.curves.xOf(run.curves.lastStep(), by))) || 1;
  };
  const axis = () => {
    const end = horizon(), by = wishes.axis;
    const [scale, title] = by !== 'time' ? [1, by === 'step' ? 'step' : 'tokens seen'] : end < 180 ? [1, 'seconds'] : end < 3 * 3600 ? [60, 'minutes'] : [3600, 'hours'];
    const place = (run, step) => run.curves.xOf(step, by) / scale;
    const range = zoom ? [place(now.runs[0], zoom[0]), place(now.runs[0], zoom[1])] : [(-0.012 * end) / scale, (end * 1.012) / scale];
    return {by, scale, title, range, place, stepAt: (x) => curves().stepOf(x * scale, by)};
  };

  // --- lines ---
  const automatic = () => 1 - Math.min(0.35, Math.max(0.04, 60 / Math.max(now.steps, 1)));
  const weight = () => wishes.smoothing ?? automatic();
  const depth = (run) => (zoom && run.detail && run.detail.from <= zoom[0] && zoom[1] <= run.detail.to ? run.detail.curves : run.curves);

  const drawn = (run, curve, paint, most = 2 * paint.width) => {
    const last = curve.steps.length;
    const from = zoom ? Math.max(0, run.curves.placeOf(curve.steps, zoom[0])) : 0;
    const to = zoom ? Math.min(last, run.curves.placeOf(curve.steps, zoom[1]) + 2) : last;
    const {steps, values} = run.curves.thinned(curve, most, from, Math.max(from, to));
    return {x: paint.axis.by === 'step' ? steps : steps.map((step) => paint.axis.place(run, step)), y: values, customdata: steps};
  };

  const linesOf = (chart, series, run, paint) => {
    const held = depth(run), raw = held.get(series.key), own = run === now.runs[0];
    if (!raw || !raw.steps.length) return [];
    const line = own ? paint[series.tone] : paint.runs[run.place], name = own ? series.title : `${run.title}: ${series.title}`;
    const value = chart.is_share ? '%{y:.1%}' : '%{y:.4~g}', where = paint.axis.by === 'step' && own ? '' : ' <i>(step %{customdata:,})</i>';
    const common = {name, hovertemplate: `${value}${where}<extra>${run.short ? `${run.short} · ` : ''}${series.title}</extra>`, type: 'scatter'};
    if (series.style === 'markers') {
      return [{...common, ...drawn(run, raw, paint), mode: 'lines+markers', line: {color: line, width: 1.5, dash: 'dot'}, marker: {color: line, size: own ? 8 : 6, symbol: 'diamond'}}];
    }
    if (series.style !== 'smoothed') return [{...common, ...drawn(run, raw, paint), mode: 'lines', line: {color: line, width: own ? 2 : 1.6}}];
    const smooth = {...common, ...drawn(run, held.smooth(series.key, weight(), planned()), paint, paint.width), mode: 'lines', line: {color: line, width: own ? 2.4 : 1.8}};
    if (series.tone === 'second' && !own) smooth.line.dash = 'dash';
    if (!own || weight() === 0) return [smooth];
    return [{...common, ...drawn(run, raw, paint), mode: 'lines', opacity: 0.32, line: {color: line, width: 1}, hoverinfo: 'skip', hovertemplate: undefined}, smooth];
  };

  const level = (series, paint) => {
    const value = now.levels[series.key];
    if (!value) return [];
    return [{x: paint.axis.range, y: [value, value], name: series.title, mode: 'lines', line: {color: paint[series.tone], width: 1.5, dash: 'dash'}, hovertemplate: `%{y:.4~g}<extra>${series.title}</extra>`}];
  };

  const isLog = (chart) => wishes.log && chart.may_be_log && lowest(chart) > 0;
  const lowest = (chart) => !now.runs.length ? Infinity : Math.min(...chart.series.map(({key}) => curves().get(key)).filter(Boolean).map(({values}) => values.reduce((least, value) => Math.min(least, value), Infinity)));

  // Where one part of a run ends and the next begins; what is usual on this chart; what the curves say, at its step.
  const shapes = (chart, paint, extent) => {
    const upright = (step, line) => ({type: 'line', x0: paint.axis.place(now.runs[0], step), x1: paint.axis.place(now.runs[0], step), y0: 0, y1: 1, yref: 'paper', line});
    const made = now.stages.slice(1).map(({begins}) => upright(begins, {color: paint.border, width: 1, dash: 'dash'}));
    const band = now.bands[chart.key];
    if (band) {
      // No further than the curves go: plotly would make room for all of it.
      const bottom = Math.max(band.low ?? -Infinity, extent[0]), top = Math.min(band.high ?? Infinity, extent[1]);
      if (bottom < top) made.push({type: 'rect', xref: 'paper', x0: 0, x1: 1, y0: bottom, y1: top, fillcolor: paint.band, line: {width: 0}, layer: 'below'});
    }
    return [...made, ...marksOf(chart).map(([finding]) => upright(finding.step, {color: paint[finding.severity] || paint.note, width: 1.2, dash: 'dot'}))];
  };
  const marksOf = (chart) => now.findings.map((finding, place) => [finding, place + 1]).filter(([finding]) => finding.chart === chart.key && finding.step !== null);
  const flags = (chart, paint) => marksOf(chart).map(([finding, number]) => ({
    x: paint.axis.place(now.runs[0], finding.step), y: 1, yref: 'paper', yanchor: 'top', xanchor: 'center', showarrow: false, text: `<b>${number}</b>`, borderpad: 2,
    font: {size: 11, color: paint.panel}, bgcolor: paint[finding.severity] || paint.note, hovertext: finding.sentence, captureevents: true, name: String(number),
    hoverlabel: {bgcolor: paint.panel, bordercolor: paint.border, font: {color: paint.ink, size: 12}},
  }));

  // The lowest and the highest of what is drawn, and zero where the axis begins there.
  const extentOf = (chart, traces) => traces.reduce(([low, high], {y}) => y.reduce(([least, most], value) => [Math.min(least, value), Math.max(most, value)], [low, high]), chart.from_zero && !isLog(chart) ? [0, 0] : [Infinity, -Infinity]);

  const layout = (chart, paint, width, height, extent) => {
    const large = height >= LARGE, log = isLog(chart), isTiny = Math.max(-extent[0], extent[1]) < 0.01;
    const both = {gridcolor: paint.grid, zeroline: false, linecolor: paint.grid, tickfont: {color: paint.text, size: 11}};
    return {
      // Fixed, so that all axes stand in one line and nothing moves when a label grows; plotly also draws once instead of twice.
      width, height, margin: {l: 50, r: 12, t: 8, b: large ? 42 : 24}, paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)', showlegend: false,
      hovermode: 'x unified', dragmode: 'zoom', font: {family: paint.font, color: paint.text}, shapes: shapes(chart, paint, extent), annotations: flags(chart, paint),
      hoverlabel: {bgcolor: paint.panel, bordercolor: paint.border, font: {color: paint.ink, size: 12}, namelength: -1},
      xaxis: {...both, showgrid: false, range: paint.axis.range, title: large ? {text: paint.axis.title, font: {size: 11, color: paint.text}, standoff: 4} : undefined,
        hoverformat: paint.axis.by === 'time' ? '.4~g' : ',.0f', unifiedhovertitle: {text: `${paint.axis.title} %{x}`}, exponentformat: 'SI', nticks: large ? 10 : 6},
      yaxis: {...both, fixedrange: true, nticks: large ? 6 : 4, exponentformat: isTiny ? 'power' : 'SI', type: log ? 'log' : 'linear', rangemode: chart.from_zero ? 'tozero' : 'normal',
        ...(log ? {dtick: 'D2', nticks: undefined} : {}), ...(chart.is_share ? {tickformat: '.0%'} : {}), ...(chart.whole ? {range: [0, 1.04]} : {})},
    };
  };

  // --- drawing: what is in view, once a frame, never under a finger that is drawing a frame for the zoom ---
  const draw = async (entry) => {
    const frame = entry.place.parentElement, full = panelOf(entry.chart.key).matches('.full, :fullscreen');
    const width = Math.floor(frame.clientWidth);
    if (!width || !now.runs.length) return;
    entry.dirty = false;
    const height = full ? Math.max(200, Math.floor(frame.clientHeight)) : entry.chart.key === now.main ? LARGE : SMALL;
    const how = {...paint, width, axis: axis()};
    const traces = entry.chart.series.flatMap((series) => (series.style === 'level' ? level(series, how) : now.runs.flatMap((run) => linesOf(entry.chart, series, run, how))));
    const Plotly = await plotly();
    if (!entries.has(entry.chart.key)) return;
    await Plotly.react(entry.place, traces, layout(entry.chart, how, width, height, extentOf(entry.chart, traces)), {displayModeBar: false, doubleClick: false, showTips: false});
    if (!entry.place.dataset.listens) listen(entry.chart.key, entry.place);
    point(entry);
  };
  const turn = async () => {
    waiting = false;
    if (pressed || !now.runs.length) return;
    paint = palette();
    for (const entry of [...entries.values()]) if (entry.dirty && entry.seen) await draw(entry);
  };
  const schedule = (all = true) => {
    if (all) for (const entry of entries.values()) entry.dirty = true;
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => turn().catch(() => {}));
  };
  const eyes = new IntersectionObserver((seen) => {
    for (const {target, isIntersecting} of seen) {
      const entry = entries.get(target.dataset.chart);
      if (entry) entry.seen = isIntersecting;
    }
    schedule(false);
  }, {rootMargin: '300px'});
  const sizes = new ResizeObserver((changed) => {
    for (const {target} of changed) {
      const entry = entries.get(target.firstElementChild.dataset.chart);
      if (entry) entry.dirty = true;
    }
    schedule(false);
  });

  const listen = (key, place) => {
    place.dataset.listens = 'true';
    place.on('plotly_relayout', (change) => {
      const from = change['xaxis.range[0]'] ?? change['xaxis.range']?.[0], to = change['xaxis.range[1]'] ?? change['xaxis.range']?.[1];
      if (from === undefined || to === undefined || !now.runs.length) return;
      const {stepAt} = axis();
      zoomTo([stepAt(from), stepAt(to)]);
    });
    const under = (step) => {
      const entry = entries.get(key);
      if (entry) entry.under = step !== null;
      pointAt(step);
    };
    place.on('plotly_doubleclick', () => zoomTo(null));
    place.on('plotly_hover', ({xvals, points}) => { if (now.runs.length) under(axis().stepAt(xvals?.[0] ?? points[0].x)); });
    place.on('plotly_unhover', () => under(null));
    place.on('plotly_clickannotation', ({annotation}) => heard.chosen(Number(annotation.name)));
  };

  const zoomTo = (range) => {
    zoom = range && range[1] > range[0] ? range : null;
    element.querySelector('[data-zoom-out]').disabled = !zoom;
    element.querySelector('.live').dataset.zoom = zoom ? zoom.map((step) => Math.round(step)).join(' ') : '';
    schedule();
    heard.zoomed(zoom);
  };

  // --- one pointer: a line at the same place on every chart, and the values there in every legend ---
  const pointAt = (step) => {
    pointed = step;
    for (const entry of entries.values()) point(entry);
    heard.pointed(step);
  };
  const point = (entry) => {
    const spike = entry.place.nextElementSibling, inside = entry.place._fullLayout?.xaxis;
    tell(entry);
    if (pointed === null || entry.under || !inside || !entry.seen) { spike.hidden = true; return; }
    const {place} = axis(), at = inside.l2p(place(now.runs[0], pointed));
    spike.hidden = at < 0 || at > inside._length;
    spike.style.left = `${inside._offset + at}px`;
  };

  const figure = (value) => (value === 0 || Math.abs(value) >= 0.01 ? value.toFixed(3) : value.toPrecision(2));
  const told = (chart, value) => {
    if (value === null || value === undefined) return '';
    if (chart.is_share) return `${(100 * value).toFixed(1)} %`;
    if (chart.unit === 'bytes') return value >= 1e9 ? `${(value / 1e9).toFixed(2)} GB` : `${(value / 1e6).toFixed(0)} MB`;
    if (value === 0) return '0';
    return Math.abs(value) >= 1000 ? Math.round(value).toLocaleString('en') : figure(value);
  };
  const lineOf = (series) => (series.style === 'smoothed' ? curves().smooth(series.key, weight(), planned()) : curves().get(series.key));
  const tell = (entry) => {
    for (const series of entry.chart.series) {
      const shown = element.querySelector(`[data-value="${series.key}"]`), line = lineOf(series);
      const value = series.style === 'level' ? now.levels[series.key] : line && (pointed === null ? line.values[line.values.length - 1] : curves().valueAt(line, pointed));
      const words = told(entry.chart, value);
      if (shown.textContent !== words) shown.textContent = words;
    }
  };

  // What a screen reader and a test are told of a chart, drawn or not.
  const describe = ({chart, place}) => {
    const lines = chart.series.filter((series) => series.style !== 'level').map((series) => [series, curves().get(series.key)]).filter(([, curve]) => curve?.steps.length);
    const points = lines.reduce((sum, [, curve]) => sum + curve.steps.length, 0);
    const latest = lines.map(([series]) => `${series.title} ${Number(lineOf(series).values.at(-1).toPrecision(3))}`).join(', ');
    place.dataset.points = String(points);
    place.setAttribute('aria-label', points ? `${chart.title}: ${points} points, latest ${latest}` : `${chart.title}: no points yet`);
    place.classList.toggle('waiting', points === 0);
    const band = panelOf(chart.key).querySelector('[data-band]');
    band.hidden = !now.bands[chart.key] || !points;
    band.title = now.bands[chart.key]?.sentence || '';
    for (const series of chart.series) {
      const shown = series.style === 'level' ? points > 0 && Boolean(now.levels[series.key]) : Boolean(curves().get(series.key));
      element.querySelector(`[data-of="${series.key}"]`).hidden = !shown;
    }
  };

  // A chart is shown from its first point on; the large one from the beginning, so that nothing moves when it comes.
  const reveal = () => {
    for (const chart of props.charts) {
      const known = entries.has(chart.key), wanted = chart.key === now.main || chart.series.some((series) => now.runs[0].curves.get(series.key));
      if (known || !wanted) continue;
      const place = placeOf(chart.key);
      panelOf(chart.key).hidden = false;
      const group = place.closest('.chart-group');
      if (group) { group.hidden = false; element.querySelector('.charts-more').hidden = false; }
      entries.set(chart.key, {chart, place, seen: chart.key === now.main, dirty: true});
      eyes.observe(place);
      sizes.observe(place.parentElement);
    }
  };

  // The large chart is another one for another kind of run; it moves to its place before it is drawn.
  const arrange = (main, says) => {
    for (const chart of props.charts) {
      const panel = panelOf(chart.key), large = chart.key === main;
      (large ? element.querySelector('.charts-main') : element.querySelector(`[data-group="${chart.group}"] .charts-grid`)).appendChild(panel);
      panel.classList.toggle('chart-large', large);
    }
    placeOf(main).dataset.waiting = says;
  };

  const show = (what) => {
    now = {...now, ...what};
    reveal();
    for (const entry of entries.values()) { describe(entry); tell(entry); }
    schedule();
  };
  const wish = (what) => {
    if (what.axis && what.axis !== wishes.axis) reach = {};
    wishes = {...wishes, ...what};
    if (now.runs.length) show({});
  };
  // What was drawn stays drawn until the next run's curves take its place, so that nothing flashes between two runs.
  const forget = () => {
    eyes.disconnect();
    sizes.disconnect();
    entries.clear();
    now = {...now, runs: [], stages: [], levels: {}, findings: [], bands: {}, over: false};
    [pointed, reach, zoom] = [null, {}, null];
    zoomTo(null);
    for (const panel of element.querySelectorAll('.chart, .chart-group, .charts-more')) panel.hidden = true;
    for (const name of element.querySelectorAll('[data-of]')) name.hidden = true;
    for (const place of element.querySelectorAll('.plot')) { place.dataset.points = '0'; place.nextElementSibling.hidden = true; }
  };

  // --- a chart by itself: as a picture, and on the whole screen ---
  const save = (name, address) => {
    const link = document.createElement('a');
    [link.href, link.download] = [address, name];
    link.click();
  };
  const picture = async (key) => {
    const entry = entries.get(key);
    if (!entry?.place.data) return;
    const Plotly = await plotly(), {panel, ink, font} = palette(), many = entry.place.data.length > 1;
    const data = entry.place.data.map((trace) => ({...trace, showlegend: trace.hoverinfo !== 'skip'}));
    const title = {text: `${entry.chart.title} · ${now.runs[0].title}`, font: {size: 16, color: ink, family: font}, x: 0.02, xanchor: 'left'};
    const paper = {...entry.place.layout, width: 1200, height: 600, paper_bgcolor: panel, title, margin: {l: 64, r: 24, t: 64, b: 56}, showlegend: many,
      legend: {orientation: 'h', x: 1, xanchor: 'right', y: 1.02, yanchor: 'bottom'}, xaxis: {...entry.place.layout.xaxis, title: {text: axis().title}}};
    save(`${now.runs[0].id}-${key}.png`, await Plotly.toImage({data, layout: paper}, {format: 'png', width: 1200, height: 600, scale: 2}));
  };
  const full = (panel) => {
    const leave = () => { panel.classList.remove('full'); said(); };
    const said = () => { panel.querySelector('[data-full]').setAttribute('aria-pressed', String(panel.matches('.full, :fullscreen'))); schedule(); };
    if (document.fullscreenElement) document.exitFullscreen();
    else if (panel.classList.contains('full')) leave();
    else {
      // Where a browser or a frame does not allow it, the chart fills the window instead.
      const fallback = () => { panel.classList.add('full'); said(); };
      panel.requestFullscreen ? panel.requestFullscreen().catch(fallback) : fallback();
      panel.onkeydown = (event) => {
        if (event.key !== 'Escape') return;
        if (document.fullscreenElement === panel) document.exitFullscreen();
        else if (panel.classList.contains('full')) leave();
      };
      panel.onfullscreenchange = said;
    }
  };
  element.addEventListener('click', (event) => {
    const tool = event.target.closest('[data-picture], [data-full]'), panel = tool?.closest('.chart');
    if (event.target.closest('[data-zoom-out]')) zoomTo(null);
    if (tool?.hasAttribute('data-picture')) picture(panel.querySelector('.plot').dataset.chart);
    if (tool?.hasAttribute('data-full')) full(panel);
  });
  // The same with keys, for those who do not point: arrows read along the curves, plus and minus zoom round the place that is read.
  element.addEventListener('keydown', (event) => {
    const frame = event.target.closest('.plot-frame'), by = {ArrowLeft: -1, ArrowRight: 1}[event.key], zooms = {'+': 0.5, '=': 0.5, '-': 2}[event.key];
    if (frame !== event.target || !now.runs.length || !(by || zooms || event.key === 'Escape')) return;
    const end = Math.max(curves().lastStep(), 1), [from, to] = zoom || [0, planned()], at = pointed ?? Math.min(end, (from + to) / 2);
    event.preventDefault();
    if (by) pointAt(Math.max(0, Math.min(end, Math.round(at + by * Math.max(1, (to - from) / 100)))));
    else if (!zooms) zoomTo(null);
    else if (zooms > 1 && (to - from) * zooms >= planned()) zoomTo(null);
    else zoomTo([Math.max(0, at - ((to - from) * zooms) / 2), at + ((to - from) * zooms) / 2]);
    const {chart} = entries.get(frame.firstElementChild.dataset.chart);
    const values = chart.series.map((series) => [series.title, element.querySelector(`[data-value="${series.key}"]`).textContent]).filter(([, value]) => value);
    if (by) frame.lastElementChild.textContent = `step ${pointed.toLocaleString('en')}: ${values.map((pair) => pair.join(' ')).join(', ')}`;
  });
  element.addEventListener('focusout', (event) => { if (event.target.matches('.plot-frame')) { event.target.lastElementChild.textContent = ''; pointAt(null); } });
  element.addEventListener('pointerdown', (event) => { pressed = Boolean(event.target.closest('.plot')); });
  for (const end of ['pointerup', 'pointercancel']) window.addEventListener(end, () => { if (pressed) { pressed = false; schedule(false); } });
  window.addEventListener('luthier-theme', () => schedule());

  return {arrange, automatic, figure, forget, lowest: () => Math.min(...props.charts.filter((chart) => chart.may_be_log).map(lowest)), plotly, save, show, value: (key) => curves().smooth(key, weight(), planned())?.values.at(-1), weight, wish, zoomTo, zoomed: () => zoom};
};
