"""Any network and any data either fit a search or get one sentence, before any time is spent."""

import re
import warnings

import pytest
import torch
from torch import nn

from nnopt_lab.techniques.search.checks import prepared
from tests.techniques.search.odd_inputs import DATA, IMAGES, LABELS, NETWORKS
from tests.techniques.search.small_search import build, same_weights, search

pytestmark = pytest.mark.filterwarnings("ignore")


def check(says, *arguments):
    """One sentence, or a task with the note that is expected and no other."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if says and not says.startswith("note: "):
            with pytest.raises(ValueError, match=says) as error:
                prepared(*arguments)
            assert re.match(f"(?s).*{says}", str(error.value)) and "\n" not in str(error.value)
            assert len(str(error.value)) < 500
            return None
        task = prepared(*arguments)
    expected = says.removeprefix("note: ")
    notes = [note for note in task.notes if "train and validation contain the same" not in note]
    assert len(notes) == bool(says) and all(re.match(expected, note) for note in notes)
    return task


@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name):
    make, says = NETWORKS[name]
    task = check(says, make(), (IMAGES, LABELS), (IMAGES, LABELS))
    if task:
        assert not any(module.training for module in task.model.modules())
        kinds = {tensor.dtype for tensor in task.model.state_dict().values() if tensor.is_floating_point()}
        assert kinds == {torch.float32}
        assert task.model(task.inputs(3)).shape[0] == 3


@pytest.mark.parametrize("name", DATA)
def test_data(name):
    make, says = DATA[name]
    check(says, build(), make(), make())


def test_there_are_enough_of_them():
    assert len(NETWORKS) + len(DATA) >= 80


@pytest.mark.parametrize("kind", [torch.float64, torch.bfloat16])
def test_the_network_given_stays_as_it_is(kind):
    given, other = build().to(kind).train(), build().to(kind)
    task = prepared(given, (IMAGES, LABELS), (IMAGES, LABELS))
    assert given[0].weight.dtype == kind and given.training and same_weights(given, other)
    assert torch.equal(task.model[0].weight, other[0].weight.float())


def test_the_data_given_stay_as_they_are():
    make, _ = NETWORKS["an input changed in place"]
    images = IMAGES.clone()
    task = prepared(make(), (images, LABELS), (images, LABELS))
    task.model(task.calibration[0])
    assert torch.equal(images, IMAGES)


@pytest.mark.parametrize(
    ("to_input", "says"),
    [
        (lambda x: x.nothing, r"to_input cannot be called on float32 \[2, 3, 8, 8\] \(AttributeError"),
        (lambda x: x.double(), r"to_input returns float64 \[2, 3, 8, 8\] for 2 pictures"),
        (lambda x: x / 0, "to_input returns NaN or infinite values"),
        (lambda x: x[:1], r"to_input returns float32 \[1, 3, 8, 8\] for 2 pictures|returns float32 \[2, 3"),
        (lambda x: None, "to_input returns NoneType for 2 pictures|to_input cannot be called"),
    ],
)
def test_a_transform_that_does_not_fit(to_input, says):
    check(says, build(), (IMAGES, LABELS), (IMAGES, LABELS), to_input)


def test_a_batch_of_one_in_training_is_told_before_the_search():
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 3), nn.BatchNorm1d(3))
    with pytest.raises(ValueError, match="model cannot be trained: A batch of 1 leaves batch norm a single value"):
        prepared(model, (IMAGES, LABELS), (IMAGES, LABELS), batch_size=1)
    with pytest.raises(ValueError, match="model cannot be trained: A batch of 1 leaves batch norm a single value"):
        prepared(model, (IMAGES[:1], LABELS[:1]), (IMAGES, LABELS))


ALLOWED = [name for name, (_, says) in NETWORKS.items() if says == "" or says.startswith("note: ")]


@pytest.mark.parametrize("name", ALLOWED)
def test_networks_that_are_allowed_can_be_searched(name):
    found = search(NETWORKS[name][0](), "bytes", trials=1)
    assert len(found.points) == 1 and not found.failed
