"""A cell that needs one above it that has not run."""

import json

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import start_new_kernel

from nnopt_lab.course import record, skipped_cells
from nnopt_lab.course.lesson_files import lesson_names, paths, read_notebook
from nnopt_lab.course.server_environment import server_environment
from nnopt_lab.course.skipped_cells import COMMAND, NOTEBOOK, skipped_card

CELLS = {
    "setup": "import torch.nn as nn\nfrom math import pi as circle, tau\nfirst = second, (third, *rest) = 1, (2, 3)",
    "magic": "%matplotlib inline\nafter_magic = 1",
    "broken": "def (\ndef half_written(a:",
    "structure": "def function():\n    local = 1\nclass Kind: pass\nfor item in []: pass\nwith open('a') as file: pass",
    "here": "circle",
    "below": "later = 1",
}


def cells(sources: dict[str, str]) -> list[dict]:
    return [{"id": id, "cell_type": "code", "source": source.splitlines(True)} for id, source in sources.items()]


@pytest.mark.parametrize(
    "name",
    [
        "nn",
        "circle",
        "tau",
        "first",
        "second",
        "third",
        "rest",
        "after_magic",
        "function",
        "Kind",
        "item",
        "file",
        "half_written",
    ],
    ids=str,
)
def test_a_name_that_a_cell_above_defines_gets_a_card_that_says_what_to_run(name):
    card = skipped_card(name, "here", cells(CELLS))
    assert card.title == f"`{name}` is not defined yet" and card.mood == "quiet"
    assert "Run ▸ Run All Above Selected Cell" in card.lines[1]
    shown = card._repr_html_()
    assert f'data-commandlinker-command="{COMMAND}"' in shown and shown.count("<div") == shown.count("</div>")


@pytest.mark.parametrize("name", ["torch", "pi", "local", "later", "print", "nothing", "", None, "%matplotlib"])
def test_any_other_name_gets_none(name):
    assert skipped_card(name, "here", cells(CELLS)) is None


@pytest.mark.parametrize("id", ["not there", "", None])
def test_a_cell_that_is_not_in_the_notebook_gets_none(id):
    assert skipped_card("circle", id, cells(CELLS)) is None


@pytest.mark.parametrize("lesson", lesson_names())
def test_in_every_lesson_a_check_that_runs_first_is_told_what_it_needs(lesson):
    notebook = json.loads(nbformat.writes(read_notebook(paths(lesson)[False])))
    checks = [cell["id"] for cell in notebook["cells"] if "\ncheck(" in f"\n{''.join(cell['source'])}"]
    assert all(skipped_card("check", id, notebook["cells"]) for id in checks)
    assert skipped_card("check", notebook["cells"][0]["id"], notebook["cells"]) is None


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    """A function that runs code as the cell with an id in a kernel as `nnopt lab` starts it; returns its outputs."""
    folder = tmp_path_factory.mktemp("learner")
    notebook = folder / "lesson.ipynb"
    notebook.write_text(json.dumps({"cells": cells(CELLS)}), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server_environment(folder).items():
            patch.setenv(name, value)
        patch.setenv(NOTEBOOK, str(notebook))
        manager, client = start_new_kernel(kernel_name="python3")

    def run(id: str, code: str) -> list[dict]:
        content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False, "stop_on_error": True}
        message = client.session.msg("execute_request", content, metadata={"cellId": id})
        client.shell_channel.send(message)
        outputs = []
        while True:
            got = client.get_iopub_msg(timeout=60)
            if got["parent_header"].get("msg_id") != message["header"]["msg_id"]:
                continue
            if got["msg_type"] == "status" and got["content"]["execution_state"] == "idle":
                return outputs
            if got["msg_type"] in ("display_data", "error", "stream", "execute_result"):
                outputs.append(got["content"] | {"kind": got["msg_type"]})

    yield run
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def test_nnopt_labs_kernel_is_found_first_and_only_there(tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_PATH", "elsewhere")
    theirs = KernelSpecManager().get_kernel_spec("python3").argv
    variables = server_environment(tmp_path)
    assert variables["JUPYTER_PATH"].endswith("elsewhere")
    monkeypatch.setenv("JUPYTER_PATH", variables["JUPYTER_PATH"])
    argv = KernelSpecManager().get_kernel_spec("python3").argv
    assert any("skipped_cells" in part for part in argv) and not any("skipped_cells" in part for part in theirs)


def test_a_new_kernel_explains_in_place_of_a_traceback_and_then_works(kernel):
    (card,) = kernel("here", "circle")
    assert card["kind"] == "display_data" and "`circle` is not defined yet" in card["data"]["text/plain"]
    (error,) = kernel("here", "unheard_of")
    assert error["kind"] == "error" and error["ename"] == "NameError"
    assert any("unheard_of" in line for line in error["traceback"])
    (error,) = kernel("no such cell", "circle")
    assert error["kind"] == "error"
    assert kernel("setup", "from math import pi as circle") == []
    (result,) = kernel("here", "circle")
    assert result["data"]["text/plain"].startswith("3.14")


def test_the_check_of_an_answer_that_python_cannot_read_says_so_and_offers_hints(kernel):
    kernel("setup", "from nnopt_lab.course.calls import check, lesson\nlesson('00_start_here');")
    (error,) = kernel("answer", "def conv_parameters(in_channels):\n    return (")
    assert error["ename"] in ("SyntaxError", "_IncompleteInputError")
    (card,) = kernel("here", 'check("start.conv_parameters", conv_parameters)')
    told = card["data"]["text/plain"]
    assert "not checked" in told and "Error, line 2" in told and "hint(" in told
    assert "application/vnd.jupyter.widget-view+json" in card["data"], "with a button for hints"


def test_a_check_in_a_new_kernel_says_that_earned_points_are_kept(monkeypatch, own_workspace):
    stored = cells({"setup": "from nnopt_lab.course.calls import check", "here": ""})
    source = 'check("start.conv_macs", conv_macs)'
    for name, value in {"running_source": source, "_running_cell": "here", "_cells": stored}.items():
        monkeypatch.setattr(skipped_cells, name, lambda *_, value=value: value)
    monkeypatch.setenv(NOTEBOOK, "lesson.ipynb")

    def told() -> tuple[str, ...]:
        return skipped_cells._card_of_name(None, "check").lines

    assert len(told()) == 2
    record.note_attempt("exercises", "start.conv_macs", True, 2)
    assert told()[2:] == ("You keep your 2 points.",)


def test_a_cell_with_the_card_has_failed_so_that_the_cells_after_it_do_not_run(kernel):
    assert kernel("here", "third\nprint('never')")[0]["kind"] == "display_data"
    assert all(output["kind"] != "stream" for output in kernel("here", "third\nprint('never')"))


def test_axes_that_the_cell_opened_before_it_stopped_are_not_shown(kernel):
    shown = kernel("here", "%matplotlib inline\nimport matplotlib.pyplot as plt\nplt.subplots()\ntau")
    assert any("is not defined yet" in output.get("data", {}).get("text/plain", "") for output in shown)
    assert not any(kind.startswith("image/") for output in shown for kind in output.get("data", {}))
