// The forms, hints and controls of a kernel that has ended, or started anew, do nothing any more. Until their cell runs
// again, they make way for what a saved notebook shows in their place.

import { outputsOf } from './strips.js';

const VIEW = 'application/vnd.jupyter.widget-view+json', ENDED = 'nnopt-ended';
const ENDS = ['restarting', 'autorestarting', 'terminating', 'dead'];

const hasWidget = model => outputsOf(model).some(({ data }) => data?.[VIEW]);

const end = cell => {
  const { classList } = cell.node, { outputs } = cell.model;
  const isHeld = cell.outputArea.node.contains(document.activeElement);
  classList.add(ENDED);
  if (isHeld) cell.node.focus({ preventScroll: true });
  const renew = () => {
    if (outputs.length) return;
    classList.remove(ENDED);
    outputs.changed.disconnect(renew);
  };
  outputs.changed.connect(renew);
};

const endAll = ({ widgets }) => {
  for (const cell of widgets) {
    if (cell.model.type === 'code' && hasWidget(cell.model) && !cell.node.classList.contains(ENDED)) end(cell);
  }
};

// Act on the content of a panel when its kernel ends.
export const whenEnded = ({ content, sessionContext }, act) => {
  sessionContext.statusChanged.connect((_, status) => ENDS.includes(status) && act(content));
  sessionContext.kernelChanged.connect((_, { oldValue }) => oldValue && act(content));
};

export const showEnded = panel => whenEnded(panel, endAll);
