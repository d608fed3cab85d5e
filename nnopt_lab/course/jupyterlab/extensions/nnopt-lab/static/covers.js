// Until a measurement is shown (waiting_reveal.py), it is told by the folded cells below it, the texts below figures, and
// cells with the tag `tells`. All are covered up to the next heading, and what else its own cell shows. Only classes of
// cells change: nothing of it is saved.

const VIEW = 'application/vnd.jupyter.widget-view+json'; // a saved notebook has none, and no way to guess
const WAITING = 'nnopt-waiting', COVERED = 'nnopt-covered', TOLD = 'nnopt-told'; // classes of cells
const HEADING = /^#{1,6} /m, REVEALS = /\breveal\(/;
const EXPLAINS = /^(What to see|看什么)/; // a text about the figure above it

const waited = new WeakMap(); // the words of a cell that waited, or '' if it showed, kept while it has no outputs

const wordsIn = ({ outputs }) => {
  for (let n = 0; n < outputs.length; n += 1) {
    const { data, metadata } = outputs.get(n);
    if (data?.[VIEW] && metadata?.nnopt_covers) return metadata.nnopt_covers;
  }
  return '';
};

const isRunning = cell => cell.inputArea?.promptNode?.textContent.includes('*');

// What stands in the place of covered outputs, or '' if the cell has no measurement that is still to be shown.
const wordsOf = cell => {
  const { model } = cell, words = wordsIn(model);
  if (words || (model.outputs.length && !isRunning(cell))) waited.set(model, words);
  return waited.get(model) ?? model.getMetadata('nnopt_covers') ?? '';
};

const tells = model => Boolean(model.getMetadata('tags')?.includes('tells'));

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

const mark = ({ node }, classes, words) => {
  for (const [name, isOn] of Object.entries(classes)) node.classList.toggle(name, Boolean(isOn));
  if ((node.dataset.covers ?? '') === words) return;
  if (words) node.dataset.covers = words;
  else delete node.dataset.covers;
};

const coverCells = cells => {
  let words = '', isToldAbove = false; // neighbours are told of once
  for (const cell of cells) {
    const { model } = cell, source = model.sharedModel.getSource(), isCode = model.type === 'code';
    const own = isCode ? wordsOf(cell) : '', above = words;
    const isText = above && model.type === 'markdown' && (tells(model) || EXPLAINS.test(source));
    const isCovered = isCode && !own && above && (tells(model) || isFolded(cell)) && !REVEALS.test(source);
    const hides = isText || ((own || isCovered) && hasHidden(model, own));
    const classes = { [WAITING]: own, [COVERED]: isCovered || isText, [TOLD]: isText && tells(model) };
    mark(cell, classes, hides && !isToldAbove ? own || above : '');
    isToldAbove = hides || (isToldAbove && isCovered);
    words = model.type === 'markdown' && HEADING.test(source) ? '' : own || words;
  }
};

export const coverOutputs = app => {
  for (const { content } of app.shell.widgets('main')) {
    if (Array.isArray(content?.widgets) && content.widgets[0]?.model?.sharedModel) coverCells(content.widgets);
  }
};
