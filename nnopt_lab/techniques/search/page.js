// The point next to the mouse, or the focused one, is shown in words; a click, Enter or the arrow keys select it.
const picture = document.querySelector(".front-picture");
const points = [...picture.querySelectorAll(".point")].sort((a, b) => a.dataset.place - b.dataset.place);
const REACH = 24; // of the mouse, in pixels
let selected = points.find((point) => point.getAttribute("aria-pressed") === "true");

function show(shown) {
  for (const point of points) {
    document.getElementById(`details-${point.dataset.place}`).hidden = point !== shown;
    point.classList.toggle("near", point === shown && point !== selected);
  }
}

function select(point) {
  selected = point;
  for (const other of points) {
    other.setAttribute("aria-pressed", String(other === point));
    other.setAttribute("tabindex", other === point ? "0" : "-1");
  }
  show(point);
}

function nearest(event) {
  const distances = points.map((point) => {
    const place = point.querySelector(".mark").getBoundingClientRect();
    const [x, y] = [place.x + place.width / 2, place.y + place.height / 2];
    return Math.hypot(event.clientX - x, event.clientY - y);
  });
  const least = Math.min(...distances);
  return least <= REACH ? points[distances.indexOf(least)] : null;
}

picture.addEventListener("mousemove", (event) => show(nearest(event) ?? selected));
picture.addEventListener("mouseleave", () => show(selected));
picture.addEventListener("click", (event) => select(nearest(event) ?? selected));
points.forEach((point, place) => {
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
