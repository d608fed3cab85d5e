// Hovering or focusing a point shows it in words; a click, Enter or the arrow keys select it.
const points = [...document.querySelectorAll(".point")];
const details = new Map(points.map((point) => [point, document.getElementById(point.dataset.details)]));
let selected = points.find((point) => point.getAttribute("aria-pressed") === "true") ?? points[0];

function show(shown) {
  for (const [point, text] of details) text.hidden = point !== shown;
}

function select(point) {
  for (const other of points) {
    other.setAttribute("aria-pressed", String(other === point));
    other.setAttribute("tabindex", other === point ? "0" : "-1");
  }
  selected = point;
  show(point);
}

points.forEach((point, place) => {
  point.addEventListener("mouseenter", () => show(point));
  point.addEventListener("mouseleave", () => show(selected));
  point.addEventListener("click", () => select(point));
  point.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Enter: 0, " ": 0 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const next = points[Math.min(Math.max(place + step, 0), points.length - 1)];
    select(next);
    next.focus();
  });
});
select(selected);
