// Lessons in the guide's drawer: drawn by Python, taken into the drawer here; "Show me" leads to a place and rings it.
window.luthier.lessons = (source, pick, watch) => {
  'use strict';
  const narrow = matchMedia('(max-width: 1279px)');
  const RING_SECONDS = 2.6;
  const place = () => document.querySelector('#guide-drawer [data-lessons]');
  const still = () => matchMedia('(prefers-reduced-motion: reduce)').matches;
  let asked = false;  // whether a click in the lessons is on its way; what else redraws them moves no focus

  const draw = () => {
    const page = source.querySelector('[data-solved]'), into = place();
    if (!page || !into) return;
    const [before, active] = [into.querySelector('[data-view]')?.dataset || {}, document.activeElement];
    const key = into.contains(active) ? active.dataset.pick || '' : null;
    into.innerHTML = page.dataset.page;
    const now = into.querySelector('[data-view]').dataset, is = before.view === now.view;
    document.querySelector('[data-lessons-solved]').textContent = page.dataset.solved;
    const current = into.querySelector('[aria-current] h4') || into.querySelector('.lesson-question h4');
    const moved = is && Number(now.done) > Number(before.done);
    if (moved) {
      document.querySelector('[data-lessons-said]').textContent = now.said;
      current?.closest('li, section').scrollIntoView({block: 'nearest', behavior: still() ? 'auto' : 'smooth'});
    }
    if (is && !moved && asked) into.querySelector('.lesson-on .primary, .lesson-says')?.scrollIntoView({block: 'nearest'});
    if (!is && asked) {
      into.closest('.drawer-scroll').scrollTop = 0;
      if (Number(now.done)) current?.closest('li, section').scrollIntoView({block: 'nearest'});
    }
    if (key !== null) {
      const again = is && key && into.querySelector(`[data-pick="${CSS.escape(key)}"]`);
      (again || (is ? current : null) || into.querySelector('.drawer-title'))?.focus({preventScroll: true});
    }
    asked = false;
  };

  const until = async (ready) => {
    const late = Date.now() + 6000;
    for (let found = ready(); ; found = ready()) {
      if (found || Date.now() > late) return found;
      await new Promise((resolve) => { setTimeout(resolve, 60); });
    }
  };
  const visible = (element) => element && element.getClientRects().length > 0 && element;

  // What lies in something that is folded is unfolded; every fold is opened by its own control.
  const unfold = (element) => {
    if (element.closest('#decide-body') && !document.body.classList.contains('deciding')) document.querySelector('[data-fold]')?.click();
    for (let fold = element.closest('details:not([open])'); fold; fold = fold.parentElement.closest('details:not([open])')) fold.open = true;
  };

  // Where the page is free: between the bars, above the lessons where they lie below.
  const free = () => {
    const drawer = document.getElementById('guide-drawer').getBoundingClientRect();
    return [70, drawer.width && drawer.left < 40 ? drawer.top - 12 : innerHeight - 40];
  };
  const scrollTo = (element) => {
    for (let box = element.parentElement; box && box !== document.body; box = box.parentElement) {
      if (box.scrollHeight > box.clientHeight + 4 && ['auto', 'scroll'].includes(getComputedStyle(box).overflowY)) {
        element.scrollIntoView({block: 'nearest'});
        break;
      }
    }
    const [top, bottom] = free();
    const box = element.getBoundingClientRect();
    const by = box.height > bottom - top ? box.top - top - 12 : (box.top + box.bottom) / 2 - (top + bottom) / 2;
    window.scrollBy({top: by, behavior: still() ? 'auto' : 'smooth'});
  };

  const ring = (element) => {
    document.querySelectorAll('.pointed').forEach((one) => one.classList.remove('pointed'));
    element.classList.add('pointed');
    setTimeout(() => element.classList.remove('pointed'), RING_SECONDS * 1000);
  };

  // What a click before has set off may draw the place anew or move it meanwhile.
  const keep = (selector) => {
    const element = visible(document.querySelector(selector));
    if (!element) return;
    const [box, [top, bottom]] = [element.getBoundingClientRect(), free()];
    if (!element.classList.contains('pointed')) ring(element);
    if (box.bottom < top + 20 || box.top > bottom - 20) scrollTo(element);
  };

  const show = async ({showTab, show: selector}) => {
    const button = document.getElementById(`tab-${showTab}-button`);
    if (button?.getAttribute('aria-selected') !== 'true') window.luthier.open(showTab);
    const element = await until(() => document.querySelector(selector));
    if (element) unfold(element);
    const found = await until(() => visible(document.querySelector(selector)));
    if (!found) {
      document.querySelector('[data-lessons-said]').textContent = 'This is not there yet. It comes with the steps before.';
      return button && ring(button);
    }
    scrollTo(found);
    ring(found);
    for (const later of [700, 1500]) setTimeout(() => keep(selector), later);
    const control = found.matches('button, input, select, textarea, a') ? found : found.querySelector('button:not(:disabled), input:not(:disabled)');
    control?.focus({preventScroll: true});
  };

  window.luthier.drawLessons = draw;
  window.luthier.lessonsClicked = (event) => {
    const button = event.target.closest('#guide-drawer [data-lessons] button');
    if (!button) return;
    if (button.dataset.show) show(button.dataset);
    else if (button.dataset.pick) { asked = true; pick(button.dataset.pick); }
  };
  if (!window.luthier.lessonsListen) {
    window.luthier.lessonsListen = true;
    const settle = () => document.body.classList.toggle('lessons-below', narrow.matches);
    narrow.addEventListener('change', settle);
    settle();
    document.addEventListener('click', (event) => window.luthier.lessonsClicked(event));
  }
  watch('value', draw);
  draw();
};
