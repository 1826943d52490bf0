// The page of a receipt in its frame follows the window's light and dark where that differs from the system's. The frame is a world of
// its own, so the page is told in its first line and laid out again.
(() => {
  'use strict';
  window.luthier = window.luthier || {};
  window.luthier.receiptPage = (element) => {
    const system = window.matchMedia('(prefers-color-scheme: dark)');
    const follow = () => {
      const frame = element.querySelector('iframe');
      if (!frame) return;
      const isDark = document.body.classList.contains('dark'), wanted = isDark === system.matches ? '' : isDark ? 'dark' : 'light';
      if ((frame.dataset.scheme || '') === wanted) return;
      frame.dataset.scheme = wanted;
      frame.srcdoc = frame.srcdoc.replace(/<html lang="en"[^>]*>/, `<html lang="en"${wanted ? ` data-scheme="${wanted}"` : ''}>`);
    };
    new MutationObserver(follow).observe(element, {childList: true, subtree: true});
    new MutationObserver(follow).observe(document.body, {attributes: true, attributeFilter: ['class']});
    system.addEventListener('change', follow);
    follow();
  };
})();
