// A folded cell is a quiet line: its label without the sign of a comment, and its number of execution, as an open cell
// has one. Folds with nothing between them are one group.

const WAITS = 'nnopt-waits'; // class of the number of a cell that runs, or will
const GROUPED = 'nnopt-grouped', LAST = 'nnopt-last-fold'; // of cells
const JOINED = 'nnopt-joined'; // of covers.js: a fold without a line

const say = (element, text) => {
  if (element && text && element.textContent !== text) element.textContent = text;
};

const isFold = cell => Boolean(cell?.inputHidden && !cell.node.classList.contains(JOINED));

const isBare = cell => isFold(cell) && cell.node.classList.contains('jp-mod-noOutputs');

const group = cells => cells.forEach((cell, at) => {
  const leads = isBare(cell) && isFold(cells[at + 1]);
  cell.node.classList.toggle(GROUPED, leads || (isFold(cell) && isBare(cells[at - 1])));
  cell.node.classList.toggle(LAST, isBare(cell) && !leads);
});

export const dressFolds = app => {
  for (const panel of app.shell.widgets('main')) {
    const cells = Array.isArray(panel.content?.widgets) ? panel.content.widgets : [];
    for (const cell of cells) {
      const line = cell.inputHidden && cell.node.querySelector(':scope > .jp-Cell-inputWrapper > .jp-InputPlaceholder');
      if (!line) continue;
      const prompt = line.querySelector('.jp-Placeholder-prompt'), label = line.querySelector('.jp-PlaceholderText');
      say(prompt, cell.inputArea?.promptNode?.textContent);
      prompt?.classList.toggle(WAITS, prompt.textContent.includes('*'));
      say(label, label?.textContent.replace(/^# /, ''));
    }
    group(cells);
  }
};
