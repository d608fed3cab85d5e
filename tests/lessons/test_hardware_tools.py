"""Lesson 12's tools: blocks of zeros, and a process on one core."""

import os

import pytest
import torch

from nnopt_lab.lessons.hardware.blocks import block_product_here, with_zero_blocks
from nnopt_lab.lessons.hardware.pinning import on_one_core


@pytest.mark.parametrize(("share", "zero"), [(0, 0), (0.5, 8), (0.6, 10), (1, 16)])
def test_a_matrix_has_whole_blocks_of_zeros_and_no_other_zero(share, zero):
    matrix = with_zero_blocks(share, size=32, block=8)
    blocks = matrix.reshape(4, 8, 4, 8).transpose(1, 2).reshape(16, 64)
    assert (blocks == 0).all(1).sum() == zero and (blocks == 0).sum() == 64 * zero
    assert torch.equal(matrix, with_zero_blocks(share, size=32, block=8))


def test_torch_multiplies_blocks_where_the_course_says_so():
    matrix, x = with_zero_blocks(0.5, size=32, block=8), torch.ones(32, 3)
    if block_product_here():
        torch.testing.assert_close(matrix.to_sparse_bsr((8, 8)) @ x, matrix @ x)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system pins no process")
def test_a_call_runs_on_one_core_and_all_cores_come_back_even_after_an_error():
    usual = os.sched_getaffinity(0)
    assert len(on_one_core(lambda: os.sched_getaffinity(0))) == 1
    with pytest.raises(ZeroDivisionError):
        on_one_core(lambda: 1 / 0)
    assert os.sched_getaffinity(0) == usual


def test_a_system_without_pinning_runs_nothing(monkeypatch):
    monkeypatch.delattr(os, "sched_setaffinity", raising=False)
    assert on_one_core(lambda: 1) is None
