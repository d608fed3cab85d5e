"""Partial credit, for every exercise of the course: what shows no understanding earns none."""

import pytest
import torch

from nnopt_lab.course.checking import examine
from nnopt_lab.course.exercises import exercises


@pytest.mark.parametrize("id", exercises())
def test_neither_constants_nor_zeros_nor_the_input_have_any_credit(id):
    exercise = exercises()[id]
    first = exercise.reference(*exercise.generate(torch.Generator().manual_seed(1)))

    def zeros(value):
        if isinstance(value, torch.Tensor):
            return torch.zeros_like(value)
        return type(value)(map(zeros, value)) if isinstance(value, (list, tuple)) else type(value)(0)

    for answer in (lambda *a: first, lambda *a: zeros(exercise.reference(*a)), lambda *a: a[0], lambda *a: None):
        verdict = examine(exercise, answer)
        assert not verdict.passed and verdict.credit == 0, id
