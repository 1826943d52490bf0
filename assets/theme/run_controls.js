// The row above the charts: what a person wishes of the drawing, kept in this browser.
window.luthier.runControls = (element, charts, asked) => {
  'use strict';
  const KEPT = 'luthier-curves', AXES = ['step', 'tokens', 'time'];
  const remembered = () => {
    try {
      const kept = JSON.parse(localStorage.getItem(KEPT)) || {}, smoothing = Number(kept.smoothing);
      return {
        axis: AXES.includes(kept.axis) ? kept.axis : 'step', log: kept.log === true,
        smoothing: typeof kept.smoothing === 'number' && smoothing >= 0 && smoothing <= 0.99 ? smoothing : null,
      };
    } catch { return {axis: 'step', log: false, smoothing: null}; }
  };
  let wishes = remembered();
  const find = (what) => element.querySelector(`.run-controls ${what}`);

  const keep = (changed) => {
    wishes = {...wishes, ...changed};
    try { localStorage.setItem(KEPT, JSON.stringify(wishes)); } catch { /* private window: lasts until reload */ }
    apply();
  };
  const apply = () => {
    charts.wish(wishes);
    show();
  };
  // What the row itself shows; again when the length of the run is known, since the automatic smoothing follows it.
  const show = () => {
    for (const axis of element.querySelectorAll('[name=live-axis]')) axis.checked = axis.value === wishes.axis;
    find('[data-wish=log]').checked = wishes.log;
    find('[data-wish=log]').disabled = charts.lowest() <= 0;  // there are no powers of ten below zero
    const weight = charts.weight().toFixed(2), line = find('[data-wish=smoothing]');
    if (document.activeElement !== line || wishes.smoothing === null) line.value = weight;
    line.setAttribute('aria-valuetext', wishes.smoothing === null ? `${weight}, automatic` : weight);
    find('[data-slot=smoothing]').textContent = weight;
    find('[data-wish=automatic]').classList.toggle('unused', wishes.smoothing === null);
    find('[data-wish=automatic]').disabled = wishes.smoothing === null;
  };

  element.addEventListener('input', (event) => {
    const {name, dataset, value, checked} = event.target;
    if (name === 'live-axis') keep({axis: value});
    if (dataset.wish === 'log') keep({log: checked});
    if (dataset.wish === 'smoothing') keep({smoothing: Number(value)});
  });
  element.addEventListener('click', (event) => {
    if (event.target.closest('[data-wish=automatic]')) { keep({smoothing: null}); find('[data-wish=smoothing]').focus(); }
    const button = event.target.closest('[data-table]');
    if (button) table(button);
  });

  const table = async (button) => {
    button.disabled = true;
    try {
      const {run, text} = await asked.table();
      const address = URL.createObjectURL(new Blob([text], {type: 'text/csv'}));
      charts.save(`${run}-curves.csv`, address);
      setTimeout(() => URL.revokeObjectURL(address), 10000);
    } finally { button.disabled = false; }
  };
  apply();
  return {show};
};
