// Several runs at once: the strip that opens a form, forms whose controls are sent together, and the table of a series.
(() => {
  'use strict';
  const KINDS = ['sweep', 'shootout'];
  const SENT_AFTER = 400, LOOK_EVERY = 3000, DIMMED_AT_MOST = 20000;

  // --- the strip: one form is open, or none; a button elsewhere may open one, also before the strip is first mounted ---
  let open = '';
  const strip = () => document.getElementById('several-strip');
  const apply = () => {
    for (const kind of KINDS) document.body.classList.toggle(`${kind}-open`, open === kind);
    for (const button of strip()?.querySelectorAll('[data-several]') || []) button.setAttribute('aria-expanded', String(open === button.dataset.several));
  };
  window.luthier.several = (element, watch) => {
    element.addEventListener('click', (event) => {
      const button = event.target.closest('[data-several]');
      if (!button || button.disabled) return;
      open = open === button.dataset.several ? '' : button.dataset.several;
      apply();
    });
    watch('value', apply);
    apply();
  };
  document.addEventListener('click', (event) => {
    const wanted = event.target.closest('[data-opens-several]');
    if (!wanted) return;
    open = wanted.dataset.opensSeveral;
    apply();
    setTimeout(() => strip()?.scrollIntoView({block: 'start'}), 250);  // after the tab has opened
  });
  document.addEventListener('click', (event) => {
    const wanted = event.target.closest('[data-scroll-to]');
    if (wanted) document.getElementById(wanted.dataset.scrollTo)?.scrollIntoView({block: 'start'});
  });

  // --- the runs that a form gives: what is queued is what stands there, under the name that is typed by now ---
  window.luthier.planned = (element, form, pick) => {
    element.addEventListener('click', (event) => {
      const button = event.target.closest('[data-pick]');
      const name = document.querySelector(`#${form} [name=name]`)?.value || '';
      if (button && !button.disabled) pick({key: button.dataset.pick, values: {name}});
    });
  };

  // --- a form: what is typed stays when it is drawn anew; all values are sent together, a moment after the last change ---
  window.luthier.asking = (element, send, watch, plan) => {
    const typed = new Map();
    let timer = 0, focused = '';
    const form = () => element.querySelector('form.asking');
    const controls = () => [...(form()?.elements || [])].filter((control) => control.name);
    const keyOf = (control) => (control.type === 'checkbox' ? `${control.name}:${control.value}` : control.name);
    const values = () => {
      const told = {};
      for (const control of controls()) {
        if (control.type !== 'checkbox') told[control.name] = control.value.trim();
        else if (control.checked && !control.disabled) (told[control.name] ||= []).push(control.value);
      }
      return told;
    };
    const dim = () => {
      const panel = document.getElementById(plan);
      if (!panel) return;
      panel.classList.add('outdated');
      const fresh = () => { panel.classList.remove('outdated'); observer.disconnect(); };
      const observer = new MutationObserver(fresh);
      observer.observe(panel, {childList: true, subtree: true, characterData: true});
      setTimeout(fresh, DIMMED_AT_MOST);
    };
    const edit = (at = SENT_AFTER) => {
      for (const control of controls()) typed.set(keyOf(control), control.type === 'checkbox' ? control.checked : control.value);
      clearTimeout(timer);
      timer = setTimeout(() => { dim(); send({values: values()}); }, at);
    };
    // Beside a list of settings stands what the chosen one is, and values to try.
    const say = () => {
      for (const place of element.querySelectorAll('[data-says-of]')) {
        const list = form().elements[place.dataset.saysOf], option = list.selectedOptions[0];
        const field = form().elements[list.name.replace('key', 'typed')], button = element.querySelector(`[data-try-for=${field.name}]`);
        const values = option?.dataset.try || '';
        place.textContent = option?.dataset.says || '';
        field.disabled = !option?.value;
        field.placeholder = values;
        button.hidden = !values;
        button.textContent = values.length > 40 ? 'Try all of them' : `Try ${values}`;
      }
    };
    const drawn = () => {
      if (!form()) return;
      for (const control of controls()) {
        const before = typed.get(keyOf(control));
        if (before === undefined || control.disabled) continue;
        if (control.type === 'checkbox') control.checked = before;
        else if (control.tagName !== 'SELECT' || [...control.options].some((option) => option.value === before && !option.disabled)) control.value = before;
      }
      say();
      if (focused && [document.body, null].includes(document.activeElement)) document.getElementById(focused)?.focus();
    };
    element.addEventListener('input', (event) => {
      const {target} = event;
      if (target.tagName === 'SELECT' && element.querySelector(`[data-says-of=${target.name}]`)) {
        form().elements[target.name.replace('key', 'typed')].value = '';  // they were another setting's
        say();
      }
      edit();
    });
    element.addEventListener('submit', (event) => { event.preventDefault(); edit(0); });
    element.addEventListener('click', (event) => {
      const button = event.target.closest('[data-try-for], [data-tick]');
      if (!button) return;
      if (button.dataset.tryFor) {
        const field = form().elements[button.dataset.tryFor];
        field.value = field.placeholder;
        field.focus();
      } else {
        const wanted = button.dataset.tick.split(' ');
        for (const control of controls()) if (control.type === 'checkbox' && !control.disabled) control.checked = wanted.includes(control.value);
      }
      edit(0);
    });
    document.addEventListener('focusin', (event) => { focused = element.contains(event.target) ? event.target.id : ''; });
    watch('value', drawn);
    drawn();
  };

  // --- the table of a series: sorts, is looked at anew while runs go on, and lends its runs to the curves above ---
  window.luthier.series = (element, pick, look, watch) => {
    let focused = null;
    const mark = (target) => {
      const button = target.closest('button');
      if (!button || !element.contains(button)) return null;
      return button.dataset.sort ? ['sort', button.closest('th').cellIndex] : button.dataset.pick ? ['pick', button.dataset.pick] : null;
    };
    const again = () => {
      if (!focused || ![document.body, null].includes(document.activeElement)) return;
      const [kind, which] = focused;
      const found = kind === 'sort' ? element.querySelector('thead tr')?.cells[which]?.querySelector('button')
        : [...element.querySelectorAll('[data-pick]')].find((one) => one.dataset.pick === which);
      found?.focus({preventScroll: true});
    };
    window.luthier.comparison(element, pick, watch);
    watch('value', again);
    document.addEventListener('focusin', (event) => { focused = mark(event.target); });
    element.addEventListener('click', (event) => {
      const curves = event.target.closest('[data-curves]');
      if (curves) document.dispatchEvent(new CustomEvent('luthier-overlay', {detail: {runs: curves.dataset.curves.split(' ')}}));
    });
    setInterval(() => {
      if (!document.hidden && element.offsetParent && element.querySelector('[data-goes-on=true]')) look();
    }, LOOK_EVERY);
  };
})();
