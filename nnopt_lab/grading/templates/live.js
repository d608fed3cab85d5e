"use strict";
const PERIOD = 2000; // milliseconds between two questions for news
const $ = (id) => document.getElementById(id);
const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
const count = (n, one, many = one + "s") => `${n} ${n === 1 ? one : many}`;
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

const shownName = (learner) => ($("anonymous").checked ? `Learner ${learner.number}` : learner.name);

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
    element("td", { class: "n" }, `${one.learners}`, element("span", { class: "narrow" }, one.learners === 1 ? " learner" : " learners")),
    element("td", { class: "mistake" }, ...formatted(one.text), ...(one.tries > one.learners ? [element("div", { class: "soft id" }, `${one.tries} times`)] : [])),
    element("td", {}, ...formatted(one.item), element("div", { class: "soft id" }, one.lesson)));

const itemRow = (one) => {
  const blank = one.learners - one.passed - one.tried;
  return element("tr", {},
    element("td", { class: "title" }, ...formatted(one.title)),
    element("td", { class: "bars" }, bar({ passed: one.passed, failed: one.tried, blank })),
    element("td", { class: "n" }, `${one.passed}`, element("span", { class: "narrow" }, " passed,")),
    element("td", { class: "n" }, `${one.tried}`, element("span", { class: "narrow" }, " tried")));
};

const lessonPart = (one, before) => {
  const table = element("table", { class: "stacked" },
    element("thead", {}, element("tr", {},
      element("th", { scope: "col" }, "answer"), element("th", { scope: "col" }, "learners"),
      element("th", { scope: "col", class: "n" }, "passed"), element("th", { scope: "col", class: "n" }, "tried"))),
    element("tbody", {}, ...one.items.map(itemRow)));
  const part = element("details", {}, element("summary", {}, element("b", {}, one.title), `: ${count(one.here, "learner")} here now`), table);
  part.open = before ? before.open : one.here > 0;
  return part;
};

const strip = (cells) => {
  const passed = cells.filter(([points]) => points).length;
  const boxes = cells.map(([points, tries]) => {
    const kind = points ? "passed" : tries ? "failed" : "";
    return element("span", kind ? { class: kind } : {}, points ? `${points}` : tries ? (tries > 9 ? "9+" : `${tries}×`) : "");
  });
  return element("span", { class: "strip", role: "img", "aria-label": `${passed} of ${cells.length} passed` }, ...boxes);
};

const pause = (seconds) => (seconds < 60 ? "now" : seconds < 3600 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 3600)} h`);

const learnerRow = (one) => {
  const name = shownName(one);
  const remove = element("button", { class: "remove", type: "button", "aria-label": `Remove ${name}`, title: "Remove this row; the class takes nothing more from it" }, "×");
  remove.addEventListener("click", () => removeRow(one, name));
  const sign = one.state === "here" ? one.pause : `${one.state}, ${one.pause}`;
  return element("tr", one.state === "here" ? {} : { class: "gone" },
    element("td", { class: "title" }, element("div", { class: "name", dir: "auto", title: name }, name)),
    element("td", {}, one.lesson || "–"),
    element("td", {}, strip(one.strip)),
    element("td", {}, element("div", { class: "item", title: bare(one.item) }, ...formatted(one.item || "–")), ...(one.stuck ? [element("div", { class: "stuck" }, `stuck: ${count(one.stuck, "try", "tries")}`)] : [])),
    element("td", { class: "n" }, `${one.points}`, element("span", { class: "narrow" }, one.points === 1 ? " point" : " points")),
    element("td", { class: "n" }, element("span", { class: "narrow" }, "last sign: "), sign),
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
  tell("count", `${count(latest.here, "learner")} here, ${count(learners.length, "has", "have")} shared`);
  const stuck = learners.filter((one) => one.stuck);
  tell("status", learners.length ? (stuck.length ? `${count(stuck.length, "learner is", "learners are")} stuck.` : "Nobody is stuck.") : "Nobody shares yet. Learners type the command that nnopt class shows on its terminal.");
  fill($("mistakes"), mistakes.length ? mistakes : [{ none: true }], (one) => (one.none ? "none" : `${one.lesson} ${one.item} ${one.text}`),
    (one) => (one.none ? element("tr", {}, element("td", { colspan: "3" }, "None.")) : mistakeRow(one)));
  fill($("lessons"), lessons, (one) => one.name, lessonPart);
  const words = plain($("search").value).split(/\s+/).filter(Boolean);
  // Of the pause only the words count, else each row would be new every two seconds.
  const rows = [...learners].sort(orders[$("order").value]).map(({ idle, ...one }) => ({ ...one, pause: pause(idle) }));
  const found = rows.filter((one) => {
    const text = plain(`${shownName(one)} ${one.lesson} ${one.item} ${one.state} ${one.stuck ? "stuck" : ""}`);
    return words.every((word) => text.includes(word));
  });
  tell("found", words.length ? `${found.length} of ${rows.length}` : "");
  fill($("learners").tBodies[0], found, (one) => one.number, learnerRow);
};

const removeRow = async (one, name) => {
  if (!confirm(`Remove ${name} from this page? The class takes nothing more from this learner.`)) return;
  await fetch("remove", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ number: one.number }) });
  refresh();
};

const refresh = async () => {
  try {
    const answer = await fetch("view");
    if (answer.status === 403) return tell("trouble", "This class has ended. A new one has a new address, on the terminal of nnopt class.");
    latest = await answer.json();
    tell("trouble", "");
    show();
  } catch {
    tell("trouble", "nnopt class does not answer. What you see is the last state.");
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
