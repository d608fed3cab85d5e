// The button in a card that copies code, such as the call with which an answer failed.

const TOLD = 1500; // milliseconds for which the button says that it has copied

// Where the page has no right to the clipboard, as on a server without HTTPS, a selection is copied.
const copySelected = text => {
  const held = document.activeElement, field = document.createElement('textarea');
  field.value = text;
  document.body.append(field);
  field.select();
  document.execCommand('copy');
  field.remove();
  held?.focus({ preventScroll: true });
};

const copy = async text => {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    copySelected(text);
  }
};

export const addCopyCommand = app => {
  app.commands.addCommand('nnopt-lab:copy', {
    label: 'Copy code of a card',
    execute: async ({ text = '' }) => {
      const button = document.activeElement?.closest('.nnopt-copies'), label = button?.textContent;
      await copy(text);
      if (!button || label.startsWith('✓')) return;
      button.textContent = `✓ ${label}`;
      setTimeout(() => { button.textContent = label; }, TOLD);
    }
  });
};
