// A button under the cell of an exercise: it runs the cell and then its check, so that a try is one press.

import { closeCode, codeButton } from './closed.js';
import { noteChecked } from './earlier.js';
import { runWithNeeded } from './needed.js';
import { buttonOf, codeCells, makeButton, stripOf } from './strips.js';
import { scrollBack, showVerdict } from './verdicts.js';

export const COMMAND = 'nnopt-lab:check';

const PATIENCE = 10_000; // milliseconds until a try that has not ended can be stopped
const running = new WeakSet(); // cells whose try has not ended

const wordsOf = cell => cell?.model?.type === 'code' ? cell.model.getMetadata('checks') : undefined;

// The cell below an exercise's that checks it.
const checkOf = (notebook, cell) => {
  const id = cell.model.getMetadata('exercise'), call = `check("${id}"`;
  const below = notebook.widgets.slice(notebook.widgets.indexOf(cell) + 1);
  return below.find(({ model }) => model.type === 'code' && model.sharedModel.getSource().includes(call));
};

// The button says that the try runs, and stops one that may never end.
const showRunning = ({ sessionContext }, cell) => {
  const { button: label, running: busy = label, stop = '■' } = wordsOf(cell);
  const button = buttonOf(cell);
  if (!button) return () => {};
  const show = (textContent, isBusy, onclick) => {
    Object.assign(button, { textContent, onclick, ariaDisabled: String(isBusy) }); // a disabled one would lose the focus
  };
  const { onclick } = button;
  const interrupt = () => sessionContext.session?.kernel?.interrupt().catch(() => {}); // JupyterLab tells of a dead kernel
  const waiting = setTimeout(() => show(stop, false, interrupt), PATIENCE);
  show(busy, true, null);
  return () => {
    clearTimeout(waiting);
    show(label, false, onclick);
  };
};

// A card may be shorter than the one of the try before, for which the page was scrolled: as long as the page stays there,
// it goes back to where the exercise was before its first try.
const placed = new WeakMap(); // by an exercise's cell, its top before those tries, and after the last one

const topOf = ({ node }) => node.getBoundingClientRect().top;

const topBefore = cell => {
  const top = topOf(cell), { first = top, last } = placed.get(cell) ?? {};
  return Math.abs(last - top) < 1 ? first : top;
};

const tryOnce = async (panel, cell) => {
  const check = checkOf(panel.content, cell);
  if (running.has(cell)) return;
  running.add(cell);
  const end = showRunning(panel, cell), top = topBefore(cell);
  await runWithNeeded(panel, check ? [cell, check] : [cell]);
  end();
  running.delete(cell);
  if (!check) return;
  await showVerdict(panel.content, check);
  scrollBack(panel.content, check, cell, top);
  placed.set(cell, { first: top, last: topOf(cell) });
};

const parts = (panel, cell, { button, tip }) => {
  const { content } = panel;
  const onclick = event => {
    const isMouse = event.detail > 0;
    if (isMouse) content.activeCellIndex = content.widgets.indexOf(cell);
    if (isMouse) content.mode = 'edit'; // the learner goes on in the code
    tryOnce(panel, cell);
  };
  return [makeButton(button, onclick, `${tip} · Ctrl+Shift+Enter`)];
};

// The words for a button that shows code, which the notebook's questions and guesses have.
const codeWords = ({ widgets }) =>
  widgets.flatMap(({ model }) => [model.getMetadata('asks'), model.getMetadata('guesses')]).find(words => words?.code);

const closed = new WeakMap(); // the check that was closed, by the strip of its exercise

// The button under the exercise runs the check, too: of the check's own cell, only the card is needed.
const closeCheck = (notebook, cell, strip) => {
  if (closed.get(strip)?.isDisposed === false) return; // pages change often, and to look for the check takes time
  const check = checkOf(notebook, cell), words = check && codeWords(notebook);
  if (!words) return;
  closed.set(strip, check);
  noteChecked(check, cell);
  strip.querySelector('.nnopt-code')?.remove();
  strip.append(codeButton(check, words.code, words.tip));
  closeCode(check);
};

export const offerChecks = app => {
  for (const [panel, cell] of codeCells(app)) {
    const words = wordsOf(cell);
    const strip = words?.button && stripOf(cell, words.button, () => parts(panel, cell, words));
    if (strip) closeCheck(panel.content, cell, strip);
  }
};

const COUNTS = /^\s*(?:check|question|predict|reveal)\(/m; // a cell that needs no other one to be run

// The notebook in front, and what a try runs there: the exercise whose cell, or whose check, is the active one, else the
// active cell, if it asks or checks something.
const current = app => {
  const panel = app.shell.currentWidget, cells = panel?.content?.widgets, active = panel?.content?.activeCell;
  if (!active || !Array.isArray(cells)) return {};
  const exercise = cells.find(cell => wordsOf(cell) && (cell === active || checkOf(panel.content, cell) === active));
  const asks = active.model.type === 'code' && COUNTS.test(active.model.sharedModel.getSource());
  return exercise || asks ? { panel, cell: exercise ?? active, isExercise: Boolean(exercise) } : {};
};

const runOnce = async (panel, cell) => {
  const focused = document.activeElement;
  if (focused?.matches('input') && cell.node.contains(focused)) return; // Enter has committed what is in the field
  await runWithNeeded(panel, [cell]);
  showVerdict(panel.content, cell);
};

export const addCheckCommand = app => {
  app.commands.addCommand(COMMAND, {
    label: () => wordsOf(current(app).cell)?.tip ?? 'Run this exercise and its check',
    isEnabled: () => Boolean(current(app).cell),
    execute: () => {
      const { panel, cell, isExercise } = current(app);
      return cell && (isExercise ? tryOnce : runOnce)(panel, cell);
    }
  });
};
