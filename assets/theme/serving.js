// What is served to other programs: the status bar says it on every tab, and when its words change the panel is drawn anew.
(() => {
  'use strict';
  window.luthier = window.luthier || {};
  window.luthier.serving = (element, moved) => {
    const bar = document.getElementById('status-bar');
    const said = () => bar?.querySelector('[data-slot="serving"]')?.textContent || '';
    let drawn = said();
    const look = () => {
      if (said() === drawn || !element.isConnected || element.offsetParent === null) return;
      drawn = said();
      moved();
    };
    if (bar) new MutationObserver(look).observe(bar, {childList: true, subtree: true, characterData: true});
    new IntersectionObserver(look).observe(element);
  };
})();
