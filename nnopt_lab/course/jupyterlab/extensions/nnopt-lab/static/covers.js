// While a measurement waits for its guess (waiting_reveal.py), the folded cells below it show its number, too, and the
// text below a figure tells it. Both are covered, and what else its own cell shows. Only classes of cells change: nothing
// of it is saved.

const VIEW = 'application/vnd.jupyter.widget-view+json'; // a saved notebook has none, and no way to guess
const WAITING = 'nnopt-waiting', COVERED = 'nnopt-covered'; // classes of cells
const HEADING = /^#{1,6} /m, REVEALS = /\breveal\(/;
const EXPLAINS = /^(What to see|看什么)/; // a text about the figure above it

const waited = new WeakMap(); // the words of a cell that waited, kept while it runs again and has no outputs

const wordsIn = ({ outputs }) => {
  for (let n = 0; n < outputs.length; n += 1) {
    const { data, metadata } = outputs.get(n);
    if (data?.[VIEW] && metadata?.nnopt_covers) return metadata.nnopt_covers;
  }
  return '';
};

const isRunning = cell => cell.inputArea?.promptNode?.textContent.includes('*');

// What stands in the place of covered outputs, or '' if the cell has no measurement that waits.
const wordsOf = cell => {
  const words = wordsIn(cell.model);
  if (words || !isRunning(cell)) waited.set(cell.model, words);
  return waited.get(cell.model) ?? '';
};

const isFolded = ({ inputHidden, model }) => Boolean(inputHidden || model.getMetadata('jupyter')?.source_hidden);

const isCard = data => Boolean(data[VIEW]) || String(data['text/html'] ?? '').includes('role="note"');

// Whether the style sheet hides an output of a cell that waits, or of one that is covered.
const hasHidden = ({ outputs }, waits) => {
  for (let n = 0; n < outputs.length; n += 1) {
    const { data, type } = outputs.get(n);
    if (type !== 'error' && !(waits && isCard(data))) return true;
  }
  return false;
};

const mark = ({ node }, isWaiting, isCovered, words) => {
  node.classList.toggle(WAITING, isWaiting);
  node.classList.toggle(COVERED, isCovered);
  if ((node.dataset.covers ?? '') === words) return;
  if (words) node.dataset.covers = words;
  else delete node.dataset.covers;
};

const coverCells = cells => {
  let words = '', isToldAbove = false; // neighbours are told of once
  for (const cell of cells) {
    const { model } = cell, source = model.sharedModel.getSource();
    const isText = model.type === 'markdown', explains = isText && isToldAbove && EXPLAINS.test(source);
    if (isText && HEADING.test(source)) words = '';
    const own = model.type === 'code' ? wordsOf(cell) : '';
    words = own || words;
    const isCovered = Boolean(words) && model.type === 'code' && !own && isFolded(cell) && !REVEALS.test(source);
    const hides = (own || isCovered) && hasHidden(model, own);
    mark(cell, Boolean(own), isCovered || explains, hides && !isToldAbove ? words : '');
    isToldAbove = hides || (isToldAbove && (isCovered || explains));
  }
};

export const coverOutputs = app => {
  for (const { content } of app.shell.widgets('main')) {
    if (Array.isArray(content?.widgets) && content.widgets[0]?.model?.sharedModel) coverCells(content.widgets);
  }
};
