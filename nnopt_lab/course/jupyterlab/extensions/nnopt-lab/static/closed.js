// The code of a question or a guess says once more what the prose above and the strip say. It is closed until the
// learner asks for it; code that the learner has written stays open.

import { make } from './strips.js';

const CLOSED = 'nnopt-closed', BUTTON = 'nnopt-code';
const TEXT = String.raw`(?:"[^"\n]*"|'[^'\n]*')`, LITERAL = String.raw`(?:None|${TEXT}|[-+]?[\d._]+(?:[eE][-+]?\d+)?)`;
const QUESTION = new RegExp(String.raw`^\s*(?:\w+\s*=\s*${LITERAL}\s*)?question\(\s*${TEXT}\s*(?:,\s*(?:\w+|${LITERAL})\s*)?\)\s*$`);
const GUESS = new RegExp(String.raw`^\s*predict\(\s*${TEXT}\s*(?:,\s*unit\s*=\s*${TEXT}\s*)?,?\s*\)\s*$`);

const show = (cell, isClosed) => {
  cell.node.classList.toggle(CLOSED, isClosed);
  const button = cell.node.querySelector(`:scope > .nnopt-strip .${BUTTON}`);
  if (button) button.ariaExpanded = String(!isClosed);
};

// The button that opens and closes a cell's code, for its strip.
export const codeButton = (cell, textContent, title = '') => make('button', {
  type: 'button', className: BUTTON, textContent, title, ariaExpanded: 'true',
  onclick: () => show(cell, !cell.node.classList.contains(CLOSED))
});

export const closeCode = cell => {
  const code = cell.model.sharedModel.getSource();
  if (QUESTION.test(code) || GUESS.test(code)) show(cell, true);
};

// Who edits a cell sees its code.
export const openWhenEdited = ({ content }) => {
  content.stateChanged.connect((_, { name, newValue }) => {
    if (name === 'mode' && newValue === 'edit' && content.activeCell) show(content.activeCell, false);
  });
};
