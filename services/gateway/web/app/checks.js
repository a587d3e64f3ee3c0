// What the ledger would refuse of an allocation by hand, said before it is
// sent. The server looks again and decides.

const abs = (minor) => (minor < 0n ? -minor : minor);

// `lines` is `[{ name, open, amount }]` in minor units; the amount is null where
// nothing was entered and undefined where it cannot be read. Answers with
// `[{ at, text }]`: the line at fault, or -1 for all of them together.
export function refusals(lines, unallocated, show) {
  const found = [];
  let sum = 0n;
  let entered = 0;
  for (const [at, { name, open, amount }] of lines.entries()) {
    if (amount === undefined) {
      found.push({ at, text: `${name}: this amount cannot be read` });
      continue;
    }
    if (amount === null || amount === 0n) continue;
    entered += 1;
    sum += amount;
    if ((amount < 0n) !== (open < 0n)) {
      found.push({ at, text: open < 0n ? `${name} is a credit note: its amount is negative` : `${name}: only a credit note takes a negative amount` });
    } else if (abs(amount) > abs(open)) {
      found.push({ at, text: `${name}: ${show(amount)} is more than the ${show(open)} that is open` });
    }
  }
  if (found.length > 0) return found;
  if (entered === 0) return [{ at: -1, text: 'Enter an amount beside at least one document' }];
  if (sum <= 0n) return [{ at: -1, text: `Credit notes alone use no cash: the lines come to ${show(sum)}` }];
  if (sum > unallocated) return [{ at: -1, text: `${show(sum)} is more than the ${show(unallocated)} left on the receipt` }];
  return [];
}
