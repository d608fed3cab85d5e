// An extension of JupyterLab without a build step: this file is what a bundler would have made of it.
(() => {
  const START_PAGE = 'course.md';
  const SECONDS = 2;

  // JupyterLab does not notice that a kernel has written a file that is open.
  const reloadStartPage = async app => {
    for (const { context, isVisible } of app.shell.widgets('main')) {
      const isStartPage = context?.path?.split('/').pop() === START_PAGE; // also in a language's own folder
      if (!isStartPage || !isVisible || document.hidden || context.model.dirty) continue;
      const found = await app.serviceManager.contents.get(context.path, { content: false });
      if (found.last_modified !== context.contentsModel?.last_modified) await context.revert();
    }
  };

  // What a screen reader says: ipywidgets names neither a slider's handle nor a group of radio buttons, and the handle
  // would speak another value than the one that is shown.
  const name = (element, attributes) => {
    for (const [key, text] of Object.entries(attributes)) {
      if (element && text && element.getAttribute(key) !== text) element.setAttribute(key, text);
    }
  };
  const nameControls = () => {
    for (const control of document.querySelectorAll('.widget-slider, .widget-radio')) {
      const said = selector => control.querySelector(selector)?.textContent.trim();
      const label = { 'aria-label': said('.widget-label') };
      name(control.querySelector('.noUi-handle'), { ...label, 'aria-valuetext': said('.widget-readout') });
      name(control.querySelector('.widget-radio-box'), { ...label, role: 'radiogroup' });
    }
  };

  const plugin = {
    id: 'nnopt-lab:course',
    description: 'Reloads the start page when it changes, and names controls for screen readers.',
    autoStart: true,
    activate: app => {
      const follow = () => reloadStartPage(app).catch(() => {}); // the page may have been renamed or deleted
      app.shell.currentChanged?.connect(follow);
      setInterval(follow, 1000 * SECONDS);
      let waiting = 0;
      new MutationObserver(() => {
        cancelAnimationFrame(waiting);
        waiting = requestAnimationFrame(nameControls);
      }).observe(document.body, { childList: true, subtree: true, characterData: true });
    }
  };

  const container = { init: () => {}, get: async () => () => ({ __esModule: true, default: plugin }) };
  (window._JUPYTERLAB ??= {})['nnopt-lab'] = container;
})();
