// The kernels of the lessons that the learner has left, and those that start. The texts of the offer to stop the former
// are Python's (other_kernels.py); here are the lessons' names, and the stopping.

const BOX = '.nnopt-others', NAMES = '.nnopt-names', ENDING = '.ipynb';
const stopped = new WeakMap(); // of panels, the kernel's name, to start one when the learner returns

const panels = app => [...app.shell.widgets('main')].filter(({ sessionContext }) => sessionContext);
const others = (app, own) => [...app.serviceManager.sessions.running()]
  .filter(({ kernel, path }) => kernel && path?.endsWith(ENDING) && path !== own);
const nameOf = ({ path }) => path.split('/').pop().slice(0, -ENDING.length);

// Show each offer while other lessons run, with their names.
export const showOthers = app => {
  for (const panel of panels(app)) {
    for (const box of panel.node.querySelectorAll(BOX)) {
      const names = others(app, panel.context?.path).map(nameOf).sort().join(', ');
      const display = names ? 'block' : 'none', place = box.querySelector(NAMES);
      if (box.style.display !== display) box.style.display = display;
      if (place && place.textContent !== names) place.textContent = names;
    }
  }
};

// Stop the others that compute nothing. Their notebooks stay open and unchanged.
export const stopOthers = async app => {
  const { sessions } = app.serviceManager;
  await sessions.refreshRunning();
  for (const { id, path, kernel } of others(app, app.shell.currentWidget?.context?.path)) {
    if (kernel.execution_state !== 'idle') continue;
    const open = panels(app).filter(({ context }) => context?.path === path);
    open.forEach(panel => stopped.set(panel, kernel.name));
    await (open.length ? open[0].sessionContext.shutdown() : sessions.shutdown(id));
  }
  await sessions.refreshRunning();
  showOthers(app);
};

// A notebook whose kernel was stopped has a new one as soon as the learner returns to it.
export const startAgain = async app => {
  const panel = app.shell.currentWidget, name = stopped.get(panel);
  stopped.delete(panel);
  if (name && panel.sessionContext.hasNoKernel) await panel.sessionContext.changeKernel({ name });
};

const STARTS = 60_000; // milliseconds for which a run waits
const starting = new WeakMap(); // of session contexts, when their first kernel is there

export const noteStart = ({ sessionContext }) => {
  const ready = sessionContext.ready.catch(() => {});
  const started = Promise.race([ready, new Promise(done => setTimeout(done, STARTS))]);
  starting.set(sessionContext, started.then(() => starting.delete(sessionContext)));
};

// Cells that are run while their lesson's kernel still starts wait for it. JupyterLab would ask for a kernel, and forget
// the run.
export const runOnceStarted = actions => {
  for (const [name, run] of Object.entries(actions).filter(([key]) => /^run/.test(key))) {
    actions[name] = (...given) => {
      const started = given.map(part => starting.get(part)).find(Boolean);
      return started ? started.then(() => run(...given)) : run(...given);
    };
  }
};
