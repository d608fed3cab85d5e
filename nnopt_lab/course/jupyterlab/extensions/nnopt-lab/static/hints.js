// What the learner has opened on an exercise's card stays open when a check draws the card anew.

const FOLDS = '.nnopt-help details';

const opened = new WeakMap(); // the titles of open folds, by cell
const met = new WeakSet(); // folds

const titleOf = fold => fold.firstElementChild?.textContent;

const titlesOf = fold => {
  const cell = fold.closest('.jp-Cell');
  if (cell && !opened.has(cell)) opened.set(cell, new Set());
  return opened.get(cell);
};

export const noteFolds = () => {
  document.addEventListener('toggle', ({ target }) => {
    if (target.matches?.(FOLDS)) titlesOf(target)?.[target.open ? 'add' : 'delete'](titleOf(target));
  }, true);
};

export const reopenFolds = () => {
  for (const fold of document.querySelectorAll(FOLDS)) {
    if (!met.has(fold) && titlesOf(fold)?.has(titleOf(fold))) fold.open = true;
    met.add(fold);
  }
};
