"""Draws of inputs: each stays in its range, reaches its ends, and repeats with its seed."""

import pytest
import torch

from nnopt_lab.course import draws


def many(draw, count=300):
    g = torch.Generator().manual_seed(0)
    return [draw(g) for _ in range(count)]


@pytest.mark.parametrize(
    "draw",
    [
        lambda g: draws.randint(g, 2, 4),
        lambda g: draws.randints(g, (0, 9), (5, 5)),
        lambda g: draws.uniform(g, -1, 1),
        lambda g: draws.choice(g, "abc"),
        lambda g: draws.decimals(g, 3).tolist(),
        lambda g: draws.signs(g, 3).tolist(),
        lambda g: draws.subset(g, 9, 3).tolist(),
    ],
)
def test_a_seed_repeats_a_draw_and_other_seeds_give_others(draw):
    first, again, other = (draw(torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert first == again
    assert other != first or len({str(value) for value in many(draw)}) > 1


def test_both_ends_of_a_range_are_drawn():
    assert set(many(lambda g: draws.randint(g, 2, 4))) == {2, 3, 4}
    assert set(many(lambda g: draws.randints(g, (0, 1), (5, 5)))) == {(0, 5), (1, 5)}
    assert set(many(lambda g: draws.choice(g, "abc"))) == set("abc")
    assert all(-1 <= x < 1 for x in many(lambda g: draws.uniform(g, -1, 1)))


def test_tensors_have_their_shape_dtype_and_values():
    g = torch.Generator().manual_seed(0)
    numbers = draws.decimals(g, 4, 5, places=2)
    assert numbers.shape == (4, 5) and numbers.dtype == torch.float32
    assert torch.equal(numbers, numbers.round(decimals=2)) and not torch.equal(numbers, numbers.round(decimals=1))
    signs = draws.signs(g, 20)
    assert signs.dtype == torch.float32 and set(signs.tolist()) == {-1, 1}
    chosen = draws.subset(g, 9, 4)
    assert chosen.dtype == torch.int64 and chosen.tolist() == sorted(set(chosen.tolist())) and len(chosen) == 4
    assert chosen.min() >= 0 and chosen.max() <= 8
