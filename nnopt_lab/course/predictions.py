"""Predictions: a learner commits a guess before the measurement, and the ledger shows how good the guesses were.

Once a quantity has been measured, its guess can be neither made nor changed: who has seen the answer does not guess.
"""

import ast
import json
import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict

from nnopt_lab.course import record, start_page
from nnopt_lab.course.cards import Card
from nnopt_lab.course.cell_output import has_learner, seen
from nnopt_lab.course.display import show
from nnopt_lab.course.disturbances import disturbance
from nnopt_lab.course.ledger import Ledger, Prediction, figures, in_unit, ledger_of, with_unit
from nnopt_lab.course.lesson_files import paths
from nnopt_lab.course.notes import Note
from nnopt_lab.course.prediction_box import prediction_box
from nnopt_lab.course.reveal_picture import picture
from nnopt_lab.course.session import current_lesson
from nnopt_lab.course.waiting_reveal import end_waiting, is_waiting, waiting_box
from nnopt_lab.course.workspace import workspace
from nnopt_lab.workbench.language import _, translated

DEFAULT_UNIT = "×"

_boxes = {}  # by name: the box that was shown last and asks for a guess


@seen
def predict(name: str, guess: float | None = None, unit: str = DEFAULT_UNIT):
    """Commit a guess before you measure.

    Args:
        name: of the quantity, as text; pass the same name to `reveal`.
        guess: your number; without it, a small input box is shown, in which it can be changed until it is measured.
        unit: of the number, for example "×", "%", "points", "ms".

    Returns:
        A card, or the box.
    """
    entry = _entry(name)
    if entry is None:
        entry = Prediction(current_lesson(), unit)
        _store(name, entry)
    elif unit and not entry.unit:
        entry.unit = unit
        _store(name, entry)
    if guess is None:
        return _box(name, entry) if entry.measured is None else _kept(entry)
    return _commit(name, guess, unit)


@seen
def reveal(name: str, measured: float | None, low: float | None = None, high: float | None = None, because: str = ""):
    """Compare the measurement with the guess; on a page of JupyterLab, it stays hidden until there is a guess.

    Args:
        name: as passed to `predict`.
        measured: the measured number, in the prediction's unit; None if it could not be measured.
        low, high: ends of its interval, default `measured` itself; a guess inside counts as right.
        because: the reason why guesses usually differ from the measurement here.

    Returns:
        A card, or a box that asks for the guess first.
    """
    if measured is None:
        return _unmeasured(name)
    entry = _entry(name) or Prediction(current_lesson(), _declared_unit(name))
    measured = float(measured)
    low, high = (measured if end is None else float(end) for end in (low, high))

    # Now: a box may wait for the guess long after the cell has run.
    disturbed = disturbance(name, low, high)

    def measure() -> Card:
        return _measured(name, _entry(name) or entry, (measured, low, high), (because, disturbed))

    if entry.guess is None and entry.measured is None and has_learner():
        if name in _boxes:
            _boxes[name].wait()
        return waiting_box(name, entry.unit, lambda typed: _commit(name, typed, entry.unit), measure)
    return measure()


def _unmeasured(name: str) -> Card:
    box = _boxes.pop(name, None)
    if box and has_learner():
        box.replace(Note(_("Not measured here.")))
    return Card(_("Not measured here: {name}", name=translated(name)), "neutral")


def _measured(name: str, entry: Prediction, numbers: tuple[float, float, float], notes: tuple[str, str]) -> Card:
    entry.measured, entry.low, entry.high = numbers
    because, disturbed = notes
    entry.disturbed = bool(disturbed)
    _store(name, entry)
    box = _boxes.pop(name, None)
    if box and (entry.guess is not None or has_learner()):  # a page without a learner keeps its first words
        box.replace(_kept(entry))
    shown, reason = translated(name), tuple(filter(None, (disturbed, translated(because) if because else "")))
    if entry.guess is None:
        return Card(_("Measured: {name}", name=shown), "neutral", (_result(entry), *reason))
    result = _result(entry)
    guessed = _("You guessed {guess}: {verdict}.", guess=in_unit(entry.guess, entry.unit), verdict=entry.verdict)
    title = _("Predicted and measured: {name}", name=shown)
    lines = (_("Measured: {measured}.", measured=result), guessed, *reason)
    return Card(title, "guess", lines, picture=picture(entry))


def ledger() -> Ledger:
    """Show the predictions of the whole course so far."""
    return ledger_of(record.read(workspace()))


def _commit(name: str, guess: float, unit: str) -> Card:
    entry = _entry(name) or Prediction(current_lesson(), unit)  # the file may have been deleted since the box was shown
    try:
        guess = float(guess)
    except (TypeError, ValueError, OverflowError, RuntimeError):  # RuntimeError: a tensor of several numbers
        return Card(_("A guess must be a number; {guess} was given.", guess=show(guess)), "bad")
    if not math.isfinite(guess):
        return Card(_("A guess must be a finite number; {guess} was given.", guess=repr(guess)), "bad")
    if entry.measured is not None:
        return _kept(entry) if guess == entry.guess else _fixed(name, entry)
    entry.guess = guess
    _store(name, entry)
    is_shown = end_waiting(name)
    start_page.follow(workspace(), entry.lesson)
    return _kept(entry) if is_shown else _committed(name, entry)


def _kept(entry: Prediction) -> Note:
    """What is left of a guess after its measurement, whose own card tells the rest."""
    if entry.guess is None:
        return Note(_("Measured without a guess."))
    return Note(_("Your guess: {guess}", guess=in_unit(entry.guess, entry.unit)), "guess")


def _fixed(name: str, entry: Prediction) -> Card:
    fixed = _("Measured without a guess.")
    if entry.guess is not None:
        was = in_unit(entry.guess, entry.unit)
        fixed = _("The guess can't be changed any more; your guess was {guess}.", guess=was)
    return Card(_("Already measured: {name}", name=translated(name)), "quiet", (fixed,))


def _result(entry: Prediction) -> str:
    """The measured number, with its interval if it has one."""
    number, low, high = figures(entry.measured, entry.low, entry.high, unit=entry.unit)
    result = with_unit(number, entry.unit)
    if entry.high > entry.low:
        return _("{measured} (interval {low} to {high})", measured=result, low=low, high=high)
    return result


def _committed(name: str, entry: Prediction) -> Card:
    measure = _("{guess}. Now measure.", guess=in_unit(entry.guess, entry.unit))
    return Card(_("Your guess: {name}", name=translated(name)), "guess", (measure,))


def _box(name: str, entry: Prediction):
    committed = None if entry.guess is None else _committed(name, entry)
    made = prediction_box(name, entry.unit, entry.guess, committed, lambda typed: _commit(name, typed, entry.unit))
    if is_waiting(name):
        made.wait()
    elif name in _boxes and entry.guess is None:
        made.remind()
    _boxes[name] = made
    return made


def _declared_unit(name: str) -> str:
    """The unit in the lesson's own `predict` cell, for a learner who skipped it; "" if there is none."""
    for call in _calls_of_predict():
        keywords = {keyword.arg: keyword.value for keyword in call.keywords}
        with suppress(ValueError, IndexError):  # the name or unit is computed
            if ast.literal_eval(call.args[0]) == name:
                return ast.literal_eval(keywords["unit"]) if "unit" in keywords else DEFAULT_UNIT
    return ""


def _calls_of_predict() -> Iterator[ast.Call]:
    with suppress(OSError, ValueError, KeyError):
        notebook = json.loads(paths(current_lesson())[False].read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            with suppress(SyntaxError):  # IPython's own commands
                for node in ast.walk(ast.parse("".join(cell["source"]) if cell["cell_type"] == "code" else "")):
                    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "predict":
                        yield node


def _entry(name: str) -> Prediction | None:
    found = record.read(workspace())["predictions"].get(name)
    return Prediction(**found) if found else None


def _store(name: str, entry: Prediction) -> None:
    with record.change() as contents:
        contents["predictions"][name] = {key: v for key, v in asdict(entry).items() if v is not False}
