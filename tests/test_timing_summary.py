"""The summary of the notebooks' claims on measured times, and what nbval compares of them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from nnopt_lab.course.cards import Card
from nnopt_lab.course.claims import Further, Statement
from nnopt_lab.course.disturbances import busy, may_be_disturbed
from nnopt_lab.course.record import NOT_JUDGED
from nnopt_lab.workbench.paths import PACKAGE
from tests.timing_summary import summary

CLONE = PACKAGE.parent


def rules():
    text = (CLONE / "tests" / "lessons" / "nbval.cfg").read_text(encoding="utf-8")
    return re.findall("^regex: (.*)$\n^replace: (.*)$", text, flags=re.MULTILINE)  # as nbval reads it


def compared(text):
    for rule, replacement in rules():
        text = re.sub(rule, replacement, text)
    return text


def timed(text, state):
    notes = {False: "close other programs", NOT_JUDGED: "close them"}
    suffix = f" ({NOT_JUDGED})" if state == NOT_JUDGED else ""
    return Statement(text + suffix, state, notes.get(state, ""), timing=True)


STATES = [True, False, None, NOT_JUDGED]


@pytest.mark.parametrize("state", STATES)
def test_a_claim_on_times_is_compared_with_nothing(state):
    for kind in (repr, Statement._repr_html_):
        assert compared(kind(timed("a < b, and c", True))) == compared(kind(timed("a < b, and c", state)))
    assert "a < b" not in compared(repr(timed("a < b", state)))


@pytest.mark.parametrize("first", STATES)
@pytest.mark.parametrize("second", STATES)
def test_those_that_are_folded_are_not_compared_and_the_others_are(first, second):
    def further(exact, *states):
        one, two = (timed(f"{i} < 9", state) for i, state in enumerate(states))
        return Further((one, Statement("exact < 3", exact), two, Statement("a [timed] claim", True)))

    for kind in (repr, Further._repr_html_):
        assert compared(kind(further(True, True, True))) == compared(kind(further(True, first, second)))
        assert compared(kind(further(True, True, True))) != compared(kind(further(False, first, second)))
        only = [compared(kind(Further((timed("a", a), timed("b", b))))) for a, b in ((True, True), (first, second))]
        assert only[0] == only[1]


def test_an_exact_claim_is_compared():
    for kind in (repr, Statement._repr_html_):
        assert compared(kind(Statement("a < b", True))) != compared(kind(Statement("a < b", False)))
        assert compared(kind(Statement("a < b", True))) != compared(kind(Statement("a < c", True)))


def test_the_summary_counts_every_state_and_lists_what_is_false_or_not_judged():
    found = {"01_a": {"one": True, "two": False, "three": NOT_JUDGED}, "02_b": {"four": None, "five": True}}
    assert summary(found) == [
        "2 true, 1 false, 1 not judged: busy, 1 not about this machine.",
        "- 01_a: ✘ two",
        "- 01_a: ○ three",
    ]
    assert summary({}) == summary({"01_a": {}}) == []


def test_pytest_prints_it_also_on_the_page_of_a_job_though_a_worker_ran_the_notebook(tmp_path):
    root = tmp_path / "clone"
    (root / "tests" / "lessons").mkdir(parents=True)
    (root / "solutions").mkdir()
    shutil.copy(CLONE / "pyproject.toml", root)
    (root / "nnopt_lab").symlink_to(PACKAGE)
    for name in ("plugin.py", "own_process.py", "timing_summary.py", "conftest.py", "lessons/nbval.cfg"):
        shutil.copy(CLONE / "tests" / name, root / "tests" / name)
    cells = [
        "from nnopt_lab.course import timing_claims\n"
        "from nnopt_lab.course.calls import claim\n"
        "timing_claims.is_busy = lambda: busy",
        "busy = True\nclaim('it is faster', True, timing=True)\nclaim('it is exact', True)",
        "busy = False\nclaim('it is slower', False, timing=True)",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in cells])
    for cell, shown in zip(
        notebook.cells[1:],
        [(timed("it is faster", True), Statement("it is exact", True)), (timed("it is slower", True),)],
        strict=True,
    ):
        cell.execution_count = 1
        cell.outputs = [
            nbformat.v4.new_output("display_data", {"text/plain": repr(s), "text/html": s._repr_html_()}) for s in shown
        ]
    nbformat.write(notebook, root / "solutions" / "00_a.ipynb")
    page = tmp_path / "summary.md"
    own = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "NNOPT", "TQDM"))}
    answer = subprocess.run(
        [sys.executable, "-m", "pytest", "solutions/00_a.ipynb", "-n", "1"],
        cwd=root,
        env=own | {"PYTHONPATH": str(CLONE), "GITHUB_STEP_SUMMARY": str(page)},
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    lines = [
        "0 true, 1 false, 1 not judged: busy, 0 not about this machine.",
        "- 00_start_here: ○ it is faster",
        "- 00_start_here: ✘ it is slower",
    ]
    assert "\n".join(lines) in answer.stdout and "\n".join(lines) in Path(page).read_text(encoding="utf-8")


def test_what_a_playground_measured_is_not_compared():
    note = "<em>(run this cell to move the controls)</em></div><div>{} ms</div><div><img alt='a bar'></div>"
    assert compared("<div>kernel: 3 " + note.format(0.08)) == compared("<div>kernel: 3 " + note.format(0.01))
    assert compared("<div>kernel: 3 " + note) != compared("<div>kernel: 5 " + note)


@pytest.mark.parametrize("sentence", [busy, may_be_disturbed])
def test_whether_a_revealed_time_was_disturbed_is_not_compared(sentence):
    def card(*notes):
        return Card("Measured: gain", "neutral", ("2.04× (interval 1.98 to 2.10)", *notes))

    for kind in (repr, Card._repr_html_):
        assert compared(kind(card("Why."))) == compared(kind(card(sentence(), "Why.")))
        assert compared(kind(card())) == compared(kind(card(sentence()))) != compared(kind(card("Why.")))


def test_the_space_before_a_unit_is_compared_as_any_other():
    assert compared("a 95 % interval") == compared("a 95\xa0% interval") != compared("a 95 interval")
