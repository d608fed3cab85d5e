// Buttons, or a box for a number, under the cell of a question. A press writes the answer into the cell's code, which is
// what graders read and `nnopt update` keeps, and runs the cell.

const STRIP = 'nnopt-answer';
const ASKING = 'nnopt-asking'; // class of a cell with a strip, whose output needs no buttons of its own
const LITERAL = String.raw`(?:None|"[^"\n]*"|'[^'\n]*'|[-+]?[\d._]+(?:[eE][-+]?\d+)?)`;
const NUMBER = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i;
const READY = 'from nnopt_lab.course.calls import question'; // for a press before the lesson's first cell has run

const STYLE = `
  .${STRIP}{display:flex;flex-wrap:wrap;gap:6px;align-items:center;padding:4px 8px 6px
    calc(var(--jp-cell-prompt-width,64px) + var(--jp-cell-collapser-width,8px) + 8px)}
  .${STRIP} button,.${STRIP} input{font:inherit;color:inherit;background:transparent;min-height:28px;
    border:1px solid #767676;border-radius:4px;padding:2px 14px}
  .${STRIP} button{cursor:pointer}
  .${STRIP} button:hover{background:rgba(127,127,127,.2)}
  .${STRIP} button[aria-pressed=true]{background:#0072b2;border-color:#0072b2;color:#fff}
  .${STRIP} input{width:9em;padding:2px 8px}
  .${STRIP} :focus-visible{outline:2px solid #0072b2;outline-offset:1px}
  .${STRIP} [role=alert]{color:var(--jp-error-color1,#c04c00)}
  .${ASKING} .jp-OutputArea-child:has(.nnopt-box),
  .${ASKING} .jp-Cell-outputWrapper:has(.nnopt-box):not(:has(.jp-OutputArea-child ~ .jp-OutputArea-child)){display:none}`;

const escaped = text => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
const call = id => String.raw`\bquestion\(\s*["']${escaped(id)}["']\s*`;

// Where the bracket that is open at a place is closed; strings may contain brackets.
const closing = (code, place) => {
  const token = /"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|#.*|[([{]|[)\]}]/g;
  token.lastIndex = place;
  let open = 1;
  for (let found; open && (found = token.exec(code));) {
    if ('([{'.includes(found[0])) open += 1;
    else if (')]}'.includes(found[0]) && !(open -= 1)) return found.index;
  }
  return -1;
};

// The last call of the question in the code: its line's start, its own, and that and the text of the answer in it.
const lastCall = (code, id) => {
  const found = [...code.matchAll(new RegExp(`^(?!\\s*#)(.*?)(${call(id)})`, 'gm'))].pop();
  if (!found) return null;
  const start = found.index + found[0].length, end = closing(code, start);
  if (end < 0) return null;
  return { line: found.index, before: found[1], start, end, given: code.slice(start, end).replace(/^,/, '').trim() };
};

// The code with an answer in it. Only a plain letter, number or None is replaced; other code of the learner stays.
export const withAnswer = (code, id, literal) => {
  const asked = lastCall(code, id);
  if (!asked) return `${code.trimEnd()}\nquestion("${id}", ${literal})`.trimStart();
  const { line, before, start, end, given } = asked;
  const isName = /^[A-Za-z_]\w*$/.test(given) && given !== 'None';
  const assigns = new RegExp(String.raw`^\s*${escaped(given)}\s*=(?!=)`);
  if (!isName || new RegExp(String.raw`\b${given}\s*=(?!=)`).test(before)) {
    const [rest, ...more] = code.slice(end).split('\n');
    const isKept = given && !isName && !new RegExp(`^${LITERAL}$`).test(given);
    const kept = isKept ? `  # was: ${given.replace(/\s+/g, ' ')}` : '';
    return [`${code.slice(0, start)}, ${literal}${rest}${kept}`, ...more].join('\n');
  }
  const lines = code.slice(0, line).split('\n'), place = lines.findLastIndex(text => assigns.test(text));
  const own = new RegExp(String.raw`^(\s*${given}\s*=\s*)${LITERAL}(\s*(?:#.*)?)$`).exec(lines[place] ?? '');
  if (own) lines[place] = own[1] + literal + own[2];
  else lines.splice(-1, 0, `${before.match(/^\s*/)[0]}${given} = ${literal}`);
  return lines.join('\n') + code.slice(line);
};

// The letter that the code answers with, if it is a plain one.
export const givenLetter = (code, id) => {
  const asked = lastCall(code, id), letter = String.raw`["'](\w+)["']`;
  const direct = new RegExp(`^${letter}$`).exec(asked?.given ?? '');
  if (direct || !asked) return direct?.[1].toLowerCase();
  const assigned = new RegExp(String.raw`^\s*${escaped(asked.given)}\s*=(?!=).*$`, 'gm');
  const last = [...code.slice(0, asked.start).matchAll(assigned)].pop()?.[0] ?? '';
  return new RegExp(String.raw`=\s*${letter}\s*(?:#.*)?$`).exec(last)?.[1].toLowerCase();
};

const make = (tag, properties, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

// JupyterLab's plain shortcuts, such as Enter, which edits a cell, and B, which adds one, don't work in a strip; its
// others, such as those to save and to run, do.
const isPlain = event => !(event.ctrlKey || event.metaKey || event.altKey || (event.shiftKey && event.key === 'Enter'));

const answer = async (app, panel, cell, literal) => {
  const shared = cell.model.sharedModel, id = cell.model.getMetadata('question');
  shared.setSource(withAnswer(shared.getSource(), id, literal));
  panel.content.activeCellIndex = panel.content.widgets.indexOf(cell);
  panel.content.mode = 'command'; // else the cursor would stay in another cell's code
  panel.sessionContext?.session?.kernel?.requestExecute({ code: READY, silent: true, store_history: false });
  await app.commands.execute('notebook:run-cell');
};

// What was typed, as Python writes it: with a decimal point, without the percent sign that questions ask in, and in
// ASCII, also if a Chinese keyboard has typed wide digits.
export const plainNumber = typed => typed.normalize('NFKC').trim().replace(',', '.').replace('−', '-')
  .replace(/\s*%$/, '');

export const HAN = /[\u3400-\u9fff]/; // Chinese characters
const withColon = label => label + (HAN.test(label) ? '：' : ':');

const letters = (asks, give) => asks.choices.map(letter => make('button', {
  type: 'button', textContent: letter, ariaLabel: `${asks.label}: ${letter}`, onclick: () => give(`"${letter}"`)
}));

const number = (asks, give) => {
  const box = make('input', { type: 'text', inputMode: 'decimal', ariaLabel: asks.label });
  const refused = make('span', { role: 'alert' });
  const commit = () => {
    const text = plainNumber(box.value);
    refused.textContent = NUMBER.test(text) ? '' : asks.refused;
    if (NUMBER.test(text)) give(text.replace(/^([-+]?)0+(?=\d)/, '$1')); // Python knows no 013
  };
  box.onkeydown = event => { if (event.key === 'Enter') commit(); };
  return [box, make('button', { type: 'button', textContent: asks.button, onclick: commit }), refused];
};

const strip = (app, panel, cell, asks) => {
  const give = literal => answer(app, panel, cell, literal);
  const onkeydown = event => { if (isPlain(event)) event.stopPropagation(); }; // the notebook would take the focus
  return make('div', { className: STRIP, role: 'group', ariaLabel: asks.label, onkeydown },
    make('span', { textContent: withColon(asks.label) }), ...(asks.choices.length ? letters : number)(asks, give));
};

const showGiven = (cell, made) => {
  const given = givenLetter(cell.model.sharedModel.getSource(), cell.model.getMetadata('question'));
  for (const button of made.querySelectorAll('button')) {
    const is = String(button.textContent === given);
    if (button.ariaPressed !== is && !made.querySelector('input')) button.ariaPressed = is;
  }
};

// A newer JupyterLab handles shortcuts after the strip, an older one before it.
const suppressShortcuts = event => {
  event.target.closest?.(`.${STRIP}`)?.toggleAttribute('data-lm-suppress-shortcuts', isPlain(event));
};

export const begin = () => {
  document.head.append(make('style', { textContent: STYLE }));
  window.addEventListener('keydown', suppressShortcuts, true); // before JupyterLab, which listens to the document
};

// Give every question of the open notebooks its strip, and show the answer that its code has.
export const offerAnswers = app => {
  for (const panel of app.shell.widgets('main')) {
    const cells = panel.content?.widgets;
    for (const cell of Array.isArray(cells) ? cells : []) { // of other panels, it may be a function
      const asks = cell.model?.type === 'code' && cell.model.getMetadata('asks');
      const code = asks && cell.node.querySelector(':scope > .jp-Cell-inputWrapper');
      if (!code || !Array.isArray(asks.choices) || cell.model.getMetadata('editable') === false) continue;
      let made = cell.node.querySelector(`:scope > .${STRIP}`);
      if (!made) {
        made = strip(app, panel, cell, asks);
        code.after(made);
        cell.node.classList.add(ASKING);
      }
      showGiven(cell, made);
    }
  }
};
