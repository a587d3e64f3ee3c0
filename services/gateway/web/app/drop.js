// Files may be dropped on the upload form, as if chosen in its field.

export function start() {
  const form = document.querySelector('[data-drop]');
  const field = form?.querySelector('input[type=file]');
  if (!field) return;
  const mark = (over) => form.classList.toggle('over', over);
  form.addEventListener('dragover', (event) => {
    event.preventDefault();
    mark(true);
  });
  form.addEventListener('dragleave', () => mark(false));
  form.addEventListener('drop', (event) => {
    event.preventDefault();
    mark(false);
    if (event.dataTransfer.files.length > 0) field.files = event.dataTransfer.files;
  });
}
