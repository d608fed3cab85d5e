// A card, or the top of a playground, stays in sight after its cell has run. JupyterLab scrolls to the next cell when a run begins, before the card
// is there, which can push the card, or most of it, out of the window. A form for a guess gets the focus.

const CARD = '.jp-OutputArea-output :is(.nnopt-help, [role=note], .nnopt-form)';
const PLAYGROUND = '.jp-OutputArea-output .widget-vbox:has(> .nnopt-figure)';
const GUESS = '.jp-OutputArea-output .nnopt-box input[type=text]', GUESSES = /^\s*predict\(/m;
const SETTLES = 100; // milliseconds until an output has its height

const bringIntoView = (notebook, cell) => {
  const card = cell.node.querySelector(CARD) ?? cell.node.querySelector(PLAYGROUND);
  if (!card) return;
  const isTall = card.offsetHeight > notebook.node.clientHeight;
  card.scrollIntoView({ block: isTall ? 'start' : 'nearest' });
};

export const settled = () => new Promise(resolve => setTimeout(resolve, SETTLES));

// JupyterLab scrolls further than a card needs, so only to a cell that it has not drawn yet.
export const showVerdict = async (notebook, cell) => {
  if (!cell.node.isConnected) await notebook.scrollToItem(notebook.widgets.indexOf(cell), 'auto').catch(() => {});
  await settled();
  bringIntoView(notebook, cell);
};

// While cells run, JupyterLab may scroll further than their card needs: the page goes back as far as the card stays in
// sight, and at most to where an element above it was.
export const scrollBack = ({ outerNode }, check, { node }, top) => {
  const card = check.node.querySelector(CARD);
  if (!card) return;
  const space = outerNode.getBoundingClientRect().bottom - card.getBoundingClientRect().bottom;
  const back = Math.min(space, top - node.getBoundingClientRect().top);
  if (back > 0) outerNode.scrollBy(0, -back);
};

const offered = new WeakSet(); // cells with a form that has had the focus: it must not take the focus again and again
const wanted = new WeakSet(); // cells whose form the learner has asked for, again or not

export const wantForm = ({ model }) => wanted.add(model);

const focusGuess = ({ model, node }) => {
  const field = GUESSES.test(model.sharedModel.getSource()) && node.querySelector(GUESS);
  const isWanted = wanted.has(model);
  if (isWanted && !field) node.focus({ preventScroll: true }); // a card says what the form needs
  if (!field || !isWanted && (field.value || offered.has(model))) return;
  wanted.delete(model);
  offered.add(model);
  field.focus();
};

// After a run of all cells, the last one is active though the learner may read far above it.
const isNear = ({ node: page }, { node }) => {
  const { top, bottom, height } = page.getBoundingClientRect(), cell = node.getBoundingClientRect();
  return cell.bottom > top - height && cell.top < bottom + height;
};

export const keepCardsInSight = actions => {
  actions.executed.connect(async (_, { notebook, cell }) => {
    await settled();
    const place = notebook.widgets.indexOf(cell);
    const stayed = place >= 0 && [place, place + 1].includes(notebook.activeCellIndex); // else the learner went on
    if (!stayed || !isNear(notebook, cell)) return;
    bringIntoView(notebook, cell);
    if (notebook.mode === 'command') focusGuess(cell);
  });
};
