"""The library's own texts: those that are marked, declared, or shown by figures and cards."""

import math
import re

import pytest
import torch

from nnopt_lab.course import checking, exercises
from nnopt_lab.course.differences import difference
from nnopt_lab.course.number_comments import number_comment
from nnopt_lab.course.slips import slip
from nnopt_lab.course.translation import catalogs
from nnopt_lab.course.translation.library import LIBRARY, library_messages, marked_texts
from nnopt_lab.course.translation.markdown_blocks import has_words
from nnopt_lab.techniques.quantization.grids import grid_of
from nnopt_lab.workbench import language, plots
from nnopt_lab.workbench.language import translated, translated_sentences
from tests.course.translation.conftest import LESSON


def test_marked_texts_are_found_wherever_they_stand():
    source = """
x = [_("one"), counted(n, "{count} two", "{count} twos", who=Message("three"))]
def f(): return g(_("four " "and five", a=1)) + progress_bar(range(3), desc="six", unit="seven", total=1)
_ = other("eight")
"""
    assert set(marked_texts(source)) == {
        *(("message", text) for text in ("one", "{count} two", "{count} twos", "three", "four and five")),
        *(("label", text) for text in ("six", "seven")),
    }


@pytest.mark.parametrize(
    "call", ["_(text)", "_()", "Message(text)", '_(f"a {b}")', 'counted(n, "one")', "counted(n, *both)"]
)
def test_a_call_without_a_literal_is_refused(call):
    with pytest.raises(ValueError, match="no literal"):
        list(marked_texts(call))


def test_everything_that_exercises_and_questions_say_is_found():
    found = library_messages()
    for exercise in exercises.exercises().values():
        assert "title" in found[exercise.title]
        for text in (*exercise.hints, *(w.sentence for w in exercise.wrong_answers), exercise.debrief):
            assert text in found or not has_words(text)
    for question in exercises.questions().values():
        assert "question" in found[question.text]
    assert "{exercise}: passed ({points})" in found and "{count} points" in found
    assert "Expected {wanted}, but got {got}." in found and "Two digits are swapped. Is it a typing error?" in found
    assert not any("appears twice in the lesson" in text for text in found)  # an error that learners don't see


_ROWS = [torch.arange(6.0).reshape(2, 3), torch.arange(6.0).reshape(2, 3) ** 2]
_PAIRS = [
    *[(1, "x"), ("x", 1), (1j, 1), (True, 3), (3, True), ({}, [1]), (len, 1), (print, 2.0), (None, 1)],
    *[(2, 1), (0, 1), (20, 10), (1, 10), (-3, 3), (math.nan, 1.0), ([1, 2], [1, 2, 3]), ([2, 1], [1, 2])],
    *[([2, 3], [1, 2]), ([0, 1], [1, 2]), ([3, 6], [1, 2]), ((1, "a"), [1, 2]), (3, _ROWS[0]), (_ROWS[0], 3)],
    *[
        (_ROWS[0], change(_ROWS[0]))
        for change in (torch.t, torch.flatten, torch.Tensor.long, torch.neg, torch.Tensor.sum)
    ],
    *[(_ROWS[0][:1], _ROWS[0]), (_ROWS[0][0], _ROWS[0]), (_ROWS[0], _ROWS[0][0]), (_ROWS[0] + 1, _ROWS[0])],
]
_CHANGES = [
    *[lambda x: 2 * x, lambda x: x / 2, lambda x: x / 100, lambda x: x * 1024, lambda x: x * 1.7, lambda x: x + 1],
    *[lambda x: x - 1, lambda x: x + 0.5, lambda x: -x, lambda x: 1 / x, lambda x: 1 - x, lambda x: 100 - x],
]
_MOVES = [
    *[torch.t, lambda x: x.flip(0), lambda x: x.roll(1, 1), lambda x: x[:, :-1], lambda x: x[1:]],
    *[lambda x: torch.cat([x, x[:1]]), lambda x: torch.cat([x[:1], x])],
]


def _sentences():
    yield from (difference(got, wanted, 1e-5, named=named) for got, wanted in _PAIRS for named in (True, False))
    numbers = [3.0, 5.0, 7.0]
    for values, changes in ((numbers, _CHANGES), (_ROWS, _CHANGES[:9]), (_ROWS, _MOVES)):
        for change in changes:
            accepts = lambda n, value, values=values: difference(value, values[n], 1e-5) is None  # noqa: E731
            yield slip([change(value) for value in values], values, 0, accepts)
    yield from (number_comment(given, 97.0, 0.0) for given in (3.5, 120.0, 96.9, -3.0))


@pytest.mark.parametrize("call", [lambda: grid_of(torch.zeros(2), 40), lambda: plots.legend(None, side="z")])
def test_what_the_techniques_and_plots_refuse_is_found(chinese, call):
    chinese({text: f"【{text}】" for text, kinds in library_messages().items() if "error" in kinds})
    with pytest.raises(ValueError, match="must be") as refused:
        call()
    assert translated_sentences(str(refused.value)).startswith("【")


def test_no_english_word_is_left_in_a_sentence_about_a_wrong_result(chinese):
    said = {text: re.sub(r"(?<![{\w])[A-Za-z]+(?![\w}])", "中", text) for text in library_messages()}
    chinese(said, {})
    language.set_language("zh")
    sentences = [sentence for sentence in _sentences() if sentence]
    assert len(set(sentences)) > 60
    for sentence in sentences:
        left = re.sub("NaN|float32|int64|builtin_function_or_method|'x'|`.*?`", "", translated_sentences(sentence))
        assert not re.search("[A-Za-z]{2}", left), sentence


def test_the_library_is_translated_in_a_file_of_its_own(tiny):
    catalog = catalogs.update(LIBRARY, "zh")
    assert catalogs.po_file(LIBRARY, "zh").is_file() and catalogs.state(LIBRARY, catalog).missing > 1000
    for entry in catalog:
        if entry.msgid == "The result is {times} times too large":
            entry.msgstr = "结果大了 {times} 倍"
        if entry.msgid == "{pattern}: expected {wanted}, got {got}.":
            entry.msgstr = "{pattern}：应为 {wanted}，得到 {got}。"
    catalogs.po_file(LIBRARY, "zh").write_text(catalogs.as_text(catalog), encoding="utf-8")
    catalogs.compile_catalog("zh")
    language.set_language("zh")
    assert translated("The result is 8 times too large: expected 2, got 16.") == "结果大了 8 倍：应为 2，得到 16。"


def test_sentences_are_translated_one_by_one_where_they_were_put_together(chinese):
    chinese(
        {"One thing.": "一件事。", "Also {0} things.": "另外 {0} 件事。", "See `{0}`.": "见 `{0}`。", "weight": "权重"}
    )
    assert translated_sentences("One thing. Also 3 things.") == "一件事。另外 3 件事。"
    assert translated_sentences("One thing. Nothing known.") == "一件事。Nothing known."
    assert translated_sentences("Nothing known. One thing.") == "Nothing known. One thing."
    assert translated_sentences("See `weight`.") == "见 `weight`。"


def test_what_a_check_says_is_found_by_its_templates(chinese):
    texts = [text for text, kinds in library_messages().items() if "message" in kinds]
    chinese({text: f"【{text}】" for text in texts})
    exercise = exercises.exercises()["pruning.l1_importance"]
    for answer in (lambda weight: weight, lambda weight: None, lambda weight: 8 * weight.abs().sum((1, 2, 3)), 3):
        verdict = checking.examine(exercise, answer)
        said = translated_sentences(verdict.mistake)
        assert not verdict.passed and (said != verdict.mistake), verdict.mistake


def test_marks_in_translated_texts_fill_in_their_fields():
    for text, kinds in library_messages().items():
        if "message" in kinds:
            names = language.ANY_FIELD.findall(text)
            assert text.format(**{name[1:-1]: "x" for name in names}).count("{") == 0, text
    assert translated("weight") == "weight"


def test_a_text_of_the_library_may_be_translated_otherwise_than_a_lesson_s(tiny):
    for name, kinds, said in ((LESSON, ["label"], "百分点"), (LIBRARY, ["message"], "分数")):
        catalog = catalogs.updated(catalogs.read(catalogs.po_file(name, "zh")), {"points": kinds})
        catalog[0].msgstr = said
        catalogs.po_file(name, "zh").parent.mkdir(parents=True, exist_ok=True)
        catalogs.po_file(name, "zh").write_text(catalogs.as_text(catalog), encoding="utf-8")
    catalogs.compile_catalog("zh")
    language.set_language("zh")
    assert (translated("points"), language._("points")) == ("百分点", "分数")
