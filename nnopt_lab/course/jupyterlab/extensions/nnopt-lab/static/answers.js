// The answer in the code of a question's cell: what graders read and `nnopt update` keeps.

const LITERAL = String.raw`(?:None|"[^"\n]*"|'[^'\n]*'|[-+]?[\d._]+(?:[eE][-+]?\d+)?)`;
const NUMBER = String.raw`[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?`;

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

// The letter or number that the code answers with, if it is a plain one, as text.
export const givenAnswer = (code, id) => {
  const asked = lastCall(code, id), plain = String.raw`(?:["'](\w+)["']|(${NUMBER}))`;
  const text = found => found?.[1]?.toLowerCase() ?? found?.[2];
  const direct = text(new RegExp(`^${plain}$`).exec(asked?.given ?? ''));
  if (direct || !asked) return direct;
  const assigned = new RegExp(String.raw`^\s*${escaped(asked.given)}\s*=(?!=).*$`, 'gm');
  const last = [...code.slice(0, asked.start).matchAll(assigned)].pop()?.[0] ?? '';
  return text(new RegExp(String.raw`=\s*${plain}\s*(?:#.*)?$`).exec(last));
};

// What was typed, as Python writes it: with a decimal point, without the percent sign that questions ask in, and in
// ASCII, also if a Chinese keyboard has typed wide digits.
export const plainNumber = typed => typed.normalize('NFKC').trim().replace(',', '.').replace('−', '-')
  .replace(/\s*%$/, '');

export const HAN = /[\u3400-\u9fff]/; // Chinese characters

export const isNumber = text => new RegExp(`^${NUMBER}$`).test(text);
