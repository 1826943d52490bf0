// What the page itself does: light and dark, tabs by key, links between tabs, names for unnamed controls, the settings form.
// No data is put into the page as HTML here; texts are set as text.
window.luthier = (() => {
  'use strict';
  const STORED = 'luthier-theme';
  const TABS = ['data', 'technique', 'train', 'compare'];
  const system = window.matchMedia('(prefers-color-scheme: dark)');

  const remembered = () => {
    try { return localStorage.getItem(STORED); } catch { return null; }
  };
  const wantsDark = () => (remembered() || (system.matches ? 'dark' : 'light')) === 'dark';

  // Gradio sets the class by the system alone and at a time of its own, so the wish is put back whenever it differs.
  const applyTheme = () => {
    if (!document.body) return;
    const dark = wantsDark();
    if (document.body.classList.contains('dark') !== dark) document.body.classList.toggle('dark', dark);
    document.documentElement.style.colorScheme = dark ? 'dark' : 'light';
    const button = document.querySelector('[data-theme-toggle]');
    if (button) button.setAttribute('aria-pressed', String(dark));
    if (applyTheme.last !== dark) {
      applyTheme.last = dark;
      window.dispatchEvent(new CustomEvent('luthier-theme'));
    }
  };

  const toggleTheme = () => {
    try { localStorage.setItem(STORED, wantsDark() ? 'light' : 'dark'); } catch { /* private window: lasts until reload */ }
    applyTheme();
  };

  const open = (tab) => {
    const button = document.getElementById(`tab-${tab}-button`);
    if (button) { button.click(); window.scrollTo({top: 0}); }
  };

  const openTab = () => {
    const chosen = document.querySelector('#tabs button[role=tab][aria-selected=true]');
    const way = document.getElementById('the-way');
    if (chosen && way && way.dataset.tab !== chosen.dataset.tabId) way.dataset.tab = chosen.dataset.tabId;
  };

  const nameControls = () => {
    for (const input of document.querySelectorAll('input[type=file]:not([data-named])')) {
      const what = input.closest('#held-out-file') ? 'file of held-out rows' : 'dataset file';
      input.setAttribute('aria-label', what[0].toUpperCase() + what.slice(1));
      input.dataset.named = '';
      input.closest('button')?.setAttribute('aria-label', `Drop a ${what} here, or click to choose one`);
    }
    for (const button of document.querySelectorAll('.tab-nav button:not([aria-label]), .overflow-menu > button:not([aria-label])')) {
      if (!button.textContent.trim()) button.setAttribute('aria-label', 'More tabs');
    }
  };

  document.addEventListener('click', (event) => {
    const target = event.target.closest('[data-open], [data-theme-toggle]');
    if (!target || target.disabled || target.getAttribute('aria-disabled') === 'true') return;
    if (target.hasAttribute('data-theme-toggle')) toggleTheme();
    else open(target.dataset.open);
  });
  document.addEventListener('keydown', (event) => {
    if (!event.altKey || event.ctrlKey || event.metaKey) return;
    const place = ['Digit1', 'Digit2', 'Digit3', 'Digit4'].indexOf(event.code);
    if (place >= 0) { event.preventDefault(); open(TABS[place]); }
  });
  system.addEventListener('change', applyTheme);
  const begin = () => {
    applyTheme();
    openTab();
    new MutationObserver(applyTheme).observe(document.body, {attributes: true, attributeFilter: ['class']});
    let waiting = false;
    new MutationObserver(() => {
      if (waiting) return;
      waiting = true;
      setTimeout(() => { waiting = false; nameControls(); applyTheme(); openTab(); }, 60);
    }).observe(document.body, {childList: true, subtree: true, attributes: true, attributeFilter: ['aria-selected']});
  };
  if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', begin);
  else begin();

  // --- settings form: keeps what is typed, sends what differs from the defaults, 350 ms after the last key ---
  const settingsForm = (element, send, watch) => {
    let timer = 0;
    const controls = () => [...element.querySelectorAll('[data-kind]')];
    const current = (control) => (control.type === 'checkbox' ? String(control.checked) : control.value.trim());
    const changed = (control) => {
      const now = current(control), usual = control.dataset.default;
      if (control.type === 'number' && now !== '' && usual !== '') return Number(now) !== Number(usual);
      return now !== usual;
    };
    const mark = () => {
      let count = 0;
      for (const control of controls()) {
        const differs = changed(control);
        count += differs;
        control.closest('.field').classList.toggle('changed', differs);
        control.setAttribute('aria-invalid', String(!control.checkValidity() || control.value === ''));
      }
      const reset = document.querySelector('[data-reset-settings]');
      if (reset) reset.disabled = count === 0;
    };
    const edit = () => {
      mark();
      outdate();
      clearTimeout(timer);
      timer = setTimeout(() => {
        const settings = {};
        for (const control of controls()) if (!control.disabled && changed(control)) settings[control.name] = current(control);
        send({settings});
      }, 350);
    };
    // The estimate no longer belongs to these settings until a new one has arrived.
    const outdate = () => {
      const cost = document.getElementById('cost');
      if (!cost) return;
      cost.classList.add('outdated');
      const fresh = () => { cost.classList.remove('outdated'); observer.disconnect(); };
      const observer = new MutationObserver(fresh);
      observer.observe(cost, {childList: true, subtree: true, characterData: true});
      setTimeout(fresh, 8000);
    };
    const redrawn = () => {
      for (const control of controls()) {
        if (control.type === 'checkbox') control.checked = control.hasAttribute('checked');
        else if (control.tagName === 'SELECT') control.value = (control.querySelector('option[selected]') || control.options[0]).value;
        else control.value = control.getAttribute('value');
      }
      mark();
    };
    element.addEventListener('input', edit);
    element.addEventListener('submit', (event) => event.preventDefault());
    document.addEventListener('click', (event) => {
      if (!event.target.closest('[data-reset-settings]') || !element.isConnected) return;
      for (const control of controls()) {
        if (control.type === 'checkbox') control.checked = control.dataset.default === 'true';
        else control.value = control.dataset.default;
      }
      edit();
    });
    watch('value', redrawn);
    redrawn();
  };

  // --- status bar: the one thing that is always there; it asks once a second while the page is visible ---
  const statusBar = (element, props, server, turned) => {
    let last = '', busy = false, unheard = false;
    const slot = (name) => element.querySelector(`[data-slot="${name}"]`);
    const put = (name, words) => { const place = slot(name); if (place && place.textContent !== words) place.textContent = words; };
    const online = () => put('network', navigator.onLine ? 'Network on' : 'Offline');
    const ask = async () => {
      if (busy || document.hidden || !element.isConnected) return;
      busy = true;
      try {
        const now = await server.pulse({run: props.value || ''});
        for (const [name, words] of Object.entries(now.words)) put(name, words);
        element.querySelector('.status').dataset.tone = now.tone;
        const way = document.querySelector('#the-way [data-slot="train"]');
        if (way && now.train) way.textContent = now.train;
        if ((last && last !== now.turn) || (unheard && now.unheard)) turned({turn: now.turn});
        [last, unheard] = [now.turn, now.unheard];
      } catch { put('state', 'No answer from Luthier; is it still running?'); element.querySelector('.status').dataset.tone = 'error'; }
      busy = false;
    };
    online();
    window.addEventListener('online', online);
    window.addEventListener('offline', online);
    document.addEventListener('visibilitychange', ask);
    setInterval(ask, 1000);
    ask();
  };

  // --- lengths: the line that is dragged, and what cutting there does; only a length that is used is sent ---
  const lengths = (element, use, pick, watch) => {
    const drawn = () => {
      const picture = element.querySelector('.length-picture'), line = element.querySelector('[data-length]');
      if (!picture || !line) return;
      const effects = JSON.parse(picture.dataset.effects);
      const svg = picture.querySelector('svg'), width = svg.viewBox.baseVal.width;
      const button = element.querySelector('[data-use-length]');
      const nearest = (tokens) => effects.reduce((best, effect, place) =>
        (Math.abs(effect.length - tokens) < Math.abs(effects[best].length - tokens) ? place : best), 0);
      const begun = nearest(Number(line.value));
      let place = begun;
      const show = (at) => {
        place = Math.max(0, Math.min(effects.length - 1, at));
        const effect = effects[place], x = width * Math.min(1, effect.place);
        line.value = String(effect.length);
        for (const slot of element.querySelectorAll('[data-effect]')) {
          const value = effect[slot.dataset.effect];
          slot.textContent = typeof value === 'number' ? value.toLocaleString('en') : value;
        }
        svg.querySelector('.cut-line').setAttribute('x1', x);
        svg.querySelector('.cut-line').setAttribute('x2', x);
        svg.querySelector('.beyond').setAttribute('x', x);
        svg.querySelector('.beyond').setAttribute('width', Math.max(0, width - x));
        line.setAttribute('aria-valuetext', `${effect.length} tokens: ${effect.cut} cut, ${effect.lost} with nothing to learn`);
        if (button) button.disabled = place === begun;
      };
      // A press anywhere on the picture moves the line to the nearest counted length; arrows go from one to the next.
      const under = (event) => {
        const box = svg.getBoundingClientRect();
        show(nearest((event.clientX - box.left) / box.width * Number(picture.dataset.ends)));
      };
      svg.onpointerdown = (event) => { svg.setPointerCapture(event.pointerId); under(event); };
      svg.onpointermove = (event) => { if (event.buttons) under(event); };
      line.oninput = () => show(nearest(Number(line.value)));
      line.onkeydown = (event) => {
        const by = {ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 5, PageDown: -5, Home: -1e9, End: 1e9}[event.key];
        if (by) { event.preventDefault(); show(place + by); }
      };
      if (button) button.onclick = () => use({length: effects[place].length});
      show(begun);
    };
    element.addEventListener('click', (event) => {
      const button = event.target.closest('[data-pick]');
      if (button && !button.disabled) pick(button.dataset.pick);
    });
    watch('value', drawn);
    drawn();
  };

  return {lengths, open, settingsForm, statusBar, wantsDark};
})();
