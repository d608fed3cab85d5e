"""Data by name: torchvision's data sets, folders of pictures, files of arrays; each slip is one sentence."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nnopt_lab.techniques.search.datasets import as_split, class_names
from nnopt_lab.techniques.search.named_data import NamedData, Preprocessing, is_named_data, load

PLAIN = Preprocessing()
PIXELS = np.random.default_rng(0).integers(0, 255, (30, 6, 6, 3), dtype=np.uint8)
CLASSES = np.arange(30) % 3


def loaded(given: NamedData):
    return as_split(given.train, "train"), as_split(given.validation, "validation")


@pytest.fixture
def mnist(tmp_path):
    """MNIST's files, with 30 pictures to train on and 6 to test with."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, count in (("train", 30), ("t10k", 6)):
        grey = np.resize(PIXELS[..., 0], (count, 28, 28))
        (raw / f"{name}-images-idx3-ubyte").write_bytes(struct.pack(">4i", 2051, count, 28, 28) + grey.tobytes())
        labels = CLASSES[:count].astype(np.uint8)
        (raw / f"{name}-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 2049, count) + labels.tobytes())
    return tmp_path


@pytest.fixture
def folder(tmp_path):
    """Pictures of three classes in train and val."""
    for part in ("train", "val"):
        for index, (pixels, label) in enumerate(zip(PIXELS, CLASSES, strict=True)):
            where = tmp_path / part / ("ant", "bee", "cat")[label]
            where.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(where / f"{index:02}.png")
    return tmp_path


class TestOfTorchvision:
    def test_its_test_part_is_never_used(self, mnist):
        found = load(f"torchvision:MNIST:{mnist}", PLAIN)
        train, validation = loaded(found)
        assert len(train) + len(validation) == 30 and sorted(validation.labels.tolist()) == [0, 1, 2]
        assert train.images.shape[1:] == (1, 28, 28) and train.images.dtype == torch.uint8
        assert class_names(found.train)[:2] == ("0 - zero", "1 - one")
        again = loaded(load(f"torchvision:MNIST:{mnist}", PLAIN))
        assert torch.equal(again[1].images, validation.images)

    def test_grey_pictures_become_those_of_a_network_for_colours(self, mnist):
        found = load(f"torchvision:MNIST:{mnist}", Preprocessing(14, (0.5,) * 3, (0.25,) * 3, channels=3))
        inputs = found.to_input(as_split(found.train).images)
        assert inputs.shape[1:] == (3, 14, 14) and -2 <= inputs.min() < inputs.max() <= 2
        assert torch.equal(inputs[:, 0], inputs[:, 2])

    @pytest.mark.parametrize("parts", [("train", "val", "test"), ("trainval", "test"), ("train", "valid")])
    def test_parts_that_have_other_names(self, parts, monkeypatch):
        import torchvision

        class Flowers102(torch.utils.data.Dataset):
            def __init__(self, root, split="train", transform=None, download=False):
                if split not in parts:
                    raise ValueError(f"Unknown value '{split}' for argument split.")
                self.split, self.labels = split, CLASSES.tolist()

            def __len__(self):
                return 30

            def __getitem__(self, position):
                return Image.fromarray(PIXELS[position]), self.labels[position]

        monkeypatch.setattr(torchvision.datasets, "Flowers102", Flowers102)
        found = load("torchvision:Flowers102:somewhere", PLAIN)
        whole = [getattr(part, "split", None) for part in (found.train, found.validation)]
        assert whole == ["train", parts[1]] if "train" in parts else whole == [None, None]
        assert len(loaded(found)[1]) == (30 if "train" in parts else 3)

    @pytest.mark.parametrize(
        ("name", "sentence"),
        [
            ("MNIST:{}/none", "its files are not in '.*none' or damaged .*; --download fetches them"),
            ("CIFAR11:{}", "no classification data set 'CIFAR11' .*; similar names are CIFAR10"),
            ("FakeData:{}", "no classification data set 'FakeData' that is read from a folder"),
            ("VOCDetection:{}", "its files are not in"),
            ("MNIST", "must be torchvision:NAME:FOLDER, such as"),
            ("MNIST:", "must be torchvision:NAME:FOLDER"),
            ("os:{}", "no classification data set 'os'"),
        ],
    )
    def test_slips(self, name, sentence, tmp_path):
        with pytest.raises(ValueError, match=f"^data='torchvision:.*{sentence}") as error:
            load(f"torchvision:{name.format(tmp_path)}", PLAIN)
        assert "\n" not in str(error.value)

    def test_damaged_files(self, mnist):
        path = mnist / "MNIST" / "raw" / "train-images-idx3-ubyte"
        path.write_bytes(gzip.compress(b"no"))
        with pytest.raises(ValueError, match=r"its files are not in .* or damaged"):
            load(f"torchvision:MNIST:{mnist}", PLAIN)


class TestOfAFolder:
    def test_train_and_val(self, folder):
        found = load(str(folder), PLAIN)
        train, validation = loaded(found)
        assert class_names(found.train) == ("ant", "bee", "cat") and len(train) == len(validation) == 30
        expected = torch.from_numpy(PIXELS[CLASSES == 0]).permute(0, 3, 1, 2)
        assert torch.equal(train.images[:10], expected) and train.labels[:10].tolist() == [0] * 10

    @pytest.mark.parametrize("kept", ["train", "train and test", "one folder"])
    def test_a_part_for_validation_is_cut_where_there_is_none(self, folder, kept):
        (folder / "val").rename(folder / "test")
        whole = folder / "train" if kept == "one folder" else folder
        train, validation = loaded(load(str(whole), PLAIN))
        assert len(train) == 27 and sorted(validation.labels.tolist()) == [0, 1, 2]
        assert not any(torch.equal(one, other) for one in train.images for other in validation.images)

    def test_pictures_of_several_sizes_need_one(self, folder):
        Image.new("RGB", (20, 9)).save(folder / "train" / "ant" / "00.png")
        with pytest.raises(ValueError, match=r"pictures of different sizes, such as 6×6 and 20×9: give .* --size"):
            load(str(folder), PLAIN)
        for found in (load(str(folder), Preprocessing(size=8)), load(str(folder), PLAIN, usual=8)):
            assert all(split.images.shape[1:] == (3, 8, 8) for split in loaded(found))

    def test_other_classes_in_the_two_parts(self, folder):
        (folder / "val" / "cat").rename(folder / "val" / "dog")
        with pytest.raises(ValueError, match="train and validation have other classes, such as 'cat'"):
            load(str(folder), PLAIN)

    def test_no_pictures(self, tmp_path):
        with pytest.raises(ValueError, match="must have a subfolder of pictures for each class"):
            load(str(tmp_path), PLAIN)
        (tmp_path / "ant").mkdir()
        with pytest.raises(ValueError, match="must have a subfolder of pictures for each class"):
            load(str(tmp_path), PLAIN)


X, Y = torch.from_numpy(PIXELS).permute(0, 3, 1, 2), torch.from_numpy(CLASSES)


class TestOfAFile:
    @pytest.mark.parametrize(
        "names",
        [
            {"train_images": X, "train_labels": Y, "val_images": X[:9], "val_labels": Y[:9], "test_images": X[:1]},
            {"x_train": X, "y_train": Y, "x_valid": X[:9], "y_valid": Y[:9]},
            {"train_x": X, "train_y": Y, "validation_x": X[:9], "validation_y": Y[:9]},
            {"train_images": PIXELS, "train_labels": Y[:, None], "val_images": PIXELS[:9], "val_labels": Y[:9, None]},
        ],
    )
    def test_the_usual_names(self, names, tmp_path):
        np.savez(tmp_path / "data.npz", **{name: np.asarray(array) for name, array in names.items()})
        torch.save({name: torch.as_tensor(array) for name, array in names.items()}, tmp_path / "data.pt")
        for name in ("data.npz", "data.pt"):
            train, validation = loaded(load(str(tmp_path / name), PLAIN))
            assert torch.equal(train.images, X) and torch.equal(train.labels, Y)
            assert torch.equal(validation.images, X[:9]) and torch.equal(validation.labels, Y[:9])

    @pytest.mark.parametrize(
        "given",
        [
            ((X, Y), (X[:9], Y[:9])),
            {"train": (X, Y), "val": (X[:9], Y[:9])},
            {"train": {"x": X, "y": Y}, "val": (X[:9], Y[:9])},
        ],
    )
    def test_tensors_in_the_usual_order(self, given, tmp_path):
        torch.save(given, tmp_path / "data.pt")
        train, validation = loaded(load(str(tmp_path / "data.pt"), PLAIN))
        assert torch.equal(train.images, X) and torch.equal(validation.labels, Y[:9])

    @pytest.mark.parametrize(
        "given", [(X, Y), {"images": X, "labels": Y}, {"x_train": X, "y_train": Y, "x_test": X, "y_test": Y}]
    )
    def test_validation_is_cut_where_there_is_none(self, given, tmp_path):
        torch.save(given, tmp_path / "data.pt")
        train, validation = loaded(load(str(tmp_path / "data.pt"), PLAIN))
        assert len(train) == 27 and sorted(validation.labels.tolist()) == [0, 1, 2]

    def test_features_are_not_taken_for_pictures(self, tmp_path):
        np.savez(tmp_path / "data.npz", x=np.ones((20, 7), np.float64), y=np.arange(20) % 2)
        found = load(str(tmp_path / "data.npz"), PLAIN)
        assert found.to_input(as_split(found.train).images).dtype == torch.float32
        assert found.to_input(as_split(found.train).images).shape == (18, 7)

    @pytest.mark.parametrize(
        ("write", "sentence"),
        [
            (lambda path: None, "must be an existing file"),
            (lambda path: path.write_text("no"), "cannot be read as arrays"),
            (lambda path: np.savez(path, a=X, b=Y), "contains a, b; it must contain train_images and train_labels"),
            (lambda path: np.savez(path, x=np.array([None, {}])), "cannot be read as arrays"),
            (lambda path: np.savez(path, train_images=X), "contains train_images; it must contain"),
        ],
    )
    def test_slips(self, write, sentence, tmp_path):
        write(tmp_path / "data.npz")
        with pytest.raises(ValueError, match=sentence) as error:
            load(str(tmp_path / "data.npz"), PLAIN)
        assert "\n" not in str(error.value)

    def test_code_in_a_file_is_not_run(self, tmp_path):
        torch.save({"x": Path("/"), "y": Y}, tmp_path / "data.pt")
        with pytest.raises(ValueError, match="cannot be read as arrays"):
            load(str(tmp_path / "data.pt"), PLAIN)


class TestPreprocessing:
    def test_it_scales_and_normalises_per_channel(self):
        how = Preprocessing(mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 4.0))
        expected = torch.stack([(X[:, c] / 255 - how.mean[c]) / how.std[c] for c in range(3)], 1)
        torch.testing.assert_close(how.to_input(X), expected)
        assert torch.equal(PLAIN.to_input(X), X / 255) and torch.equal(PLAIN.to_input(X.float()), X.float())

    @pytest.mark.parametrize(
        ("options", "sentence"),
        [
            ({"size": 0}, "size=0 must be at least 1"),
            ({"mean": (0.5,)}, "must be equally many"),
            ({"mean": (0.5,), "std": (0.0,)}, "std above 0"),
            ({"mean": (0.5,), "std": (float("nan"),)}, "std above 0"),
        ],
    )
    def test_slips(self, options, sentence):
        with pytest.raises(ValueError, match=sentence):
            Preprocessing(**options)

    def test_a_mean_of_other_channels(self):
        with pytest.raises(ValueError, match=r"mean has 2 numbers for pictures of shape \[3, 6, 6\]"):
            Preprocessing(mean=(0.5, 0.5), std=(1.0, 1.0)).to_input(X)


def test_what_is_data_by_name(tmp_path):
    named = [str(tmp_path), "torchvision:CIFAR10:x", "a.npz", "b/c.pt"]
    assert all(map(is_named_data, named)) and not any(map(is_named_data, ["a.py:load", "fashion", "none", ""]))
