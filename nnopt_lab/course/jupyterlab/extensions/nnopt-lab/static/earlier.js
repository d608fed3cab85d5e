// A verdict is on the code that was checked: once other code of the exercise has run, it is grey until the check runs again.

const EARLIER = 'nnopt-earlier'; // class of a check's cell; nothing of it is saved
const CHECKS = /\bcheck\(\s*["']([^"']+)["']/;

const checked = new WeakMap(); // by a check's cell, the code that its verdict is on
const sourceOf = ({ model }) => model.sharedModel.getSource();

// In a notebook that has been opened, the verdicts are on what its exercises are then.
export const noteChecked = (check, exercise) => checked.has(check) || checked.set(check, sourceOf(exercise));

const isOf = id => ({ model }) => model.type === 'code' && sourceOf({ model }).match(CHECKS)?.[1] === id;

export const greyEarlier = actions => {
  actions.executed.connect((_, { notebook: { widgets }, cell }) => {
    const own = cell.model.getMetadata('exercise'), [, id = own] = sourceOf(cell).match(CHECKS) ?? [];
    const exercise = widgets.find(({ model }) => model.getMetadata('exercise') === id), check = widgets.find(isOf(id));
    if (!id || !exercise || !check) return;
    if (cell === check) checked.set(check, sourceOf(exercise));
    check.node.classList.toggle(EARLIER, checked.has(check) && checked.get(check) !== sourceOf(exercise));
  });
};
