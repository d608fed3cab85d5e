// Buttons, or a box for a number, under the cell of a question. A press writes the answer into the cell's code, which is
// what graders read and `nnopt update` keeps, and runs the cell.

import { givenAnswer, isNumber, plainNumber, withAnswer } from './answers.js';
import { closeCode, codeButton, joinText } from './closed.js';
import { codeCells, make, makeButton, runCells, stripOf } from './strips.js';

const OPTIONS = 'nnopt-options', WORDED = 'nnopt-worded'; // class of a question's buttons, and once they have texts
const ASKING = 'nnopt-asking'; // class of a cell with a strip, whose output needs no buttons of its own
const READY = 'from nnopt_lab.course.calls import question'; // for a press before the lesson's first cell has run

const idOf = cell => cell.model.getMetadata('question');

const answer = async (panel, cell, literal) => {
  const { content, sessionContext } = panel, shared = cell.model.sharedModel;
  shared.setSource(withAnswer(shared.getSource(), idOf(cell), literal));
  content.activeCellIndex = content.widgets.indexOf(cell);
  content.mode = 'command'; // else the cursor would stay in another cell's code
  sessionContext?.session?.kernel?.requestExecute({ code: READY, silent: true, store_history: false });
  await runCells(panel, [cell]);
};

const letters = (asks, give) => {
  const buttons = asks.choices.map(letter => make('button', {
    type: 'button', value: letter, textContent: letter, onclick: () => give(`"${letter}"`)
  }));
  return [make('div', { className: OPTIONS }, ...buttons)];
};

const number = (asks, give) => {
  const placeholder = asks.placeholder ?? '';
  const box = make('input', { type: 'text', inputMode: 'decimal', ariaLabel: asks.label, placeholder });
  const refused = make('span', { role: 'alert' });
  const commit = () => {
    const text = plainNumber(box.value);
    refused.textContent = isNumber(text) ? '' : asks.refused;
    if (isNumber(text)) give(text.replace(/^([-+]?)0+(?=\d)/, '$1')); // Python knows no 013
  };
  box.onkeydown = event => { if (event.key === 'Enter') commit(); };
  return [box, makeButton(asks.button, commit), refused];
};

const parts = (panel, cell, asks) => {
  const give = literal => answer(panel, cell, literal);
  const code = asks.code ? [codeButton(cell, asks.code, asks.tip)] : []; // a copy of an earlier course has no word for it
  return [make('span', { textContent: asks.label }), ...(asks.choices.length ? letters : number)(asks, give), ...code];
};

// A change of the code is shown once, so that what is being typed stays.
const showGiven = (strip, given = '') => {
  if (strip.dataset.given === given) return;
  strip.dataset.given = given;
  const box = strip.querySelector('input');
  if (box) box.value = given;
  for (const button of strip.querySelectorAll(`.${OPTIONS} > button`)) button.ariaPressed = String(button.value === given);
};

// The options stand once on the page: the prose's list of them moves into the buttons.
const showTexts = ({ widgets }, cell) => {
  const options = cell.node.querySelector(`:scope > .nnopt-strip > .${OPTIONS}:not(.${WORDED})`);
  if (!options) return;
  const items = widgets[widgets.indexOf(cell) - 1]?.node.querySelectorAll('.nnopt-choices > li');
  if (items?.length !== options.children.length) return; // not drawn yet, or the learner's own text
  items.forEach((item, n) => options.children[n].replaceChildren(...item.cloneNode(true).childNodes));
  options.classList.add(WORDED);
};

// Give every question of the open notebooks its strip, and show the answer that its code has.
export const offerAnswers = app => {
  for (const [panel, cell] of codeCells(app)) {
    const asks = cell.model.getMetadata('asks');
    if (!Array.isArray(asks?.choices) || cell.model.getMetadata('editable') === false) continue;
    const strip = stripOf(cell, asks.label, () => parts(panel, cell, asks));
    if (!strip) continue;
    if (asks.code && !cell.node.classList.contains(ASKING)) closeCode(cell);
    cell.node.classList.add(ASKING);
    showTexts(panel.content, cell);
    showGiven(strip, givenAnswer(cell.model.sharedModel.getSource(), idOf(cell)));
  }
  document.querySelectorAll('.jp-Notebook .jp-Cell').forEach(joinText); // cells may have moved
};
