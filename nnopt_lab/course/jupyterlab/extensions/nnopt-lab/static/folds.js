// A folded cell shows its number of execution, as an open one does.

export const numberFolds = app => {
  for (const panel of app.shell.widgets('main')) {
    const cells = panel.content?.widgets;
    for (const cell of Array.isArray(cells) ? cells : []) {
      const bar = cell.inputHidden && cell.node.querySelector(':scope .jp-InputPlaceholder .jp-Placeholder-prompt');
      const number = bar && cell.inputArea?.promptNode?.textContent;
      if (number && bar.textContent !== number) bar.textContent = number;
    }
  }
};
