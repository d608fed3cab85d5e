// The key that JupyterLab handles right now: what the keys of the notebook lead to differs from what a press of the mouse
// does.

const HANDLED = 300; // milliseconds, at most, until JupyterLab has done what a key stands for

let handled; // an event

export const noteKeys = () => {
  window.addEventListener('keydown', event => {
    handled = event;
    setTimeout(() => { if (handled === event) handled = undefined; }, HANDLED);
  }, true);
};

export const isArrow = () => Boolean(handled?.key.startsWith('Arrow'));

// Whether a cell is run to go on with the next one.
export const isAdvancing = () => handled?.key === 'Enter' && handled.shiftKey;
