"""How the files in data/ are made: again byte for byte, from the same pictures, and refused in words."""

import hashlib
from pathlib import Path

import pytest
import torch

from nnopt_lab.lessons import shipped
from nnopt_lab.workbench import data, measure, models

DEBIAN = Path("/usr/share/datasets/fashion-mnist")


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="needs Debian's package dataset-fashion-mnist")
def test_the_shipped_file_is_made_again_byte_for_byte(tmp_path):
    made = shipped.make_fashion_file(DEBIAN, tmp_path / "again.npz")
    assert hashlib.sha256(made.read_bytes()).hexdigest() == data.FASHION_SHA256


def test_made_from_a_folder_without_the_files_the_sentence_says_which(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"source=.* has no train-images.*dataset-fashion-mnist"):
        shipped.make_fashion_file(tmp_path)


def test_a_student_is_trained_from_the_shipped_teacher_and_no_label(monkeypatch):
    given = {}

    def distill(teacher, pictures, seed):
        given.update(teacher=teacher, pictures=pictures, seed=seed)
        return models.MyNet().to(memory_format=torch.channels_last)

    monkeypatch.setattr(shipped, "distill_on_new_shapes", distill)
    model, _ = shipped.TRAINERS["shapes_student"](7)
    expected = models.trained("shapes_teacher").state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in given["teacher"].state_dict().items())
    assert given["pictures"].name == "shapes" and given["seed"] == 7
    assert all(p.is_contiguous() for p in model.parameters())  # safetensors stores nothing else


def test_training_again_writes_a_file_that_loads(tmp_path, monkeypatch):
    pictures = data.load("fashion")
    small = data.Pictures(
        "fashion",
        pictures.train[:64],
        pictures.validation[:50],
        pictures.test[:50],
        pictures.classes,
        *((0.3,), (0.3,)),
    )
    monkeypatch.setattr(data, "load", lambda name: small)
    first = shipped.train_shipped("mynet", seed=5, target=tmp_path / "mynet.safetensors")
    again = shipped.train_shipped("mynet", seed=5, target=tmp_path / "again.safetensors")
    assert (tmp_path / "mynet.safetensors").read_bytes() == (tmp_path / "again.safetensors").read_bytes()
    assert first == again and first["command"] == "nnopt train mynet --seed 5"
    monkeypatch.setattr(models, "data_dir", lambda: tmp_path)
    assert models.record("mynet") == first
    assert measure.parameters(models.trained("mynet")).total == 268_650


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match=r"name='resnet' is not a network .*mynet, teacher.*capstone_small"):
        shipped.train_shipped("resnet")
