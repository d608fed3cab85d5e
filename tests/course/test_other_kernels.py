"""The offer to stop the kernels of other lessons: hidden until JupyterLab's extension knows of some."""

from nnopt_lab.course.calls import lesson
from nnopt_lab.course.claims import Statement
from nnopt_lab.course.other_kernels import BOX, COMMAND, NAMES, offer
from nnopt_lab.course.record import NOT_JUDGED
from nnopt_lab.course.server_settings import LAB_EXTENSIONS

STATIC = LAB_EXTENSIONS / "nnopt-lab" / "static"


def test_only_a_kernel_of_jupyters_server_makes_the_offer(monkeypatch):
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    busy = Statement("It is faster.", NOT_JUDGED, "Other programs use the processor.", timing=True)
    assert offer() == "" and BOX not in lesson("01_pruning")._repr_html_() and BOX not in busy.html
    monkeypatch.setenv("JPY_SESSION_NAME", "lessons/01_pruning.ipynb")
    for shown in (lesson("01_pruning")._repr_html_(), busy.html):
        assert shown.count(f'class="{BOX}"') == 1 and "display:none" in shown
        assert shown.count(f'<span class="{NAMES}"></span>') == 1 and shown.count("<div") == shown.count("</div>")
    assert BOX not in Statement("It is faster.", NOT_JUDGED, timing=True).html, "once in a cell"


def test_the_extension_knows_its_names():
    script = "".join(path.read_text(encoding="utf-8") for path in STATIC.glob("*.js"))
    assert f"'{COMMAND}'" in script and f"'.{BOX}'" in script and f"'.{NAMES}'" in script
