"""The leaderboard: divisions, order and points, and how it is shown."""

from dataclasses import replace

import numpy as np
import pytest

from nnopt_lab.course.course_map import course_map
from nnopt_lab.grading.capstone import BYTES, DIVISIONS, FLOOR, Leaderboard, note
from tests.grading.capstone.boards import BOARD


def test_points_lie_between_the_naive_program_and_the_best():
    smallest = [BOARD.points(e.name, "smallest") for e in BOARD.entries]
    assert smallest[0] == 0 and smallest[3] == 10 and smallest[5] == 10 and smallest[6] == 0
    assert smallest[4] == pytest.approx(10 * np.log(10) / np.log(1e6 / 9_999))
    fastest = [BOARD.points(e.name, "fastest") for e in BOARD.entries]
    assert fastest == pytest.approx([0, 0, 10, 0, 5, 0, 0])
    accurate = [BOARD.points(e.name, "most accurate") for e in BOARD.entries]
    assert accurate == pytest.approx([0, 0, 0, 10, 0, 0, 0])


def test_divisions_have_their_conditions_and_order():
    assert [e.name for e in BOARD.ranking("smallest")][:2] == ["smaller", "our exact one"]
    assert [e.name for e in BOARD.ranking("fastest")][:2] == ["our fast one", "halfway"]
    assert [e.name for e in BOARD.ranking("most accurate")] == ["our exact one", "smaller", "wrong"]
    with pytest.raises(ValueError, match="division='largest' must be one of smallest, fastest, most accurate"):
        BOARD.ranking("largest")
    assert FLOOR == 88.4 and BYTES == 10_000


def test_a_board_is_shown_as_table_and_figure():
    assert "halfway" in repr(BOARD) and "100.0× smaller" in repr(BOARD)
    fig = BOARD.plot()
    assert len(fig.axes) == 2 and fig.axes[0].get_xscale() == "log"
    front = next(line for line in fig.axes[1].lines if line.get_label() == "not beaten in both").get_xdata()
    assert list(front) == sorted(front, reverse=True) and 0.1 not in front


def test_a_board_is_grouped_by_division_and_tells_learners_their_places():
    shown = repr(BOARD)
    titles = [name for line in shown.splitlines() for name in DIVISIONS if line.startswith(f"{name} ")]
    assert titles == list(DIVISIONS)
    assert "halfway: place 4 of 6 in smallest, place 2 of 6 in fastest." in shown
    assert "wrong: place 3 of 3 in most accurate." in shown and "our small one: place" not in shown
    assert "halfway: place 4 of 6 in smallest" in BOARD._repr_html_()


def test_entries_in_no_division_share_a_sentence_and_are_in_the_table():
    outside = [replace(BOARD["wrong"], name=name, bytes=10 * BYTES) for name in ("one", "two")]
    shown = repr(Leaderboard((*BOARD.entries, *outside)))
    assert "one, two: in no division." in shown and shown.count("in no division") == 2


def test_entries_that_are_equally_good_share_a_place():
    twin = replace(BOARD["halfway"], name="twin")
    board = Leaderboard((*BOARD.entries, twin))
    assert board.place("twin", "fastest") == board.place("halfway", "fastest") == (2, 7)
    assert board.place("halfway", "most accurate") is None


def test_the_validation_accuracy_is_shown_where_it_was_measured():
    assert "81.25 %" in repr(Leaderboard((*BOARD.entries, replace(BOARD["halfway"], name="x", validation=81.25))))


def test_progress_gives_the_most_points_that_entries_earned(own_workspace, tmp_path):
    good, bad = tmp_path / "smaller.onnx", tmp_path / "wrong.onnx"
    paths = {"smaller": good, "wrong": bad}
    board = Leaderboard(tuple(replace(entry, path=paths.get(entry.name)) for entry in BOARD.entries))
    blank = repr(course_map(own_workspace))
    note(board, [tmp_path / "another.onnx", bad])
    assert repr(course_map(own_workspace)) == blank
    note(board, [good])
    note(board, [bad])
    assert course_map(own_workspace).rows[-1][2:] == (10, 30) and "10 of 30 points" in repr(course_map(own_workspace))


def test_divisions_are_one_table_with_place_and_points_that_folds_the_times():
    first = BOARD._repr_html_().partition("</thead>")[0]
    assert BOARD._repr_html_().partition("<details>")[0].count("<table") == 1
    assert first.index(">place<") < first.index(">points<") < first.index(">entry<") and "batch" not in first
    folded = BOARD._repr_html_().partition("<details>")[2]
    assert "batch 256" in folded and "halfway" in folded and "<table" in folded
    assert "batch 256" in repr(BOARD)
