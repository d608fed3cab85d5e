"""The bug hunt of lesson 00: what it says of the lines that a learner marks."""

import re

import pytest

from nnopt_lab.lessons.start_here.bug_hunt import BUGS, PROGRAM, mark_bugs
from nnopt_lab.workbench.paths import root

TEXT = (root() / "solutions" / "00_start_here.py").read_text(encoding="utf-8")


def test_its_bugs_are_those_of_the_lesson():
    assert [int(line) for line in re.findall(r"^# +(\d+)  ?\S", TEXT, re.MULTILINE)][-1] == PROGRAM[-1]
    told = re.findall(r"Bug (\d+), line (\d+)", TEXT)
    assert len(told) == 8 and all(int(line) == BUGS[int(bug)][0] for bug, line in told)
    assert list(BUGS) == list(range(1, 14)) and set().union(*BUGS.values()) <= set(PROGRAM)


def test_lines_are_compared_without_telling_what_is_wrong():
    card = mark_bugs([10, 3, 4, 8])
    assert card.title == "Your lines hold 4 of the 13 bugs"  # 2 in line 4; 3, 7 and 8 in line 10
    assert card.lines[0] == "Bugs that you have not marked are in these lines: 7, 11, 12, 15, 17, 18, 19."
    assert card.lines[1] == "These of your lines have no bug: 3, 8." and "quant" not in repr(card)
    assert mark_bugs(PROGRAM).title == "Your lines hold 13 of the 13 bugs"
    assert mark_bugs(line for lines in BUGS.values() for line in lines).lines == (
        "Now find out what is wrong in each.",
    )


@pytest.mark.parametrize("lines", [[0], [22], [3.5], ["7"], "7", 40, None, [None], [[7]]])
def test_what_is_no_line_is_refused_in_one_sentence(lines):
    card = mark_bugs(lines)
    assert card.mood == "bad" and "from 1 to 21" in card.title


def test_a_single_line_needs_no_list():
    assert mark_bugs(4) == mark_bugs([4])


def test_the_box_has_a_button_for_each_line_and_shows_the_card():
    made = mark_bugs()
    assert "such as `mark_bugs([3, 8])`" in repr(made)
    _asked, row, answer = made.children
    *lines, compare = row.children
    assert [button.description for button in lines] == [str(line) for line in PROGRAM]
    lines[3].value = lines[9].value = True
    compare.click()
    assert answer.value == mark_bugs([4, 10])._repr_html_()
