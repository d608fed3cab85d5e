"""A lesson's page: answers in folds, the task as the learner gets it, and links to the library."""

from textwrap import dedent

import nbformat
import pytest

from nnopt_lab.book import lessons
from nnopt_lab.course import builder, lesson_files
from nnopt_lab.course.lesson_files import lesson_names

SOURCE = """
    # %% [markdown]
    # # A title
    #
    # Some words.

    # %%
    import torch
    from nnopt_lab.techniques import pruning
    from nnopt_lab.techniques.pruning import channel_pruning, importance
    from nnopt_lab.workbench.paths import root
    from nnopt_lab.course.calls import check

    # %% exercise="pruning.nope"
    def f(x):
        ### BEGIN SOLUTION
        return 1
        ### END SOLUTION

    # %% question="pruning.which"
    choice = None
    ### BEGIN SOLUTION
    choice = "b"
    ### END SOLUTION

    # %% tags=["fold"]
    # Plot: one
    draw = 1
"""


@pytest.fixture
def lesson(tmp_path, monkeypatch):
    for module in (builder, lesson_files):
        monkeypatch.setattr(module, "root", lambda: tmp_path)
    source = tmp_path / "solutions" / "98_tiny.py"
    for folder in ("solutions", "notebooks"):
        (tmp_path / folder).mkdir()
    source.write_text(dedent(SOURCE).lstrip())
    for solved, path in lesson_files.paths("98_tiny").items():
        nbformat.write(builder.to_notebook(source, solved), path)
    return tmp_path


def test_an_exercise_shows_its_task_and_folds_its_solution(lesson):
    cells = lessons.page("98_tiny").cells
    task, solution = (cell for cell in cells if "def f" in cell.source)
    assert "Your answer here" in task.source and "hide-input" not in task.metadata.tags
    assert "return 1" in solution.source and "hide-input" in solution.metadata.tags
    assert solution.metadata.mystnb.code_prompt_show == "Show the solution"


def test_a_question_folds_its_answer_with_its_card(lesson):
    (cell,) = (cell for cell in lessons.page("98_tiny").cells if "choice" in cell.source)
    assert "hide-cell" in cell.metadata.tags and 'choice = "b"' in cell.source


def test_code_that_jupyterlab_folds_is_folded_under_its_label(lesson):
    (cell,) = (cell for cell in lessons.page("98_tiny").cells if "draw" in cell.source)
    assert "hide-input" in cell.metadata.tags and cell.metadata.mystnb.code_prompt_show == "Show the code · Plot: one"


def test_links_stand_under_the_title(lesson):
    first = lessons.page("98_tiny", "[Open](https://example.org)").cells[0]
    assert first.source.startswith("# A title\n\n[Open](https://example.org)\n") and "Some words." in first.source
    assert lessons.page("98_tiny").cells[0].source == "# A title\n\nSome words."


def test_the_page_ends_with_the_library_s_modules(lesson):
    notebook = lessons.page("98_tiny")
    names = ["nnopt_lab.techniques.pruning", "nnopt_lab.techniques.pruning.channel_pruning"]
    assert lessons.library_modules(notebook) == [*names, "nnopt_lab.workbench.paths"]
    assert all(f"{{py:mod}}`{name}`" in notebook.cells[-1].source for name in names)
    nbformat.validate(notebook)


def test_without_the_learner_s_notebook_only_the_solution_is_there(lesson):
    (lesson / "notebooks" / "98_tiny.ipynb").unlink()
    assert len([cell for cell in lessons.page("98_tiny").cells if "def f" in cell.source]) == 1


def test_a_lesson_that_is_not_built_is_named(lesson):
    (lesson / "solutions" / "98_tiny.ipynb").unlink()
    with pytest.raises(FileNotFoundError, match=r"98_tiny\.ipynb is missing, .*: run nnopt build 98_tiny\."):
        lessons.page("98_tiny")
    (lesson / "solutions" / "98_tiny.ipynb").write_text("{")
    with pytest.raises(ValueError, match="damaged"):
        lessons.page("98_tiny")


def test_a_widget_is_shown_in_the_form_that_needs_no_kernel(lesson):
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "a"}, "text/plain": "A slider"}
    path = lesson_files.paths("98_tiny")[True]
    notebook = nbformat.read(path, 4)
    stored = [view, view | {"text/html": "<b>2</b>"}, view | {"image/png": "iVBORw0KGgo="}]
    notebook.cells[1].outputs = [nbformat.v4.new_output("display_data", data) for data in stored]
    state = {"a": {"model_name": "SliderModel", "state": {}}}
    notebook.metadata.widgets = {"application/vnd.jupyter.widget-state+json": {"state": state}}
    nbformat.write(notebook, path)
    shown = lessons.page("98_tiny").cells[1].outputs
    assert [set(output.data) - {"text/plain"} for output in shown] == [set(), {"text/html"}, {"image/png"}]
    assert all(output.data["text/plain"] == "A slider" for output in shown)


def test_short_code_of_an_output_stays_on_one_line_but_in_a_table(lesson):
    path = lesson_files.paths("98_tiny")[True]
    notebook = nbformat.read(path, 4)
    html = f"<code>2 ** e</code> <code>{'long ' * 9}</code><td><code>2 ** e</code></td>"
    notebook.cells[1].outputs = [nbformat.v4.new_output("display_data", {"text/html": html})]
    nbformat.write(notebook, path)
    whole = html.replace("<code>2", f'<code class="{lessons.WHOLE}">2', 1)
    assert lessons.page("98_tiny").cells[1].outputs[0].data["text/html"] == whole


def test_nothing_asks_the_reader_to_run_a_cell_or_shows_the_builder_s_points():
    solved, page = lesson_files.read_notebook(lesson_files.paths("01_pruning")[True]), lessons.page("01_pruning")
    for there, here in lessons.IN_THE_BOOK.items():
        assert there in html_of(solved), "the lessons use other words now"
        assert there not in html_of(page) and here in html_of(page)
    assert not {cell.source for cell in page.cells} & set(lessons.PERSONAL)


def html_of(notebook):
    outputs = (output for cell in notebook.cells for output in cell.get("outputs", []))
    return "".join(output.get("data", {}).get("text/html", "") for output in outputs)


@pytest.mark.parametrize("name", lesson_names())
def test_no_answer_of_a_shipped_lesson_is_open(name):
    notebook = lessons.page(name)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if "exercise" in cell.metadata or "question" in cell.metadata:
            assert {"hide-input", "hide-cell"} & set(cell.metadata.tags)
    assert "widgets" not in notebook.metadata and "widget-view" not in nbformat.writes(notebook)
