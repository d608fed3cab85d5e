// A notebook is saved when its points change, so that the page and the record of the points agree after its tab is closed.

const RECORDS = /^\s*(?:check|question|reveal)\(/m, PRESSED = '.nnopt-box';
const SETTLES = 300, FOLLOWS = 1500; // milliseconds until a run's output is there, and a form's
const waiting = new WeakMap(); // of panels, the timer of the save to come

// JupyterLab takes a save that begins during another one for a change by somebody else, and asks what to do; so does its
// own, which comes by a timer. One that is asked for meanwhile, however often, follows once. A change that is made
// during a save is not in its file; JupyterLab would take it for saved.
const inTurn = new WeakMap(); // of contexts, which two views of a notebook share, whether a save runs
export const saveInTurn = context => {
  if (inTurn.has(context)) return;
  const saveNow = context.save.bind(context);
  let running, next, isChanged = false;
  context.model.contentChanged.connect(() => { isChanged = true; });
  context.saveState.connect((_, state) => { // the contents are taken next, with what widgets add to them now
    if (state === 'started') queueMicrotask(() => { isChanged = false; });
  });
  inTurn.set(context, () => Boolean(running));
  const begin = () => {
    next = undefined;
    running = saveNow().finally(() => {
      running = undefined;
      if (isChanged && !context.isDisposed) context.model.dirty = true;
    });
    return running;
  };
  context.save = () => running ? next ??= running.catch(() => {}).then(begin) : next ?? begin();
};

// Quietly: a save that JupyterLab would ask about, or refuse, is left to the learner.
const save = async (app, { context, isUntitled }) => {
  const { path, model, contentsModel } = context;
  if (isUntitled || model.readOnly || !model.dirty || !contentsModel?.writable) return;
  if (inTurn.get(context)?.()) return context.save(); // the file's time is not known before the running one ends
  const { last_modified } = await app.serviceManager.contents.get(path, { content: false });
  if (last_modified === context.contentsModel?.last_modified) await context.save();
};

const saveSoon = (app, panel, delay) => {
  clearTimeout(waiting.get(panel));
  waiting.set(panel, setTimeout(() => {
    if (!panel.isDisposed) save(app, panel).catch(() => {}); // the file or the server is gone
  }, delay));
};

const panelOf = (app, isIt) => [...app.shell.widgets('main')].find(panel => panel.context && isIt(panel));

// After a run that counts, and after a press in a form, which the kernel answers.
export const saveAfter = (app, actions) => {
  actions.executed.connect((_, { notebook, cell }) => {
    const panel = RECORDS.test(cell.model.sharedModel.getSource()) && panelOf(app, ({ content }) => content === notebook);
    if (panel) saveSoon(app, panel, SETTLES);
  });
  const pressed = ({ type, key, target }) => {
    const isPress = type === 'click' ? target.closest?.('button') : key === 'Enter';
    const form = isPress && target.closest?.(PRESSED);
    const panel = form && panelOf(app, ({ node }) => node.contains(form));
    if (panel) saveSoon(app, panel, FOLLOWS);
  };
  for (const type of ['click', 'keydown']) window.addEventListener(type, pressed, true); // a field keeps its keys
};
