"""From a source to its two notebooks."""

import copy
import re

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnopt_lab.course import builder
from nnopt_lab.course.asking import checks
from nnopt_lab.course.builder import BEGIN, END, build, out_of_step, to_notebook, with_answers, without_answers
from nnopt_lab.course.lesson_files import paths
from nnopt_lab.course.record import NOT_JUDGED
from nnopt_lab.course.runner import Result, run
from nnopt_lab.course.waiting_reveal import COVERS
from tests.course.as_if_run import as_if_run

STUB = "# Your answer here.\n{0}raise NotImplementedError"


TWO_KINDS = """
    # %% [markdown]
    # # A lesson

    # %% exercise="tiny.double" tags=["nbval-ignore-output"] other="not kept"
    def double(x):
        '''Twice x.'''
        if x:
            ### BEGIN SOLUTION
            return 2 * x
            ### END SOLUTION
        return 0


    # %% question="tiny.letter"
    answer = None
    ### BEGIN SOLUTION
    answer = "b"
    ### END SOLUTION
    question("tiny.letter", answer)

    # %%
    %time 1 + 1
"""


def test_an_answer_in_a_function_becomes_a_stub_and_one_at_the_top_level_goes(course):
    blank = to_notebook(course("98_tiny", TWO_KINDS), solved=False).cells
    assert blank[1].source == (
        "def double(x):\n    '''Twice x.'''\n    if x:\n        " + STUB.format("        ") + "\n    return 0"
    )
    assert blank[2].source == 'answer = None\nquestion("tiny.letter", answer)'
    compile(blank[1].source, "cell", "exec")


def test_the_solved_notebook_has_the_answers_without_the_markers(course):
    solved = to_notebook(course("98_tiny", TWO_KINDS), solved=True).cells
    assert "        return 2 * x\n    return 0" in solved[1].source
    assert solved[2].source == 'answer = None\nanswer = "b"\nquestion("tiny.letter", answer)'
    assert not any(mark in cell.source for cell in solved for mark in (BEGIN, END))


FOLDED = """
    # %%
    x = 1
    claim("one", x == 1)

    # %%
    # Claims: one
    claim("one", x == 1)

    # %% tags=["fold"]
    # Plot: one point
    ax.plot([x])

    # %%
    # Claims: this machine
    claim("here", x == 1, where=needs("AMX"))
"""


@pytest.mark.parametrize("solved", [True, False])
def test_code_that_only_claims_or_is_tagged_is_folded_and_outputs_of_one_machine_are_not_compared(course, solved):
    source = course("98_tiny", FOLDED)
    notebook = to_notebook(source, solved)
    nbformat.validate(notebook)
    hidden = {"jupyter": {"source_hidden": True}}
    assert [dict(cell.metadata) for cell in notebook.cells] == [
        {},
        hidden,
        hidden | {"tags": ["fold"]},
        hidden | {"tags": ["nbval-ignore-output"]},
    ]
    source.write_text(source.read_text().replace('# %% tags=["fold"]', '# %% question="a.b" tags=["fold"]'))
    with pytest.raises(ValueError, match=r"98_tiny.py: The cell of a.b has the tag `fold`"):
        to_notebook(source, solved)


@pytest.mark.parametrize("label", ["# Claims: one\n    ", "# Plot: one point\n    "])
def test_a_folded_cell_without_a_label_is_refused(course, label):
    source = course("98_tiny", FOLDED.replace(label, ""))
    with pytest.raises(ValueError, match=r"98_tiny.py: A folded cell begins with a comment that says what it holds"):
        to_notebook(source, True)


def test_an_open_cell_that_explains_a_measurement_is_refused(course):
    explained = "# %%\nfor x in [1]:\n    print(x)\nreveal('a', 1, because='b')\n"
    with pytest.raises(ValueError, match=r"98_tiny.py: The cell of 'a' shows its `because` before the guess"):
        to_notebook(course("98_tiny", explained), True)


def test_a_cell_that_reveals_brings_the_words_that_cover_what_tells_its_number(course):
    cells = to_notebook(course("98_tiny", "# %%\n# Answer: a\nreveal('a', 1)\n\n# %%\nprint('reveal')\n"), False).cells
    assert [cell.metadata.get(COVERS) for cell in cells[-2:]] == ["Hidden until you guess above.", None]


def test_a_notebook_that_is_folded_otherwise_is_out_of_step(course):
    source, stored = course("98_tiny", FOLDED), paths("98_tiny")
    for solved, path in stored.items():
        path.parent.mkdir(exist_ok=True)
        nbformat.write(as_if_run(to_notebook(source, solved)) if solved else to_notebook(source, solved), path)
    assert out_of_step("98_tiny") == {}
    notebook = as_if_run(to_notebook(source, solved=True))
    del notebook.cells[1].metadata["jupyter"]
    nbformat.write(notebook, stored[True])
    assert out_of_step("98_tiny") == {stored[True]: "differs from its source"}


@pytest.mark.parametrize("solved", [True, False])
def test_cells_keep_their_kind_their_place_and_what_the_course_needs_of_their_metadata(course, solved):
    source = course("98_tiny", TWO_KINDS)
    notebook = to_notebook(source, solved)
    nbformat.validate(notebook)
    assert [cell.cell_type for cell in notebook.cells] == ["markdown", "code", "code", "code"]
    assert [dict(cell.metadata) for cell in notebook.cells] == [
        {},
        {"exercise": "tiny.double", "tags": ["nbval-ignore-output"], "checks": checks()},
        {"question": "tiny.letter"},
        {},
    ]
    assert [cell.id for cell in notebook.cells] == [
        "98_tiny-000",
        "exercise-tiny-double",
        "question-tiny-letter",
        "98_tiny-003",
    ]
    assert notebook.cells[0].source == "# A lesson" and notebook.cells[3].source == "%time 1 + 1"
    assert notebook == to_notebook(source, solved)
    assert notebook.metadata.kernelspec.name == "python3"


def test_the_ids_of_both_notebooks_are_the_same(course):
    source = course("98_tiny", TWO_KINDS)
    solved, blank = (to_notebook(source, solved) for solved in (True, False))
    assert [cell.id for cell in solved.cells] == [cell.id for cell in blank.cells]


@given(st.lists(st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1, max_size=80), max_size=3))
@settings(max_examples=50)
def test_cell_ids_are_such_as_the_format_allows(names):
    for kind in ("exercise", "question"):
        for name in names:
            assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", builder.cell_id(kind, name))


@pytest.mark.parametrize(
    "marks", [[BEGIN], [END], [END, BEGIN], [BEGIN, BEGIN, END], [BEGIN, END, END], [BEGIN, BEGIN, END, END]]
)
@pytest.mark.parametrize("solved", [True, False])
def test_markers_that_do_not_alternate_are_refused_with_the_place(course, marks, solved):
    cell = "\n".join(["def answer():", *(f"    {mark}" for mark in marks), "    return 1"])
    source = course("98_tiny", f"# %%\n{cell}\n")
    with pytest.raises(ValueError, match=r"98_tiny.py: .* do not alternate in the cell that begins 'def answer"):
        to_notebook(source, solved)


def test_markers_in_prose_are_prose(course):
    source = course("98_tiny", f"# %% [markdown]\n# Put it between the lines\n#\n# {BEGIN}\n")
    assert BEGIN in to_notebook(source, solved=False).cells[0].source


def _prose(course, lines):
    return course("98_tiny", "\n".join(["# %% [markdown]", *(f"# {line}" for line in lines)]) + "\n")


@pytest.mark.parametrize(
    "lines",
    [
        ["```python import torch", "x = 1", "```"],
        ["~~~ x = 1", "~~~"],
        ["```python", "x = 1", "``` and then"],
        ["```python", "x = 1 ```", "", "```python", "y = 2", "```"],
        ["> ```sh nnopt lab", "> ```"],
    ],
)
@pytest.mark.parametrize("solved", [True, False])
def test_text_beside_a_fence_is_refused_with_the_line(course, lines, solved):
    with pytest.raises(ValueError, match=r"98_tiny.py: only a language may follow an opening fence"):
        to_notebook(_prose(course, lines), solved)


@pytest.mark.parametrize("lines", [["```"], ["```python", "x = 1"], ["```", "```", "```"], ["````", "```"]])
def test_a_code_block_that_is_not_closed_is_refused(course, lines):
    with pytest.raises(ValueError, match=r"98_tiny.py: a code block is not closed"):
        to_notebook(_prose(course, lines), solved=True)


@pytest.mark.parametrize(
    "lines",
    [
        ["```python", "x = 1", "```", "", "~~~", "```sh", "~~~"],
        ["````c++", "``` text", "````"],
        ["Three marks in a line, ``` a`b ```, are code, too."],
    ],
)
def test_whole_code_blocks_are_kept(course, lines):
    assert to_notebook(_prose(course, lines), solved=True).cells[0].source == "\n".join(lines)


@pytest.mark.parametrize("kind", ["exercise", "question"])
def test_an_exercise_that_stands_twice_in_a_lesson_is_refused(course, kind):
    source = course("98_tiny", f'# %% {kind}="a.b"\n1\n\n# %% {kind}="a.b"\n2\n')
    with pytest.raises(ValueError, match=r"98_tiny.py: .*a\.b.* appears twice in the lesson"):
        to_notebook(source, solved=True)


lines = st.lists(st.sampled_from(["x = 1", "", "    y = 2", "# BEGIN", "'''text'''"]), max_size=4)
regions = st.lists(st.tuples(lines, lines), max_size=3)


@given(regions, lines)
def test_nothing_but_answers_and_markers_is_taken_from_a_cell(regions, rest):
    kept, solved, source = [], [], []
    for before, answer in regions:
        kept += before
        solved += [*before, *answer]
        source += [*before, BEGIN, *answer, END]
    assert without_answers("\n".join([*source, *rest])).split("\n") == ([*kept, *rest] or [""])
    assert with_answers("\n".join([*source, *rest])).split("\n") == ([*solved, *rest] or [""])


# The kernel must find the lesson's package, too: see `tiny`.
TINY = """
    # %%
    import nnopt_lab.lessons

    nnopt_lab.lessons.__path__.append({home!r})

    from nnopt_lab.course.calls import check, claim, lesson

    lesson("98_tiny")

    # %% [markdown]
    # **Exercise (2 points).** Twice.

    # %% exercise="tiny.double" tags=["nbval-ignore-output"]
    def double(x):
        ### BEGIN SOLUTION
        return 2 * x
        ### END SOLUTION


    # %%
    check("tiny.double", double)

    # %%
    import os
    from pathlib import Path

    assert Path(os.environ["NNOPT_WORKSPACE"]).samefile(Path.cwd())
    claim("the workspace is the current folder", True)
"""
WITH_MAP = (
    TINY
    + """
    # %% tags=["nbval-ignore-output"]
    from nnopt_lab.course.course_map import progress

    progress()
"""
)
TINY_EXERCISES = """
    from nnopt_lab.course.exercises import exercise


    @exercise(
        "tiny.double",
        points=2,
        inputs=lambda g: (3,),
        hints=("1", "2", "3"),
        wrong={"not once": lambda x: x, "not thrice": lambda x: 3 * x, "not squared": lambda x: x * x},
    )
    def double(x):
        '''Twice.'''
        return 2 * x
"""


@pytest.fixture
def tiny(course, lesson_package):
    """Writes the source of a lesson with one exercise, whose package is there."""
    home = lesson_package(
        "tiny",
        __init__="from nnopt_lab.course.lesson import Lesson\n\nLESSON = Lesson(98, 'Tiny', minutes=1)\n",
        exercises=TINY_EXERCISES,
    )
    return lambda source: course("98_tiny", source.replace("{home!r}", repr(str(home))))


@pytest.mark.parametrize(
    ("prose", "announced"),
    [("**Exercise (3 points).** Twice.", "3 points"), ("**Exercise (2 point).**", "2 point"), ("Twice.", "nothing")],
)
@pytest.mark.parametrize("solved", [True, False])
def test_prose_that_announces_other_points_than_the_declaration_is_refused(tiny, prose, announced, solved):
    source = tiny(TINY.replace("**Exercise (2 points).** Twice.", prose))
    with pytest.raises(ValueError) as caught:
        to_notebook(source, solved)
    assert str(caught.value) == f"98_tiny.py: the prose announces {announced} for tiny.double, which has 2 points."


def test_a_lesson_is_built_run_and_seen_to_be_out_of_step(tiny, own_workspace):
    tiny(WITH_MAP)
    with pytest.raises(FileNotFoundError, match=r"98_tiny.ipynb has not been built: run nnopt build 98_tiny"):
        run("98_tiny")
    assert list(out_of_step("98_tiny")) == list(paths("98_tiny").values())

    cells = []
    build("98_tiny", lambda done, total, section: cells.append((done, total)))
    assert cells == [(n, 6) for n in range(7)] * 2
    assert out_of_step("98_tiny") == {}
    solved, blank = (nbformat.read(paths("98_tiny")[solved], as_version=4) for solved in (True, False))
    assert "passed (2 points)" in str(solved.cells[3].outputs) and solved.cells[3].execution_count == 3
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in blank.cells)
    # Run, too, but not stored: its list of lessons would age.
    assert solved.cells[5].execution_count == 5 and not solved.cells[5].outputs
    for notebook in (solved, blank):
        nbformat.validate(notebook)
        assert notebook.metadata == nbformat.from_dict(builder.METADATA)
        assert not any("execution" in cell.metadata for cell in notebook.cells)
    assert paths("98_tiny")[True].read_text(encoding="utf-8").endswith("}\n")

    before = {path: path.read_bytes() for path in paths("98_tiny").values()}
    result = run("98_tiny", solved=True)
    assert result.ok and (result.exercises_passed, result.points, result.points_possible) == (1, 2, 2)
    assert result.claims == {"the workspace is the current folder": True} and result.seconds > 0
    assert {path: path.read_bytes() for path in paths("98_tiny").values()} == before
    assert not list(own_workspace.glob("progress*")), "the learner's own progress was touched"

    tiny(WITH_MAP.replace("return 2 * x", "return x + x"))
    assert out_of_step("98_tiny") == {paths("98_tiny")[True]: "differs from its source"}
    tiny(WITH_MAP.replace('tags=["nbval-ignore-output"]', ""))
    assert list(out_of_step("98_tiny")) == list(paths("98_tiny").values())
    tiny(WITH_MAP)
    lost = copy.deepcopy(solved)
    lost.cells[3].outputs = []
    nbformat.write(lost, paths("98_tiny")[True])
    assert out_of_step("98_tiny") == {paths("98_tiny")[True]: "has lost the outputs it was built with in cell 3"}
    paths("98_tiny")[True].write_text("{")
    assert out_of_step("98_tiny") == {paths("98_tiny")[True]: "is damaged"}
    paths("98_tiny")[True].unlink()
    assert out_of_step("98_tiny") == {paths("98_tiny")[True]: "is missing"}
    nbformat.write(solved, paths("98_tiny")[True])
    assert out_of_step("98_tiny") == {}
    blank.cells[0].execution_count = 1
    nbformat.write(blank, paths("98_tiny")[False])
    assert out_of_step("98_tiny") == {paths("98_tiny")[False]: "has outputs, which reveal answers"}


def test_what_does_not_hold_is_said_and_nothing_is_written(tiny):
    tiny(TINY + "\n    claim('two is three', 2 == 3)\n\n    # %%\n    1 / 0\n")
    with pytest.raises(ValueError) as caught:
        build("98_tiny")
    said = str(caught.value)
    assert said.startswith(
        "98_tiny, solved, was not written: it earned 2 points (expected: 2); false claims: ['two is three']."
    )
    assert said.endswith("cell 5 failed with ZeroDivisionError: division by zero\n1 / 0")
    assert not any(path.exists() for path in paths("98_tiny").values())


def test_a_blank_notebook_that_earns_points_is_not_written(tiny, monkeypatch):
    earned = {True: 2, False: 2}

    def pretend(lesson, notebook, on_cell):
        solved = "2 * x" in notebook.cells[2].source
        return Result(lesson, 0.1, 1, earned[solved], 2, {})

    monkeypatch.setattr(builder, "run_notebook", pretend)
    tiny(TINY)
    with pytest.raises(ValueError, match=r"98_tiny, blank, was not written: it earned 2 points .expected: 0."):
        build("98_tiny")
    earned.update({True: 1})
    with pytest.raises(ValueError, match=r"98_tiny, solved, was not written: it earned 1 points .expected: 2."):
        build("98_tiny")
    assert not any(path.exists() for path in paths("98_tiny").values())
    earned.update({True: 2, False: 0})
    build("98_tiny")
    assert all(path.exists() for path in paths("98_tiny").values())


@pytest.mark.parametrize(
    ("busy", "accepted", "runs", "written"),
    [
        ([False], False, 2, True),
        ([True, False], False, 3, True),
        ([True, True], False, 2, False),
        ([True], True, 2, True),
    ],
    ids=["quiet", "busy once", "busy twice", "busy, and accepted"],
)
def test_a_notebook_with_claims_that_were_not_judged_is_run_again_and_stored_only_if_asked(
    tiny, monkeypatch, busy, accepted, runs, written
):
    left, ran = list(busy), []

    def pretend(lesson, notebook, on_cell):
        solved = "2 * x" in notebook.cells[2].source
        ran.append(solved)
        state = NOT_JUDGED if solved and left.pop(0) else True
        return Result(lesson, 0.1, 1, 2 * solved, 2, {}, timing_claims={"it is faster": state})

    monkeypatch.setattr(builder, "run_notebook", pretend)
    tiny(TINY)
    if written:
        build("98_tiny", accept_not_judged=accepted)
    else:
        with pytest.raises(ValueError, match=r"98_tiny was not written: .* not judged: \['it is faster'\]. Close"):
            build("98_tiny")
    assert len(ran) == runs and all(path.exists() == written for path in paths("98_tiny").values())


@pytest.mark.parametrize("solved", [True, False])
def test_a_claim_on_times_that_does_not_say_so_is_refused(tiny, solved):
    source = tiny(TINY + "\n    # %%\n    t = measure.latency(nets, x)\n    claim('fast', t['a'].median < 1)\n")
    if solved:
        with pytest.raises(ValueError, match=r"98_tiny.py: the claim 'fast' compares measured times"):
            to_notebook(source, solved)
    else:
        to_notebook(source, solved)
