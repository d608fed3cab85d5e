// The way to guesses that wait: a button of the toolbar counts them, and leads from one to the next. So does the line that a
// measurement leaves where its guess was asked before, and the one in the place of the results that it hides.

import { bringToCell } from './contents.js';
import { worded } from './covers.js';
import { fieldOf } from './focus.js';
import { make, outputsOf } from './strips.js';

const WORDS = 'nnopt_waits'; // key of an output's metadata: the button's words (waiting_reveal.py)
const BELOW = '.nnopt-below > .widget-html:first-child > .widget-html-content';
const ABOVE = '.nnopt-cover > button', WAITING = '.nnopt-waiting';
const AGAIN = 'nnopt-leads-again'; // of cells
const NAMES = /\bpredict\(\s*("[^"\n]*"|'[^'\n]*')/g;

const buttons = new WeakMap(); // by panel

// The words of each guess that waits in a cell.
const wordsIn = ({ model }) =>
  model.type === 'code' ? outputsOf(model).map(({ metadata }) => metadata?.[WORDS]).filter(Boolean) : [];

const waitingIn = ({ content }) => content.widgets.filter(cell => wordsIn(cell).length);

// A notebook that came back has no field, before the cell runs again.
const lead = async ({ content }, cell) => {
  if (!cell) return;
  Object.assign(content, { activeCellIndex: content.widgets.indexOf(cell), mode: 'command' });
  await bringToCell(content, cell, 'center', () => fieldOf(cell.node) ?? cell.node);
  if (content.activeCell !== cell) return;
  const field = fieldOf(cell.node);
  if (!field) return content.activate();
  field.focus({ preventScroll: true });
  field.closest('.nnopt-box, .nnopt-strip').scrollIntoView({ block: 'nearest' }); // an edge of it may have been in sight
};

// The first one below the active cell, or of all.
const next = panel => {
  const { content } = panel, waiting = waitingIn(panel);
  return waiting.find(cell => content.widgets.indexOf(cell) > content.activeCellIndex) ?? waiting[0];
};

const count = panel => {
  const words = panel.content.widgets.flatMap(wordsIn), { widget, button } = buttons.get(panel);
  widget.setHidden(!words.length);
  if (!words.length) return;
  const textContent = worded(words[0], words.length), [, , title] = words[0].split('\n');
  if (button.textContent !== textContent) Object.assign(button, { textContent, title });
};

// What leads to a measurement is a link for the keyboard and for a screen reader, too. Of neighbours with the same words,
// one is seen.
const makeLinks = ({ content: { widgets }, node }) => {
  const leads = new Set(); // the cells' nodes
  for (const line of node.querySelectorAll(BELOW)) {
    if (line.role !== 'link') Object.assign(line, { role: 'link', tabIndex: 0 });
    leads.add(line.closest('.jp-Cell'));
  }
  widgets.forEach((cell, at) => {
    cell.node.classList.toggle(AGAIN, leads.has(cell.node) && leads.has(widgets[at - 1]?.node));
  });
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
  const button = make('button', { type: 'button', className: 'nnopt-to-guesses', onclick });
  const widget = new Widget({ node: make('div', {}, button) });
  widget.hide();
  buttons.set(panel, { widget, button });
  panel.toolbar.insertItem(10, 'nnopt-to-guesses', widget); // after the cell's type
};

// Whether a cell asks for a guess of what another one measures.
const asksFor = ({ model }, { model: measured }) =>
  [...model.sharedModel.getSource().matchAll(NAMES)].some(([, name]) => measured.sharedModel.getSource().includes(name));

// A line below several guesses stands for all of them: it leads to the first.
const ofLine = (panel, cell) => {
  const waiting = waitingIn(panel);
  return waiting.find(measured => asksFor(cell, measured)) ?? waiting[0];
};

// A line above which a measurement is hidden, or which stands in that measurement's own cell. A measurement that has not
// run has no field: its guess is made where it is asked for.
const aboveLine = ({ content: { widgets } }, place) => {
  const above = widgets.slice(0, place + 1), measured = above.findLast(({ node }) => node.matches(WAITING));
  if (!measured || wordsIn(measured).length) return measured;
  return above.find(cell => asksFor(cell, measured)) ?? measured;
};

const follow = ({ shell }, event, isLine) => {
  const node = event.target.closest?.('.jp-Cell'), panel = shell.currentWidget;
  if (!node || !buttons.has(panel)) return;
  const place = panel.content.widgets.findIndex(cell => cell.node === node);
  const cell = isLine ? ofLine(panel, panel.content.widgets[place]) : aboveLine(panel, place);
  lead(panel, cell).catch(() => {});
};

// The cell of a line above is not selected: that would show its fold, and move the line.
export const followWaiting = app => {
  document.addEventListener('click', event => {
    if (event.target.closest?.(`${BELOW}, ${ABOVE}`)) follow(app, event, !event.target.closest(ABOVE));
  });
  window.addEventListener('mousedown', event => {
    if (event.button || !event.target.closest?.(ABOVE)) return;
    event.preventDefault();
    event.stopPropagation();
  }, true);
  window.addEventListener('keydown', event => {
    if (event.key !== 'Enter' || !event.target.matches?.(BELOW)) return;
    event.preventDefault();
    event.stopPropagation();
    follow(app, event, true);
  }, true);
};
