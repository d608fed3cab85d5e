"""How many cores a process gets, and when a machine counts as busy."""

import pytest
import torch

from nnopt_lab.workbench.measure import free_cores as module
from nnopt_lab.workbench.measure.free_cores import free_cores, is_busy


def test_measuring_free_cores_leaves_torchs_threads_as_they_were():
    before = torch.get_num_threads()
    assert 0 < free_cores(2) < 2.5
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("threads", "cores", "wanted"), [(1, 8, 1), (4, 8, 4), (16, 2, 2)], ids=["one thread", "several", "a quota"]
)
@pytest.mark.parametrize(("share", "busy"), [(0.99, False), (0.85, False), (0.7, True), (0.2, True)])
def test_a_machine_is_busy_if_torchs_threads_do_not_get_a_core_each(threads, cores, wanted, share, busy, monkeypatch):
    monkeypatch.setattr(module.torch, "get_num_threads", lambda: threads)
    monkeypatch.setattr(module, "usable_cores", lambda: cores)
    asked = []
    monkeypatch.setattr(module, "free_cores", lambda count: asked.append(count) or share * count)
    assert is_busy() is busy and asked == [wanted]


def test_the_share_is_of_processor_time_in_real_time(monkeypatch):
    """Clocks that say: the threads ran for a second, and got a quarter of it."""
    real, used = iter([0.0, 5.0, 6.0]), iter([10.0, 10.25])
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(real))
    monkeypatch.setattr(module.time, "process_time", lambda: next(used))
    monkeypatch.setattr(module, "ThreadPoolExecutor", _Pool)
    assert free_cores(1) == pytest.approx(0.25)


class _Pool:
    """Runs nothing."""

    def __init__(self, count):
        self.count = count

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False

    def map(self, function, values):
        return list(values)
