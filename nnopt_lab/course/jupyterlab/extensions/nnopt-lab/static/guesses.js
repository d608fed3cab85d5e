// A button under a cell that only asks for a guess, instead of its code. A press runs the cell, which shows the form.

import { closeCode, codeButton } from './closed.js';
import { runWithNeeded } from './needed.js';
import { codeCells, make, makeButton, stripOf } from './strips.js';
import { wantForm } from './verdicts.js';

const GUESSING = 'nnopt-guessing'; // class of a cell with such a strip

const wordsOf = cell => cell?.model?.getMetadata('guesses');

// The titles of the forms: "Predict: one · Predict: another".
const titlesIn = label => label.split(/[?？]\s*/).filter(Boolean).join(' · ');

const parts = (panel, cell, words) => {
  const { content } = panel;
  const run = () => {
    content.activeCellIndex = content.widgets.indexOf(cell);
    content.mode = 'command'; // so that the form's field gets the focus
    wantForm(cell);
    return runWithNeeded(panel, [cell]);
  };
  const title = make('span', { textContent: titlesIn(words.label) });
  return [title, makeButton(words.button, run), codeButton(cell, words.code, words.tip)];
};

export const offerGuesses = app => {
  for (const [panel, cell] of codeCells(app)) {
    const words = wordsOf(cell);
    if (!words?.button || cell.node.classList.contains(GUESSING)) continue;
    if (!stripOf(cell, words.label, () => parts(panel, cell, words))) continue;
    cell.node.classList.add(GUESSING);
    closeCode(cell);
  }
};
