// In a new kernel, what a press runs may need cells above it that have not run. If it is known which, they run first.

import { idle, runCells } from './strips.js';

const BUTTONS = '[data-commandlinker-command="nnopt-lab:run-above-and-this"]'; // of skipped_cells.py

const READYING = 'nnopt-readying'; // class of a cell whose card is about to make way

// The cells that the card of a cell that has failed says it needs.
const neededFor = ({ widgets }, { node }) => {
  const buttons = [...node.querySelectorAll(BUTTONS)];
  const ids = buttons.flatMap(({ dataset }) => JSON.parse(dataset.commandlinkerArgs).cells ?? []);
  return widgets.filter(({ model }) => ids.includes(model.id));
};

export const runWithNeeded = async (panel, cells) => {
  await runCells(panel, cells);
  const last = cells.at(-1), needed = neededFor(panel.content, last);
  if (!needed.length) return;
  last.node.classList.add(READYING);
  await idle(panel);
  await runCells(panel, [...needed, ...cells]);
  last.node.classList.remove(READYING);
};
