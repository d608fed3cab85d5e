"""A lesson's translations: made, moved, stale, obsolete and compiled."""

import pytest

from nnopt_lab.course.translation import catalogs
from nnopt_lab.course.translation.catalogs import Counts
from nnopt_lab.workbench import language
from tests.course.translation.conftest import LESSON, SOURCE

PARAGRAPH = "The network has 3 layers, and `MyNet` is its name."


def fill(path):
    catalog = catalogs.read(path)
    for entry in catalog:
        entry.msgstr = f"译文 {entry.msgid}"
    path.write_text(catalogs.as_text(catalog), encoding="utf-8")


def entries(catalog):
    return {entry.msgid: entry for entry in catalog}


@pytest.fixture
def path(tiny):
    catalogs.update(LESSON, "zh")
    return catalogs.po_file(LESSON, "zh")


def test_a_new_file_has_every_text_once_in_order_and_without_translations(path):
    found = [(entry.msgid, entry.comment, entry.msgstr) for entry in catalogs.read(path)]
    assert found == [
        ("Tiny", "heading", ""),
        (PARAGRAPH, "paragraph", ""),
        ("one $x$", "list item", ""),
        ("two", "list item", ""),
        ("| name | size |", "table row", ""),
        ("| small | 3 |", "table row", ""),
        ("It has 3 layers.", "claim", ""),
        ("{0} bits lose {1} points", "printed", ""),
    ]


def test_an_update_without_a_change_writes_nothing(path):
    fill(path)
    before = path.read_bytes(), path.stat().st_mtime_ns
    catalogs.update(LESSON, "zh")
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_moved_and_rewrapped_paragraphs_keep_their_translations(path, course):
    fill(path)
    moved = SOURCE.replace("# The network has 3 layers,\n# and `MyNet` is its name.\n#\n", "")
    course(LESSON, moved + "\n# %% [markdown]\n# The network\n# has 3 layers, and `MyNet` is its name.\n")
    found = catalogs.update(LESSON, "zh")
    assert catalogs.state(LESSON, found) == Counts(8, 0, 0)
    assert [entry.msgid for entry in found][-1] == PARAGRAPH


def test_a_changed_text_makes_its_translation_stale_until_it_is_changed_back(path, course):
    fill(path)
    course(LESSON, SOURCE.replace("has 3 layers,", "has 4 layers,"))
    found = catalogs.update(LESSON, "zh")
    assert catalogs.state(LESSON, found) == Counts(7, 1, 0)
    stale = entries(found)[PARAGRAPH.replace("3", "4")]
    assert stale.fuzzy and stale.previous_msgid == PARAGRAPH and stale.msgstr == f"译文 {PARAGRAPH}"
    assert stale.msgid not in catalogs.translations(found)
    course(LESSON, SOURCE.replace("has 3 layers,", "has 5 layers,"))
    assert entries(catalogs.update(LESSON, "zh"))[PARAGRAPH.replace("3", "5")].previous_msgid == PARAGRAPH
    course(LESSON, SOURCE)
    assert catalogs.state(LESSON, catalogs.update(LESSON, "zh")) == Counts(8, 0, 0)


def test_a_vanished_text_is_kept_as_obsolete_and_comes_back(path, course):
    fill(path)
    course(LESSON, SOURCE.replace("# - two\n", ""))
    found = catalogs.update(LESSON, "zh")
    assert entries(found)["two"].obsolete and catalogs.state(LESSON, found) == Counts(7, 0, 0)
    assert "two" not in catalogs.translations(catalogs.read(path))
    course(LESSON, SOURCE)
    assert catalogs.state(LESSON, catalogs.update(LESSON, "zh")) == Counts(8, 0, 0)


def test_a_vanished_text_without_translation_leaves_no_trace(path, course):
    course(LESSON, SOURCE.replace("# - two\n", ""))
    catalogs.update(LESSON, "zh")
    assert "two" not in entries(catalogs.read(path))


def test_a_new_text_is_missing_even_before_the_file_is_updated(path, course):
    fill(path)
    course(LESSON, SOURCE + "\n# %% [markdown]\n# Something else altogether.\n")
    assert catalogs.state(LESSON, catalogs.read(path)) == Counts(8, 0, 1)


def test_a_translators_comment_stays(path):
    catalog = catalogs.read(path)
    for entry in catalog:
        entry.msgstr, entry.tcomment = "译文", "other: weight"
    path.write_text(catalogs.as_text(catalog), encoding="utf-8")
    assert {entry.tcomment for entry in catalogs.update(LESSON, "zh")} == {"other: weight"}


def test_lessons_without_a_file_are_due_once_the_language_is_complete(tiny):
    assert catalogs.translated_languages() == [] and catalogs.lessons_due("zh", [LESSON]) == []
    (tiny / "solutions" / "zh").mkdir()
    (tiny / "solutions" / "zh" / "glossary.csv").touch()
    assert catalogs.translated_languages() == []
    (tiny / "solutions" / "zh" / catalogs.COMPLETE).touch()
    assert catalogs.translated_languages() == ["zh"] and catalogs.lessons_due("zh", [LESSON]) == [LESSON]


def test_a_damaged_file_is_named(path):
    path.write_text("no file of translations\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"97_tiny.po in solutions/zh/ can't be read"):
        catalogs.read(path)


@pytest.mark.parametrize("name", ["", "en", "../x", "zh_CN", "ZH", "chinese"])
def test_a_language_is_named_by_a_small_code(name):
    with pytest.raises(ValueError, match="language="):
        catalogs.check_language(name)
    assert catalogs.check_language("zh") == "zh"


def test_the_compiled_texts_are_those_that_programs_show(path):
    fill(path)
    assert not catalogs.is_compiled("zh")
    catalogs.compile_catalog("zh")
    assert catalogs.is_compiled("zh")
    language.set_language("zh")
    assert language.translated("It has 3 layers.") == "译文 It has 3 layers."
    assert language.translated("2 bits lose 1.0 points") == "译文 2 bits lose 1.0 points"
    assert language.translated(PARAGRAPH) == PARAGRAPH  # prose is in the notebook


def test_stale_texts_are_not_compiled(path, course):
    fill(path)
    course(LESSON, SOURCE.replace("It has 3 layers.", "It has 4 layers."))
    catalogs.update(LESSON, "zh")
    catalogs.compile_catalog("zh")
    language.set_language("zh")
    assert language.translated("It has 4 layers.") == "It has 4 layers."


def test_a_text_that_two_lessons_translate_differently_is_there_in_each_one_s_context(tiny):
    for name, said in ((LESSON, "小"), ("98_other", "small")):
        catalog = catalogs.updated(catalogs.read(catalogs.po_file(name, "zh")), {"small": ["label"]})
        catalog[0].msgstr = said
        catalogs.po_file(name, "zh").parent.mkdir(parents=True, exist_ok=True)
        catalogs.po_file(name, "zh").write_text(catalogs.as_text(catalog), encoding="utf-8")
    catalogs.compile_catalog("zh")
    language.set_language("zh")
    assert language.translated("small") == "小"
    language.enter_lesson("98_other")
    assert language.translated("small") == "small"


def test_docstrings_and_comments_are_texts_of_the_notebook_and_are_not_compiled(path, course):
    course(LESSON, SOURCE + '\n# %%\n# Plot: it\ndef f():\n    """Do it."""\n    return 1  # or two\n')
    catalogs.update(LESSON, "zh")
    fill(path)
    found = [(entry.msgid, entry.comment) for entry in catalogs.read(path)][-3:]
    assert found == [("Plot: it", "label of a folded cell"), ("Do it.", "docstring"), ("or two", "code comment")]
    catalogs.compile_catalog("zh")
    language.set_language("zh")
    assert language.translated("Do it.") == "Do it."
