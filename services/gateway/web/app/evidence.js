// A file that is chosen as evidence is hashed here and stays here: only its
// SHA-256 is sent. Without this, or where the browser does not hash, the hash is
// typed by hand.

const hex = (buffer) => Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, '0')).join('');

async function hash(input) {
  const field = document.getElementById(input.dataset.hashes);
  const [file] = input.files;
  if (!field || !file) return;
  field.value = hex(await crypto.subtle.digest('SHA-256', await file.arrayBuffer()));
  const label = document.getElementById(input.dataset.labels);
  if (label && label.value === '') label.value = file.name;
}

export function start() {
  if (!globalThis.crypto?.subtle) return;
  for (const input of document.querySelectorAll('input[data-hashes]')) input.hidden = false;
  document.addEventListener('change', (event) => {
    if (event.target.matches?.('input[data-hashes]')) hash(event.target);
  });
}
