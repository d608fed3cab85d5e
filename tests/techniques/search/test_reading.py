"""Data that are too large for memory are read batch by batch, and give the same pictures as if they were in memory."""

import random
import subprocess
import sys
from itertools import repeat

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from nnopt_lab.techniques.search.checks import prepared
from nnopt_lab.techniques.search.datasets import as_split
from nnopt_lab.techniques.search.reading import LazyPictures
from nnopt_lab.workbench import data, training
from nnopt_lab.workbench.fingerprints import fingerprint
from tests.techniques.search.small_search import VALIDATION, build

IMAGES, LABELS = VALIDATION
LIMIT = IMAGES.nbytes - 1  # one byte too few


class Items(Dataset):
    """Counts how many items are read at most between two looks at `most`."""

    def __init__(self, change=lambda x: x, **attributes):
        self.change, self.read = change, 0
        vars(self).update(attributes)

    def __len__(self):
        return len(LABELS)

    def __getitem__(self, position):
        self.read += 1
        return self.change(IMAGES[position]), int(LABELS[position])


def shuffled(images, labels):
    generator = torch.Generator().manual_seed(5)
    return DataLoader(TensorDataset(images, labels), batch_size=7, shuffle=True, generator=generator)


@pytest.mark.parametrize(
    "make",
    [
        Items,
        lambda: Items(targets=LABELS.tolist()),
        lambda: Items(targets=(2 - LABELS).tolist()),  # a data set that numbers its classes anew
        lambda: Items(labels=LABELS[:3]),
        lambda: TensorDataset(IMAGES, LABELS),
        lambda: list(zip(IMAGES, LABELS.tolist(), strict=True)),
        lambda: DataLoader(Items(), batch_size=16),
        lambda: DataLoader([{"y": y, "x": x} for x, y in zip(IMAGES, LABELS.tolist(), strict=True)], batch_size=16),
    ],
)
def test_lazy_pictures_are_those_in_memory(make):
    lazy, whole = as_split(make(), most_bytes=LIMIT), as_split(make(), most_bytes=LIMIT + 1)
    assert isinstance(lazy.images, LazyPictures) and isinstance(whole.images, torch.Tensor)
    assert torch.equal(whole.images, IMAGES) and torch.equal(whole.labels, LABELS)
    assert torch.equal(lazy.labels, LABELS) and lazy.images.shape == IMAGES.shape and lazy.images.dtype == IMAGES.dtype
    for index in (slice(3, 90, 7), slice(0, 0), [5, 3, 3], torch.tensor([199, 0]), slice(None), slice(500)):
        assert torch.equal(lazy.images[index], IMAGES[index])
    part = lazy[:50]
    assert torch.equal(part.images, IMAGES[:50]) and torch.equal(part.labels, LABELS[:50])


def test_labels_that_a_data_set_knows_cost_no_reading_of_its_pictures():
    known, unknown = Items(targets=LABELS.tolist()), Items()
    for given in (known, unknown, Subset(known, range(9, 200))):
        as_split(given, most_bytes=1)
    assert unknown.read > 200 and known.read < 2 * 100
    assert torch.equal(as_split(Subset(known, [7, 3, 9]), most_bytes=1).labels, LABELS[[7, 3, 9]])


def test_a_loader_keeps_the_order_and_the_part_that_its_sampler_gives():
    images, labels = IMAGES[:20], LABELS[:20]
    lazy, whole = as_split(shuffled(images, labels), most_bytes=1), as_split(shuffled(images, labels))
    assert sorted(map(fingerprint, lazy.images[:])) == sorted(map(fingerprint, images))
    where = [next(i for i, one in enumerate(images) if torch.equal(one, picture)) for picture in lazy.images[:]]
    assert torch.equal(labels[where], lazy.labels) and torch.allclose(
        whole.images.sum(0), lazy.images[:].sum(0), atol=1e-5
    )
    dropping = DataLoader(TensorDataset(images, labels), batch_size=8, drop_last=True)
    assert len(as_split(dropping, most_bytes=1)) == len(as_split(dropping)) == 16


def noisy(x):
    return x + torch.randn(()) + random.random() + np.random.rand()


@pytest.mark.parametrize("most_bytes", [1, None])
def test_random_transforms_give_each_picture_one_view_and_leave_the_random_numbers_alone(most_bytes):
    torch.manual_seed(3)
    state = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    one, other = (as_split(Items(noisy), most_bytes=most_bytes) for _ in range(2))
    assert torch.equal(one.images[:], other.images[:]) and torch.equal(one.images[[7]], other.images[:][[7]])
    assert fingerprint(one.images) == fingerprint(other.images)
    assert len({round(float(change), 4) for change in (one.images[:] - IMAGES).mean((1, 2, 3))}) > 190
    assert torch.equal(state[0], torch.get_rng_state()) and state[1:] == (
        random.getstate(),
        np.random.get_state()[1].tolist(),
    )


def test_fingerprints_differ_with_the_pictures():
    one, other = as_split(Items(), most_bytes=1), as_split(Items(lambda x: x + 1), most_bytes=1)
    assert fingerprint(one.images) != fingerprint(other.images) != fingerprint(other[:9].images)


def test_an_array_in_a_file_is_read_in_parts(tmp_path):
    np.save(tmp_path / "images.npy", IMAGES.numpy())
    stored = np.load(tmp_path / "images.npy", mmap_mode="r")
    lazy = as_split((stored, LABELS), most_bytes=LIMIT).images
    assert isinstance(lazy, LazyPictures) and torch.equal(lazy[:], IMAGES) and torch.equal(lazy[[3, 1]], IMAGES[[3, 1]])


class Endless(IterableDataset):
    def __iter__(self):
        return repeat((IMAGES[0], 0))


@pytest.mark.parametrize("given", [Endless(), DataLoader(Endless(), batch_size=4)])
def test_a_stream_without_an_end_is_refused(given):
    with pytest.raises(ValueError, match=r"^mine has more than 0.0 GiB of pictures and no fixed order, so it can't be"):
        as_split(given, "mine", most_bytes=10_000)


def test_a_missing_value_is_told_when_it_is_read():
    lazy = as_split(Items(lambda x: torch.where(x == IMAGES[77], torch.nan, x)), "mine", most_bytes=1)
    with pytest.raises(ValueError, match="mine contains NaN or infinite values at position 77"):
        _ = lazy.images[:]


def test_later_items_may_need_another_dtype_but_no_other_size():
    mixed = [(torch.tensor([index + 0.5 if index > 190 else index]), 0) for index in range(200)]
    expected = torch.cat([image for image, _ in mixed]).float()
    assert torch.equal(as_split(mixed).images[:, 0].float(), expected)
    large = 3 * 2**20
    sizes = [(torch.zeros(large), 0), (torch.zeros(large), 1), (torch.zeros(1), 1)]
    with pytest.raises(ValueError, match="pictures of one size"):
        as_split(sizes)


def test_training_and_evaluation_are_the_same_numbers_as_in_memory(monkeypatch):
    results = []
    for most_bytes in (1, None):
        monkeypatch.setattr("nnopt_lab.techniques.search.reading.memory", lambda m=most_bytes: 4 * (m or 2**30))
        task = prepared(build(), Items(targets=LABELS.tolist()), Items())
        training.fit(task.model, task.pictures, epochs=1, seed=0, device="cpu")
        results.append(training.evaluate(task.model, task.pictures.validation, task.pictures))
        assert isinstance(task.pictures.train.images, LazyPictures) == bool(most_bytes)
        assert isinstance(data.loader(task.pictures.train, task.pictures), DataLoader)
    assert results[0].loss == results[1].loss and results[0].accuracy == results[1].accuracy


PEAK = r"""
import re, torch
from torch import nn
from nnopt_lab.techniques.search import reading
from nnopt_lab.techniques.search.autotune import optimize

class Large(torch.utils.data.Dataset):
    def __init__(self, count):
        self.targets = [i % 2 for i in range(count)]
    def __len__(self):
        return len(self.targets)
    def __getitem__(self, i):
        return torch.full((3, 128, 128), (i % 2) + 0.1), i % 2

def peak():
    # getrusage's peak begins with that of the process that started this one.
    return int(re.search(r"VmHWM:\s+(\d+) kB", open("/proc/self/status").read())[1]) * 1024

model = nn.Sequential(nn.AvgPool2d(32), nn.Flatten(), nn.Linear(48, 4), nn.ReLU(), nn.Linear(4, 2))
options = dict(goal="bytes", engine_names=(), trials=1, epochs=1, batch_size=32, manual_starts=False)
for limit, count in ((2**20, 300), (2**20, 2500), (2**40, 2500)):
    before, reading.memory = peak(), lambda: limit
    found = optimize(model, Large(count), Large(count // 6), **options)
    print(len(found.points), peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_memory_stays_bounded():
    """2,900 pictures are 570 MB: read in parts, a search needs less than half of that, after a small one."""
    run = [sys.executable, "-c", PEAK]
    _, lazy, whole = subprocess.check_output(run, text=True, stderr=subprocess.DEVNULL).splitlines()
    assert lazy.startswith("1 ") and whole.startswith("1 ")
    assert int(lazy[2:]) < 280e6 < int(whole[2:])
