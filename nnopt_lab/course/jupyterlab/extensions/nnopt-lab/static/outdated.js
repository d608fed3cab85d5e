// Once an answer has passed, a note below that the library's function is used contradicts its card: it is hidden, until its
// cell runs again. Only a class of its cell changes: nothing of it is saved.

import { outputsOf } from './strips.js';

const OUTDATED = 'nnopt-outdated'; // class of a cell
const CHECKS = /\bcheck\(\s*["']([^"']+)["']/, BINDS = /\byours_or_ours\(\s*["']([^"']+)["']/g;

const hasPassed = model => outputsOf(model).some(({ data }) => String(data?.['text/html'] ?? '').includes('nnopt-good'));

const markCells = cells => {
  const passed = new Set();
  for (const { model, node } of cells) {
    if (model.type !== 'code') continue;
    const source = model.sharedModel.getSource(), [, checked] = source.match(CHECKS) ?? [];
    const bound = [...source.matchAll(BINDS)].map(([, id]) => id);
    if (checked && hasPassed(model)) passed.add(checked);
    node.classList.toggle(OUTDATED, bound.length > 0 && bound.every(id => passed.has(id)));
  }
};

export const hideOutdatedNotes = app => {
  for (const { content } of app.shell.widgets('main')) {
    if (Array.isArray(content?.widgets) && content.widgets[0]?.model?.sharedModel) markCells(content.widgets);
  }
};
