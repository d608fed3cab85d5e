"""The bug hunt of lesson 00: what it says of the lines that a learner marks."""

import re

import pytest

from nnopt_lab.lessons.start_here.attempt import attempt
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
    assert card.title == "2 of your 4 lines have a bug"
    assert mark_bugs([10, 3]).title == "1 of your 2 lines has a bug"
    assert card.in_words[0] == "Bugs that you have not marked are in these lines: 7, 9, 11, 12, 15, 17, 18, 19."
    assert card.in_words[1] == "These of your lines have no bug: 3, 8." and "quant" not in repr(card)
    assert all(sentence in repr(card) for sentence in (*card.in_words, *card.lines))
    assert card.lines == ("The program has 13 bugs; some lines have two. Now find out what is wrong in each.",)
    assert mark_bugs([4]).title == "1 of your 1 line has a bug" and mark_bugs([3]).title.startswith("0 of your 1 ")
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
    picker, answer, again = made.children[:3]
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
    picker, answer, again = made.children[:3]
    assert answer.value == mark_bugs([4, 10])._repr_html_() and picker.layout.display == "none"
    assert "2 of your 2 lines have a bug" in repr(made)
    again.click()
    assert picker.layout.display != "none" and answer.value == "" and again.layout.display == "none"
    _asked, grid, compare = picker.children
    assert [button.tooltip for button in grid.children if button.value] == ["line 4", "line 10"]
    grid.children[9].value = False
    compare.click()
    assert "1 of your 1 line has a bug" in repr(made) and "1 of your 1 line has a bug" in repr(mark_bugs())


def test_a_marked_line_is_explained_and_a_missed_bug_is_not():
    shown = mark_bugs([3, 4, 10])._repr_html_()
    rows = re.findall(r"<code[^>]*> *(\d+) .*?</code></span>(.*?)</div>", shown)
    said = {int(line): re.sub("<.*?>", "", text) for line, text in rows}
    assert list(said) == list(NUMBERS)
    assert said[3] == "There is no bug in this line." and said[4] == "Bug 2: F is never imported."
    assert said[7] == "Not found: bugs 1, 6." and said[12] == "Not found: bugs 5, 7." and said[9] == "Not found: bug 8."
    assert said[10] == "Bug 3: The cast drops every fraction."
    assert "Bug 10, too." in mark_bugs([19, 20])._repr_html_()


def test_a_line_with_two_bugs_says_so():
    """Who marks it has perhaps seen one of them."""
    shown = re.sub("<.*?>", "", mark_bugs([10, 12])._repr_html_())
    assert "This line has 2 bugs. Bug 5: Integers have no gradient. Bug 7: No scale is stored." in shown
    assert shown.count("This line has") == 1
    assert all(sum(line in bug.lines for bug in BUGS.values()) <= 2 for line in NUMBERS)


def test_nothing_is_compared_without_a_marked_line():
    picker, answer, _again = mark_bugs().children[:3]
    picker.children[-1].click()
    assert "You marked no line" in answer.value


@pytest.fixture
def shown(monkeypatch):
    """A function: the text and the HTML of an attempt."""
    outputs = []
    monkeypatch.setattr("nnopt_lab.lessons.start_here.attempt.display", lambda data, raw: outputs.append(data))

    def show(code: str, **names) -> tuple[str, str]:
        attempt(code, **names)
        return outputs[-1]["text/plain"], outputs[-1]["text/html"]

    return show


def test_what_a_line_gives_is_folded_until_the_marks_are_compared(shown):
    text, page = shown("F.relu(torch.ones(2))")
    assert text == "NameError: name 'F' is not defined" and "<details" in page and " open>" not in page
    mark_bugs([4])
    assert " open>" in shown("F.relu(torch.ones(2))")[1]


def test_an_attempt_gives_a_value_an_error_or_that_it_runs(shown):
    assert shown("w + 1", w=2)[0] == "3" and shown("w = 3")[0] == "runs"
    assert shown("def quantise model(model, num_bits): ...")[0].startswith("SyntaxError: ")
