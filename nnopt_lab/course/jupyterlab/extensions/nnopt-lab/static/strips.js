// A strip is a row of buttons, or a field with a button, under a cell's code. A press runs cells and leaves the focus.

const STRIP = 'nnopt-strip', CONTROL = '.jupyter-widgets, .nnopt-cover';

let actions; // NotebookActions of JupyterLab

export const make = (tag, properties, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

// The button of a strip that commits what was written.
export const makeButton = (textContent, onclick, title = '') =>
  make('button', { type: 'button', className: 'nnopt-commits', textContent, title, onclick });

// JupyterLab's plain shortcuts, such as Enter, which edits a cell, and B, which adds one, don't work in a strip; its
// others, such as those to save and to run, do.
const isPlain = event => !(event.ctrlKey || event.metaKey || event.altKey || (event.shiftKey && event.key === 'Enter'));
const onkeydown = event => { if (isPlain(event)) event.stopPropagation(); }; // the notebook would take the focus

// A newer JupyterLab handles shortcuts after the strip, an older one before it.
const suppressShortcuts = event => {
  event.target.closest?.(`.${STRIP}, ${CONTROL}`)?.toggleAttribute('data-lm-suppress-shortcuts', isPlain(event));
};

// Nor do they work in a widget: an arrow there chooses a value, and must neither leave the cell nor fold its section.
const keepKeys = ({ target }) => target.closest?.(CONTROL)?.addEventListener('keydown', onkeydown);

export const begin = notebookActions => {
  actions = notebookActions;
  window.addEventListener('keydown', suppressShortcuts, true); // before JupyterLab, which listens to the document
  document.addEventListener('focusin', keepKeys);
};

// What was typed into a box's field is committed by the keys that run a cell, too. The cell itself does not run, which
// would draw the box anew, without what was typed and what is wrong with it.
const commits = ({ key, shiftKey, ctrlKey, altKey, isComposing, target }) =>
  key === 'Enter' && shiftKey !== ctrlKey && !altKey && !isComposing && Boolean(target.value.trim())
  && target.closest('.nnopt-box .widget-hbox')?.querySelector('button.mod-primary');

// A widget's field keeps all keys to itself, so that nothing could be saved or run from it.
export const passShortcuts = ({ commands }) => {
  const pass = event => {
    if (!event.target.closest?.('.widget-text input') || isPlain(event)) return;
    const button = commits(event);
    if (!button) return commands.processKeydownEvent(event);
    event.preventDefault();
    event.stopPropagation();
    event.target.dispatchEvent(new Event('change', { bubbles: true })); // the number, before it is committed
    button.click();
    if (event.shiftKey) commands.execute('notebook:move-cursor-down');
  };
  window.addEventListener('keydown', pass, true);
};

export const outputsOf = ({ outputs }) => Array.from({ length: outputs.length }, (_, place) => outputs.get(place));

// The code cells of the open notebooks, each as (panel, cell).
export function* codeCells(app) {
  for (const panel of app.shell.widgets('main')) {
    const cells = panel.content?.widgets;
    for (const cell of Array.isArray(cells) ? cells : []) { // of other panels, it may be a function
      if (cell.model?.type === 'code') yield [panel, cell];
    }
  }
}

// The strip of a cell, which is made if there is none; null as long as the cell is not drawn.
export const stripOf = (cell, label, parts) => {
  const code = cell.node.querySelector(':scope > .jp-Cell-inputWrapper');
  const found = cell.node.querySelector(`:scope > .${STRIP}`);
  if (found || !code) return found;
  const made = make('div', { className: STRIP, role: 'group', ariaLabel: label, onkeydown }, ...parts());
  code.after(made);
  return made;
};

export const buttonOf = cell => cell.node.querySelector(`:scope > .${STRIP} button`);

// JupyterLab leaves a cell's code, and takes the focus, when it runs one.
const holdFocus = notebook => {
  const held = document.activeElement, isEditing = notebook.mode === 'edit';
  return () => {
    if (isEditing) notebook.mode = 'edit';
    else held?.focus({ preventScroll: true });
  };
};

// Run cells with one command, up to one that fails.
export const runTogether = async ({ content, sessionContext }, cells) => {
  const giveBack = holdFocus(content);
  const run = actions.runCells(content, cells, sessionContext);
  giveBack();
  await run.catch(() => {}); // its output tells
  if (cells.some(({ node }) => document.activeElement === node)) giveBack(); // it took the focus late
};

// The card of a failed cell is there before its kernel is idle, which until then drops what it is asked to run.
export const idle = async ({ sessionContext }) => {
  for (let n = 0; n < 20 && sessionContext.session?.kernel?.status === 'busy'; n += 1) {
    await new Promise(done => setTimeout(done, 100));
  }
};

// Run one cell after the other, also after one that fails.
export const runCells = async (panel, cells) => {
  for (const cell of cells) await runTogether(panel, [cell]);
};
