"""Data sets: fixed disjoint splits, one way into the network, and one sentence where a file is missing or damaged."""

import dataclasses
import hashlib
from itertools import chain

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision import datasets
from torchvision.transforms import v2

from nnopt_lab.workbench import data
from nnopt_lab.workbench.paths import data_dir


@pytest.fixture(scope="module")
def fashion():
    return data.load("fashion")


def split_of(n, side=28, channels=1):
    generator = torch.Generator().manual_seed(n)
    images = torch.randint(0, 256, (n, channels, side, side), dtype=torch.uint8, generator=generator)
    return data.Split(images, torch.arange(n) % 10)


def pictures_of(split):
    return data.Pictures("some", split, split, split, tuple("abcdefghij"), (0.5,), (0.25,))


def folder(monkeypatch, path):
    monkeypatch.setattr(data, "data_dir", lambda: path)
    return path


class TestFashion:
    def test_the_splits_have_the_promised_sizes_types_and_classes(self, fashion):
        sizes = {name: len(getattr(fashion, name)) for name in ("train", "validation", "test")}
        assert sizes == {"train": 18_000, "validation": 2_000, "test": 10_000}
        for split in (fashion.train, fashion.validation, fashion.test):
            assert split.images.shape == (len(split), 1, 28, 28) and split.images.dtype == torch.uint8
            assert split.labels.dtype == torch.int64 and split.labels.unique().tolist() == list(range(10))
        assert fashion.test.labels.bincount().tolist() == [1000] * 10  # the official test set is balanced
        assert len(fashion.classes) == 10

    def test_the_splits_are_cut_from_the_file_in_order_so_that_they_cannot_overlap(self, fashion):
        with np.load(data_dir() / "fashion.npz") as file:
            again = torch.cat([fashion.train.images, fashion.validation.images]).squeeze(1)
            assert torch.equal(again, torch.from_numpy(file["train_images"]))
            assert torch.equal(fashion.test.images.squeeze(1), torch.from_numpy(file["test_images"]))

    def test_no_test_picture_is_among_the_training_pictures(self, fashion):
        def prints(split):
            return {hashlib.sha256(image.numpy().tobytes()).digest() for image in split.images}

        # The published set itself holds a handful of identical pictures; a wrong cut would make thousands.
        assert len(prints(fashion.train) & prints(fashion.test)) < 5

    def test_a_second_call_gives_the_same(self, fashion):
        again = data.load("fashion")
        assert torch.equal(again.train.images, fashion.train.images)
        assert torch.equal(again.validation.labels, fashion.validation.labels)

    def test_mean_and_deviation_are_those_of_the_training_pictures(self, fashion):
        scaled = fashion.train.images.float() / 255
        assert scaled.mean().item() == pytest.approx(fashion.mean[0], abs=2e-3)
        assert scaled.std().item() == pytest.approx(fashion.std[0], abs=2e-3)

    def test_a_missing_file_is_one_sentence_with_the_cure(self, tmp_path, monkeypatch):
        folder(monkeypatch, tmp_path)
        with pytest.raises(FileNotFoundError, match=r"data/fashion.npz is missing: .*git checkout.*nnopt make-data"):
            data.load("fashion")

    @pytest.mark.parametrize("damage", ["cut short", "one bit", "empty"])
    def test_so_is_a_damaged_one(self, damage, tmp_path, monkeypatch):
        raw = bytearray((data_dir() / "fashion.npz").read_bytes())
        if damage == "one bit":
            raw[len(raw) // 2] ^= 1
        else:
            raw = raw[: len(raw) // 2 if damage == "cut short" else 0]
        (folder(monkeypatch, tmp_path) / "fashion.npz").write_bytes(raw)
        with pytest.raises(ValueError, match=r"data/fashion.npz is damaged .*git checkout.*nnopt make-data"):
            data.load("fashion")


class TestOtherSets:
    def test_an_unknown_name_is_answered_with_the_known_ones(self):
        with pytest.raises(ValueError, match=r"name='mnist' .*choose one of fashion, shapes, fashion-full, cifar10"):
            data.load("mnist")

    def test_shapes_come_in_the_same_form(self):
        shapes = data.load("shapes", seed=3)
        assert [len(s) for s in (shapes.train, shapes.validation, shapes.test)] == [9_000, 1_000, 2_000]
        assert shapes.to_input(shapes.test.images[:2]).shape == (2, 3, 32, 32)

    def test_full_fashion_is_read_from_files_on_disk(self, tmp_path, monkeypatch):
        raw = tmp_path / "FashionMNIST" / "raw"
        raw.mkdir(parents=True)
        for prefix, count in (("train", 50), ("t10k", 20)):
            images = np.arange(count * 784, dtype=np.uint32).astype(np.uint8)
            header = np.array([0x803, count, 28, 28], ">u4").tobytes()
            (raw / f"{prefix}-images-idx3-ubyte").write_bytes(header + images.tobytes())
            labels = (np.arange(count) % 10).astype(np.uint8)
            (raw / f"{prefix}-labels-idx1-ubyte").write_bytes(
                np.array([0x801, count], ">u4").tobytes() + labels.tobytes()
            )
        monkeypatch.setattr("urllib.request.urlopen", None)  # a try to reach the network would be a TypeError
        full = data.load("fashion-full", root=tmp_path)
        assert [len(s) for s in (full.train, full.validation, full.test)] == [45, 5, 20]
        assert full.train.images.dtype == torch.uint8 and full.to_input(full.test.images).shape == (20, 3, 32, 32)

    def test_cifar10_comes_as_channels_first(self, tmp_path, monkeypatch):
        class Cifar:
            def __init__(self, root, train, download):
                n = 40 if train else 10
                self.data = np.arange(n * 32 * 32 * 3, dtype=np.uint32).astype(np.uint8).reshape(n, 32, 32, 3)
                self.targets = list(range(10)) * (n // 10)

        monkeypatch.setattr(datasets, "CIFAR10", Cifar)
        cifar = data.load("cifar10", root=tmp_path)
        original = Cifar(None, False, None).data
        assert cifar.test.images.shape == (10, 3, 32, 32)
        assert cifar.test.images[4, 2, 7, 9] == original[4, 7, 9, 2]
        assert cifar.to_input(cifar.test.images).shape == (10, 3, 32, 32)

    @pytest.mark.parametrize("name", ["fashion-full", "cifar10"])
    @pytest.mark.parametrize("error", [OSError("no route"), RuntimeError("Error downloading")])
    def test_without_files_and_network_the_sentence_names_a_way_out(self, name, error, tmp_path, monkeypatch):
        def unreachable(*args, **kwargs):
            raise error

        for kind in ("FashionMNIST", "CIFAR10"):
            monkeypatch.setattr(datasets, kind, unreachable)
        with pytest.raises(
            FileNotFoundError, match=rf"'{name}': its files are not in .*root=.*'fashion', which needs no download"
        ):
            data.load(name, root=tmp_path)


class TestInput:
    def test_grey_pictures_are_padded_repeated_scaled_and_normalised(self):
        split = split_of(5)
        got = pictures_of(split).to_input(split.images)
        wanted = np.zeros((5, 3, 32, 32), np.float32)
        wanted[:, :, 2:30, 2:30] = split.images.numpy() / np.float32(255)
        assert got.dtype == torch.float32
        np.testing.assert_allclose(got.numpy(), (wanted - 0.5) / 0.25, atol=1e-6)

    @pytest.mark.parametrize(("side", "channels"), [(28, 1), (32, 1), (28, 3), (32, 3)])
    def test_it_is_what_torchvision_gives_bit_for_bit(self, side, channels):
        split = split_of(200, side, channels)
        mean, std = (0.286, 0.44, 0.491)[:channels], (0.353, 0.26, 0.25)[:channels]
        pictures = dataclasses.replace(pictures_of(split), mean=mean, std=std)
        got = pictures.to_input(split.images)
        steps = [v2.Pad((32 - side) // 2), v2.RGB(), v2.ToDtype(torch.float32, scale=True)]
        steps.append(v2.Normalize(mean * (3 // channels), std * (3 // channels)))
        wanted = v2.Compose(steps)(split.images)
        assert torch.equal(got, wanted) and got.stride() == wanted.stride()
        assert torch.equal(pictures.to_input(split.images[7]), wanted[7])

    @pytest.mark.parametrize("side", [27, 34])
    def test_pictures_that_cannot_be_centred_in_32_pixels_are_refused(self, side):
        split = split_of(2, side)
        with pytest.raises(ValueError, match=rf"{side}×{side} pixels, which cannot be padded to 32×32"):
            pictures_of(split).to_input(split.images)


class TestLoader:
    @settings(max_examples=20)
    @given(n=st.integers(1, 40), batch_size=st.integers(1, 17), shuffle=st.booleans(), seed=st.integers(0, 9))
    def test_every_picture_comes_once_a_pass_and_the_order_depends_on_the_seed_alone(
        self, n, batch_size, shuffle, seed
    ):
        split = data.Split(split_of(n).images, torch.arange(n))

        def order():
            loader = data.loader(split, pictures_of(split), batch_size, shuffle=shuffle, seed=seed)
            return [torch.cat([labels for _, labels in loader]).tolist() for _ in range(2)]

        first, second = order()
        assert sorted(first) == sorted(second) == list(range(n))
        assert order() == [first, second]
        if not shuffle:
            assert first == list(range(n))
        elif n > 12:
            assert first != second

    def test_batches_have_the_size_asked_for_but_the_last(self):
        split = split_of(10)
        sizes = [len(inputs) for inputs, _ in data.loader(split, pictures_of(split), 4)]
        assert sizes == [4, 4, 2]

    @pytest.mark.parametrize("shuffle", [True, False])
    @given(n=st.integers(1, 40), batch_size=st.integers(1, 17))
    @settings(max_examples=30)
    def test_a_last_batch_of_one_picture_joins_the_one_before_it(self, shuffle, n, batch_size):
        split = data.Split(split_of(n).images, torch.arange(n))
        loader = data.loader(split, pictures_of(split), batch_size, shuffle=shuffle)
        for _ in range(2):
            batches = [labels.tolist() for _, labels in loader]
            assert sorted(chain.from_iterable(batches)) == list(range(n)) and len(batches) == len(loader)
            assert {len(b) for b in batches[:-1]} <= {batch_size}
            assert len(batches[-1]) <= batch_size + 1 and (len(batches[-1]) > 1 or n == 1 or batch_size == 1)

    def test_a_batch_sampler_decides(self):
        split = split_of(10)
        batches = [[3, 1], [9]]
        got = [labels.tolist() for _, labels in data.loader(split, pictures_of(split), batches=batches)]
        assert got == batches

    def test_the_augmentation_sees_bytes(self):
        split, seen = split_of(4), []
        list(data.loader(split, pictures_of(split), augment=lambda images: seen.append(images.dtype) or images))
        assert seen == [torch.uint8]

    def test_a_batch_size_below_one_is_refused(self):
        split = split_of(4)
        with pytest.raises(ValueError, match="batch_size=0 must be at least 1"):
            data.loader(split, pictures_of(split), 0)


class TestFlipsAndShifts:
    def test_each_picture_is_one_of_the_fifty_mirrored_and_moved_ones(self):
        images = split_of(64, side=8).images
        got = data.random_flips_and_shifts(seed=1, shift=2)(images)
        padded = torch.nn.functional.pad(images, (2, 2, 2, 2))
        flipped = torch.nn.functional.pad(images.flip(-1), (2, 2, 2, 2))
        places = set()
        for before, mirror, after in zip(padded, flipped, got, strict=True):
            matches = {
                (name, y, x)
                for name, source in (("plain", before), ("mirrored", mirror))
                for y in range(5)
                for x in range(5)
                if torch.equal(source[:, y : y + 8, x : x + 8], after)
            }
            assert len(matches) == 1
            places |= matches
        assert {name for name, *_ in places} == {"plain", "mirrored"}
        assert {y for _, y, _ in places} == {x for *_, x in places} == set(range(5))

    def test_the_seed_decides(self):
        images = split_of(16).images
        one, same, other = (data.random_flips_and_shifts(seed)(images) for seed in (4, 4, 5))
        assert torch.equal(one, same) and not torch.equal(one, other)


def test_a_slice_of_a_split_is_a_split():
    split = split_of(10)
    part = split[torch.tensor([7, 2])]
    assert part.labels.tolist() == [7, 2] and torch.equal(part.images[1], split.images[2])


def test_the_download_folder_can_be_named(monkeypatch, tmp_path):
    monkeypatch.setenv("NNOPT_DATA", str(tmp_path))
    assert data._download_dir() == tmp_path
    monkeypatch.delenv("NNOPT_DATA")
    assert "nnopt-lab" in str(data._download_dir())
