// Amounts as whole minor units (pence), in BigInt: what the page shows while
// somebody types. The server computes again and decides.

// The minor units of what was typed; null for nothing, undefined for what is no
// amount. Takes 1,234.50, £1,234.50, -120 and (120.00).
export function parse(text, exponent) {
  let plain = text.replace(/[\s,£€$]/g, '');
  if (plain === '') return null;
  let negative = false;
  if (/^\(.*\)$/.test(plain)) {
    negative = true;
    plain = plain.slice(1, -1);
  } else if (/^[-−]/.test(plain)) {
    negative = true;
    plain = plain.slice(1);
  }
  const match = /^(\d+)(?:\.(\d+))?$/.exec(plain);
  if (!match) return undefined;
  const fraction = match[2] ?? '';
  if (/[1-9]/.test(fraction.slice(exponent))) return undefined;
  const minor = BigInt(match[1] + fraction.slice(0, exponent).padEnd(exponent, '0'));
  return negative ? -minor : minor;
}

// Minor units as an amount field has them: 1234.50, -120.00.
export function plain(minor, exponent) {
  const negative = minor < 0n;
  const digits = (negative ? -minor : minor).toString().padStart(exponent + 1, '0');
  const whole = digits.slice(0, digits.length - exponent);
  const fraction = exponent > 0 ? '.' + digits.slice(-exponent) : '';
  return (negative ? '-' : '') + whole + fraction;
}

const SYMBOLS = { GBP: '£', EUR: '€' };

// Minor units as pages print them: £1,234.50, (£120.00).
export function display(minor, exponent, currency) {
  const [whole, fraction] = plain(minor < 0n ? -minor : minor, exponent).split('.');
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ',');
  const text = (SYMBOLS[currency] ?? currency + ' ') + grouped + (fraction ? '.' + fraction : '');
  return minor < 0n ? `(${text})` : text;
}
