"""The drawn data set: fixed by its seed, balanced, and harder where the dial says so."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nnopt_lab.workbench import data, models, training
from nnopt_lab.workbench.shapes import SHAPES, draw_shapes


def accuracy_after_a_short_training(difficulty):
    drawn = data.Split(*draw_shapes(3_500, seed=1, difficulty=difficulty))
    rest = drawn[3_000:]
    pictures = data.Pictures("shapes", drawn[:3_000], rest, rest, SHAPES, mean=(0.5,) * 3, std=(0.25,) * 3)
    torch.manual_seed(0)
    model = models.MyNet()
    training.fit(
        model,
        pictures,
        epochs=3,
        optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=3e-3),
        device="cpu",
    )
    return training.evaluate(model, pictures.test, pictures).accuracy


@settings(max_examples=8)
@given(count=st.integers(1, 60), seed=st.integers(0, 2**31))
def test_the_same_seed_draws_the_same_and_classes_are_balanced(count, seed):
    images, labels = draw_shapes(count, seed=seed)
    assert images.shape == (count, 3, 32, 32) and images.dtype == torch.uint8 and labels.dtype == torch.int64
    again = draw_shapes(count, seed=seed)
    assert torch.equal(images, again[0]) and torch.equal(labels, again[1])
    counts = labels.bincount(minlength=len(SHAPES))
    assert counts.max() - counts.min() <= 1


def test_another_seed_draws_other_pictures():
    (one, _), (other, _) = draw_shapes(20, seed=0), draw_shapes(20, seed=1)
    assert not torch.equal(one, other)


def test_pictures_use_the_range_of_a_byte_and_differ_from_each_other():
    images, _ = draw_shapes(200)
    assert images.float().std() > 30
    assert len(images.flatten(1).unique(dim=0)) == 200


def test_the_dial_makes_it_harder():
    easy, standard, hard = (accuracy_after_a_short_training(d) for d in (0, 1, 2.5))
    assert easy > standard + 10 and standard > hard + 10


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"count": 0}, "count=0 must be at least 1"),
        ({"count": 5, "difficulty": -0.1}, "difficulty=-0.1 must be at least 0"),
        ({"count": 5, "difficulty": float("nan")}, "difficulty=nan must be at least 0"),
    ],
)
def test_refuses(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        draw_shapes(**arguments)
