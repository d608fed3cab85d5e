// The panel with a lesson's contents.

import { settled } from './verdicts.js';

const OWN = '.jp-tocItem-heading > .jp-tocItem-content', ENTRY = `.jp-TableOfContents ${OWN}`;
const HEADINGS = 'h1, h2, h3, h4, h5, h6';
const TRIES = 5; // the cells around take their heights only when they come into view
const ALL = 60_000; // ms, for all cells

const CONTENTS = 'table-of-contents'; // JupyterLab's id of the panel

const NARROW = window.matchMedia('(max-width: 1000px)'); // a lesson needs the whole of such a window
const HIDDEN = 'nnopt-lab:panel-hidden'; // kept, because JupyterLab keeps the panel's state over a reload

// A second tab of the browser has a new workspace, with JupyterLab's own layout (lab_layout.py makes only the first one's),
// in which the file browser is open. Where there is a layout, the panel is as the learner left it.
export const beginWithContents = async ({ restored, shell }) => {
  const { fresh } = await shell.restored;
  await restored; // JupyterLab has opened the file browser
  if (fresh) shell.activateById(CONTENTS);
};

// Hide the panel in a narrow window, and show it again in a wide one. In between, it is the learner's.
export const fitPanel = ({ shell }) => {
  const fit = () => {
    if (NARROW.matches && !shell.leftCollapsed) {
      shell.collapseLeft();
      localStorage.setItem(HIDDEN, 'true');
    } else if (!NARROW.matches && localStorage.getItem(HIDDEN)) {
      localStorage.removeItem(HIDDEN);
      shell.expandLeft();
    }
  };
  fit();
  NARROW.addEventListener('change', fit);
};

// The contents mark a section in which a cell failed with ⚠, which would alarm where a card explains what to do. They
// take a run without an error for no failure, and are told of it after this.
export const hideExplainedErrors = actions => {
  actions.executed.connect((_, run) => {
    const outputs = run.cell.model.outputs?.toJSON() ?? [];
    if (outputs.length && outputs.every(output => output.output_type !== 'error')) run.error = null;
  });
};

// JupyterLab draws the cells of a notebook in its idle time, of which a long lesson on a busy computer leaves little, and
// gives up to scroll to one that comes late.
export const drawn = async (content, cell) => {
  if (cell.isPlaceholder()) await content._runOnIdleTime?.(ALL); // JupyterLab has no public way
  await cell.ready;
};

const isInSight = (outer, part) => {
  const { top, bottom } = outer.getBoundingClientRect(), at = part.getBoundingClientRect();
  return at.bottom > top && at.top < bottom;
};

// Scroll to a cell, or to its part, until it stays in sight; not if another cell becomes the active one meanwhile.
export const bringToCell = async (content, cell, block, part = () => cell.node) => {
  await drawn(content, cell);
  for (let n = 0; n < TRIES && content.activeCell === cell && !cell.isDisposed; n += 1) {
    await settled();
    if (isInSight(content.outerNode, part())) return;
    part().scrollIntoView({ block });
  }
};

// A tab behind others has no heights yet.
export const shown = ({ node }) => new Promise(resolve => {
  const observer = new IntersectionObserver(entries => {
    if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
    observer.disconnect();
    resolve();
  });
  observer.observe(node);
});

// A page that ends above the window's bottom is mostly white: the notebook's end comes down to it.
export const fillPage = ({ outerNode, widgets }) => {
  const { node } = widgets.at(-1);
  const space = outerNode.getBoundingClientRect().bottom - node.getBoundingClientRect().bottom;
  if (node.isConnected && space > 0) outerNode.scrollBy(0, -space);
};

const follow = async (content, title) => {
  await settled(); // JupyterLab has chosen the cell
  const cell = content.activeCell;
  await drawn(content, cell);
  if (content.activeCell !== cell) return;
  content.activate();
  const heading = () =>
    [...cell.node.querySelectorAll(HEADINGS)].find(({ textContent }) => textContent.includes(title)) ?? cell.node;
  await bringToCell(content, cell, 'start', heading);
};

// A press on an entry, or Enter there, leads to its cell, with the keys.
export const followContents = ({ shell }) => {
  const lead = entry => {
    const content = shell.currentWidget?.content;
    if (!entry || !content?.activeCell) return;
    follow(content, entry.textContent.trim()).catch(() => {}); // the notebook was closed
  };
  document.addEventListener('click', ({ target }) => target.closest?.('button') || lead(target.closest?.(ENTRY)));
  document.addEventListener('keyup', ({ key, target }) => key === 'Enter' && lead(target.querySelector?.(`:scope > ${OWN}`)));
};
