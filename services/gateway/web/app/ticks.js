// Ticked rows: how many and how much, and ticks that outlast live updates and
// the turn to another receipt.

import { display, parse } from './money.js';

const ticked = new Set();

// Sums per currency, as pages print them.
function sums(boxes, amount) {
  const totals = new Map();
  for (const box of boxes) {
    const { currency } = box.dataset;
    const exponent = Number(box.dataset.exponent);
    const { minor = 0n } = totals.get(currency) ?? {};
    totals.set(currency, { exponent, minor: minor + (parse(box.dataset[amount], exponent) ?? 0n) });
  }
  return [...totals].map(([currency, { minor, exponent }]) => display(minor, exponent, currency)).join(' + ');
}

const put = (place, text) => {
  if (place && place.textContent !== text) place.textContent = text;
};

function count(form) {
  const boxes = [...form.querySelectorAll('[data-tick]')].filter((box) => box.checked);
  put(form.querySelector('[data-ticked]'), String(boxes.length));
  put(form.querySelector('[data-ticked-sum]'), sums(boxes, 'tick') || 'nothing');
}

function pick() {
  const boxes = [...document.querySelectorAll('[data-pick]')];
  const chosen = boxes.filter((box) => box.checked);
  for (const box of boxes) box.closest('tr').classList.toggle('ticked', box.checked);
  const text = chosen.length === 0
    ? 'Tick receipts that pay one document.'
    : `${chosen.length} selected, ${sums(chosen, 'pick')}`;
  put(document.querySelector('[data-picked]'), text);
}

function restore() {
  for (const box of document.querySelectorAll('[data-pick]')) box.checked = ticked.has(box.value);
  pick();
}

export function start() {
  document.addEventListener('change', (event) => {
    const box = event.target;
    if (box.matches?.('[data-pick]')) {
      if (box.checked) ticked.add(box.value);
      else ticked.delete(box.value);
      pick();
    } else if (box.matches?.('[data-tick]')) {
      count(box.form);
    }
  });
  document.addEventListener('htmx:after:settle', restore);
  // A browser that comes back to the page keeps its ticks.
  for (const box of document.querySelectorAll('[data-pick]')) if (box.checked) ticked.add(box.value);
  pick();
  for (const form of document.querySelectorAll('[data-sum-of-ticks]')) count(form);
}
