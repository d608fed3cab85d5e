// A folded cell is a quiet line: its label without the sign of a comment, and its number of execution, as an open cell
// has one.

const WAITS = 'nnopt-waits'; // class of the number of a cell that runs, or will

const say = (element, text) => {
  if (element && text && element.textContent !== text) element.textContent = text;
};

export const dressFolds = app => {
  for (const panel of app.shell.widgets('main')) {
    const cells = panel.content?.widgets;
    for (const cell of Array.isArray(cells) ? cells : []) {
      const line = cell.inputHidden && cell.node.querySelector(':scope > .jp-Cell-inputWrapper > .jp-InputPlaceholder');
      if (!line) continue;
      const prompt = line.querySelector('.jp-Placeholder-prompt'), label = line.querySelector('.jp-PlaceholderText');
      say(prompt, cell.inputArea?.promptNode?.textContent);
      prompt?.classList.toggle(WAITS, prompt.textContent.includes('*'));
      say(label, label?.textContent.replace(/^# /, ''));
    }
  }
};
