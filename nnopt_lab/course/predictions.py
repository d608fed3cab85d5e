"""Predictions: a guess is committed before the measurement, and the ledger shows how good the guesses were.

Once the measurement is known, the guess can no longer be made or changed.
"""

import math
from dataclasses import asdict, dataclass

from nnopt_lab.course import record
from nnopt_lab.course.cards import Card, inline
from nnopt_lab.course.display import show
from nnopt_lab.course.session import current_lesson
from nnopt_lab.course.workspace import workspace


@dataclass
class Prediction:
    """One line of the ledger; figures are in `unit`, None where they are not known yet."""

    lesson: str
    unit: str
    guess: float | None = None
    measured: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def factor(self) -> float | None:
        """How many times too large or too small the guess is; None where one of the two is not positive."""
        if self.guess > 0 and self.measured > 0:
            return max(self.guess / self.measured, self.measured / self.guess)
        return None


def predict(name: str, guess: float | None = None, unit: str = "×"):
    """Commit a guess before you measure.

    Args:
        name: of the quantity, in words; give the same name to `reveal`.
        guess: your number; with None a small box to type it into is shown.
        unit: of the number, for example "×", "%", "points", "ms".

    Returns:
        A card, or the box.
    """
    entry = _entry(name)
    if entry is None:
        entry = Prediction(current_lesson(), unit)
        _store(name, entry)
    if guess is None:
        return _box(name, unit) if entry.guess is None else _committed(name, entry)
    return _commit(name, guess, unit)


def reveal(name: str, measured: float, low: float | None = None, high: float | None = None, because: str = "") -> Card:
    """Compare the measurement with the guess.

    Args:
        name: as given to `predict`.
        measured: the figure, in the prediction's unit.
        low, high: ends of its interval; a guess inside counts as right.
        because: the reason why guesses and measurements usually differ here.
    """
    entry = _entry(name) or Prediction(current_lesson(), "")
    measured = float(measured)
    low, high = (measured if end is None else float(end) for end in (low, high))
    entry.measured, entry.low, entry.high = measured, low, high
    _store(name, entry)
    span = f" (interval {_figure(low)} to {_figure(high)})" if high > low else ""
    lines = [f"Measured: {_figure(measured)} {entry.unit}{span}."]
    lines.append(_gap(entry) if entry.guess is not None else "You made no guess; the lesson goes on without one.")
    return Card(f"Predicted and measured: {name}", "neutral", (*lines, *([because] if because else [])))


class Ledger:
    """All predictions so far; in a notebook a calibration plot, elsewhere a table."""

    def __init__(self, predictions: dict[str, Prediction]):
        self.made = {n: p for n, p in predictions.items() if p.guess is not None and p.measured is not None}

    def __repr__(self) -> str:
        if not self.made:
            return "No prediction has been made and measured yet."
        lines = [
            f"{name}: guessed {_figure(p.guess)} {p.unit}, measured {_figure(p.measured)} {p.unit}"
            for name, p in self.made.items()
        ]
        return "\n".join([*lines, self._summary()])

    def plot(self):
        """Guess against measurement, as factors: on the diagonal the guess was right. A matplotlib Figure or None."""
        from nnopt_lab.workbench import plots

        usable = {n: p for n, p in self.made.items() if p.factor is not None}
        if not usable:
            return None
        fig, ax = plots.figure()
        for name, p in usable.items():
            error = [[max(p.measured - p.low, 0)], [max(p.high - p.measured, 0)]]
            ax.errorbar(p.guess, p.measured, yerr=error, fmt="o")
            ax.annotate(name, (p.guess, p.measured), textcoords="offset points", xytext=(6, 4), fontsize=8)
        ends = [v for p in usable.values() for v in (p.guess, p.measured)]
        line = [min(ends) / 1.5, max(ends) * 1.5]
        ax.plot(line, line, color="0.6", linestyle="--", zorder=0)
        ax.set(xscale="log", yscale="log", xlabel="you guessed", ylabel="your machine measured", title=self._summary())
        return plots.finish(fig)

    def _repr_png_(self):
        from nnopt_lab.workbench import plots

        figure = self.plot()
        return None if figure is None else plots.png(figure)

    def _summary(self) -> str:
        inside = sum(p.low <= p.guess <= p.high for p in self.made.values())
        factors = sorted(p.factor for p in self.made.values() if p.factor is not None)
        typical = f"; typically off by a factor of {factors[len(factors) // 2]:.2f}" if factors else ""
        return f"{inside} of {len(self.made)} guesses inside the measured interval{typical}"


def ledger() -> Ledger:
    """The predictions of the whole course so far."""
    return Ledger({n: Prediction(**p) for n, p in record.read(workspace())["predictions"].items()})


def _commit(name: str, guess: float, unit: str) -> Card:
    entry = _entry(name) or Prediction(current_lesson(), unit)  # the file may have been deleted since the box was shown
    try:
        guess = float(guess)
    except (TypeError, ValueError, OverflowError, RuntimeError):  # RuntimeError: a tensor of several numbers
        return Card(f"A guess must be a number; {show(guess)} was given.", "bad")
    if not math.isfinite(guess):
        return Card(f"A guess must be a finite number; {guess!r} was given.", "bad")
    if entry.measured is not None:
        earlier = f"your guess was {_figure(entry.guess)}" if entry.guess is not None else "you made no guess before it"
        return Card(f"Already measured: {name}", "quiet", (f"The ledger does not change after that; {earlier}.",))
    entry.guess = guess
    _store(name, entry)
    return _committed(name, entry)


def _committed(name: str, entry: Prediction) -> Card:
    return Card(f"Your guess: {name}", "neutral", (f"{_figure(entry.guess)} {entry.unit}. Now measure.",))


def _box(name: str, unit: str):
    import ipywidgets as widgets

    class Box(widgets.VBox):
        def __repr__(self) -> str:  # shown by a notebook whose box no kernel has made
            return f"Predict: {name}? Run this cell to guess."

    # Not a FloatText: it starts at 0, which an early click would commit.
    number = widgets.Text(placeholder="a number", layout=widgets.Layout(width="8em"))
    button = widgets.Button(description="Commit my guess", button_style="primary")
    answer = widgets.HTML()

    def commit(_):
        answer.value = _commit(name, number.value.replace(",", "."), unit)._repr_html_()

    button.on_click(commit)
    label = widgets.HTML(f"<b>Predict:</b> {inline(name)}?")
    return Box([label, widgets.HBox([number, widgets.Label(unit), button]), answer])


def _gap(entry: Prediction) -> str:
    guess, measured = entry.guess, entry.measured
    if entry.low <= guess <= entry.high:
        return f"You guessed {_figure(guess)} {entry.unit}: inside the interval."
    off = f"{abs(guess - measured):.3g}" if entry.factor is None else f"{entry.factor:.2f} times"
    return f"You guessed {_figure(guess)} {entry.unit}: {off} too {'high' if guess > measured else 'low'}."


def _entry(name: str) -> Prediction | None:
    found = record.read(workspace())["predictions"].get(name)
    return Prediction(**found) if found else None


def _store(name: str, entry: Prediction) -> None:
    with record.change() as contents:
        contents["predictions"][name] = asdict(entry)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
