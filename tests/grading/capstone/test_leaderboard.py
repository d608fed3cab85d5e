"""The leaderboard: divisions, order and points, and how it is shown."""

import numpy as np
import pytest

from nnopt_lab.grading.capstone import BYTES, FLOOR
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
    with pytest.raises(ValueError, match="division='largest' is none of smallest, fastest, most accurate"):
        BOARD.ranking("largest")
    assert FLOOR == 88.4 and BYTES == 10_000


def test_a_board_is_shown_as_table_and_figure():
    assert "halfway" in repr(BOARD) and "100.0× smaller" in repr(BOARD)
    fig = BOARD.plot()
    assert len(fig.axes) == 2 and fig.axes[0].get_xscale() == "log"
    front = next(line for line in fig.axes[1].lines if line.get_label() == "not beaten in both").get_xdata()
    assert list(front) == sorted(front, reverse=True) and 0.1 not in front
