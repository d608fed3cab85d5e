"""A question's text above its cell: the same words as on a card, in Markdown that shows them as they are."""

import json
import re
from html.parser import HTMLParser

import mistune
import nbformat
import pytest

from nnopt_lab.course.asking import ASKS, asks, prose
from nnopt_lab.course.builder import to_notebook
from nnopt_lab.course.exercises import Question, cell_id, questions
from nnopt_lab.workbench.paths import root


class Text(HTMLParser):
    """The text of a page, and the tags in it."""

    def __init__(self, page: str):
        super().__init__()
        self.text, self.tags = "", []
        self.feed(page)

    def handle_data(self, data):
        self.text += data

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)


def asked(text: str, **choices) -> Question:
    return Question("tiny.q", "00_start_here", 2, text, "a" if choices else 1, "SECRET", choices, {"b": "ALSO SECRET"})


def shown(question: Question) -> Text:
    return Text(mistune.html(prose(question)))


@pytest.mark.parametrize(
    "text",
    [
        "What is 2**10 - 3*4*5 and a * b * c?",
        "Is `a_b*c*` or _this_ <b>bold</b>, [a link](x) or ~~gone~~?",
        "It costs $5 or $6, `$7` & more. A | B # C \\ D",
        "An odd ` stays, and &amp; too",
        "__init__ or **kwargs?",
    ],
)
def test_signs_of_markdown_in_a_text_are_shown_as_they_are(text):
    page = shown(asked(text))
    assert page.text.strip() == "Question (2 points). " + re.sub(r"`([^`]+)`", r"\1", text)
    assert set(page.tags) <= {"p", "strong", "code"} and page.tags.count("strong") == 1


def test_code_and_emphasis_are_formatted_as_on_a_card():
    assert {"code", "em"} <= set(shown(asked("What does `model(x)` do *here*?")).tags)


def test_choices_are_a_list_with_letters():
    page = shown(asked("Which?", a="one `x`", b="two"))
    assert page.tags.count("li") == 2 and "a) one x" in page.text and "b) two" in page.text


@pytest.mark.parametrize("id", questions())
def test_nothing_of_a_notebook_tells_the_answer_of_a_question(id):
    question = questions()[id]
    text = prose(question) + json.dumps(asks(question))
    assert question.explanation not in text and not any(comment in text for comment in question.comments.values())
    assert asks(question)["choices"] == list(question.choices)
    assert prose(question).startswith(f"**Question ({question.points} point")
    assert [letter for letter in question.choices if f"\n- **{letter})** " not in prose(question)] == []


def test_a_lesson_s_questions_have_their_text_above_them_in_both_notebooks():
    for solved in (True, False):
        notebook = to_notebook(root() / "solutions" / "00_start_here.py", solved)
        nbformat.validate(notebook)
        ids = [cell.id for cell in notebook.cells]
        assert len(set(ids)) == len(ids)
        for question in questions("00_start_here").values():
            place = ids.index(cell_id("question", question.id))
            above, cell = notebook.cells[place - 1], notebook.cells[place]
            assert above.cell_type == "markdown" and above.source == prose(question)
            assert cell.metadata[ASKS] == asks(question)


@pytest.mark.parametrize("text", ["打分的是*输入*通道", "*输入*通道", "`x` 是*输入 x*，*真*"])
def test_emphasis_between_chinese_characters_is_formatted_as_on_a_card(text):
    page = shown(asked(text))
    assert "em" in page.tags and "*" not in page.text


def test_signs_beside_chinese_that_are_no_emphasis_are_shown_as_they_are():
    for text in ("宽 * 高 * 深", "3*4*5 个通道", "2**10 个*"):
        page = shown(asked(text))
        assert "em" not in page.tags and page.text.strip().endswith(text)


def test_a_chinese_question_has_no_space_behind_its_points(chinese):
    chinese({"**Question ({count} points).**": "**问题（{count} 分）**。", "Which layer?": "哪一层？"})
    assert prose(asked("Which layer?")) == "**问题（2 分）**。哪一层？"
