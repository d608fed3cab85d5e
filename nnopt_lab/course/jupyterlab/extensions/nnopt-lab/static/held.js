// An exercise and its check are one unit for the keys, too: Shift+Enter in the exercise leads to the button that checks it,
// and there it checks and goes on. While the check is selected, which has nothing to show before it has a card, the row of
// the button is marked.

import { isAdvancing } from './keys.js';
import { settled } from './verdicts.js';

const CHECK = '.nnopt-closed.nnopt-checking', STRIP = ':scope > .nnopt-strip', HELD = 'nnopt-held';
const BUTTON = `.jp-Cell:has(+ ${CHECK}) > .nnopt-strip > .nnopt-commits`;

const stripAbove = ({ node }) => node.matches(CHECK) ? node.previousElementSibling?.querySelector(STRIP) : null;

export const joinChecks = ({ content }) => {
  let held;
  content.activeCellChanged.connect(async (_, cell) => {
    held?.classList.remove(HELD);
    held = cell && stripAbove(cell);
    held?.classList.add(HELD);
    if (!held || !isAdvancing()) return;
    await settled(); // JupyterLab has given the focus to the cell
    if (content.activeCell === cell && content.mode === 'command') held?.querySelector('button')?.focus();
  });
};

const goOn = (content, exercise) => {
  const place = content.widgets.findIndex(({ node }) => node === exercise);
  content.activeCellIndex = Math.min(place + 2, content.widgets.length - 1);
  content.mode = 'command';
  content.activate();
};

// To JupyterLab, the exercise is the active cell as long as its button has the focus: it would run that once more.
export const checkAndGoOn = ({ shell }) => {
  const onkeydown = event => {
    const { key, target, shiftKey, ctrlKey, metaKey, altKey } = event;
    if (key !== 'Enter' || !shiftKey || ctrlKey || metaKey || altKey || !target.matches?.(BUTTON)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    target.click();
    goOn(shell.currentWidget.content, target.closest('.jp-Cell'));
  };
  window.addEventListener('keydown', onkeydown, true);
};
