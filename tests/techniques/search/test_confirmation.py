"""An exported network measured again: its answers, at which batches and threads, and what stays unknown."""

from dataclasses import replace

import pytest
import torch

from nnopt_lab.techniques.deployment.registry import build_engine
from nnopt_lab.techniques.search import confirmation, exported_files
from nnopt_lab.techniques.search.confirmation import ExportedNetwork, confirm
from nnopt_lab.techniques.search.files import save
from tests.techniques.search.small_search import build

pytestmark = pytest.mark.usefixtures("forked_processes")

EAGER, SIZES = "eager float32", {"channels": {}, "ranks": {}}


@pytest.fixture(scope="module")
def engines(task):
    """The original, and another network."""
    return [build_engine(model, task.calibration, EAGER) for model in (task.model, build(seed=5))]


def expected(engine, task):
    return engine(task.pictures.validation.images).argmax(1)


def test_an_exported_file_is_run_in_new_processes_with_one_and_all_threads(task, engines, tmp_path, monkeypatch):
    monkeypatch.setattr(confirmation, "usable_cores", lambda: 2)
    save(tmp_path, task, {"engine": EAGER}, build(seed=5), SIZES, {}, engine=engines[1])
    threads = torch.get_num_threads()
    seen = confirm(task, 4, 1e-3, engines[0], ExportedNetwork(engines[1], tmp_path, "torch"))
    assert torch.get_num_threads() == threads
    assert torch.equal(seen.before, expected(engines[0], task)) and torch.equal(seen.after, expected(engines[1], task))
    assert torch.equal(seen.labels, task.pictures.validation.labels)
    assert set(seen.times) == {(batch, count) for batch in (1, 4, 32) for count in (threads, 1, 2)}
    assert seen.goal == (4, threads) and seen.speedup.low > 0 and seen.times[4, 2]["new"].batch_size == 4
    assert len(seen.usage.memory) in (0, 2) and seen.usage.measured
    assert seen.usage.joules == (None,) and "counter" in seen.usage.reason


def test_an_engine_without_a_file_runs_in_this_process_as_it_was_built(task, engines):
    seen = confirm(task, 2, 1e-3, engines[0], ExportedNetwork(engines[1], None, None))
    assert torch.equal(seen.after, expected(engines[1], task))
    assert set(seen.times) == {(batch, torch.get_num_threads()) for batch in (1, 2, 32)}
    assert seen.usage_rows()[1] == ["peak memory", "unknown", "unknown"]
    assert "no file that a new process could run" in seen.usage_notes()[0]


def test_batches_that_take_the_original_longer_than_a_second_are_not_timed(task, engines):
    seen = confirm(task, 2, 0.2, engines[0], ExportedNetwork(engines[1], None, None))
    assert {batch for batch, _ in seen.times} == {1, 2}


def test_the_memory_of_an_original_that_torch_cannot_export_is_unknown(task, engines, tmp_path, monkeypatch):
    save(tmp_path, task, {"engine": EAGER}, build(seed=5), SIZES, {}, engine=engines[1])

    def refuse(*_):
        raise exported_files.EngineUnavailable("It cannot be exported by torch.export (why).")

    monkeypatch.setattr(confirmation, "write_program", refuse)
    seen = confirm(task, 1, 1.0, engines[0], ExportedNetwork(engines[1], tmp_path, "torch"))
    assert seen.usage_notes()[0] == "Peak memory is unknown: It cannot be exported by torch.export (why)."


def test_threads_are_restored_after_a_failure(task, engines, tmp_path):
    before = torch.get_num_threads()
    with pytest.raises(exported_files.EngineUnavailable):
        confirm(task, 1, 1.0, engines[0], ExportedNetwork(replace(engines[1]), tmp_path, "torch"))
    assert torch.get_num_threads() == before
