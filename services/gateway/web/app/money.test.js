// node --test services/gateway/web/app/

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { display, parse, plain } from './money.js';

test('amounts are taken as people write them', () => {
  assert.equal(parse('1,234.50', 2), 123450n);
  assert.equal(parse('£1,234.5', 2), 123450n);
  assert.equal(parse(' (250.00) ', 2), -25000n);
  assert.equal(parse('-250', 2), -25000n);
  assert.equal(parse('1.2300', 2), 123n);
  assert.equal(parse('500', 0), 500n);
  assert.equal(parse('', 2), null);
});

test('what is no amount is not guessed at', () => {
  for (const text of ['12x', '1.2.3', '1.', '.5', '1.234', '--1', '()']) {
    assert.equal(parse(text, 2), undefined, text);
  }
});

test('amounts larger than a double can count stay exact', () => {
  const minor = parse('999,999,999,999,999.99', 2);
  assert.equal(minor, 99999999999999999n);
  assert.equal(plain(minor, 2), '999999999999999.99');
});

test('amounts read as on the page', () => {
  assert.equal(display(123450n, 2, 'GBP'), '£1,234.50');
  assert.equal(display(-12000n, 2, 'GBP'), '(£120.00)');
  assert.equal(display(5n, 2, 'EUR'), '€0.05');
  assert.equal(display(1234567n, 0, 'JPY'), 'JPY 1,234,567');
  assert.equal(plain(-5n, 2), '-0.05');
});
