"""The sweep ends where it should: flat, out of memory, at the largest size."""

import time

import pytest
import torch

from nnopt_lab.techniques.training import batch_size_sweep


class TestSweep:
    def test_stops_at_the_limit_before_it_is_passed(self):
        tried = []

        def step(x):
            tried.append(len(x))
            time.sleep(0.001)  # the same for each size: never flat
            return x * 1

        points, why = batch_size_sweep.sweep(step, torch.ones(3, 250), limit_bytes=63_000, seconds=1e-4)
        assert why == "memory" and [p.batch_size for p in points] == [1, 2, 4, 8, 16]
        assert max(tried) == 16 and all(p.bytes == 2 * p.batch_size * 1000 for p in points)

    @pytest.mark.parametrize(
        "error",
        [
            torch.OutOfMemoryError("CUDA out of memory."),
            RuntimeError("[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: …"),
            MemoryError(),
        ],
    )
    def test_running_out_of_memory_is_caught(self, error):
        def step(x):
            time.sleep(0.001)
            if len(x) > 4:
                raise error

        points, why = batch_size_sweep.sweep(step, torch.ones(1, 8), seconds=1e-4, largest=64)
        assert why == "memory" and [p.batch_size for p in points] == [1, 2, 4]

    def test_leaves_out_the_single_sample_that_batch_norm_refuses(self):
        model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
        points, why = batch_size_sweep.sweep(model, torch.ones(1, 2), largest=4, seconds=1e-4)
        assert [p.batch_size for p in points] == [2, 4] and why == "largest"
        with pytest.raises(ValueError, match="another"):
            batch_size_sweep.sweep(lambda x: (_ for _ in ()).throw(ValueError("another")), torch.ones(1, 8))

    def test_another_error_is_not_swallowed(self):
        with pytest.raises(RuntimeError, match="shapes"):
            batch_size_sweep.sweep(lambda x: (_ for _ in ()).throw(RuntimeError("shapes do not fit")), torch.ones(1, 8))

    def test_stops_where_it_is_flat_and_at_the_largest_size(self, monkeypatch):
        speed = {1: 100, 2: 190, 4: 300, 8: 310, 16: 312, 32: 290}
        monkeypatch.setattr(
            batch_size_sweep,
            "_measured",
            lambda step, example, size, seconds: batch_size_sweep.SweepPoint(size, speed[size], size),
        )
        points, why = batch_size_sweep.sweep(None, torch.ones(1, 1))
        assert why == "flat" and [p.batch_size for p in points] == [1, 2, 4, 8, 16, 32]
        points, why = batch_size_sweep.sweep(None, torch.ones(1, 1), largest=4)
        assert why == "largest" and [p.per_second for p in points] == [100, 190, 300]

    def test_the_available_memory_is_a_number_of_bytes(self):
        assert batch_size_sweep.available_memory() > 2**24
