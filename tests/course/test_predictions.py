"""Predictions: a guess counts if it was committed before the measurement, and the ledger says how good guesses were."""

import asyncio
import json
import math
import re
from types import SimpleNamespace

import ipywidgets as widgets
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nnopt_lab.course import boxes, predictions, session
from nnopt_lab.course.cards import Card
from nnopt_lab.course.predictions import Ledger, Prediction, ledger, predict, reveal
from nnopt_lab.course.record import FILE, change, forget_unguessed, read
from nnopt_lab.course.static_outputs import CURRENT, VIEW

NAME = "speed-up at 90 % sparsity"


@pytest.fixture(autouse=True)
def a_lesson_is_open():
    session.enter("01_pruning")


@pytest.fixture
def noted(own_workspace):
    return lambda name=NAME: read(own_workspace)["predictions"].get(name)


def parts(box):
    """The number, the button and the answer of a prediction's box."""
    _, row, answer, _ = box.children
    (button,) = (child for child in row.children if isinstance(child, widgets.Button))
    return row.children[0], button, answer


def test_a_number_is_committed_at_once(noted):
    card = predict(NAME, 2.5)
    assert isinstance(card, Card) and card.lines == ("2.5×. Now measure.",)
    assert noted() == {
        "lesson": "01_pruning", "unit": "×", "guess": 2.5, "measured": None, "low": None, "high": None,
    }  # fmt: skip


def test_what_could_not_be_measured_asks_for_no_guess(noted, monkeypatch):
    monkeypatch.setattr(predictions, "has_learner", lambda: True)
    box, left = predict(NAME), []
    box.replace = left.append
    assert reveal(NAME, None).title == f"Not measured here: {NAME}"
    assert [card.title for card in left] == ["Not measured here."] and noted()["measured"] is None


def test_without_a_number_a_box_takes_it(noted):
    box = predict(NAME, unit="ms")
    number, button, answer = parts(box)
    assert noted()["guess"] is None and answer.value == ""
    button.click()
    assert noted()["guess"] is None and "A guess must be a number" in answer.value
    number.value = "3,5"
    assert noted()["guess"] is None
    button.click()
    assert noted()["guess"] == 3.5 and noted()["unit"] == "ms"
    assert "3.5\xa0ms. Now measure." in answer.value
    number.value = "4"
    button.click()
    assert noted()["guess"] == 4.0


def test_enter_commits_what_the_box_contains_and_other_messages_do_not(noted):
    number, _, answer = parts(predict(NAME, unit="ms"))
    number.value = "2,5"
    number._handle_custom_msg({"event": "focus"}, [])
    assert answer.value == ""
    number._handle_custom_msg({"event": "submit"}, [])
    assert "2.5\xa0ms" in answer.value
    assert noted()["guess"] == 2.5


def test_the_last_letters_of_a_fast_hand_are_in_the_guess_though_they_follow_their_enter(noted, monkeypatch):
    monkeypatch.setattr(boxes, "ARRIVES", 0.01)
    committed = []
    monkeypatch.setattr(predictions, "_store", lambda name, entry: committed.append(entry.guess))

    async def type_fast():
        number, *_ = parts(predict(NAME))
        committed.clear()
        for late in ("1.2", None, "1.3"):  # None: Enter alone, with nothing on its way
            number._handle_custom_msg({"event": "submit"}, [])
            number._handle_custom_msg({"event": "submit"}, [])
            if late:
                number.value = late
            else:
                await asyncio.sleep(0.05)
        number.value = "7"  # the field was left, without Enter
        await asyncio.sleep(0.05)

    asyncio.run(type_fast())
    assert committed == [1.2, 1.2, 1.3]


def test_a_guess_is_changed_in_its_box_until_it_is_measured_and_then_the_box_says_that_it_is_fixed(noted):
    box = predict(NAME)
    number, button, answer = parts(box)
    assert button.description == "Commit my guess"
    for text in ("", "much", "inf"):
        number.value = text
        button.click()
        assert 'role="alert"' in answer.value and button.description == "Commit my guess"
    for text in ("3", "4"):
        number.value = text
        button.click()
        assert f"{text}×. Now measure." in answer.value and button.description == "Change my guess"
    shown = []
    box.place = SimpleNamespace(update=lambda new, raw: shown.append(new["text/plain"]))
    reveal(NAME, 2)
    assert shown == ["≈ Your guess: 4×"] and repr(predict(NAME)) == shown[0] and noted()["guess"] == 4


def test_a_box_shows_the_guess_that_was_made_before():
    predict(NAME, 2.5)
    box = predict(NAME)
    number, button, answer = parts(box)
    assert number.value == "2.5" and button.description == "Change my guess" and "Now measure." in answer.value
    assert repr(box) == f"≈ Your guess: {NAME}\n  2.5×. Now measure."


def test_a_saved_notebook_says_what_was_guessed_and_how_to_change_it():
    box = predict(NAME)
    number, button, _ = parts(box)
    static = box.children[-1]
    assert static.layout.display == "none" and CURRENT in static._dom_classes
    assert "Run this cell to guess." in static.value
    number.value = "3"
    button.click()
    assert "3×. Now measure." in static.value and "Run this cell to change your guess." in static.value


@pytest.mark.parametrize("name", [NAME, "accuracy lost " * 20, "<b>`x`</b>"])
def test_a_box_without_a_kernel_is_its_whole_question_as_text_and_as_a_card(name, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, **more: shown.append((bundle, more)))
    box = predict(name)
    assert repr(box) == f"▸ Predict: {name}\n  Run this cell to guess."
    box._ipython_display_()
    ((bundle, more),) = shown
    assert more["raw"] and more["display_id"] and bundle[VIEW]["model_id"] == box.model_id
    assert bundle["text/plain"] == repr(box) and "<b>`x`</b>" not in bundle["text/html"]


def test_a_box_outlives_the_progress_file(own_workspace, noted):
    number, button, answer = parts(predict(NAME, unit="ms"))
    (own_workspace / FILE).unlink()
    number.value = "3"
    button.click()
    assert noted()["guess"] == 3 and noted()["unit"] == "ms" and "3\xa0ms" in answer.value


def test_a_box_left_alone_while_the_lesson_went_on_takes_no_guess_any_more(noted):
    box, shown = predict(NAME), []
    box.place = SimpleNamespace(update=lambda new, raw: shown.append(new["text/plain"]))
    number, button, _ = parts(box)
    for _ in range(2):  # Run All, twice
        assert "2.0× (interval 1.9 to 2.1)" in reveal(NAME, 2, 1.9, 2.1).lines
        assert repr(ledger()).startswith("No guesses yet.")
    assert not shown  # no page of a learner, whose notebook would keep the change
    number.value = "2"
    button.click()
    assert shown == [f"○ Already measured: {NAME}\n  Measured without a guess."]
    assert noted()["guess"] is None and noted()["measured"] == 2


@pytest.mark.parametrize("guess", ["much", "2,5", "", [1], {}, 1j, abs, torch.ones(2), pow(10, 400)])
def test_what_is_no_number_is_not_committed(guess, noted):
    card = predict(NAME, guess)
    assert card.mood == "bad" and card.title.startswith("A guess must be a number; ")
    assert noted()["guess"] is None


@pytest.mark.parametrize("guess", [math.nan, math.inf, "-inf"])
def test_a_guess_is_finite(guess, noted):
    assert "finite number" in predict(NAME, guess).title
    assert noted()["guess"] is None


@pytest.mark.parametrize("guess", [3, "3", " 3.0 ", True + 2, torch.tensor(3), torch.tensor([3.0])])
def test_what_means_a_number_is_one(guess, noted):
    predict(NAME, guess)
    assert noted()["guess"] == 3.0


def test_hostile_names_are_text():
    name = "<script>alert(1)</script>"
    label, *_ = predict(name).children
    assert "<script>" not in label.value and "&lt;script&gt;" in label.value
    assert "<script>" not in predict(name, 1)._repr_html_() + reveal(name, 1)._repr_html_()


def test_a_guess_can_be_changed_until_it_is_measured_but_not_after(noted):
    predict(NAME, 2)
    predict(NAME, 3)
    reveal(NAME, 5)
    late = predict(NAME, 5)
    assert late.title == f"Already measured: {NAME}" and "your guess was 3" in late.lines[0]
    assert noted()["guess"] == 3.0


def test_what_was_measured_without_a_guess_can_be_guessed_once_it_is_forgotten(own_workspace, noted, monkeypatch):
    predict("guessed", 3)
    for name in (NAME, "guessed"):
        reveal(name, 2)
    assert repr(predict(NAME)) == "○ Measured without a guess."
    forget_unguessed("01_pruning", own_workspace)
    monkeypatch.setattr(predictions, "_boxes", {})  # as in a new kernel
    box = predict(NAME)
    number, button, _ = parts(box)
    assert (
        box.children[1].layout.display is None
        and box.children[0].value.replace("\xa0", " ") == f"<b>Predict:</b> {NAME}"
    )
    number.value = "4"
    button.click()
    assert noted()["guess"] == 4 and repr(predict("guessed")) == "≈ Your guess: 3×"


@pytest.mark.parametrize("guess", [None, 2])
def test_after_a_measurement_without_a_guess_none_can_be_made(guess, noted):
    card = reveal(NAME, 2, because="It depends.")
    assert (card.title, card.lines) == (f"Measured: {NAME}", ("2", "It depends."))
    late = predict(NAME, guess, unit="×")  # a later kernel finds the measurement on record, too
    assert repr(late).endswith("Measured without a guess.") and late.mood == "quiet"
    assert noted()["guess"] is None and repr(ledger()).startswith("No guesses yet.")


def test_a_notebook_that_holds_the_guess_can_run_again():
    assert predict(NAME, 3).title == f"Your guess: {NAME}"
    for _ in range(2):
        reveal(NAME, 2)
        assert repr(predict(NAME, 3)) == "≈ Your guess: 3×"


def test_the_unit_is_there_though_the_measurement_came_first(noted):
    reveal("wait for it", 3)
    assert noted("wait for it")["unit"] == ""
    predict("wait for it", unit="ms")
    assert reveal("wait for it", 3).lines == ("3 ms",)


def test_a_skipped_box_leaves_its_unit_to_the_measurement(monkeypatch, tmp_path):
    cells = [
        {"cell_type": "markdown", "source": ["predict("]},
        {"cell_type": "code", "source": ["%matplotlib inline\n"]},
        {"cell_type": "code", "source": ["predict(\n", '    "wait", unit="ms"\n', ")"]},
        {"cell_type": "code", "source": 'predict(name, unit=unit)\npredict("gain")\nx = predict()'},
    ]
    (tmp_path / "lesson.ipynb").write_text(json.dumps({"cells": cells}))
    monkeypatch.setattr(predictions, "paths", lambda lesson: {False: tmp_path / "lesson.ipynb"})
    assert reveal("wait", 3).lines[0] == "3 ms"
    assert reveal("gain", 3, 2, 4).lines[0] == "3× (interval 2 to 4)"
    assert reveal("nothing", 3).lines[0] == "3"
    (tmp_path / "lesson.ipynb").write_text("{")
    assert reveal("nothing too", 3).lines[0] == "3"


def test_running_the_cells_again_shows_the_guess_and_keeps_it(noted):
    predict(NAME)
    predict(NAME, 2)
    again = predict(NAME)
    assert "2×. Now measure." in repr(again)
    first = reveal(NAME, 2.1, 1.9, 2.3)
    predict(NAME)
    assert reveal(NAME, 2.1, 1.9, 2.3) == first
    assert noted()["guess"] == 2.0
    reveal(NAME, 4, 3.9, 4.1)
    assert (noted()["measured"], noted()["low"], noted()["high"]) == (4.0, 3.9, 4.1)


@pytest.mark.parametrize(
    ("guess", "measured", "low", "high", "sentence"),
    [
        (2, 2.1, 1.9, 2.3, "You guessed 2×: inside the interval."),
        (1.9, 2.1, 1.9, 2.3, "inside the interval"),
        (2, 2, None, None, "inside the interval"),
        (6, 2, 1.9, 2.1, "You guessed 6×: 3.0 times too high."),
        (1, 2, 1.9, 2.1, "2.0 times too low"),
        (0, 2, 1.9, 2.1, "You guessed 0×: 2 too low."),
        (-1.5, 0.5, 0.4, 0.6, "2 too low"),
        (1, -0.5, -0.6, -0.4, "1.5 too high"),
        (2500, 1250, None, None, "You guessed 2,500×: 2.0 times too high."),
        (2, 2, 0.4, 4.1, "You guessed 2×: too noisy to judge."),
        (0.1, 0.1, -0.3, 0.5, "too noisy to judge"),
        (-5, 0.1, -0.3, 0.5, "5.1 too low"),
    ],
)
def test_the_guess_is_laid_beside_the_measurement(guess, measured, low, high, sentence):
    predict(NAME, guess)
    card = reveal(NAME, measured, low, high, because="Zeros are multiplied like all other numbers.")
    assert sentence in card.lines[1]
    assert card.lines[2] == "Zeros are multiplied like all other numbers."
    assert ("interval" in card.lines[0]) == (low is not None)


@pytest.mark.parametrize(
    "measured, low, high, sentence",
    [
        (0, -0.0196, 0.0196, "0.0000× (interval −0.0196 to 0.0196)"),
        (-50, -52.6, -47.3, "−50.0× (interval −52.6 to −47.3)"),
        (5.71, 5.5, 5.85, "5.71× (interval 5.50 to 5.85)"),
        (-1e-9, -2, 2, "0× (interval −2 to 2)"),
        (1234.5, 1000, 2000, "1,234× (interval 1,000 to 2,000)"),
        (math.inf, 0.418, math.inf, "inf× (interval 0.418 to inf)"),
        (2e-7, 1e-7, 3e-7, "2e−07× (interval 1e−07 to 3e−07)"),
        (0, 0, 0, "0×"),
    ],
)
def test_a_measurement_and_its_interval_have_equal_decimals_and_a_true_minus(measured, low, high, sentence):
    predict(NAME, 1)
    assert reveal(NAME, measured, low, high).lines[0] == f"Measured: {sentence}."


def test_a_measurement_without_a_reason_has_no_empty_line():
    predict(NAME, 1)
    assert len(reveal(NAME, torch.tensor(2.0)).lines) == 2
    assert "Measured: 2×" in reveal(NAME, torch.tensor(2.0)).lines[0]


def test_the_ledger_holds_what_was_guessed_and_measured():
    assert repr(ledger()).startswith("No guesses yet.")
    assert ledger().plot() is None and ledger()._repr_png_() is None
    for name, guess, measured in (("a", 2, 2), ("b", 4, 1), ("c", 0, 3), ("d", -5, 1), ("e", 3, 0)):
        predict(name, guess, unit="ms")
        reveal(name, measured, measured - 0.1, measured + 0.1)
    predict("not measured", 3)
    reveal("not guessed", 3)
    lines = repr(ledger()).splitlines()
    assert (
        lines[:2] == ["Your guesses so far, compared with what was measured:", "a: guessed 2 ms, measured 2 ms"]
        and len(lines) == 7
    )
    assert lines[-1] == "1 of 5 guesses inside the measured interval; typically off by a factor of 2.0"
    (axes,) = ledger().plot().axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [f"{name}  01" for name in "abcde"]
    told = [text.get_text() for text in axes.texts]
    assert told == [
        f"guessed {guess} ms, measured {measured} ms: no ratio" for guess, measured in ((0, 3), ("−5", 1), (3, 0))
    ]
    assert axes.get_xscale() == "log" and axes.get_title(loc="right") == ""
    assert ledger()._repr_png_().startswith(b"\x89PNG")
    table = ledger()._repr_html_()
    assert table.count("<tr>") == 6 and "4.0 times too high" in table and "inside the interval" in table


def test_a_very_wide_interval_praises_nobody():
    for name, low, high in (("narrow", 1.9, 2.1), ("wide", 0.5, 3.5)):
        predict(name, 2)
        reveal(name, 2, low, high)
    assert "1 of 2 guesses inside the measured interval; 1 too noisy to judge" in ledger().summary
    assert "too noisy to judge" in ledger()._repr_html_()


@pytest.mark.parametrize("count", [3, 60])
def test_a_ledger_of_any_length_has_a_row_per_guess_in_the_lessons_order_and_colours(count):
    lessons = [f"{i % 5:02d}_l" for i in range(count)]
    full = Ledger({f"<b>{i}</b> " * 20: Prediction(lessons[i], "×", 1.0 + i, 2.0, 1.9, 2.1) for i in range(count)})
    (axes,) = full.plot().axes
    labels = axes.get_yticklabels()
    assert [label.get_text()[-2:] for label in labels] == sorted(lesson[:2] for lesson in lessons)
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert len(dots) == count and len({dot.get_color() for dot in dots}) == len(set(lessons))
    assert all(len(label.get_text()) < 75 for label in labels)
    assert "<b>" not in full._repr_html_() and full._repr_html_().count("<tr>") == count + 1


def test_a_ledger_of_nothing_but_zeros_and_negative_guesses_has_no_plot():
    for name, guess in (("a", 0), ("b", -2), ("c", -1)):
        predict(name, guess)
        reveal(name, 1)
    assert ledger().plot() is None and ledger()._repr_png_() is None
    assert repr(ledger()).endswith("3 guesses")


def test_one_guess_or_two_have_a_table_but_no_summary_and_no_chart():
    for name in "abc":
        assert ledger().plot() is None and "guesses inside" not in ledger()._repr_html_()
        predict(name, 2)
        reveal(name, 2)
        few = "From 3 guesses on, a summary and a chart follow here."
        assert (few in ledger()._repr_html_()) == (few in repr(ledger())) == (name != "c")
    assert ledger().plot() is not None and "3 of 3 guesses inside" in ledger()._repr_html_()


@pytest.mark.parametrize("unit", ["points", "%"])
def test_accuracies_have_at_most_two_decimals(unit):
    predict(NAME, 0.123456, unit=unit)
    lines = reveal(NAME, 0.0, -0.01923, 0.01923).lines
    assert "0.00 " in lines[0] and "−0.02 to 0.02" in lines[0] and "0.12 " in lines[1]
    assert not re.search(r"\d\.\d{3}", " ".join(lines))


@pytest.mark.parametrize(
    ("guess", "measured", "unit", "verdict", "typical"),
    [
        (84, 88.6, "%", "4.6 points too low", "typically off by 4.6 points"),
        (90, 88.6, "%", "1.4 points too high", "typically off by 1.4 points"),
        (0.5, 0.46, "points", "0.04 points too high", "typically off by 0.04 points"),
        (30, 10, "% of the float32 file", "20.0 points too high", "typically off by 20.0 points"),
        (3, 1, "points lost", "2.0 points too high", "typically off by 2.0 points"),
        (3, 1, "×", "3.0 times too high", "typically off by a factor of 3.0"),
        (3, 1, "", "3.0 times too high", "typically off by a factor of 3.0"),
    ],
)
def test_percent_and_points_differ_by_points_and_other_numbers_by_a_factor(guess, measured, unit, verdict, typical):
    predict(NAME, guess, unit=unit)
    assert verdict in reveal(NAME, measured).lines[1]
    assert ledger().summary == f"1 guess; {typical}"


figures = st.floats(-1e6, 1e6)


@example(guess=2.2e-311, measured=1.0, widths=(0.0, 0.0))
@given(guess=figures, measured=figures, widths=st.tuples(st.floats(0, 10), st.floats(0, 10)))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_inside_is_said_exactly_if_the_guess_is_inside(guess, measured, widths):
    with change() as contents:
        contents["predictions"].clear()
    low, high = measured - widths[0], measured + widths[1]
    predict(NAME, guess)
    line = reveal(NAME, measured, low, high).lines[1]
    noisy = low <= guess <= high and high - low > abs(measured)
    assert ("inside the interval" in line) == (low <= guess <= high and not noisy)
    assert ("too noisy to judge" in line) == noisy
    assert ("too low" in line) == (guess < low) and ("too high" in line) == (guess > high)
    inside = int(low <= guess <= high and not noisy)
    assert ("1 of 1 guesses inside" in ledger().summary) == bool(inside)


def test_predictions_of_all_lessons_are_in_one_ledger(noted):
    predict("a", 1)
    session.enter("00_start_here")
    predict("b", 1)
    assert (noted("a")["lesson"], noted("b")["lesson"]) == ("01_pruning", "00_start_here")
    assert Ledger({"a": Prediction("01_pruning", "×", 1.0, 1.0, 1.0, 1.0)}).made


def test_predictions_are_shown_in_the_language_in_use_and_recorded_in_english(noted, chinese):
    chinese(
        {
            NAME: "稀疏度 90% 时的加速",
            "points": "百分点",
            "{number} points": "{number} 个百分点",
            "because it is": "就是这样",
            "Measured: {name}": "测得：{name}",
            "Predicted and measured: {name}": "猜的和测得的：{name}",
            "{measured} (interval {low} to {high})": "{measured}（区间 {low} 到 {high}）",
            "Measured: {measured}.": "测得 {measured}。",
            "You guessed {guess}: {verdict}.": "你猜 {guess}：{verdict}。",
            "inside the interval": "在区间内",
        }
    )
    assert repr(reveal("a {thing}", 3)) == "▸ 测得：a {thing}\n  3"
    predict(NAME, 2.5, unit="points")
    card = reveal(NAME, 3, 2, 4, because="because it is")
    assert card.title == "猜的和测得的：稀疏度 90% 时的加速"
    assert card.lines == ("测得 3 个百分点（区间 2 到 4）。", "你猜 2.5 个百分点：在区间内。", "就是这样")
    assert noted()["unit"] == "points"
    assert "稀疏度 90% 时的加速" in repr(ledger()) and "稀疏度 90% 时的加速" in ledger()._repr_html_()
    box = predict("another", unit="points")
    assert box.children[1].children[1].value == "百分点"
