// Until a measurement is shown (waiting_reveal.py), it is told by the folded cells below it, the texts below figures, and
// cells with the tag `tells`. All are covered up to the next heading, and what else its own cell shows. Neighbours are one
// line, without the labels of their folds. Only classes of cells change: nothing of it is saved. A learner's notebook that
// comes back still waits, though its card says that its cell must run again; in a solved one, nothing has ever waited.

import { make, outputsOf } from './strips.js';

const VIEW = 'application/vnd.jupyter.widget-view+json';
const WAITING = 'nnopt-waiting', COVERED = 'nnopt-covered', TOLD = 'nnopt-told', JOINED = 'nnopt-joined'; // of cells
const LINE = 'nnopt-cover'; // class of the line in a cell, which leads to the guess (waits.js)
const HEADING = /^#{1,6} /m, REVEALS = /\breveal\(/, ITEM = /^\s*(?:[-*+]|\d+\.) /;
const EXPLAINS = /^(What to see|看什么)/; // a text about the figure above it

const waited = new WeakMap(); // the words of a cell that waited, or '' if it showed, kept while it has no outputs

const wordsIn = model => outputsOf(model).map(({ metadata }) => metadata?.nnopt_covers).find(Boolean) ?? '';

const isRunning = cell => cell.inputArea?.promptNode?.textContent.includes('*');

// Whether the cell stopped before its measurement: the number is not shown, and was not if it waited before.
const hasFailed = model => outputsOf(model).some(({ data, type }) =>
  type === 'error' || /nnopt-card nnopt-(quiet|bad)/.test(data['text/html']));

// What stands in the place of covered outputs, or '' if the cell has no measurement that is still to be shown.
const wordsOf = cell => {
  const { model } = cell, words = wordsIn(model);
  if (words || (model.outputs.length && !isRunning(cell) && !hasFailed(model))) waited.set(model, words);
  return waited.get(model) ?? model.getMetadata('nnopt_covers') ?? '';
};

const tells = model => Boolean(model.getMetadata('tags')?.includes('tells'));

const isFolded = ({ inputHidden, model }) => Boolean(inputHidden || model.getMetadata('jupyter')?.source_hidden);

const isCard = data => Boolean(data[VIEW]) || String(data['text/html'] ?? '').includes('role="note"');

// Whether the style sheet hides an output of a cell that waits, or of one that is covered.
const hasHidden = (model, waits) => outputsOf(model).some(({ data, type }) =>
  type !== 'error' && !(waits && isCard(data)));

// The words of waiting_reveal.py: for one result, and, of a cell that has run, for several.
export const worded = (words, count) => {
  const [one, several = one] = words.split('\n');
  return count > 1 ? several.replace('{count}', count) : one;
};

const mark = ({ node }, classes, words) => {
  for (const [name, isOn] of Object.entries(classes)) node.classList.toggle(name, Boolean(isOn));
  const line = node.querySelector(`:scope > .${LINE}`);
  if (!words) return line?.remove();
  if (!line) return node.append(make('div', { className: LINE }, make('button', { type: 'button', textContent: words })));
  if (line.textContent !== words) line.firstElementChild.textContent = words;
  if (line !== node.lastElementChild) node.append(line); // the cell has been drawn since
};

// Whether a text goes on after its first paragraph and that one's list: the style sheet shows the rest.
const hasRest = source => source.trim().split(/\n\s*\n/).slice(1).some(part => !ITEM.test(part));

// Of a cell below a measurement that is still to be shown, or of that measurement's own cell. What can be seen of a cell
// parts the block above it from the one below.
const coverOf = (cell, above) => {
  const { model } = cell, source = model.sharedModel.getSource(), isCode = model.type === 'code', isTold = tells(model);
  const own = isCode ? wordsOf(cell) : '', isFold = isCode && isFolded(cell);
  const isText = above && model.type === 'markdown' && (isTold || EXPLAINS.test(source));
  const isCovered = isText || (isCode && !own && above && (isTold || isFold) && !REVEALS.test(source));
  return {
    cell, isText, isTold, isCovered, own,
    words: own || above,
    hides: isText || ((own || isCovered) && hasHidden(model, own)),
    begins: !isCovered || (isCode && !isFold),
    ends: isText && !isTold && hasRest(source),
    isHeading: model.type === 'markdown' && HEADING.test(source)
  };
};

const coverCells = cells => {
  let words = '', block = {};
  const covers = cells.map(cell => {
    const cover = coverOf(cell, words);
    if (cover.begins) block = {};
    if (cover.hides) block.teller ??= cell;
    if (cover.hides && !cover.isText) block.count = (block.count ?? 0) + 1;
    const placed = { ...cover, block };
    if (cover.ends) block = {};
    words = cover.isHeading ? '' : cover.words;
    return placed;
  });
  for (const { cell, own, isCovered, isText, isTold, block: { teller, count }, ...cover } of covers) {
    const classes = { [WAITING]: own, [COVERED]: isCovered, [TOLD]: isText && isTold, [JOINED]: isCovered && teller };
    mark(cell, classes, teller === cell ? worded(cover.words, count) : '');
  }
};

export const coverOutputs = app => {
  for (const { content } of app.shell.widgets('main')) {
    if (Array.isArray(content?.widgets) && content.widgets[0]?.model?.sharedModel) coverCells(content.widgets);
  }
};
