// A card stays in sight after its cell has run. JupyterLab scrolls to the next cell when a run begins, before the card
// is there, which can push the card, or most of it, out of the window.

const CARD = '.jp-OutputArea-output [role=note]';
const SETTLES = 100; // milliseconds until an output has its height

const bringIntoView = (notebook, cell) => {
  const place = notebook.widgets.indexOf(cell), card = cell.node.querySelector(CARD);
  const stayed = place >= 0 && [place, place + 1].includes(notebook.activeCellIndex); // else the learner went on
  if (!card || !stayed) return;
  const isTall = card.offsetHeight > notebook.node.clientHeight;
  card.scrollIntoView({ block: isTall ? 'start' : 'nearest' });
};

export const keepCardsInSight = actions => {
  actions.executed.connect((_, { notebook, cell }) => setTimeout(() => bringIntoView(notebook, cell), SETTLES));
};
