// The points of one run in the page: kept raw, thinned when there are too many, read by step, by tokens or by time. Draws nothing.
window.luthier.curvesOf = () => {
  'use strict';
  const MOST = 2000;  // points of a curve that a screen can show; a curve that grows to twice as many is thinned again
  const curves = new Map();
  let version = 0, isThinned = false;

  // Lowest and highest of each stretch, and both ends, as the engine thins; between two places of the curve.
  const thinned = ({steps, values}, limit, from = 0, to = steps.length) => {
    const count = to - from;
    if (count <= Math.max(4, limit)) return {steps: steps.slice(from, to), values: values.slice(from, to)};
    const bins = Math.max(1, Math.floor((limit - 2) / 2)), kept = {steps: [steps[from]], values: [values[from]]};
    for (let bin = 0; bin < bins; bin += 1) {
      const begin = from + 1 + Math.floor((bin * (count - 2)) / bins), end = from + 1 + Math.floor(((bin + 1) * (count - 2)) / bins);
      let low = begin, high = begin;
      for (let place = begin; place < end; place += 1) {
        if (values[place] < values[low]) low = place;
        if (values[place] > values[high]) high = place;
      }
      for (const place of low === high ? [low] : [Math.min(low, high), Math.max(low, high)]) {
        kept.steps.push(steps[place]);
        kept.values.push(values[place]);
      }
    }
    kept.steps.push(steps[to - 1]);
    kept.values.push(values[to - 1]);
    return kept;
  };

  const add = (blocks) => {
    for (const {steps, columns} of blocks) {
      for (const [name, column] of Object.entries(columns)) {
        let curve = curves.get(name);
        if (!curve) curves.set(name, curve = {steps: [], values: [], first: null, spacing: 1});
        column.forEach((value, place) => {
          const last = curve.steps.length - 1;
          if (value === null || steps[place] < curve.steps[last]) return;
          if (steps[place] === curve.steps[last]) { curve.values[last] = value; return; }  // told again
          curve.steps.push(steps[place]);
          curve.values.push(value);
        });
        if (!curve.first && curve.steps.length) curve.first = [curve.steps[0], curve.values[0]];
        if (curve.spacing === 1 && curve.steps.length > 1) curve.spacing = Math.max(1, curve.steps[1] - curve.steps[0]);
        if (curve.steps.length > 2 * MOST) { Object.assign(curve, thinned(curve, MOST)); isThinned = true; }
      }
    }
    version += blocks.length;
  };

  // The place of the last step that is not after `step`; -1 when all are.
  const placeOf = (steps, step) => {
    let low = 0, high = steps.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (steps[middle] <= step) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  };

  // From one rising column to the other, straight between two points and on beyond the last one.
  const along = (from, to, at) => {
    if (!from.length) return at;
    if (at <= from[0]) return from[0] > 0 ? (to[0] * Math.max(0, at)) / from[0] : to[0];
    const last = from.length - 1;
    if (at >= from[last]) return from[last] > 0 ? to[last] + ((at - from[last]) * to[last]) / from[last] : to[last];
    const place = placeOf(from, at), width = from[place + 1] - from[place];
    return to[place] + (width > 0 ? ((at - from[place]) / width) * (to[place + 1] - to[place]) : 0);
  };
  const CLOCK = {tokens: 'tokens_seen', time: 'elapsed_seconds'};
  const xOf = (step, by) => {
    const clock = curves.get(CLOCK[by]);
    return clock ? along(clock.steps, clock.values, step) : by === 'step' ? step : 0;
  };
  const stepOf = (x, by) => {
    const clock = curves.get(CLOCK[by]);
    return clock ? along(clock.values, clock.steps, x) : x;
  };

  // A moving average with bias correction (Adam, section 3), over what came before and never ahead, so that what is drawn stays.
  // The weight holds for one step, or for a thousandth of a run that is longer; points that are further apart forget more, so a
  // curve looks the same before and after it is thinned.
  const smoothed = (curve, weight, horizon) => {
    const reach = Math.max(curve.spacing, horizon / 1000), {steps, values} = curve, smooth = new Array(values.length);
    let sum = 0, mass = 0;
    for (let place = 0; place < values.length; place += 1) {
      const keeps = weight ** (place ? (steps[place] - steps[place - 1]) / reach : 1);
      sum = keeps * sum + (1 - keeps) * values[place];
      mass = keeps * mass + (1 - keeps);
      smooth[place] = mass > 0 ? sum / mass : values[place];
    }
    return {steps, values: smooth, spacing: curve.spacing};
  };
  // Kept until a point comes or the wish changes: several charts, the strip and the legend ask for the same.
  const memory = new Map();
  const smooth = (name, weight, horizon) => {
    const curve = curves.get(name), kept = memory.get(name);
    if (!curve) return null;
    if (kept && kept.version === version && kept.weight === weight && kept.horizon === horizon) return kept.curve;
    const made = {version, weight, horizon, curve: smoothed(curve, weight, horizon)};
    memory.set(name, made);
    return made.curve;
  };

  // The value that a curve had at a step, or before it; null before its first.
  const valueAt = (curve, step) => {
    const place = curve ? placeOf(curve.steps, step) : -1;
    return place < 0 ? null : curve.values[place];
  };
  const lastStep = () => Math.max(0, ...[...curves.values()].map(({steps}) => steps[steps.length - 1] || 0));

  return {add, isThinned: () => isThinned, get: (name) => curves.get(name), lastStep, names: () => [...curves.keys()], placeOf, smooth, stepOf, thinned, valueAt, xOf};
};
