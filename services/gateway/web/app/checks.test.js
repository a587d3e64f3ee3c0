// node --test services/gateway/web/app/

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refusals } from './checks.js';

const show = (minor) => `${minor}p`;
const line = (open, amount, name = 'INV-1') => ({ name, open, amount });
const said = (lines, unallocated = 1000n) => refusals(lines, unallocated, show).map(({ text }) => text);

test('what the ledger takes is not refused', () => {
  assert.deepEqual(said([line(600n, 600n), line(900n, 400n), line(500n, null)]), []);
  assert.deepEqual(said([line(1200n, 1200n), line(-200n, -200n, 'CN-1')]), [], 'a credit note makes room');
});

test('what the ledger would refuse is said with the line at fault', () => {
  assert.deepEqual(refusals([line(600n, 1n), line(600n, 601n)], 1000n, show), [{ at: 1, text: 'INV-1: 601p is more than the 600p that is open' }]);
  assert.deepEqual(said([line(600n, undefined)]), ['INV-1: this amount cannot be read']);
  assert.deepEqual(said([line(-200n, 200n, 'CN-1')]), ['CN-1 is a credit note: its amount is negative']);
  assert.deepEqual(said([line(-200n, -201n, 'CN-1')]), ['CN-1: -201p is more than the -200p that is open']);
  assert.deepEqual(said([line(600n, -1n)]), ['INV-1: only a credit note takes a negative amount']);
});

test('the lines together use cash, and no more than there is', () => {
  assert.deepEqual(said([line(600n, null), line(600n, 0n)]), ['Enter an amount beside at least one document']);
  assert.deepEqual(said([line(-200n, -200n)]), ['Credit notes alone use no cash: the lines come to -200p']);
  assert.deepEqual(said([line(9000n, 1001n)]), ['1001p is more than the 1000p left on the receipt']);
});
