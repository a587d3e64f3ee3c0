// After what the person asked for, the cursor is somewhere sensible: where it
// was if that is still there, and otherwise on the row that is open. A live
// update never takes it away.

let asked = false;

const nowhere = () => {
  const at = document.activeElement;
  return at === null || at === document.body || !at.isConnected;
};

export function start() {
  document.addEventListener('htmx:before:request', () => {
    asked = true;
  });
  document.addEventListener('htmx:after:settle', () => {
    if (!asked) return;
    asked = false;
    // Later, when whatever else follows the swap has had its turn.
    setTimeout(() => {
      if (!nowhere()) return;
      const place = document.querySelector('.problems') ?? document.querySelector('[data-row][aria-current="true"]');
      place?.focus({ preventScroll: place.matches('[data-row]') });
    });
  });
}
