// The code of a question or a guess says once more what the prose above and the strip say, that of a check what the
// exercise above says. It is closed until the learner asks for it; code that the learner has written stays open.

import { isArrow } from './keys.js';
import { make } from './strips.js';

const CLOSED = 'nnopt-closed', BUTTON = 'nnopt-code';
const ASKED = 'nnopt-asked', CLOSED_QUESTION = `.nnopt-asking.${CLOSED}`; // class of the cell above such a question
const CHECKING = 'nnopt-checking'; // class of a check that can be closed: without a card, there is nothing of it to be seen
const TEXT = String.raw`(?:"[^"\n]*"|'[^'\n]*')`, LITERAL = String.raw`(?:None|${TEXT}|[-+]?[\d._]+(?:[eE][-+]?\d+)?)`;
const QUESTION = new RegExp(String.raw`^\s*(?:\w+\s*=\s*${LITERAL}\s*)?question\(\s*${TEXT}\s*(?:,\s*(?:\w+|${LITERAL})\s*)?\)\s*$`);
const GUESS = new RegExp(String.raw`^\s*predict\(\s*${TEXT}\s*(?:,\s*unit\s*=\s*${TEXT}\s*)?,?\s*\)\s*$`);
const CHECK = new RegExp(String.raw`^\s*check\(\s*${TEXT}\s*,\s*\w+\s*,?\s*\)\s*$`);

const buttons = new WeakMap(); // by the cell whose code they open and close

// The text above a question has its class, because a style sheet that looks at the next cell (`:has(+ …)`) makes the
// browser compute all cells' styles anew for each cell that it draws.
export const joinText = node => {
  node?.classList.toggle(ASKED, Boolean(node.nextElementSibling?.matches(CLOSED_QUESTION)));
};

const show = (cell, isClosed) => {
  cell.node.classList.toggle(CLOSED, isClosed);
  joinText(cell.node.previousElementSibling);
  const button = buttons.get(cell);
  if (button) button.ariaExpanded = String(!isClosed);
};

const isClosed = cell => cell.node.classList.contains(CLOSED);

// The button that opens and closes a cell's code, for its strip or that of its exercise.
export const codeButton = (cell, textContent, title = '') => {
  const onclick = () => show(cell, !isClosed(cell));
  const button = make('button', { type: 'button', className: BUTTON, textContent, title, ariaExpanded: 'true', onclick });
  buttons.set(cell, button);
  return button;
};

export const closeCode = cell => {
  const code = cell.model.sharedModel.getSource(), isCheck = CHECK.test(code);
  cell.node.classList.toggle(CHECKING, isCheck);
  if (isCheck || QUESTION.test(code) || GUESS.test(code)) show(cell, true);
};

// Who edits a cell sees its code. An arrow key, which leads from the code of one cell into that of the next, only selects it.
export const openWhenEdited = ({ content }) => {
  const follow = () => {
    const edited = content.mode === 'edit' ? content.activeCell : null;
    if (!edited || !isClosed(edited)) return;
    if (isArrow()) queueMicrotask(() => (content.mode = 'command')); // JupyterLab goes on to set it
    else show(edited, false);
  };
  content.stateChanged.connect((_, { name }) => name === 'mode' && follow());
  content.activeCellChanged.connect(follow); // before the cell's code gets the focus
};
