"""The bug hunt of lesson 00: what it says of the lines that a learner marks."""

import re

import pytest

from nnopt_lab.lessons.start_here.bug_hunt import mark_bugs
from nnopt_lab.lessons.start_here.buggy_program import BUGS, NUMBERS, code
from nnopt_lab.workbench.paths import root

TEXT = (root() / "solutions" / "00_start_here.py").read_text(encoding="utf-8")

pytestmark = pytest.mark.usefixtures("own_workspace")


def test_its_bugs_are_those_of_the_lesson():
    shown = re.findall(r"^# ( \d|\d\d)(?:$|  (.*))", TEXT, re.MULTILINE)
    assert shown == [(f"{line:2}", code(line)) for line in NUMBERS]
    told = re.findall(r"^# - Bug (\d+), line (\d+)", TEXT, re.MULTILINE)
    assert len(told) == 3 and all(int(line) == BUGS[int(bug)].lines[0] for bug, line in told)
    for bug, fold in re.findall(r"<summary>Bug (\d+): (.+?)</details>", TEXT, re.DOTALL):
        assert re.search(rf"[Ll]ines? {BUGS[int(bug)].lines[0]}\b", fold)
    assert not any("line" in summary for summary in re.findall(r"<summary>(.*)", TEXT))
    assert list(BUGS) == list(range(1, 14)) and {line for bug in BUGS.values() for line in bug.lines} <= set(NUMBERS)


def test_lines_are_compared_without_telling_what_is_wrong():
    card = mark_bugs([10, 3, 4, 8])
    assert card.title == "Your lines hold 4 of the 13 bugs"  # 2 in line 4; 3, 7 and 8 in line 10
    assert card.in_words[0] == "Bugs that you have not marked are in these lines: 7, 11, 12, 15, 17, 18, 19."
    assert card.in_words[1] == "These of your lines have no bug: 3, 8." and "quant" not in repr(card)
    assert all(sentence in repr(card) for sentence in (*card.in_words, *card.lines))
    assert card.lines == ("Now find out what is wrong in each.",)
    assert mark_bugs(NUMBERS).title == "Your lines hold 13 of the 13 bugs"
    assert mark_bugs(line for bug in BUGS.values() for line in bug.lines).in_words == ()


@pytest.mark.parametrize("lines", [[0], [22], [3.5], ["7"], "7", 40, None, [None], [[7]]])
def test_what_is_no_line_is_refused_in_one_sentence(lines):
    card = mark_bugs(lines)
    assert card.mood == "bad" and "from 1 to 21" in card.title


def test_a_single_line_needs_no_list():
    assert mark_bugs(4) == mark_bugs([4])


def test_the_box_has_a_button_for_each_line_and_shows_the_card():
    made = mark_bugs()
    assert "such as `mark_bugs([3, 8])`" in repr(made)
    picker, answer, again = made.children
    _asked, grid, compare = picker.children
    lines = grid.children
    assert [button.description.replace("\xa0", " ") for button in lines] == [f"{n:2}  {code(n)}" for n in NUMBERS]
    lines[3].value = lines[9].value = True
    compare.click()
    assert answer.value == mark_bugs([4, 10])._repr_html_()
    assert picker.layout.display == "none" and again.layout.display != "none"


def test_the_marks_are_kept_and_can_be_changed():
    mark_bugs([4, 10])
    made = mark_bugs()
    picker, answer, again = made.children
    assert answer.value == mark_bugs([4, 10])._repr_html_() and picker.layout.display == "none"
    assert "Your lines hold 4 of the 13 bugs" in repr(made)
    again.click()
    assert picker.layout.display != "none" and answer.value == "" and again.layout.display == "none"
    _asked, grid, compare = picker.children
    assert [button.tooltip for button in grid.children if button.value] == ["line 4", "line 10"]
    grid.children[9].value = False
    compare.click()
    assert "Your lines hold 1 of the 13 bugs" in repr(made) and "Your lines hold 1 of the 13 bugs" in repr(mark_bugs())


def test_a_marked_line_is_explained_and_a_missed_bug_is_not():
    shown = mark_bugs([3, 4, 10])._repr_html_()
    rows = re.findall(r"<code[^>]*> *(\d+) .*?</code></span>(.*?)</div>", shown)
    said = {int(line): re.sub("<.*?>", "", text) for line, text in rows}
    assert list(said) == list(NUMBERS)
    assert said[3] == "There is no bug in this line." and said[4] == "Bug 2: F is never imported."
    assert said[7] == "Not found: bugs 1, 6." and said[12] == "Not found: bug 5." and said[11] == "Not found: bug 4."
    assert said[10].startswith("Bug 3: ") and "Bug 7: " in said[10] and "Bug 8: " in said[10]
    assert "Bug 10, too." in mark_bugs([19, 20])._repr_html_()
