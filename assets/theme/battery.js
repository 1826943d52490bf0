// The blind vote: buttons with what is typed beside them, keys while a pair is on view; and the ways between the views of the tab.
(() => {
  'use strict';
  const PATIENCE = 2000, A_MOMENT = 60;
  window.luthier = window.luthier || {};
  const ONCE = ['begin', 'cast', 'undo', 'export', 'thumbs', 'end', 'delete'];  // a second press before the answer to the first is none
  let wanted = '';
  const view = (key) => document.querySelector(`#compare-view input[value="${key}"]`)?.click();

  window.luthier.voting = (element, send, watch) => {
    const typed = new Map();
    let sent = '', patience = 0, begun = '', focused = '';
    const seen = () => element.isConnected && element.getClientRects().length > 0;
    const values = () => Object.fromEntries([...element.querySelectorAll('[name]')].map((control) => [control.name, control.value.trim()]));
    const tell = (key) => {
      const verb = key.split(':')[0];
      if (ONCE.includes(verb)) {
        if (sent) return;
        sent = verb;
        clearTimeout(patience);
        patience = setTimeout(() => { sent = ''; }, PATIENCE);
      }
      begun = key;
      send({key, values: values()});
    };
    const press = (button) => {
      if (!button || button.disabled) return;
      if (button.dataset.confirm && !window.confirm(button.dataset.confirm)) return;
      tell(button.dataset.pick);
    };
    const look = () => {
      if (!wanted || !seen()) return;
      const key = wanted;
      wanted = '';
      tell(key);
    };
    element.addEventListener('click', (event) => press(event.target.closest('[data-pick]')));
    element.addEventListener('change', (event) => { if (event.target.dataset.redraws) tell(event.target.dataset.redraws); });
    element.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || event.target.tagName !== 'INPUT') return;
      event.target.blur();
      focused = '';
      press(element.querySelector('[data-enter]'));
    });
    element.addEventListener('input', (event) => { if (event.target.tagName === 'INPUT') typed.set(event.target.name, event.target.value); });
    document.addEventListener('focusin', (event) => { focused = element.contains(event.target) ? event.target.id : ''; });
    document.addEventListener('keydown', (event) => {
      if (event.altKey || event.ctrlKey || event.metaKey || event.repeat || !seen()) return;
      if (event.target.closest('input, textarea, select, [contenteditable=true], dialog')) return;
      const button = element.querySelector(`[data-key="${CSS.escape(event.key.toLowerCase())}"]`);
      if (!button) return;
      event.preventDefault();
      press(button);
    });
    document.addEventListener('luthier-vote', look);
    watch('value', () => {
      sent = '';
      for (const control of element.querySelectorAll('input[name]')) if (typed.has(control.name)) control.value = typed.get(control.name);
      // Whoever votes by keys, or is read to, stands at the new pair, or at what came of the vote.
      const list = () => element.querySelector('.vote-polls') || element.querySelector('.card');
      const shown = begun.startsWith('delete') ? list() : element.querySelector('[data-ballot], .vote-result');
      if (shown && /^(begin|new|vote|cast|undo|result|end|delete)/.test(begun)) {
        shown.tabIndex = -1;
        shown.focus({preventScroll: true});
      } else if (focused && [document.body, null].includes(document.activeElement)) document.getElementById(focused)?.focus();
      begun = '';
    });
    // What was asked and voted on meanwhile stands here when somebody comes back.
    new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      if (wanted) look();
      else if (!element.querySelector('[data-ballot]')) tell('shown');
    }).observe(element);
  };

  document.addEventListener('click', (event) => {
    const target = event.target.closest('[data-vote], [data-view]');
    if (!target || target.disabled) return;
    if (target.dataset.view) { view(target.dataset.view); return; }
    wanted = `new:${target.dataset.vote}`;
    view('vote');
    setTimeout(() => document.dispatchEvent(new CustomEvent('luthier-vote')), A_MOMENT);
  });
})();
