// Where the keys go: Enter leads to what a closed cell asks, Escape leaves what is under a cell's code, after a press on a
// hint's button its text is read, with the button of the next hint in sight, and after a box the learner goes on.

import { settled } from './verdicts.js';

const CONTROLS = '.nnopt-strip, .nnopt-cover, .jp-OutputArea', HELP = '.nnopt-help';

// The notebook with a cell's node, and the cell's place.
const placeOf = ({ shell }, cell) => {
  for (const { content } of shell.widgets('main')) {
    const place = Array.isArray(content?.widgets) ? content.widgets.findIndex(({ node }) => node === cell) : -1;
    if (place >= 0) return { content, place };
  }
};

// JupyterLab itself leaves the focus where it is within the active cell, so that no shortcut of the notebook works.
const leave = (app, cell) => {
  const { content, place } = placeOf(app, cell) ?? {};
  if (!content) return;
  content.activeCellIndex = place;
  content.mode = 'command';
  cell.focus({ preventScroll: true });
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
const FIELDS = [
  '.jp-OutputArea .nnopt-box :is(button, input)', ':scope > .nnopt-strip :is(button:not(.nnopt-code), input)',
  ':scope > .nnopt-strip .nnopt-code'
]; // the first that there is

// The buttons of a check stand under the code of its exercise.
export const fieldOf = cell => {
  const asked = cell.classList.contains(CHECKING) ? cell.previousElementSibling : cell;
  const fields = asked ? FIELDS.flatMap(kind => [...asked.querySelectorAll(kind)]) : [];
  return fields.find(field => field.checkVisibility() && !field.disabled);
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

const BOX = '.nnopt-box', CELL = '.jp-Cell';
let used; // what had the focus last in a box, and its cell

export const noteBox = () => {
  document.addEventListener('focusin', ({ target }) => {
    used = target.closest?.(BOX) && { part: target, cell: target.closest(CELL) };
  });
};

// What was pressed makes way for other buttons of the box, or the whole box for a card; then the next cell is due.
export const goOnAfterBox = async app => {
  const left = used;
  if (!left?.cell || left.part.checkVisibility()) return;
  await settled(); // a box may be drawn anew
  const { part, cell } = left, at = document.activeElement;
  if (used !== left) return; // the learner is elsewhere
  used = undefined;
  if ((at && at !== document.body && at !== part) || !cell.checkVisibility()) return; // or only scrolled
  const [other] = [...cell.querySelectorAll(`${BOX} :is(button, input)`)].filter(found => found.checkVisibility());
  if (other) return other.focus({ preventScroll: true });
  const { content, place } = placeOf(app, cell) ?? {};
  if (!content) return;
  content.activeCellIndex = Math.min(place + 1, content.widgets.length - 1);
  content.mode = 'command';
  content.activate();
};
