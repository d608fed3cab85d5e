"""A batch of any size is made of a task's data, and a network that does not fit them is one sentence."""

import pytest
import torch

from nnopt_lab.techniques.search.autotune import optimize
from nnopt_lab.techniques.search.datasets import as_split
from nnopt_lab.techniques.search.tasks import GivenPictures, Task, guessing
from tests.techniques.search.small_search import TRAIN, VALIDATION, build


def test_a_batch_larger_than_the_data_repeats_it(task):
    assert torch.equal(task.inputs(3), VALIDATION[0][:3])
    assert torch.equal(task.inputs(450), torch.cat([VALIDATION[0]] * 3)[:450])


def test_calibration_pictures_come_from_the_training_split(task):
    assert torch.equal(torch.cat(task.calibration), TRAIN[0][:256])


IMAGES, LABELS = TRAIN


@pytest.mark.parametrize(
    ("images", "labels", "sentence"),
    [
        (IMAGES.permute(0, 2, 3, 1), LABELS, r"channels last: pass pictures.permute\(0, 3, 1, 2\)"),
        ((IMAGES.clamp(0, 1) * 255).byte(), LABELS, r"uint8 .* pass to_input=lambda x: x.float\(\) / 255"),
        (IMAGES.long(), LABELS, r"int64 .* pass to_input=lambda x: x.float\(\)"),
        (IMAGES, LABELS + 1, "labels from 1 to 3, but the model has 3 classes, .*: subtract 1 from the labels"),
        (IMAGES, LABELS + 5, r"labels from 5 to 7, but the model has 3 classes, numbered from 0\."),
        (IMAGES[:, :1], LABELS, "model "),
    ],
)
def test_data_that_the_network_cannot_take(images, labels, sentence):
    with pytest.raises(ValueError, match=sentence):
        optimize(build(), (images, labels), (images, labels))


def test_one_logit_is_refused_with_the_cure():
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 1))
    with pytest.raises(ValueError, match="returns 1 logit per picture; it must return at least 2"):
        optimize(model, (IMAGES, LABELS.clamp(max=1)), (IMAGES, LABELS.clamp(max=1)))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: torch.jit.trace(build(), IMAGES[:1]), "model is a ScriptModule, whose layers can't be changed; pass"),
        (lambda: build().to("meta"), "model has .* on the meta device, where it has no values; load its weights"),
    ],
)
def test_networks_whose_layers_cannot_be_changed(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        optimize(make(), TRAIN, VALIDATION)


@pytest.mark.parametrize(
    ("labels", "accuracy", "noted"),
    [
        ([0] * 90 + [1] * 10, 90.0, True),
        ([0] * 90 + [1] * 10, 95.5, True),  # two standard errors of 100 answers are 6 points
        ([0] * 90 + [1] * 10, 97.0, False),
        (list(range(10)) * 10, 15.0, True),
        (list(range(10)) * 10, 17.0, False),
        (list(range(10)) * 1000, 11.0, False),
        (list(range(10)) * 1000, 10.5, True),
        ([0] * 5, 100.0, True),
    ],
)
def test_an_original_within_the_luck_of_guessing_is_noted(labels, accuracy, noted):
    split = as_split((torch.zeros(len(labels), 1), labels))
    task = Task(build(), GivenPictures(split, split, lambda x: x))
    assert bool(guessing(task, accuracy)) == noted
