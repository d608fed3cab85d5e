"""A network in a new process: what it answers, how it is timed and weighed, and what it says when it fails."""

import os

import pytest
import torch

from nnopt_lab.techniques.deployment.engine import EngineUnavailable
from nnopt_lab.techniques.search.fresh_process import FreshProcess
from nnopt_lab.workbench import measure

LOADER = """
import os
import numpy

def load(kind, threads):
    print("said while loading")
    weights = numpy.ones(int(kind), numpy.uint8)

    def run(x):
        if x.sum() < 0:
            raise ValueError("no negative numbers here")
        if x.sum() > 1000:
            os._exit(7)
        return numpy.full((len(x), 2), threads, numpy.float32) + len(weights) * 0

    return run

def weights():
    return {"a": numpy.arange(3)}
"""


@pytest.fixture
def process(tmp_path):
    (tmp_path / "load.py").write_text(LOADER)
    with FreshProcess(tmp_path, "10", 3) as found:
        yield found


def test_it_runs_load_with_its_threads_and_reads_the_weights(process):
    assert process(torch.ones(4, 5)).tolist() == [[3.0, 3.0]] * 4
    assert process.weights()["a"].tolist() == [0, 1, 2]


def test_it_times_its_own_calls(process):
    timings = measure.latency({"here": lambda x: x + 1, "there": process}, torch.ones(2, 3), rounds=6)
    assert len(timings["there"].samples) == 6 and all(s > 0 for s in timings["there"].samples)
    assert measure.ratio(*timings.values()).low > 0


def test_its_memory_contains_the_weights(tmp_path):
    (tmp_path / "load.py").write_text(LOADER)
    sizes = []
    for size in (10, 80_000_000):
        with FreshProcess(tmp_path, str(size), 1) as found:
            sizes.append(found.peak_memory(torch.ones(4, 5)))
    if not os.path.exists("/proc/self/clear_refs"):
        assert sizes == [None, None]
    else:
        assert sizes[0] < 5e6 and 79e6 < sizes[1] < 90e6


def test_an_error_there_is_a_sentence_here_and_the_process_goes_on(process):
    with pytest.raises(EngineUnavailable, match=r"failed \(ValueError: no negative numbers here\)\."):
        process(-torch.ones(4))
    assert len(process(torch.ones(4, 1))) == 4


def test_a_process_that_ends_is_a_sentence(process):
    with pytest.raises(EngineUnavailable, match=r"The new process ended \(.*\)\."):
        process(torch.ones(1001, 1))


@pytest.mark.parametrize("text", ["def load(kind, threads): raise OSError('no file')", "import nowhere"])
def test_what_cannot_be_loaded_is_a_sentence(text, tmp_path):
    (tmp_path / "load.py").write_text(text)
    with pytest.raises(EngineUnavailable, match=r"no file|nowhere"):
        FreshProcess(tmp_path, "onnx", 1)


def test_it_does_not_find_this_package_or_files_beside_the_caller(tmp_path, monkeypatch):
    (tmp_path / "load.py").write_text(
        "import sys\ndef load(kind, threads):\n    assert not [m for m in sys.modules if m.startswith('nnopt')]\n"
        "    return lambda x: x"
    )
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "load.py").write_text("1 / 0")
    monkeypatch.chdir(tmp_path / "elsewhere")
    with FreshProcess(tmp_path, "onnx", 1) as found:
        assert found(torch.ones(1, 1)).tolist() == [[1.0]]
