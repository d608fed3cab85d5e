"""The course's networks: sizes that follow the knobs, and shipped weights that are what their record says."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nnopt_lab.workbench import data, models, training


@settings(max_examples=25)
@given(
    channels=st.lists(st.integers(1, 6), min_size=1, max_size=5).map(tuple),
    kernel_size=st.sampled_from([1, 3, 5]),
    hidden=st.integers(1, 9),
    classes=st.integers(1, 12),
)
def test_mynet_has_the_parameters_that_its_knobs_say(channels, kernel_size, hidden, classes):
    net = models.MyNet(channels, kernel_size, hidden, classes)
    assert net(torch.randn(2, 3, 32, 32)).shape == (2, classes)
    widths = [3, *channels]
    convolutions = sum(o * (i * kernel_size**2 + 1) for i, o in zip(widths, channels, strict=False))
    side = 32 >> len(channels)
    linear = hidden * (channels[-1] * side * side + 1) + classes * (hidden + 1)
    assert sum(p.numel() for p in net.parameters()) == convolutions + linear


def test_mynet_by_default_is_the_articles():
    kinds = [(type(m), m.weight.shape) for m in models.MyNet().modules() if hasattr(m, "weight")]
    assert kinds == [
        (nn.Conv2d, (16, 3, 3, 3)), (nn.Conv2d, (32, 16, 3, 3)), (nn.Linear, (128, 2048)), (nn.Linear, (10, 128)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"channels": ()}, r"channels=\(\) must be 1 to 5"),
        ({"channels": (4,) * 6}, "must be 1 to 5"),
        ({"channels": (4, 0)}, r"channels=\(4, 0\)"),
        ({"kernel_size": 2}, "kernel_size=2 must be odd"),
        ({"kernel_size": -1}, "kernel_size=-1 must be odd"),
        ({"hidden": 0}, "hidden=0"),
        ({"classes": 0}, "classes=0"),
    ],
)
def test_mynet_refuses(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        models.MyNet(**arguments)


@pytest.mark.parametrize("blocks", [1, 2])
def test_the_teacher_gives_scores_and_stays_small(blocks):
    teacher = models.Teacher(blocks=blocks)
    assert teacher(torch.randn(2, 3, 32, 32)).shape == (2, 10)
    assert sum(p.numel() for p in teacher.parameters()) <= 1_500_000
    assert any(isinstance(m, nn.BatchNorm2d) for m in teacher.modules())


def test_a_block_adds_its_input():
    block = models.Block(4, 4, stride=1).eval()
    nn.init.zeros_(block.bn2.weight)
    x = torch.rand(2, 4, 8, 8)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize("name", models.SHIPPED)
def test_shipped_weights_are_as_accurate_as_their_record_says(name):
    model, record = models.trained(name), models.record(name)
    pictures = data.load(record["data"])
    assert not model.training
    part = pictures.test[:3_000] if name == "teacher" else pictures.test
    # All pictures: the processors' roundings differ by a picture or two. A part: four standard errors.
    reach = {"mynet": 0.05, "teacher": 2.0}.get(name, 0.15)
    assert training.evaluate(model, part, pictures).accuracy == pytest.approx(record["test_accuracy"], abs=reach)


def test_a_record_says_how_to_make_the_weights_again():
    for name in models.SHIPPED:
        record = models.record(name)
        assert record["command"] == f"nnopt train {name} --seed {record['seed']}"
        assert record["data"] == ("shapes" if "shapes" in name else "fashion")
        assert {"validation_accuracy", "test_accuracy", "versions", "processor"} <= set(record)


def test_an_unknown_name_is_answered_with_the_known_ones():
    for call in (models.trained, models.record):
        with pytest.raises(ValueError, match=r"name='resnet' is not a network .*mynet, teacher"):
            call("resnet")


def test_a_missing_or_damaged_file_is_one_sentence_with_the_cure(tmp_path, monkeypatch):
    whole = models.data_dir() / "mynet.safetensors"
    monkeypatch.setattr(models, "data_dir", lambda: tmp_path)
    with pytest.raises(FileNotFoundError, match=r"mynet.safetensors is missing: .*git checkout.*nnopt train mynet"):
        models.trained("mynet")
    (tmp_path / "mynet.safetensors").write_bytes(whole.read_bytes()[:1000])
    for call in (models.trained, models.record):
        with pytest.raises(ValueError, match=r"mynet.safetensors is damaged .*git checkout.*nnopt train mynet"):
            call("mynet")
