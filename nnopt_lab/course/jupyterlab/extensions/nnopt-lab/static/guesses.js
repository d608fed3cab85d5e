// A button under a cell that only asks for a guess, instead of its code. A press runs the cell, which shows the form.

import { closeCode, codeButton } from './closed.js';
import { codeCells, make, makeButton, runCells, stripOf } from './strips.js';

const GUESSING = 'nnopt-guessing'; // class of a cell with such a strip
const TOLD = 'nnopt-told'; // class of one whose prose asks for this guess alone, so that its form, in .nnopt-name, need not

const wordsOf = cell => cell?.model?.getMetadata('guesses');

const isTold = ({ widgets }, cell) => {
  const place = widgets.indexOf(cell), above = widgets[place - 1]?.model;
  const paragraph = above?.type === 'markdown' && above.sharedModel.getSource().trim().split(/\n\s*\n/).pop();
  return /[?？]/.test(paragraph || '') && !wordsOf(widgets[place + 1]);
};

const parts = (panel, cell, words) => {
  const { content } = panel;
  const run = () => {
    content.activeCellIndex = content.widgets.indexOf(cell);
    content.mode = 'command'; // so that the form's field gets the focus
    return runCells(panel, [cell]);
  };
  const name = make('span', { textContent: words.names ?? words.label }); // a copy of an earlier course has no names
  return [makeButton(words.button, run), name, codeButton(cell, words.code, words.tip)];
};

export const offerGuesses = app => {
  for (const [panel, cell] of codeCells(app)) {
    const words = wordsOf(cell);
    if (!words?.button || cell.node.classList.contains(GUESSING)) continue;
    if (!stripOf(cell, words.label, () => parts(panel, cell, words))) continue;
    cell.node.classList.add(GUESSING);
    cell.node.classList.toggle(TOLD, isTold(panel.content, cell));
    closeCode(cell);
  }
};
