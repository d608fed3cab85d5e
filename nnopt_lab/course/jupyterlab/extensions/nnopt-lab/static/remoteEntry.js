// An extension of JupyterLab without a build step: this file is what a bundler would have made of it.
(() => {
  const HERE = document.currentScript.src;
  const START_PAGE = 'course.md', START_TITLE = 'NNOpt Lab';
  const SECONDS = 2;
  const PARTS = [
    'answers', 'closed', 'contents', 'copies', 'covers', 'earlier', 'ended', 'figures', 'focus', 'folds', 'guesses',
    'held', 'hints', 'kernels', 'keys', 'needed', 'outdated', 'questions', 'renewing', 'saving', 'strips', 'tasks',
    'tries', 'units', 'verdicts', 'waits'
  ];
  const STYLE = new URL('course.css', HERE);

  const addStyle = () => {
    const link = document.createElement('link');
    Object.assign(link, { rel: 'stylesheet', href: STYLE.href });
    document.head.append(link);
  };

  // With it, the browser takes a Chinese font's glyphs, and the style sheet slants none of them.
  const tellLanguage = (node, text, chinese) => {
    if (chinese.test(text)) node.lang = 'zh';
  };

  // JupyterLab does not notice that a kernel has written a file that is open.
  const reloadStartPage = async (app, parts) => {
    for (const { context, isVisible, node } of app.shell.widgets('main')) {
      const isStartPage = context?.path?.split('/').pop() === START_PAGE; // also in a language's own folder
      if (isStartPage) node.classList.add('nnopt-start');
      if (isStartPage) tellLanguage(node, context.model.toString(), parts.HAN);
      if (!isStartPage || !isVisible || document.hidden || context.model.dirty) continue;
      const found = await app.serviceManager.contents.get(context.path, { content: false });
      if (found.last_modified !== context.contentsModel?.last_modified) await context.revert();
    }
  };

  // The start page's tab has the course's name. A new label of the page itself would rename its file.
  const nameStartTab = () => {
    for (const label of document.querySelectorAll('.lm-DockPanel-tabBar .lm-TabBar-tabLabel')) {
      if (label.textContent === START_PAGE) label.textContent = START_TITLE;
    }
  };

  // What a screen reader says: ipywidgets names neither a slider's handle nor a group of radio buttons, and the handle
  // would speak another value than the one that is shown.
  const name = (element, attributes) => {
    for (const [key, text] of Object.entries(attributes)) {
      if (element && text && element.getAttribute(key) !== text) element.setAttribute(key, text);
    }
  };
  // Nor are its radio buttons a group: each would be a stop of the Tab key, and the arrows would go on to the next row.
  const groups = new WeakMap(); // names by the box of a group; two views of a widget are two groups
  const group = box => {
    if (!groups.has(box)) groups.set(box, `nnopt-${crypto.getRandomValues(new Uint32Array(2)).join('-')}`);
    for (const radio of box.querySelectorAll('input[type="radio"]')) name(radio, { name: groups.get(box) });
  };
  const nameControls = () => {
    document.querySelectorAll('.widget-radio-box').forEach(group);
    for (const control of document.querySelectorAll('.widget-slider, .widget-radio')) {
      const said = selector => control.querySelector(selector)?.textContent.trim();
      const label = { 'aria-label': said('.widget-label') };
      name(control.querySelector('.noUi-handle'), { ...label, 'aria-valuetext': said('.widget-readout') });
      name(control.querySelector('.widget-radio-box'), { ...label, role: 'radiogroup' });
    }
    for (const button of document.querySelectorAll('.widget-toggle-button')) {
      name(button, { 'aria-pressed': String(button.classList.contains('mod-active')) });
    }
  };

  // The buttons under a cell that needs a cell above it which has not run (skipped_cells.py). A cell that the notebook
  // has no more may have been needed.
  const runAboveAndThis = async ({ commands, shell }, parts, { cells: ids = [] }) => {
    const panel = shell.currentWidget, { widgets, activeCell } = panel.content;
    const needed = widgets.filter(({ model }) => ids.includes(model.id));
    await parts.idle(panel);
    if (ids.length && needed.length === ids.length) return parts.runCells(panel, [...needed, activeCell]);
    await commands.execute('notebook:run-all-above');
    await commands.execute('notebook:run-cell');
  };

  // Until the learner changes something, neither what a kernel tells of its language nor the widgets that it still has
  // are a change.
  const keepClean = ({ model, ready }) => {
    let isChanged = false, isTold = false;
    model.metadataChanged.connect((_, { key }) => {
      isTold = key === 'language_info';
      queueMicrotask(() => (isTold = false));
    });
    model.stateChanged.connect((_, { name, newValue }) => {
      if (name === 'dirty' && newValue && !isChanged) queueMicrotask(() => (model.dirty &&= isChanged));
    });
    ready.then(() => model.contentChanged.connect(() => (isChanged ||= !isTold))).catch(() => {});
  };

  // After a link to a cell, Shift+Enter runs that cell. JupyterLab itself only scrolls to it.
  const select = (content, id) => {
    const place = content.widgets.findIndex(cell => cell.model.id === id);
    if (place < 0) return;
    content.activeCellIndex = place;
    content.mode = 'command';
    content.activate();
  };

  // A link to an answer's cell shows the text of its exercise or question, which is above it.
  const textOf = ({ widgets }, id) => {
    const place = widgets.findIndex(({ model }) => model.id === id), answer = widgets[place]?.model;
    if (!answer?.getMetadata('exercise') && !answer?.getMetadata('question')) return;
    return widgets.slice(0, place).findLast(({ model }) => model.type === 'markdown');
  };

  // The text may follow a page of prose in its cell.
  const showText = async (content, cell, parts) => {
    await content.setFragment(`#cell-id=${cell.model.id}`);
    await parts.settled();
    cell.node.querySelector('.nnopt-task')?.scrollIntoView();
  };

  // A cell that was added at the end, as Shift+Enter does, may not be in the file: its place leads to the end, too.
  const lastPlace = ({ widgets }, key) => {
    const [id, place] = (localStorage.getItem(key) ?? '').split(' ');
    const found = widgets.findIndex(({ model }) => model.id === id);
    return found < 0 && place ? Math.min(Number(place), widgets.length - 1) : found;
  };

  const notePlaces = (content, key) => content.activeCellChanged.connect((_, cell) => {
    if (cell) localStorage.setItem(key, `${cell.model.id} ${content.activeCellIndex}`);
  });

  // A notebook opens where the learner was, unless a link says where.
  const returnToPlace = async (panel, context, parts) => {
    const key = `nnopt-lab:place:${context.path}`;
    const setFragment = panel.setFragment.bind(panel);
    let link = '';
    panel.setFragment = fragment => {
      link = fragment;
      const id = new URLSearchParams(fragment.replace(/^#/, '')).get('cell-id');
      Promise.all([context.ready, panel.revealed]).then(() => {
        const text = textOf(panel.content, id);
        select(panel.content, id);
        return text ? showText(panel.content, text, parts) : setFragment(fragment);
      }).catch(() => {});
    };
    await Promise.all([context.ready, panel.revealed]);
    const { content } = panel;
    const place = lastPlace(content, key), returns = place > 0 && !link;
    if (returns) Object.assign(content, { activeCellIndex: place, mode: 'command' });
    notePlaces(content, key);
    await parts.shown(panel);
    if (returns) await parts.bringToCell(content, content.widgets[place], 'center');
    if (returns && content.activeCellIndex === place) parts.fillPage(content);
    if (returns && link) panel.setFragment(link); // it was followed meanwhile
  };

  const plugin = (parts, actions, lumino) => ({
    id: 'nnopt-lab:course',
    description: 'Follows the course, shows buttons for questions and exercises, names controls, stops kernels.',
    autoStart: true,
    activate: app => {
      parts.addCheckCommand(app);
      parts.addCopyCommand(app);
      parts.addRenewCommand(app);
      parts.passShortcuts(app);
      parts.leaveOnEscape(app);
      parts.enterField();
      parts.noteHints();
      parts.noteFolds();
      parts.noteKeys();
      parts.checkAndGoOn(app);
      parts.followContents(app);
      parts.saveAfter(app, actions);
      parts.noteBox();
      parts.followWaiting(app);
      app.commands.addCommand('nnopt-lab:run-above-and-this', {
        label: 'Run the cells above and this one',
        execute: given => runAboveAndThis(app, parts, given)
      });
      app.commands.addCommand('nnopt-lab:stop-others', {
        label: 'Stop the idle kernels of other lessons',
        execute: () => parts.stopOthers(app)
      });
      addStyle();
      app.docRegistry.addWidgetExtension('Notebook', {
        createNew: (panel, context) => {
          keepClean(context);
          parts.openWhenEdited(panel);
          parts.joinChecks(panel);
          parts.showEnded(panel);
          parts.noteRuns(panel, actions);
          parts.noteStart(panel);
          parts.saveInTurn(context);
          parts.addWaiting(panel, lumino);
          context.ready.then(() => tellLanguage(panel.node, context.model.cells.get(0).sharedModel.getSource(), parts.HAN))
            .catch(() => {});
          returnToPlace(panel, context, parts).catch(() => {}); // the notebook may be damaged, or closed at once
        }
      });
      const follow = () => reloadStartPage(app, parts).catch(() => {}); // the page may have been renamed or deleted
      app.shell.currentChanged?.connect(follow);
      app.shell.currentChanged?.connect(() => parts.startAgain(app).catch(() => {})); // JupyterLab says why not
      app.serviceManager.sessions.runningChanged.connect(() => parts.showOthers(app));
      parts.beginWithContents(app).then(() => parts.fitPanel(app)); // which a narrow window hides
      setInterval(follow, 1000 * SECONDS);
      let waiting = 0;
      new MutationObserver(() => {
        cancelAnimationFrame(waiting);
        waiting = requestAnimationFrame(() => {
          nameControls();
          nameStartTab();
          parts.goOnAfterBox(app);
          parts.reopenFolds();
          parts.focusHint();
          parts.markTasks();
          parts.joinUnits();
          parts.offerAnswers(app);
          parts.offerChecks(app);
          parts.offerGuesses(app);
          parts.coverOutputs(app);
          parts.dressFolds(app);
          parts.countWaiting(app);
          parts.hideOutdatedNotes(app);
          parts.offerToRenew(app);
          parts.showOthers(app);
        });
      }).observe(document.body, { childList: true, subtree: true, characterData: true });
    }
  });

  let shared; // JupyterLab's own modules, by name and version
  const sharedModule = async name => (await Object.values(shared[name])[0].get())();
  const load = async () => {
    const parts = await Promise.all(PARTS.map(name => import(new URL(`${name}.js`, HERE))));
    const together = Object.assign({}, ...parts), notebooks = await sharedModule('@jupyterlab/notebook');
    const lumino = await sharedModule('@lumino/widgets');
    together.runOnceStarted(notebooks.NotebookActions);
    together.begin(notebooks.NotebookActions);
    together.keepCardsInSight(notebooks.NotebookActions);
    together.greyEarlier(notebooks.NotebookActions);
    together.hideExplainedErrors(notebooks.NotebookActions); // before a notebook's contents listen
    const found = plugin(together, notebooks.NotebookActions, lumino);
    return () => ({ __esModule: true, default: found });
  };
  const container = { init: scope => { shared = scope; }, get: load };
  (window._JUPYTERLAB ??= {})['nnopt-lab'] = container;
})();
