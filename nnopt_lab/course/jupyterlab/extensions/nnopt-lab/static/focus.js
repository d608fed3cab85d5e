// Where the keys go: Enter leads to what a closed cell asks, Escape leaves what is under a cell's code, and after a press
// on a hint's button its text is read, with the button of the next hint in sight.

const CONTROLS = '.nnopt-strip, .jp-OutputArea', HELP = '.nnopt-help';

// JupyterLab itself leaves the focus where it is within the active cell, so that no shortcut of the notebook works.
const leave = ({ shell }, cell) => {
  for (const { content } of shell.widgets('main')) {
    const place = Array.isArray(content?.widgets) ? content.widgets.findIndex(({ node }) => node === cell) : -1;
    if (place < 0) continue;
    content.activeCellIndex = place;
    content.mode = 'command';
    cell.focus({ preventScroll: true });
  }
};

export const leaveOnEscape = app => {
  const onkeydown = event => {
    const cell = event.target.closest?.(CONTROLS)?.closest('.jp-Cell');
    if (!cell || event.key !== 'Escape' || event.isComposing) return;
    event.preventDefault();
    event.stopPropagation();
    leave(app, cell);
  };
  window.addEventListener('keydown', onkeydown, true);
};

const CLOSED = 'nnopt-closed', CHECKING = 'nnopt-checking';
const FIELDS = ':scope > .nnopt-strip :is(button, input), .jp-OutputArea .nnopt-box :is(button, input)';

// The buttons of a check stand under the code of its exercise.
const fieldOf = cell => {
  const asked = cell.classList.contains(CHECKING) ? cell.previousElementSibling : cell;
  return [...(asked?.querySelectorAll(FIELDS) ?? [])].find(field => field.checkVisibility() && !field.disabled);
};

// Enter on a cell whose code is closed leads to what it asks, not into its code.
export const enterField = () => {
  const onkeydown = event => {
    const { key, target, shiftKey, ctrlKey, metaKey, altKey, isComposing } = event;
    if (key !== 'Enter' || shiftKey || ctrlKey || metaKey || altKey || isComposing) return;
    const field = target.matches?.(`.jp-Cell.${CLOSED}`) && fieldOf(target);
    if (!field) return;
    event.preventDefault();
    event.stopPropagation();
    field.focus();
  };
  window.addEventListener('keydown', onkeydown, true);
};

let pressed; // the help whose button has been pressed, and the hints that it then showed

const shownHints = help => [...help.querySelectorAll('details')].filter(({ offsetParent }) => offsetParent);

export const noteHints = () => {
  document.addEventListener('click', ({ target }) => {
    const help = target.closest?.('button') && target.closest(HELP);
    pressed = help && { help, count: shownHints(help).length };
  });
};

// The kernel has opened the hint meanwhile.
export const focusHint = () => {
  const hints = pressed ? shownHints(pressed.help) : [];
  if (!pressed || hints.length <= pressed.count) return;
  const newest = hints.findLast(({ open }) => open), text = newest?.lastElementChild;
  const next = pressed.help.querySelector(':scope > button');
  pressed = undefined;
  if (!text) return;
  text.tabIndex = -1;
  text.focus({ preventScroll: true });
  for (const part of [next, newest]) part?.scrollIntoView({ block: 'nearest' }); // a tall hint matters more than its button
};
