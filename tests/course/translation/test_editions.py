"""The notebooks in other languages: the same code, and prose that is translated or marked."""

import re

import nbformat
import pytest

from nnopt_lab.course.builder import to_notebook
from nnopt_lab.course.lesson_files import lesson_names
from nnopt_lab.course.translation import catalogs, editions
from nnopt_lab.course.translation.code_remarks import WIDTH, columns
from tests.course.translation.conftest import LESSON, SOURCE
from tests.course.translation.test_catalogs import PARAGRAPH, fill

MARK = editions.MARKS["zh"]


@pytest.fixture
def finished(tiny):
    """The lesson with all texts translated, and its notebook and catalogue written."""
    catalogs.update(LESSON, "zh")
    fill(catalogs.po_file(LESSON, "zh"))
    editions.write_editions("zh", [LESSON])
    return tiny


def read():
    return nbformat.read(editions.edition_file(LESSON, "zh"), as_version=4)


def test_code_ids_and_metadata_are_those_of_the_english_notebook(finished):
    english, made = to_notebook(finished / "solutions" / f"{LESSON}.py", solved=False), read()
    assert [(c.id, c.metadata, c.cell_type) for c in made.cells] == [
        (c.id, c.metadata, c.cell_type) for c in english.cells
    ]
    for old, new in zip(english.cells, made.cells, strict=True):
        assert (old.source == new.source) == (old.cell_type == "code")
    assert f"译文 {PARAGRAPH}" in made.cells[0].source and MARK not in made.cells[0].source
    assert editions.out_of_step("zh", [LESSON]) == []


def test_one_changed_sentence_fails_the_check_and_shows_the_english_with_a_mark(finished, course):
    course(LESSON, SOURCE.replace("has 3 layers,", "has 4 layers,").replace("| small | 3 |", "| small | 4 |"))
    assert len(editions.out_of_step("zh", [LESSON])) == 3  # two texts and the notebook
    catalogs.update(LESSON, "zh")
    editions.write_editions("zh", [LESSON])
    prose = read().cells[0].source
    assert f"\n{PARAGRAPH.replace('3', '4')} {MARK}\n" in prose and "| small | 4 " + MARK + " |" in prose
    assert f"译文 {PARAGRAPH}" not in prose
    stale = editions.out_of_step("zh", [LESSON])
    assert [text.split(": ")[1] for text in stale] == ["stale", "stale"]


def test_a_missing_translation_is_named_and_marked(tiny):
    catalogs.update(LESSON, "zh")
    editions.write_editions("zh", [LESSON])
    found = editions.out_of_step("zh", [LESSON])
    assert f"solutions/zh/{LESSON}.po: missing: {PARAGRAPH}" in found and len(found) == 8
    assert f"# Tiny {MARK}" in read().cells[0].source


def test_changed_code_makes_the_notebook_outdated(finished, course):
    course(LESSON, SOURCE.replace("(2, 3)", "(2, 4)"))
    assert editions.out_of_step("zh", [LESSON]) == [
        f"notebooks/zh/{LESSON}.ipynb is outdated: run nnopt translate {LESSON}."
    ]


def test_a_notebook_with_outputs_or_changed_by_hand_is_outdated(finished):
    notebook = read()
    notebook.cells[1].outputs = [nbformat.v4.new_output("stream", text="x")]
    nbformat.write(notebook, editions.edition_file(LESSON, "zh"))
    assert len(editions.out_of_step("zh", [LESSON])) == 1


def test_an_outdated_catalogue_is_named(finished):
    (finished / "locale/zh/LC_MESSAGES/nnopt_lab.mo").unlink()
    assert editions.out_of_step("zh", [LESSON]) == ["The compiled texts of zh are outdated: run nnopt translate."]


def test_a_lesson_that_is_not_begun_is_only_missed_if_the_language_is_complete(finished, course):
    course("98_new", SOURCE)
    assert editions.out_of_step("zh", [LESSON, "98_new"]) == []
    (finished / "solutions/zh" / catalogs.COMPLETE).touch()
    assert len(editions.out_of_step("zh", [LESSON, "98_new"])) == 9


def test_another_language_has_its_own_folder(finished):
    catalogs.update(LESSON, "ja")
    editions.write_editions("ja", [LESSON])
    made = nbformat.read(editions.edition_file(LESSON, "ja"), as_version=4)
    assert f"# Tiny {editions.OTHER_MARK}" in made.cells[0].source
    assert catalogs.translated_languages() == ["ja", "zh"]


DOCUMENTED = """
# %% [markdown]
# **Exercise (2 points).** Write it.

# %% exercise="pruning.l1_importance"
def l1_importance(weight):
    \"\"\"The L1 norm of each filter.\"\"\"
    ### BEGIN SOLUTION
    # The first axis stays.
    return weight.abs().sum((1, 2, 3))
    ### END SOLUTION

# %%
# Claims: one
claim("It is one.", True)
"""


def test_docstrings_comments_and_labels_of_code_are_translated(tiny, course):
    course(LESSON, DOCUMENTED)
    catalogs.update(LESSON, "zh")
    fill(catalogs.po_file(LESSON, "zh"))
    editions.write_editions("zh", [LESSON])
    assert read().cells[1].source == (
        'def l1_importance(weight):\n    """译文 The L1 norm of each filter."""\n'
        "    # 译文 Your answer here.\n    raise NotImplementedError"
    )
    folded = read().cells[2]
    assert folded.source.startswith("# 译文 Claims: one\n") and folded.metadata.jupyter.source_hidden
    solved = editions.edition(LESSON, "zh", solved=True).cells[1].source
    assert "    # 译文 The first axis stays.\n    return weight" in solved and "Your answer" not in solved
    assert editions.out_of_step("zh", [LESSON]) == []


def test_a_changed_docstring_makes_its_translation_stale_and_stays_english(tiny, course):
    course(LESSON, DOCUMENTED)
    catalogs.update(LESSON, "zh")
    fill(catalogs.po_file(LESSON, "zh"))
    course(LESSON, DOCUMENTED.replace("The L1 norm of each", "The L2 norm of each"))
    catalogs.update(LESSON, "zh")
    editions.write_editions("zh", [LESSON])
    assert editions.out_of_step("zh", [LESSON]) == [f"solutions/zh/{LESSON}.po: stale: The L2 norm of each filter."]
    assert '"""The L2 norm of each filter."""' in read().cells[1].source


def test_a_translation_that_changes_the_code_fails_the_check_with_one_sentence(tiny, course):
    course(LESSON, DOCUMENTED)
    path = catalogs.po_file(LESSON, "zh")
    catalogs.update(LESSON, "zh")
    fill(path)
    path.write_text(path.read_text(encoding="utf-8").replace("译文 The L1", '译文 \\"\\"\\" The L1'), encoding="utf-8")
    with pytest.raises(ValueError, match="would change the code that begins 'def l1_importance"):
        editions.write_editions("zh", [LESSON])


@pytest.mark.parametrize("lesson", lesson_names())
def test_lines_of_code_fit_into_a_cell_in_chinese(lesson):
    made = editions.edition(lesson, "zh")
    lines = [line for cell in made.cells if cell.cell_type == "code" for line in cell.source.split("\n")]
    assert [line for line in lines if columns(line) > WIDTH and re.search("[\u4e00-\u9fff]", line)] == []
