// The chat: buttons in the talk, and the end of the talk kept in view while it grows, unless somebody scrolled up to read.
(() => {
  'use strict';
  const NEAR = 80;
  window.luthier = window.luthier || {};
  window.luthier.followed = (element, pick) => {
    const room = () => element.closest('#talk');
    let follows = true;
    element.addEventListener('click', (event) => {
      const button = event.target.closest('[data-pick]');
      if (button && !button.disabled) pick({key: button.dataset.pick});
    });
    const listen = () => {
      const scrolled = room();
      if (!scrolled || scrolled.dataset.follows) return;
      scrolled.dataset.follows = 'true';
      scrolled.tabIndex = 0;
      scrolled.setAttribute('role', 'log');
      scrolled.setAttribute('aria-label', 'Questions and answers');
      scrolled.setAttribute('aria-live', 'off');
      scrolled.addEventListener('scroll', () => {
        follows = scrolled.scrollHeight - scrolled.scrollTop - scrolled.clientHeight < NEAR;
      }, {passive: true});
    };
    new MutationObserver(() => {
      listen();
      const scrolled = room();
      if (!scrolled || !follows) return;
      // While it is written the end stays in view; a turn that is finished is read from its question on.
      const turn = element.querySelector('.turn'), bottom = scrolled.scrollHeight - scrolled.clientHeight;
      const isWritten = !element.querySelector('[data-finished=false]') && element.querySelector('[data-finished]');
      const top = turn ? turn.offsetTop - scrolled.offsetTop : bottom;
      scrolled.scrollTop = isWritten ? Math.min(bottom, top) : bottom;
      follows = true;
    }).observe(element, {childList: true, subtree: true, characterData: true});
    listen();
  };

  // The answers at all checkpoints are in the page; the line shows one of them.
  window.luthier.scrubbed = (element, pick) => {
    element.addEventListener('click', (event) => {
      const button = event.target.closest('[data-pick]');
      if (button) pick({key: button.dataset.pick});
    });
    element.addEventListener('input', (event) => {
      if (!event.target.matches('[data-scrub]')) return;
      const answers = [...element.querySelectorAll('.scrub-answers [data-step]')], chosen = answers[Number(event.target.value)];
      if (!chosen) return;
      for (const answer of answers) answer.hidden = answer !== chosen;
      element.querySelector('[data-slot=scrub]').textContent = chosen.dataset.step;
      event.target.setAttribute('aria-valuetext', chosen.dataset.step);
    });
  };
})();
