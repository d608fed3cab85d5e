"""Progress bars: HTML while they run in a notebook, a line of plain text afterwards, nothing left in a terminal."""

import io
import re

import nbformat
import pytest
from nbclient import NotebookClient

from nnopt_lab.workbench.progress_bar import progress_bar

START = "import time\nfrom nnopt_lab.workbench.progress_bar import progress_bar\n"


@pytest.fixture(scope="module")
def run():
    """Executes cells in one kernel; returns for each its outputs as (HTML or "", plain text)."""

    def run(*cells):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(START + cell) for cell in cells])
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("TQDM_DISABLE", raising=False)
            NotebookClient(notebook, kernel_name="python3", timeout=60, allow_errors=True).execute()
        return [
            [
                (output.data.get("text/html", ""), output.data["text/plain"])
                for output in cell.outputs
                if output.output_type == "display_data"
            ]
            for cell in notebook.cells
        ]

    return run


def test_a_closed_bar_leaves_one_line_of_plain_text_and_no_widget(run):
    loop = "for _ in progress_bar(range(3), desc='race', unit='run'): pass"
    by_hand = "with progress_bar(total=2, desc='<b>') as bar:\n    bar.update(2)\n    bar.set_postfix_str('<i>')"
    nameless = "for _ in progress_bar([1]): pass"
    unknown = "for _ in progress_bar(iter('ab'), desc='letters'): pass"
    for (output,), name in zip(
        run(loop, by_hand, nameless, unknown), ("race", "<b>", "progress", "letters"), strict=True
    ):
        assert output[0] == "" and output[1].startswith(f"{name}: done in ") and output[1].endswith(" s")


def test_bars_of_a_cell_share_an_output_and_inner_ones_are_not_mentioned(run):
    cell = """
for _ in range(3):
    for _ in progress_bar(range(2), desc="outer"):
        for _ in progress_bar(range(2), desc="inner"):
            pass
for _ in progress_bar(range(2), desc="after"):
    pass
"""
    ((output,), (second,)) = run(cell, cell)
    for html, text in (output, second):
        outer, after = text.splitlines()
        assert html == "" and outer.startswith("outer: 3 times in ") and after.startswith("after: done in ")


@pytest.mark.parametrize("stop", ["break", "raise KeyboardInterrupt", "1 / 0"])
def test_a_bar_that_was_stopped_says_where(run, stop):
    loop = f"for i in progress_bar(range(9), desc='race'):\n    if i == 4:\n        {stop}"
    by_hand = f"for _ in range(1):\n  with progress_bar(total=9, desc='race') as bar:\n    bar.update(4)\n    {stop}"
    for ((html, text),) in run(loop, by_hand):
        assert html == "" and text.startswith("race: stopped at 4 of 9, after ")


def test_a_bar_with_a_delay_that_ends_before_it_was_never_there(run):
    assert run("for _ in progress_bar(range(3), desc='timing', delay=60): pass") == [[]]


def test_a_running_bar_is_html_with_a_name_and_a_value(run):
    cell = """
from IPython.display import display
bar = progress_bar(total=4, desc="a & b", postfix="<i>")
bar.n = 3
display({"text/plain": "", "text/html": bar._repr_html_()}, raw=True)
"""
    shown = next(html for html, _ in run(cell)[0] if html)
    assert '<progress aria-label="a &amp; b" value="3" max="4">' in shown and "3 of 4" in shown and "<i>" not in shown
    assert re.search(r"3 of 4   00:\d\d so far, (00:\d\d|\?) left", shown), "words, not tqdm's marks"


def test_a_bar_of_unknown_length_tells_no_time_left(run):
    cell = """
from IPython.display import display
bar = progress_bar(iter("abc"), desc="letters")
bar.n = 3
display({"text/plain": "", "text/html": bar._repr_html_()}, raw=True)
"""
    shown = next(html for html, _ in run(cell)[0] if html)
    assert re.search(r"</progress>  3   00:\d\d", shown) and " left" not in shown


def test_the_variable_turns_bars_off(run):
    off = "import os\nos.environ['TQDM_DISABLE'] = '1'\n"
    assert run(f"{off}for _ in progress_bar(range(3), desc='race'): pass") == [[]]


def test_a_terminal_is_left_as_it_was(monkeypatch):
    monkeypatch.delenv("TQDM_DISABLE")
    screen = io.StringIO()
    assert list(progress_bar(range(3), desc="race", file=screen)) == [0, 1, 2]
    assert "race" in screen.getvalue() and screen.getvalue().endswith("\r") and "\n" not in screen.getvalue()


def test_names_and_units_are_shown_in_the_language_in_use(chinese, monkeypatch):
    chinese({"race": "比赛", "run": "次"})
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    screen = io.StringIO()
    with progress_bar(total=3, desc="race", unit="run", file=screen, mininterval=0) as bar:
        bar.update(1)
    assert "比赛" in screen.getvalue() and "次" in screen.getvalue() and "race" not in screen.getvalue()
