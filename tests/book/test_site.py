"""The book of a small course: its pages, its folder, and what is refused."""

import re
from pathlib import Path
from textwrap import dedent

import nbformat
import pytest

from nnopt_lab.book import lessons, library, site
from nnopt_lab.course import builder, lesson_files
from nnopt_lab.course.lesson import Lesson
from nnopt_lab.workbench.language import current_language

SOURCE = r"""
    # %% [markdown]
    # # Tiny: a lesson
    #
    # It is about $\sqrt{x}$, and the next one is [here](97_draft.ipynb).

    # %%
    from nnopt_lab.techniques import pruning

    # %% exercise="pruning.nope"
    def f(x):
        ### BEGIN SOLUTION
        return pruning.importance(x)
        ### END SOLUTION
"""


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course of one lesson, with the reference of one technique."""
    for module in (builder, lesson_files):
        monkeypatch.setattr(module, "root", lambda: tmp_path / "course")
    for folder in ("solutions", "notebooks"):
        (tmp_path / "course" / folder).mkdir(parents=True)
    source = tmp_path / "course" / "solutions" / "98_tiny.py"
    source.write_text(dedent(SOURCE).lstrip().replace("[here](97_draft.ipynb)", "here"))
    for solved, path in lesson_files.paths("98_tiny").items():
        nbformat.write(builder.to_notebook(source, solved), path)
    declared = {"97_draft": Lesson(97, "Draft", 10, draft=True), "98_tiny": Lesson(98, "Tiny", 10)}
    monkeypatch.setattr(site, "declared_lessons", lambda: declared)
    pruning = library.Module("nnopt_lab.techniques.pruning", [library.Module("nnopt_lab.techniques.pruning.scores")])
    monkeypatch.setattr(library, "modules", lambda package: [pruning] * (package == library.TECHNIQUES))
    return tmp_path


@pytest.fixture
def needs_sphinx():
    for name in site.NEEDED:
        pytest.importorskip(name, reason="building the book needs pip install '.[book]'")


def test_a_book_is_in_english_whatever_the_locale(course, monkeypatch):
    said = []
    monkeypatch.setenv("NNOPT_LANGUAGE", "none such")
    monkeypatch.setattr(site, "_check_installed", lambda: None)
    monkeypatch.setattr(site, "_run_sphinx", lambda _, made, __: made.mkdir() or said.append(current_language()) or [])
    assert site.build(course / "site") == [] and said == ["en"]


def test_a_book_is_built_and_built_again(course, needs_sphinx):
    folder, steps = course / "site", []
    assert site.build(folder, lambda done, total: steps.append((done, total))) == []
    lesson = (folder / "lessons" / "98_tiny.html").read_text()
    assert "<msqrt>" in lesson and "Show the solution" in lesson and "97_draft" not in lesson
    target = "library/nnopt_lab.techniques.pruning.scores.html#nnopt_lab.techniques.pruning.scores.importance"
    assert target in lesson, "a name in the code is a link to its description"
    scores = (folder / "library" / "nnopt_lab.techniques.pruning.scores.html").read_text()
    assert "_modules/nnopt_lab/techniques/pruning/scores.html" in scores, "the description has a link to the source"
    assert (folder / "_modules" / "nnopt_lab" / "techniques" / "pruning" / "scores.html").is_file()
    assert {"index.html", "search.html", "searchindex.js", ".nojekyll"} <= {path.name for path in folder.iterdir()}
    assert steps == [(n, steps[-1][1]) for n in range(1, len(steps) + 1)] or steps[-1][0] == steps[-1][1]
    loaded = re.findall(r"""<(?:script|img|iframe)[^>]*src="([^"]*)"|<link[^>]*href="([^"]*)""", lesson)
    assert loaded and not [a or b for a, b in loaded if re.match(r"(https?:)?//", a or b)]
    (folder / "stale.html").touch()
    site.build(folder)
    assert (folder / "index.html").is_file() and not (folder / "stale.html").exists()
    assert sorted(path.name for path in course.iterdir()) == ["course", "site"], "nothing else is left"


def test_a_folder_with_other_files_is_left_alone(course, monkeypatch):
    monkeypatch.setattr(site, "NEEDED", ())
    mine = course / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("words")
    with pytest.raises(ValueError, match=r"^folder='.*mine' must be new, empty or an earlier book, .* other files\.$"):
        site.build(mine)
    with pytest.raises(ValueError, match=r"^folder='.*thesis\.txt' must be a folder, but it is a file\.$"):
        site.build(mine / "thesis.txt")
    assert (mine / "thesis.txt").read_text() == "words"


def test_a_missing_extra_is_one_sentence_with_the_cure(course, monkeypatch):
    monkeypatch.setattr(site, "NEEDED", ("re", "no_such_package", "nor_this_one"))
    cure = r"The book needs no_such_package, nor_this_one: pip install 'nnopt-lab\[book\]'\."
    with pytest.raises(ValueError, match=cure):
        site.build(course / "site")
    assert not (course / "site").exists()


def test_a_lesson_that_is_not_built_is_named_and_an_earlier_book_stays(course, monkeypatch):
    monkeypatch.setattr(site, "NEEDED", ())
    (course / "site").mkdir()
    (course / "site" / site.MARK).touch()
    (course / "course" / "solutions" / "98_tiny.ipynb").unlink()
    with pytest.raises(FileNotFoundError, match=r"98_tiny\.ipynb is missing, .*: run nnopt build 98_tiny\."):
        site.build(course / "site")
    assert [path.name for path in (course / "site").iterdir()] == [site.MARK]
    assert sorted(path.name for path in course.iterdir()) == ["course", "site"]


def test_the_extra_lists_what_is_needed():
    import tomllib

    text = (Path(site.__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    extra = tomllib.loads(text)["project"]["optional-dependencies"]["book"]
    assert all("<" in line for line in extra)
    names = {re.match(r"[\w-]+", line)[0].replace("-", "_") for line in extra}
    assert names == set(site.NEEDED)
    assert set(lessons.DOCUMENTED) == {library.TECHNIQUES, library.WORKBENCH}
