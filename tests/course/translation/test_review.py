"""The review of a lesson's translations, and that those of the course pass it."""

import pytest

from nnopt_lab.course.lesson_files import lesson_names
from nnopt_lab.course.translation import catalogs
from nnopt_lab.course.translation.review import review
from tests.course.translation.conftest import LESSON

SHIPPED = [(n, code) for code in catalogs.translated_languages() for n in catalogs.lessons_due(code, lesson_names())]


@pytest.mark.parametrize(("lesson", "language"), SHIPPED)
def test_the_courses_translations_have_no_fault_that_a_program_finds(lesson, language):
    assert [(f.english, f.problems) for f in review(lesson, language)] == []


def test_faults_are_found_except_in_stale_and_missing_entries(tiny):
    catalog = catalogs.update(LESSON, "zh")
    (tiny / "solutions/zh/glossary.csv").write_text("English,translation,note\nlayer,层,\nbit,位,\n")
    said = {"Tiny": "小网络", "two": "2,个", "one $x$": "一个 $y$", "It has 3 layers.": "有 3 个。"}
    for entry in catalog:
        entry.msgstr = said.get(entry.msgid, "")
        if entry.msgid == "one $x$":
            entry.flags = ["fuzzy"]
    catalogs.po_file(LESSON, "zh").write_text(catalogs.as_text(catalog), encoding="utf-8")
    assert [finding.english for finding in review(LESSON, "zh")] == ["two", "It has 3 layers."]


def test_a_comment_says_that_a_word_is_no_term(tiny):
    catalog = catalogs.update(LESSON, "zh")
    (tiny / "solutions/zh/glossary.csv").write_text("English,translation,note\nlayer | layering,层,\n")
    entry = catalog.find("It has 3 layers.")
    entry.msgstr, entry.tcomment = "有 3 个。", "other: bit, Layer"
    catalogs.po_file(LESSON, "zh").write_text(catalogs.as_text(catalog), encoding="utf-8")
    assert review(LESSON, "zh") == []


def test_words_that_a_docstring_keeps_are_names_and_no_terms(tiny):
    path = catalogs.po_file(LESSON, "zh")
    path.parent.mkdir(parents=True)
    (path.parent / "glossary.csv").write_text("English,translation,note\nweight,权重,\n", encoding="utf-8")
    path.write_text(
        '#. docstring\nmsgid "weight: float [N], a layer\'s weights."\nmsgstr "weight：float [N]，一层的权重。"\n\n'
        '#. docstring\nmsgid "The weight, float [N]."\nmsgstr "参数，float [M]。"\n',
        encoding="utf-8",
    )
    [found] = review(LESSON, "zh")
    assert found.english.startswith("The weight") and len(found.problems) == 3
