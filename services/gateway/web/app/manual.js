// Allocating by hand: the running remainder, filling in, refusing what the
// ledger would refuse, and keeping what was typed safe from live updates.

import { refusals } from './checks.js';
import { display, parse, plain } from './money.js';

function terms(form) {
  const exponent = Number(form.dataset.exponent);
  return { exponent, currency: form.dataset.currency, unallocated: parse(form.dataset.unallocated ?? '', exponent) ?? 0n };
}

function lines(form, exponent) {
  return [...form.querySelectorAll('[data-amount]')].map((field) => ({
    field,
    name: field.closest('tr').querySelector('th').firstChild.textContent.trim(),
    open: parse(field.dataset.open, exponent) ?? 0n,
    amount: parse(field.value, exponent),
  }));
}

const sum = (all) => all.reduce((total, { amount }) => total + (amount ?? 0n), 0n);

const put = (place, text) => {
  if (place && place.textContent !== text) place.textContent = text;
};

function recount(form) {
  const { exponent, currency, unallocated } = terms(form);
  const show = (minor) => display(minor, exponent, currency);
  const all = lines(form, exponent);
  const total = sum(all);
  const left = unallocated - total;
  put(form.querySelector('[data-sum]'), show(total));
  put(form.querySelector('[data-remainder]'), show(left));
  for (const { field, open, amount } of all) {
    put(field.closest('tr').querySelector('[data-left]'), amount === undefined ? '–' : show(open - (amount ?? 0n)));
  }
  const verdict = all.some(({ amount }) => amount === undefined) ? '✖ an amount cannot be read'
    : left < 0n ? '✖ more than the receipt'
    : left === 0n ? '✔ nothing is left' : '';
  put(form.querySelector('[data-verdict]'), verdict);
}

// Of several receipts for one document: their sum beside what is open.
function recountTogether(form) {
  const { exponent, currency } = terms(form);
  const show = (minor) => display(minor, exponent, currency);
  const amounts = [...form.querySelectorAll('[data-part]')].map((field) => parse(field.value, exponent));
  const total = amounts.reduce((all, amount) => all + (amount ?? 0n), 0n);
  const open = parse(form.querySelector('[data-open]:checked')?.dataset.open ?? '', exponent);
  put(form.querySelector('[data-sum]'), show(total));
  const verdict = amounts.includes(undefined) ? '✖ an amount cannot be read'
    : open === null ? ''
    : total > open ? `✖ more than the ${show(open)} that is open`
    : total === open ? '✔ pays all of it'
    : `of ${show(open)} open, leaves ${show(open - total)}`;
  put(form.querySelector('[data-verdict]'), verdict);
}

// As much of the open amount as the receipt has left; a credit note is used up
// whole.
function fill(form, field) {
  const { exponent, unallocated } = terms(form);
  const open = parse(field.dataset.open, exponent) ?? 0n;
  const own = parse(field.value, exponent) ?? 0n;
  const left = unallocated - (sum(lines(form, exponent)) - own);
  const amount = open < 0n ? open : left < open ? left : open;
  field.value = plain(amount > 0n || open < 0n ? amount : 0n, exponent);
  field.dispatchEvent(new Event('input', { bubbles: true }));
}

// Says what is wrong at the form and puts the cursor to the first line at
// fault; true if there is anything.
function refuse(form) {
  const { exponent, currency, unallocated } = terms(form);
  const all = lines(form, exponent);
  const found = refusals(all, unallocated, (minor) => display(minor, exponent, currency));
  for (const { field } of all) field.removeAttribute('aria-invalid');
  const place = form.querySelector('[data-refused]');
  place.hidden = found.length === 0;
  place.replaceChildren(...found.map(({ text }) => {
    const line = document.createElement('p');
    line.textContent = `✖ ${text}.`;
    return line;
  }));
  for (const { at } of found) all[at]?.field.setAttribute('aria-invalid', 'true');
  const [first] = found;
  if (first) (all[first.at] ?? all[0])?.field.focus();
  return found.length > 0;
}

function prepare(root) {
  for (const button of root.querySelectorAll('[data-fill][hidden]')) button.hidden = false;
  for (const form of root.querySelectorAll('[data-manual]')) recount(form);
  for (const form of root.querySelectorAll('[data-together]')) recountTogether(form);
}

export function start() {
  // Before everything else that follows a submit: nothing may be let go for a
  // form that is not sent.
  document.addEventListener('submit', (event) => {
    const form = event.target;
    if (!form.matches('[data-manual]') || !event.submitter?.matches('[data-allocate]') || !refuse(form)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }, true);
  document.addEventListener('input', (event) => {
    // From here on a live update leaves the form alone; the server notices if
    // the receipt has moved on meanwhile.
    event.target.closest?.('[data-manual], [data-keep]')?.setAttribute('hx-morph-skip', '');
    const form = event.target.form;
    if (form?.matches('[data-manual]') && event.target.matches('[data-amount]')) {
      event.target.removeAttribute('aria-invalid');
      form.querySelector('[data-refused]').hidden = true;
      recount(form);
    } else if (form?.matches('[data-together]')) {
      recountTogether(form);
    }
  });
  // What somebody has opened stays open.
  document.addEventListener('toggle', (event) => {
    if (event.target.matches?.('[data-keep]')) event.target.toggleAttribute('hx-morph-skip', event.target.open);
  }, true);
  document.addEventListener('click', (event) => {
    const button = event.target.closest?.('[data-fill]');
    if (button) fill(button.form, button.closest('td').querySelector('[data-amount]'));
  });
  document.addEventListener('keydown', (event) => {
    const field = event.target.closest?.('[data-amount], [data-part]');
    if (!field) return;
    if (field.matches('[data-amount]') && event.key === '=') {
      event.preventDefault();
      fill(field.form, field);
    } else if (event.key === 'Enter') {
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
