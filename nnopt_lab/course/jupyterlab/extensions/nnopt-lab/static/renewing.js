// An answer that passes late leaves results below that were computed with the library's function. Its card says so, with a
// button that runs their cells again (`Renewing` in cards.py), as long as there are such results. A saved notebook says
// nothing of it, because a new kernel has none of the names that the cells need.

import { whenEnded } from './ended.js';
import { codeCells, runTogether } from './strips.js';

const OFFER = '.nnopt-renews', BUTTON = `${OFFER} button`, RENEWABLE = 'nnopt-renewable'; // the last: class of a cell
const ASKS = /^\s*(?:check|question|predict)\(/m; // what would count as a try, or has been answered

const ran = new WeakSet(); // cells' models that have run in the kernel that is there

const sourceOf = ({ model }) => model.sharedModel.getSource();

// What has run below a cell, except answers.
const below = ({ widgets }, cell) => widgets.slice(widgets.indexOf(cell) + 1).filter(other =>
  other.model.executionCount && !other.model.getMetadata('exercise') && !ASKS.test(sourceOf(other)));

const isOutdated = (content, cell) => {
  const button = cell.node.querySelector(BUTTON);
  if (!button || !ran.has(cell.model)) return false;
  const { name } = JSON.parse(button.dataset.commandlinkerArgs);
  const uses = new RegExp(String.raw`(?<![\w.])${name}\b(?!\s*=\s*yours_or_ours\()`);
  const count = cell.model.executionCount;
  return below(content, cell).some(other => other.model.executionCount < count && uses.test(sourceOf(other)));
};

export const offerToRenew = app => {
  for (const [{ content }, cell] of codeCells(app)) cell.node.classList.toggle(RENEWABLE, isOutdated(content, cell));
};

export const noteRuns = (panel, actions) => {
  actions.executed.connect((_, { notebook, cell }) => {
    if (notebook !== panel.content) return;
    ran.add(cell.model);
    cell.node.classList.toggle(RENEWABLE, isOutdated(notebook, cell));
  });
  whenEnded(panel, ({ widgets }) => widgets.forEach(({ model }) => ran.delete(model)));
};

export const addRenewCommand = app => {
  app.commands.addCommand('nnopt-lab:run-below', {
    label: 'Run the cells below again',
    execute: () => {
      const panel = app.shell.currentWidget, { content } = panel, pressed = document.activeElement;
      const cell = content.widgets.find(({ node }) => node.contains(pressed)) ?? content.activeCell;
      const cells = below(content, cell);
      content.activeCellIndex = content.widgets.indexOf(cell);
      content.mode = 'command';
      cell.node.focus({ preventScroll: true }); // the button makes way
      return runTogether(panel, cells);
    }
  });
};
