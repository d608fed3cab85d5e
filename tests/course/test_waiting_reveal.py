"""A measurement waits for its guess where a page shows the notebook, and nothing shows its number before."""

from types import SimpleNamespace

import ipywidgets as widgets
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nnopt_lab.course import cell_output, predictions, session, waiting_reveal
from nnopt_lab.course.cards import Card
from nnopt_lab.course.predictions import ledger, predict, reveal
from nnopt_lab.course.record import change, forget_unguessed, read
from nnopt_lab.course.static_outputs import VIEW
from nnopt_lab.workbench.paths import root

NAME = "speed-up in a test"


@pytest.fixture(autouse=True)
def on_a_page(monkeypatch):
    session.enter("01_pruning")
    monkeypatch.setattr(predictions, "has_learner", lambda: True)


@pytest.fixture
def noted(own_workspace):
    return lambda name=NAME: read(own_workspace)["predictions"].get(name)


def put_on_page(box) -> list[dict]:
    """The forms in which a box's place on the page is shown, in order."""
    forms = [box._forms()]
    box.place = SimpleNamespace(update=lambda new, raw: forms.append(new))
    return forms


def parts(box):
    """The number, the three buttons and the answer of a waiting measurement's box."""
    _, row, answer, skips = box.children[:4]
    commit = next(part for part in row.children if isinstance(part, widgets.Button))
    return row.children[0], commit, *skips.children, answer


def everything(box) -> str:
    """What a page receives of a box: its forms, and the state of its widgets."""
    states = [box.get_state()]
    for child in box.children:
        states += [child.get_state(), *[part.get_state() for part in getattr(child, "children", ())]]
    return f"{box!r}{box._forms()}{states}"


def test_the_number_and_the_reason_are_shown_once_a_guess_is_committed_below(noted):
    asked = put_on_page(predict(NAME))
    box = reveal(NAME, 2.125, 1.9375, 2.5625, because="It depends.")
    forms = put_on_page(box)
    number, commit, skip, _, answer = parts(box)
    assert (commit.description, skip.description) == ("Commit my guess", "Show without a guess")
    assert VIEW in forms[0] and "It depends" not in everything(box) and noted()["measured"] is None
    number.value = "much"
    commit.click()
    assert 'role="alert"' in answer.value and len(forms) == 1
    number.value = "3"
    commit.click()
    assert noted()["guess"] == 3 and noted()["measured"] == 2.125
    assert VIEW not in forms[-1] and f"Predicted and measured: {NAME}" in forms[-1]["text/plain"]
    assert "<svg" in forms[-1]["text/html"] and "It depends." in forms[-1]["text/html"]
    assert asked[-1]["text/plain"] == "≈ Your guess: 3×" and isinstance(reveal(NAME, 2.125), Card)


def test_a_guess_in_the_box_above_shows_every_copy_of_the_measurement(noted):
    asked = predict(NAME)
    above = put_on_page(asked)
    copies = [put_on_page(reveal(NAME, 2)) for _ in range(2)]
    number, button = asked.children[1].children[0], asked.children[1].children[-1]
    number.value = "3"
    button.click()
    assert all("You guessed 3×" in forms[-1]["text/plain"] for forms in copies)
    assert VIEW not in above[-1] and above[-1]["text/plain"] == "≈ Your guess: 3×"
    assert repr(ledger()).splitlines()[1] == f"{NAME}: guessed 3×, measured 2×"


def test_only_the_measurement_asks_as_long_as_it_waits():
    asked = predict(NAME)
    reveal(NAME, 2)
    again = predict(NAME)
    for box in (asked, again):
        assert box.children[1].layout.display == "none" and "Go to the field below" in box.children[0].value


def test_a_form_that_was_passed_over_says_until_when_a_guess_can_be_made():
    first, again = predict(NAME), predict(NAME)
    assert first.children[2].value == "" and "until it is measured" in again.children[2].value


def test_a_guess_in_code_shows_the_measurement(noted):
    forms = put_on_page(reveal(NAME, 2))
    assert repr(predict(NAME, 3)) == "≈ Your guess: 3×"
    assert "You guessed 3×" in forms[-1]["text/plain"]


def test_a_learner_can_see_the_number_without_a_guess(noted):
    asked = put_on_page(predict(NAME))
    box = reveal(NAME, 2)
    forms = put_on_page(box)
    _, _, skip, *_ = parts(box)
    skip.click()
    assert forms[-1]["text/plain"] == f"▸ Measured: {NAME}\n  2×" and noted()["measured"] == 2
    assert asked[-1]["text/plain"] == "○ Measured without a guess." and repr(ledger()).startswith("No guesses yet.")
    assert isinstance(reveal(NAME, 2), Card) and repr(predict(NAME)) == "○ Measured without a guess."


def test_all_numbers_that_wait_are_shown_at_once(noted):
    forms = [put_on_page(box) for box in (reveal(NAME, 2), reveal("another", 3))]
    box = reveal("a third", 4)
    *_, skip_all, _ = parts(box)
    skip_all.click()
    assert [shown[-1]["text/plain"].splitlines()[1] for shown in forms] == ["  2", "  3"]
    assert not any(map(waiting_reveal.is_waiting, (NAME, "another", "a third")))


def test_a_guess_made_before_shows_the_card_at_once():
    predict(NAME, 3)
    assert "You guessed 3×" in repr(reveal(NAME, 2))


def test_what_waits_is_not_measured_for_a_new_kernel_nor_for_a_fresh_copy_of_the_lesson(own_workspace, noted):
    for _ in range(2):  # Run All, twice
        predict(NAME)
        reveal(NAME, 2)
    assert noted()["measured"] is None and repr(ledger()).startswith("No guesses yet.")
    assert reveal(NAME, 2)._forms()["text/plain"].endswith("Waits for your guess: run this cell again.")
    waiting_reveal._waiting.clear()  # as in a new kernel
    assert predict(NAME, 3).lines == ("3×. Now measure.",)
    forget_unguessed("01_pruning", own_workspace)
    assert noted()["guess"] == 3 and "You guessed 3×" in repr(reveal(NAME, 2))


@given(st.tuples(*[st.floats(0, 1e6).map(lambda value: round(value, 4))] * 3).map(sorted))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_on_the_page_depends_on_the_measurement_before_a_guess(numbers):
    with change() as contents:
        contents["predictions"].clear()
    low, measured, high = numbers
    shown, other = (everything(reveal(NAME, *args, because=why)) for *args, why in (
        (measured, low, high, "One reason."), (0.5, 0.25, 0.75, "Another reason."),
    ))  # fmt: skip

    def without_ids(text: str) -> str:
        return "".join(part for part in text.split("'") if "IPY_MODEL" not in part and len(part) != 32)

    assert without_ids(shown) == without_ids(other) and "reason" not in shown


@pytest.mark.parametrize("missing", ["", "kernel", "server", "widgets", "learner"])
def test_a_measurement_waits_only_where_jupyterlab_shows_a_learners_notebook(missing, monkeypatch):
    shell = SimpleNamespace(kernel=1, user_ns={"__vsc_ipynb_file__": "a"} if missing == "widgets" else {})
    if missing == "kernel":
        del shell.kernel
    monkeypatch.setattr(cell_output, "shell", lambda: shell)
    paths = {"server": "", "learner": str(root() / "solutions" / "01_pruning.ipynb")}
    monkeypatch.setenv("JPY_SESSION_NAME", paths.get(missing, "01_pruning.ipynb"))
    assert cell_output.has_learner() == (not missing)
    monkeypatch.setattr(cell_output, "shell", lambda: None)
    assert not cell_output.has_learner()
