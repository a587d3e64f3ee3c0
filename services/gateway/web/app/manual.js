// Allocating by hand: the running remainder, filling in, and keeping what was
// typed safe from live updates.

import { display, parse, plain } from './money.js';

function terms(form) {
  const exponent = Number(form.dataset.exponent);
  return { exponent, currency: form.dataset.currency, unallocated: parse(form.dataset.unallocated, exponent) ?? 0n };
}

function typed(form, exponent) {
  let sum = 0n;
  let bad = false;
  for (const field of form.querySelectorAll('[data-amount]')) {
    const minor = parse(field.value, exponent);
    bad ||= minor === undefined;
    sum += minor ?? 0n;
  }
  return { sum, bad };
}

function recount(form) {
  const { exponent, currency, unallocated } = terms(form);
  const { sum, bad } = typed(form, exponent);
  const left = unallocated - sum;
  form.querySelector('[data-sum]').textContent = display(sum, exponent, currency);
  form.querySelector('[data-remainder]').textContent = display(left, exponent, currency);
  const verdict = bad ? '✖ an amount cannot be read'
    : left < 0n ? '✖ more than the receipt'
    : left === 0n ? '✔ nothing is left' : '';
  form.querySelector('[data-verdict]').textContent = verdict;
}

// As much of the open amount as the receipt has left; a credit note is used up
// whole.
function fill(form, field) {
  const { exponent, unallocated } = terms(form);
  const open = parse(field.dataset.open, exponent) ?? 0n;
  const own = parse(field.value, exponent) ?? 0n;
  const left = unallocated - (typed(form, exponent).sum - own);
  const amount = open < 0n ? open : left < open ? left : open;
  field.value = plain(amount > 0n || open < 0n ? amount : 0n, exponent);
  field.dispatchEvent(new Event('input', { bubbles: true }));
}

function prepare(root) {
  for (const button of root.querySelectorAll('[data-fill][hidden]')) button.hidden = false;
  for (const form of root.querySelectorAll('[data-manual]')) recount(form);
}

export function start() {
  document.addEventListener('input', (event) => {
    const form = event.target.closest?.('[data-manual]');
    if (!form) return;
    // From here on a live update leaves the form alone; the server notices if
    // the receipt has moved on meanwhile.
    form.setAttribute('hx-morph-skip', '');
    if (event.target.matches('[data-amount]')) recount(form);
  });
  document.addEventListener('click', (event) => {
    const button = event.target.closest?.('[data-fill]');
    if (button) fill(button.form, button.closest('td').querySelector('[data-amount]'));
  });
  document.addEventListener('keydown', (event) => {
    const field = event.target.closest?.('[data-amount]');
    if (field && event.key === '=') {
      event.preventDefault();
      fill(field.form, field);
    } else if (field && event.key === 'Enter') {
      event.preventDefault();
      field.form.requestSubmit(field.form.querySelector('[data-allocate]'));
    }
  });
  // What the person asks for themselves may change everything.
  const release = () => {
    for (const kept of document.querySelectorAll('[hx-morph-skip]')) kept.removeAttribute('hx-morph-skip');
  };
  document.addEventListener('submit', release, true);
  document.addEventListener('htmx:before:request', release);
  document.addEventListener('htmx:after:settle', (event) => prepare(event.target.parentNode ?? document));
  prepare(document);
}
