// The panel with a lesson's contents.

const NARROW = window.matchMedia('(max-width: 1000px)'); // a lesson needs the whole of such a window
const HIDDEN = 'nnopt-lab:panel-hidden'; // kept, because JupyterLab keeps the panel's state over a reload

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
