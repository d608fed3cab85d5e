// The way to guesses that wait: a button of the toolbar counts them, and leads from one to the next. So does the line that a
// measurement leaves where its guess was asked before, and the one in the place of the results that it hides.

import { bringToCell } from './contents.js';
import { make, outputsOf } from './strips.js';

const WORDS = 'nnopt_waits'; // key of an output's metadata: the button's words (waiting_reveal.py)
const BELOW = '.nnopt-below .widget-html-content', FIELD = '.nnopt-box input';
const NAME = /\bpredict\(\s*("[^"\n]*"|'[^'\n]*')/;

const buttons = new WeakMap(); // by panel

// The words of each guess that waits in a cell.
const wordsIn = ({ model }) =>
  model.type === 'code' ? outputsOf(model).map(({ metadata }) => metadata?.[WORDS]).filter(Boolean) : [];

const waitingIn = ({ content }) => content.widgets.filter(cell => wordsIn(cell).length);

const fieldOf = cell => [...cell.node.querySelectorAll(FIELD)].find(field => field.checkVisibility());

// A notebook that came back has no field, before the cell runs again.
const lead = async ({ content }, cell) => {
  if (!cell) return;
  Object.assign(content, { activeCellIndex: content.widgets.indexOf(cell), mode: 'command' });
  await bringToCell(content, cell, 'center', () => fieldOf(cell) ?? cell.node);
  if (content.activeCell !== cell) return;
  const field = fieldOf(cell);
  if (field) field.focus({ preventScroll: true });
  else content.activate();
};

// The first one below the active cell, or of all.
const next = panel => {
  const { content } = panel, waiting = waitingIn(panel);
  return waiting.find(cell => content.widgets.indexOf(cell) > content.activeCellIndex) ?? waiting[0];
};

const worded = (words, count) => {
  const [one, several, title] = words.split('\n');
  return { textContent: count > 1 ? several.replace('{count}', count) : one, title };
};

const count = panel => {
  const words = panel.content.widgets.flatMap(wordsIn), { widget, button } = buttons.get(panel);
  widget.setHidden(!words.length);
  if (!words.length) return;
  const { textContent, title } = worded(words[0], words.length);
  if (button.textContent !== textContent) Object.assign(button, { textContent, title });
};

// What leads to a measurement is a link for the keyboard and for a screen reader, too.
const makeLinks = ({ node }) => {
  for (const line of node.querySelectorAll(BELOW)) {
    if (line.role !== 'link') Object.assign(line, { role: 'link', tabIndex: 0 });
  }
};

export const countWaiting = ({ shell }) => {
  for (const panel of shell.widgets('main')) {
    if (!buttons.has(panel) || !panel.isVisible) continue;
    count(panel);
    makeLinks(panel);
  }
};

export const addWaiting = (panel, { Widget }) => {
  const onclick = () => lead(panel, next(panel)).catch(() => {}); // the notebook may be closed meanwhile
  const button = make('button', { type: 'button', className: 'nnopt-waits', onclick });
  const widget = new Widget({ node: make('div', {}, button) });
  widget.hide();
  buttons.set(panel, { widget, button });
  panel.toolbar.insertItem(10, 'nnopt-waits', widget); // after the cell's type
};

// A line below several guesses stands for all of them: it leads to the first.
const ofLine = (panel, cell) => {
  const [, name] = NAME.exec(cell.model.sharedModel.getSource()) ?? [];
  const waiting = waitingIn(panel);
  return waiting.find(({ model }) => name && model.sharedModel.getSource().includes(name)) ?? waiting[0];
};

// The one above: a cell's own line may stand in the place of its other results.
const aboveLine = (panel, place) =>
  waitingIn(panel).findLast(cell => panel.content.widgets.indexOf(cell) <= place);

// A line that the style sheet adds to a cell has no element of its own. Left of it, a press selects the cell.
const isAdded = ({ target, clientX, clientY }) => {
  if (!target.dataset?.covers) return false;
  const margin = parseFloat(getComputedStyle(target, '::after').marginLeft);
  return clientX > target.getBoundingClientRect().left + margin
    && clientY > target.lastElementChild.getBoundingClientRect().bottom;
};

const follow = ({ shell }, event, isLine) => {
  const node = event.target.closest?.('.jp-Cell'), panel = shell.currentWidget;
  if (!node || !buttons.has(panel)) return;
  const place = panel.content.widgets.findIndex(cell => cell.node === node);
  const cell = isLine ? ofLine(panel, panel.content.widgets[place]) : aboveLine(panel, place);
  lead(panel, cell).catch(() => {});
};

export const followWaiting = app => {
  document.addEventListener('click', event => event.target.closest?.(BELOW) && follow(app, event, true));
  window.addEventListener('mousedown', event => { // its cell is not selected: that would show its fold, and move the line
    if (event.button || !isAdded(event)) return;
    event.preventDefault();
    event.stopPropagation();
    follow(app, event, false);
  }, true);
  window.addEventListener('keydown', event => {
    if (event.key !== 'Enter' || !event.target.matches?.(BELOW)) return;
    event.preventDefault();
    event.stopPropagation();
    follow(app, event, true);
  }, true);
};
