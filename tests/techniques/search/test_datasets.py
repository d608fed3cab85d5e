"""Data in every form becomes the same split, and data that cannot be used is one sentence with its cure."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Subset, TensorDataset

from nnopt_lab.techniques.search.datasets import as_split, class_names
from tests.techniques.search.small_search import VALIDATION

IMAGES, LABELS = VALIDATION
ITEMS = list(zip(IMAGES, LABELS.tolist(), strict=True))
DICTS = [{"image": image, "label": label} for image, label in ITEMS]


@pytest.mark.parametrize(
    "given",
    [
        (IMAGES.numpy(), LABELS.numpy()),
        (IMAGES.numpy(), LABELS.int().numpy()),
        (list(IMAGES), LABELS.tolist()),
        TensorDataset(IMAGES, LABELS),
        Subset(TensorDataset(IMAGES, LABELS), range(200)),
        ITEMS,
        DICTS,
        DataLoader(TensorDataset(IMAGES, LABELS), batch_size=64),
        DataLoader(DICTS, batch_size=64),
    ],
)
def test_data_in_every_form(given):
    split = as_split(given)
    assert torch.equal(split.images, IMAGES) and torch.equal(split.labels, LABELS)
    assert split.labels.dtype == torch.int64 and as_split(split) is split


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_pil_images_have_their_channels_first(mode):
    pixels = np.random.default_rng(0).integers(0, 255, (2, 6, 5) + (3,) * (mode == "RGB"), dtype=np.uint8)
    split = as_split([(Image.fromarray(one), label) for label, one in enumerate(pixels)])
    expected = torch.from_numpy(pixels)
    assert torch.equal(split.images, expected[:, None] if mode == "L" else expected.permute(0, 3, 1, 2))


@pytest.mark.parametrize(
    ("labels", "cure"),
    [
        (LABELS[:, None], r"int64 \[200, 1\]; .* call labels.squeeze\(1\).long\(\)"),
        (torch.nn.functional.one_hot(LABELS), r"for one-hot labels, call labels.argmax\(1\)"),
        (torch.nn.functional.one_hot(LABELS).float(), r"for one-hot labels, call labels.argmax\(1\)"),
        (LABELS.float(), r"labels float32 \[200\]; .* call labels.long\(\)"),
        (LABELS - 1, "labels from -1; they must be integers from 0 .* number the classes from 0"),
        (LABELS[:, None, None].expand(-1, 4, 4), "optimize takes one class per picture"),
    ],
)
def test_labels_that_are_no_class_numbers(labels, cure):
    with pytest.raises(ValueError, match=f"^mine .*{cure}"):
        as_split((IMAGES, labels), "mine")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ((IMAGES, LABELS[:-1]), "200 pictures and 199 labels; it must have equally many, at"),
        ((IMAGES, LABELS[:0]), "200 pictures and 0 labels"),
        ((IMAGES[:0], LABELS[:0]), "0 pictures and 0 labels"),
        ((IMAGES, LABELS, LABELS), "is a tuple of 3; it must be"),
        ((IMAGES, LABELS[0]), "single labels"),
        ([], "contains 0 pictures"),
        (TensorDataset(IMAGES, LABELS, LABELS), "is TensorDataset, which cannot be read as a data set"),
        ([(torch.zeros(3, 4, 4), 0), (torch.zeros(3, 5, 5), 1)], "pictures of one size"),
        ((IMAGES, ["cat"] * 200), "labels that are text, such as 'cat'; they must be integers from 0"),
        ((IMAGES * torch.nan, LABELS), "contains NaN or infinite values"),
        ((IMAGES.to("meta"), LABELS), "contains meta pictures"),
        ((IMAGES.to_sparse(), LABELS), "contains sparse pictures"),
        (3, "is int, which cannot be read"),
        (None, "is NoneType, which cannot be read"),
    ],
)
def test_data_that_is_refused(given, sentence):
    with pytest.raises(ValueError, match=f"^mine .*{sentence}"):
        as_split(given, "mine")


@pytest.mark.filterwarnings("ignore:.*quantize")
def test_quantised_pictures_are_refused():
    quantised = torch.quantize_per_tensor(IMAGES, 0.1, 0, torch.qint8)
    with pytest.raises(ValueError, match=r"^mine contains quantised pictures"):
        as_split((quantised, LABELS), "mine")


class Named(TensorDataset):
    classes = ("cat", "dog", 3)


@pytest.mark.parametrize(
    "given",
    [
        Named(IMAGES, LABELS),
        Subset(Named(IMAGES, LABELS), range(7)),
        Subset(Subset(Named(IMAGES, LABELS), range(7)), range(3)),
        DataLoader(Subset(Named(IMAGES, LABELS), range(7))),
    ],
)
def test_class_names_are_those_of_the_data_set_inside(given):
    assert class_names(given) == ("cat", "dog", "3")


def test_most_data_have_no_class_names():
    looping = Subset([], [])
    looping.dataset = looping
    for given in (VALIDATION, ITEMS, as_split(VALIDATION), TensorDataset(IMAGES), looping, None):
        assert class_names(given) is None
