"use strict";
const PERIOD = 2000; // milliseconds between two questions for news
const $ = (id) => document.getElementById(id);
const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
// A text of this page in the language in use; its calls are found by `nnopt translate`.
const TEXTS = JSON.parse($("texts").textContent);
const say = (text, fields = {}) => (TEXTS[text] ?? text).replace(/\{(\w+)\}/g, (whole, name) => fields[name] ?? whole);
let latest = null;

// All text enters the page as text nodes, never as HTML: names come from anyone who has the code.
const element = (tag, attributes = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
};

// The marks of the course's own texts: `code` and *emphasis*.
const formatted = (text) =>
  text.split(/(`[^`]+`|(?<![\w*])\*\w[\w ]*(?<! )\*(?![\w*]))/).map((part, n) => (n % 2 ? element(part[0] === "`" ? "code" : "em", {}, part.slice(1, -1)) : part));
const bare = (text) => formatted(text).map((part) => part.textContent ?? part).join("");

const shownName = (learner) => ($("anonymous").checked ? say("Learner {number}", { number: learner.number }) : learner.name);

// A table or list keeps its rows; only those whose data have changed are made again, so that focus and selection stay.
const known = new WeakMap(); // row → its key and data; not in the page itself, where hidden names could be read
const fill = (parent, items, keyOf, make) => {
  const old = new Map([...parent.children].map((child) => [known.get(child)?.key, child]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const key = String(keyOf(item)), data = JSON.stringify([item, $("anonymous").checked]);
    let row = old.get(key);
    old.delete(key);
    if (!row || known.get(row).data !== data) {
      const fresh = make(item, row);
      known.set(fresh, { key, data });
      if (row) {
        if (row === place) place = fresh;
        row.replaceWith(fresh);
      }
      row = fresh;
    }
    if (row === place) place = place.nextElementSibling;
    else parent.insertBefore(row, place);
  }
  old.forEach((row) => row.remove());
};

const bar = (counts) => {
  const parts = Object.entries(counts).filter(([, n]) => n).map(([kind, n]) => {
    const part = element("span", { class: kind });
    part.style.flex = n;
    return part;
  });
  return element("div", { class: "bar", "aria-hidden": "true" }, ...parts);
};

const mistakeRow = (one) =>
  element("tr", {},
    element("td", { class: "n" }, `${one.learners}`, element("span", { class: "narrow" }, one.learners === 1 ? say(" learner") : say(" learners"))),
    element("td", { class: "mistake" }, ...formatted(one.text), ...(one.tries > one.learners ? [element("div", { class: "soft id" }, say("{n} times", { n: one.tries }))] : [])),
    element("td", {}, ...formatted(one.item), element("div", { class: "soft id" }, one.lesson)));

const itemRow = (one) => {
  const blank = one.learners - one.passed - one.tried;
  return element("tr", {},
    element("td", { class: "title" }, ...formatted(one.title)),
    element("td", { class: "bars" }, bar({ passed: one.passed, failed: one.tried, blank })),
    element("td", { class: "n" }, `${one.passed}`, element("span", { class: "narrow" }, say(" passed,"))),
    element("td", { class: "n" }, `${one.tried}`, element("span", { class: "narrow" }, say(" tried"))));
};

const lessonPart = (one, before) => {
  const table = element("table", { class: "stacked" },
    element("thead", {}, element("tr", {},
      element("th", { scope: "col" }, say("answer")), element("th", { scope: "col" }, say("learners")),
      element("th", { scope: "col", class: "n" }, say("passed")), element("th", { scope: "col", class: "n" }, say("tried")))),
    element("tbody", {}, ...one.items.map(itemRow)));
  const part = element("details", {}, element("summary", {}, element("b", {}, one.title), one.here === 1 ? say(": {n} learner here now", { n: one.here }) : say(": {n} learners here now", { n: one.here })), table);
  part.open = before ? before.open : one.here > 0;
  return part;
};

const strip = (cells) => {
  const passed = cells.filter(([points]) => points).length;
  const boxes = cells.map(([points, tries]) => {
    const kind = points ? "passed" : tries ? "failed" : "";
    return element("span", kind ? { class: kind } : {}, points ? `${points}` : tries ? (tries > 9 ? "9+" : `${tries}×`) : "");
  });
  return element("span", { class: "strip", role: "img", "aria-label": say("{passed} of {total} passed", { passed, total: cells.length }) }, ...boxes);
};

const pause = (seconds) => (seconds < 60 ? say("now") : seconds < 3600 ? say("{n} min", { n: Math.floor(seconds / 60) }) : say("{n} h", { n: Math.floor(seconds / 3600) }));

const learnerRow = (one) => {
  const name = shownName(one);
  const remove = element("button", { class: "remove", type: "button", "aria-label": say("Remove {name}", { name }), title: say("Remove this row; the class takes nothing more from it") }, "×");
  remove.addEventListener("click", () => removeRow(one, name));
  const sign = one.state === "here" ? one.pause : one.state === "left" ? say("left, {pause}", one) : say("away, {pause}", one);
  return element("tr", one.state === "here" ? {} : { class: "gone" },
    element("td", { class: "title" }, element("div", { class: "name", dir: "auto", title: name }, name)),
    element("td", {}, one.lesson || "–"),
    element("td", {}, strip(one.strip)),
    element("td", {}, element("div", { class: "item", title: bare(one.item) }, ...formatted(one.item || "–")), ...(one.stuck ? [element("div", { class: "stuck" }, say("stuck: {n} tries", { n: one.stuck }))] : [])),
    element("td", { class: "n" }, `${one.points}`, element("span", { class: "narrow" }, one.points === 1 ? say(" point") : say(" points"))),
    element("td", { class: "n" }, element("span", { class: "narrow" }, say("last sign: ")), sign),
    element("td", { class: "n" }, remove));
};

const orders = {
  stuck: (a, b) => b.stuck - a.stuck || (a.state !== "here") - (b.state !== "here") || byName(a, b),
  name: (a, b) => byName(a, b),
  points: (a, b) => b.points - a.points || byName(a, b),
  idle: (a, b) => (a.state !== "here") - (b.state !== "here") || b.idle - a.idle,
};
const compare = new Intl.Collator(undefined, { numeric: true }).compare;
const byName = (a, b) => compare(shownName(a), shownName(b)) || a.number - b.number;

const tell = (id, text) => { if ($(id).textContent !== text) $(id).textContent = text; }; // a screen reader reads changes

const show = () => {
  if (!latest) return;
  const { learners, lessons, mistakes } = latest;
  const counts = { here: latest.here, shared: learners.length };
  const here = latest.here === 1 ? say("{here} learner here", counts) : say("{here} learners here", counts);
  tell("count", `${here}, ${learners.length === 1 ? say("{shared} has shared", counts) : say("{shared} have shared", counts)}`);
  const stuck = learners.filter((one) => one.stuck);
  tell("status", learners.length ? (stuck.length ? (stuck.length === 1 ? say("{n} learner is stuck.", { n: stuck.length }) : say("{n} learners are stuck.", { n: stuck.length })) : say("Nobody is stuck.")) : say("Nobody shares yet. Learners type the command that nnopt class shows on its terminal."));
  fill($("mistakes"), mistakes.length ? mistakes : [{ none: true }], (one) => (one.none ? "none" : `${one.lesson} ${one.item} ${one.text}`),
    (one) => (one.none ? element("tr", {}, element("td", { colspan: "3" }, say("None."))) : mistakeRow(one)));
  fill($("lessons"), lessons, (one) => one.name, lessonPart);
  const words = plain($("search").value).split(/\s+/).filter(Boolean);
  // Of the pause only the words count, else each row would be new every two seconds.
  const rows = [...learners].sort(orders[$("order").value]).map(({ idle, ...one }) => ({ ...one, pause: pause(idle) }));
  const found = rows.filter((one) => {
    const text = plain(`${shownName(one)} ${one.lesson} ${one.item} ${one.state === "here" ? say("here") : one.state === "left" ? say("left") : say("away")} ${one.stuck ? say("stuck") : ""}`);
    return words.every((word) => text.includes(word));
  });
  tell("found", words.length ? say("{count} of {total}", { count: found.length, total: rows.length }) : "");
  fill($("learners").tBodies[0], found, (one) => one.number, learnerRow);
};

const removeRow = async (one, name) => {
  if (!confirm(say("Remove {name} from this page? The class takes nothing more from this learner.", { name }))) return;
  await fetch("remove", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ number: one.number }) });
  refresh();
};

const refresh = async () => {
  try {
    const answer = await fetch("view");
    if (answer.status === 403) return tell("trouble", say("This class has ended. A new one has a new address, on the terminal of nnopt class."));
    latest = await answer.json();
    tell("trouble", "");
    show();
  } catch {
    tell("trouble", say("nnopt class does not answer. What you see is the last state."));
  }
};

const follow = async () => {
  if (!document.hidden) await refresh();
  setTimeout(follow, PERIOD);
};

// The choice stays when the page is loaded again, so that a projector never shows names by accident.
$("anonymous").checked = localStorage.getItem("anonymous") === "yes";
$("anonymous").addEventListener("change", () => {
  localStorage.setItem("anonymous", $("anonymous").checked ? "yes" : "no");
  show();
});
$("order").addEventListener("change", show);
$("search").addEventListener("input", show);
follow();
