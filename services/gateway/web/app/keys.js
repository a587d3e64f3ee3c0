// One key map for all pages. Keys count while focus is in no field, can be
// switched off, and each does what a visible control does.

const OFF = 'counterfoil-keys-off';
let prefix = null;

// A tick box takes no letters.
const typing = (target) => target.closest?.('input:not([type=checkbox]), select, textarea, [contenteditable]') !== null;
const first = (selector) => document.querySelector(selector);

function rows() {
  return [...document.querySelectorAll('[data-row]')].filter((row) => row.getClientRects().length > 0);
}

function move(by) {
  const all = rows();
  if (all.length === 0) return;
  let at = all.indexOf(document.activeElement);
  if (at < 0) at = all.findIndex((row) => row.getAttribute('aria-current') === 'true');
  const next = all[Math.min(Math.max(at + by, 0), all.length - 1)];
  next.focus();
  // Where there is a detail beside the list, it follows.
  if (next.hasAttribute('data-moves')) next.click();
}

function choose(number) {
  const card = first(`[data-choose="${number}"]`);
  const button = card?.querySelector('[data-accept]');
  if (!button) return false;
  // The same number again says yes.
  if (card.classList.contains('chosen') && button === document.activeElement) {
    button.form.requestSubmit(button);
    return true;
  }
  for (const other of document.querySelectorAll('.card.chosen')) other.classList.remove('chosen');
  card.classList.add('chosen');
  button.focus();
  card.scrollIntoView({ block: 'nearest' });
  return true;
}

// Enter accepts only where it means nothing else: nowhere in particular, or on
// the row that is open already.
function accept(target) {
  const nowhere = target === document.body || target.id === 'page';
  const open = target.matches('[data-row][aria-current="true"]');
  const button = first('[data-accept]');
  if (!button || !(nowhere || open)) return false;
  button.form.requestSubmit(button);
  return true;
}

function focus(selector) {
  const field = first(selector);
  if (!field) return false;
  const around = field.closest('details');
  if (around) around.open = true;
  field.focus();
  field.select?.();
  return true;
}

function press(selector) {
  const control = first(selector);
  control?.click();
  return Boolean(control);
}

function last(selector) {
  const control = [...document.querySelectorAll(selector)].at(-1);
  control?.click();
  return Boolean(control);
}

// Ticks the row with the cursor, or else the one that is open.
function tick(target) {
  const row = target.closest?.('tr') ?? first('tr.current');
  const box = row?.querySelector('[data-pick]') ?? first('tr.current [data-pick]');
  box?.click();
  return Boolean(box);
}

function undo() {
  const button = first('#toast [data-key="undo"]') ?? [...document.querySelectorAll('[data-key="undo-past"]')].at(-1);
  if (!button) return false;
  button.form.requestSubmit(button);
  return true;
}

function map() {
  const dialog = document.getElementById('key-map');
  if (!dialog || dialog.open) return false;
  dialog.showModal();
  return true;
}

function act(event) {
  const { key, target } = event;
  if (prefix === 'g') {
    prefix = null;
    const place = first(`#rail [data-go="${CSS.escape(key)}"]`);
    place?.click();
    return Boolean(place);
  }
  const inList = target.matches?.('[data-row]');
  switch (key) {
    case 'j': return move(1) ?? true;
    case 'k': return move(-1) ?? true;
    case 'ArrowDown': return inList && (move(1) ?? true);
    case 'ArrowUp': return inList && (move(-1) ?? true);
    case 'Enter': return accept(target);
    case '/': return focus('[data-key="search"]');
    case 'a': return focus('[data-key="items"]');
    case 'h': return press('[data-key="accept-all"]');
    case 'x': return tick(target);
    case 't': return press('[data-key="together"]');
    case 'v': return focus('[data-key="paste"]');
    case 'm': return press('[data-key="unpark"]') || focus('[data-key="park"]');
    case 'u': return undo();
    case 'U': return press('#toast [data-key="undo-run"]') || last('[data-key="undo-run"]');
    case 'c': return press('[data-key="call"]');
    case 'w': return press('[data-key="take"]');
    case 'd': return focus('[data-key="outcome"]');
    case 's': return focus('[data-key="snooze"]');
    case 'r': return focus('[data-key="assign"]');
    case '?': return map();
    case 'g':
      prefix = 'g';
      setTimeout(() => { prefix = null; }, 1500);
      return true;
    default: return /^[1-9]$/.test(key) && choose(key);
  }
}

const off = () => {
  try {
    return localStorage.getItem(OFF) === '1';
  } catch {
    return false;
  }
};

export function start() {
  const button = first('[data-open="key-map"]');
  if (!button) return;
  button.hidden = false;
  button.addEventListener('click', map);
  const box = document.getElementById('keys-on');
  box.checked = !off();
  box.addEventListener('change', () => {
    try {
      localStorage.setItem(OFF, box.checked ? '0' : '1');
    } catch {
      // Without storage the choice lasts as long as the page.
    }
  });
  document.addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (!box.checked || document.querySelector('dialog[open]')) return;
    if (event.key === 'Escape' && typing(event.target)) {
      event.target.blur();
      return;
    }
    if (typing(event.target)) return;
    if (act(event)) event.preventDefault();
  });
}
