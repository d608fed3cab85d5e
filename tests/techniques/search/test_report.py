"""The report as text: what it claims was measured at export, and all else is called an estimate."""

from dataclasses import replace

import pytest

from nnopt_lab.techniques.search.front_picture import front_picture
from nnopt_lab.techniques.search.points import Point
from nnopt_lab.techniques.search.report import markdown, rows
from nnopt_lab.workbench.measure import Timing
from tests.techniques.search.known_report import SIZES, known_report


def test_the_headline_has_the_figures_that_were_measured_at_export(task):
    assert known_report(task).headline == (
        "Trial 1 is 4.00× faster at batch 1 with 1 thread; its file is 7.50× smaller (120 B instead of 900 B); its "
        "accuracy changes by −7.50 percentage points (95 % interval −11.17 to −3.68)."
    )


def test_a_loss_is_no_gain(task):
    report = known_report(task, speedup=0.5)
    report = replace(report, exported=replace(report.exported, bytes=1800))
    assert "Trial 1 is 2.00× slower at batch 1" in report.headline and "2.00× larger" in report.headline
    same = known_report(task, speedup=1.0)
    same = replace(same, exported=replace(same.exported, bytes=900))
    assert "Trial 1 shows no difference in speed at batch 1 with 1 thread; its file is as large (900 B" in same.headline
    unsteady = known_report(task)
    times = {(1, 1): {"original": Timing((1.0,) * 6, 1), "new": Timing((1, 0.5, 0.1, 0.1, 0.02, 0.01), 1)}}
    unsteady = replace(unsteady, seen=replace(unsteady.seen, times=times))
    assert "Trial 1 has an unsteady (1.00 to 100.00 times as fast: the machine was busy) speed" in unsteady.headline


def test_the_search_s_own_figures_are_called_estimates(task):
    text = markdown(known_report(task))
    results, front = text.split("# Time")[0], text.split("# Pareto front")[1]
    assert "speedup, estimated" not in results and "4.00×" in results and "estimate, from" in results
    assert "speedup, estimated" in front and "the search's estimates; only the exported network" in front


def test_it_tells_all_that_was_measured(task):
    text = markdown(known_report(task))
    assert "**Class dog loses 15.0 percentage points of accuracy.**" in text
    assert "peak memory  3.00 MiB  1.00 MiB" in text and "Energy is unknown: this is CPU." in text
    assert "batch  threads" in text and "\n1      2 " in text
    assert "0 → 15" in text and "- `load.py`: 100 B" in text and "`model.int8.onnx`" in text
    assert "from its own file in a new process" in text and "The bytes are those of `model.int8.onnx`" in text
    assert "It runs `model.int8.onnx`" in text and "'onnx-int8' or 'onnx'" in text


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"kind": None}, "in the process of the search, because load.py can't run its engine"),
        ({"kind": "torch"}, "The bytes are those of the weights as torch saves them"),
        ({"sizes": SIZES | {"weights.nndc": 9}}, "The bytes are those of `weights.nndc`"),
    ],
)
def test_it_says_what_the_figures_belong_to(task, changes, sentence):
    assert sentence in markdown(known_report(task, **changes))


def test_without_a_file_to_run_it_does_not_say_how(task):
    report = known_report(task, sizes={"weights.safetensors": 4})
    assert report.loading == [] and "load.py" not in markdown(report)


def test_of_a_trial_s_engines_one_is_the_best_and_all_others_are_drawn(task):
    points = [
        Point(0, {"engine": name}, 82.5, size, seconds)
        for name, size, seconds in (("OpenVINO float32", 200, 0.01), ("bf16", 100, 0.02), ("eager float32", 300, 0.09))
    ]
    report = known_report(task, points=points)
    table = rows(report.search, [*points, report.exported])
    assert [row[0] for row in table[1:]] == ["0 (best)", "0", "0", "0"]
    assert front_picture(report).count('role="button"') == 4
