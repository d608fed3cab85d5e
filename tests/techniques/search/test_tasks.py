"""Data in every form becomes a split, and a batch of any size is made of it."""

import pytest
import torch

from nnopt_lab.techniques.search.tasks import as_split
from tests.techniques.search.small_search import TRAIN, VALIDATION


def test_data_in_every_form():
    split = as_split(TRAIN)
    of_pairs = as_split(torch.utils.data.TensorDataset(*TRAIN))
    assert as_split(split) is split
    assert torch.equal(of_pairs.images, split.images) and torch.equal(of_pairs.labels, split.labels)


@pytest.mark.parametrize("labels", [VALIDATION[1][:-1], VALIDATION[1][:0]])
def test_a_label_is_missing(labels):
    with pytest.raises(ValueError, match=f"200 pictures and {len(labels)} labels; it must have equally many, at"):
        as_split((VALIDATION[0], labels))


def test_a_batch_larger_than_the_data_repeats_it(task):
    assert torch.equal(task.inputs(3), VALIDATION[0][:3])
    assert torch.equal(task.inputs(450), torch.cat([VALIDATION[0]] * 3)[:450])


def test_calibration_pictures_come_from_the_training_split(task):
    assert torch.equal(torch.cat(task.calibration), TRAIN[0][:256])
