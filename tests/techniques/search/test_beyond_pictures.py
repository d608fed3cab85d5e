"""A promise: any network of one float tensor whose outputs are class logits is searched and exported.

Signals, tables, spectrograms and sequences, each with easy data of three classes.
"""

import pytest
import torch
from torch import nn

from nnopt_lab.techniques.search.autotune import optimize
from nnopt_lab.techniques.search.checks import prepared
from nnopt_lab.techniques.search.points import Goal
from nnopt_lab.techniques.search.preflight import preflight
from tests.techniques.search.small_search import known_machine

pytestmark = pytest.mark.usefixtures("forked_processes")


class Recurrent(nn.Module):
    """A GRU over time; the last step is classified."""

    def __init__(self):
        super().__init__()
        self.gru, self.head = nn.GRU(5, 16, batch_first=True), nn.Linear(16, 3)

    def forward(self, x):
        return self.head(self.gru(x)[0][:, -1])


class Transformer(nn.Module):
    """One encoder layer over time; the mean of all steps is classified."""

    def __init__(self):
        super().__init__()
        self.embed, self.places = nn.Linear(5, 16), nn.Parameter(torch.zeros(1, 12, 16))
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.layers, self.head = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False), nn.Linear(16, 3)

    def forward(self, x):
        return self.head(self.layers(self.embed(x) + self.places).mean(1))


NETWORKS = {
    "signal": (
        (2, 32),
        lambda: nn.Sequential(
            nn.Conv1d(2, 8, 5, padding=2), nn.BatchNorm1d(8), nn.ReLU(), nn.MaxPool1d(2), nn.Conv1d(8, 16, 3),
            nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(16, 3),
        ),
    ),
    "table": (
        (10,),
        lambda: nn.Sequential(nn.Linear(10, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 3)),
    ),
    "spectrogram": (
        (1, 20, 33),
        lambda: nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)),
    ),
    "volume": (
        (1, 6, 6, 6),
        lambda: nn.Sequential(nn.Conv3d(1, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(8, 3)),
    ),
    "recurrent": ((12, 5), Recurrent),
    "transformer": ((12, 5), Transformer),
}  # fmt: skip
CAN_LOSE_CHANNELS = {*NETWORKS} - {"recurrent"}


def data(shape, count, seed):
    """Samples whose mean is their class minus one."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 3, (count,), generator=generator)
    noise = torch.randn(count, *shape, generator=generator) / 2
    return noise + (labels.float() - 1).view(-1, *[1] * len(shape)), labels


def made(name):
    shape, make = NETWORKS[name]
    torch.manual_seed(0)
    return make().eval(), data(shape, 96, 1), data(shape, 60, 2)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_small_file(name):
    model, train, validation = made(name)
    options = {"goal": Goal("bytes", max_drop=100.0), "trials": 2, "epochs": 8, "rate": 0.02, "batch_size": 16}
    options["manual_starts"] = False  # those prune four fifths of networks that are far too small for that
    with known_machine():
        found = optimize(model, train, validation, engine_names=(), **options)
    assert len(found.points) == 2 and not found.failed
    assert max(point.accuracy for point in found.points) > 60, "the classes are easily learned"
    assert all(point.bytes < found.original.bytes for point in found.points)
    network = found.network()
    with torch.no_grad():
        right = (network(validation[0]).argmax(1) == validation[1]).double().mean().item()
    assert 100 * right == pytest.approx(found.best.accuracy, abs=5)


def test_engines_and_an_export(tmp_path):
    model, train, validation = made("signal")
    names = ("channels-last float32", "ONNX Runtime float32")
    options = {"goal": Goal(max_drop=100.0), "trials": 1, "epochs": 1}
    with known_machine():
        found = optimize(model, train, validation, engine_names=names, **options)
    assert len(found.points) == 1 and not any("was not tried" in note for note in found.notes)
    files = {path.name for path in found.export(tmp_path)}
    assert {"weights.safetensors", "model.onnx", "load.py", "report.md"} <= files


@pytest.mark.parametrize("name", NETWORKS)
def test_a_preflight_calls_them_samples(name):
    model, train, validation = made(name)
    found = preflight(model, train, validation, engine_names=())
    said = repr(found)
    assert ("96 pictures to train on" in said) == (name == "spectrogram"), "which has the shape of a picture"
    assert ("96 samples to train on" in said) == (name != "spectrogram")
    assert bool(found.groups) == (name in CAN_LOSE_CHANNELS)


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "spectrogram"])
def test_messages_do_not_speak_of_pictures(name):
    model, (inputs, labels), _ = made(name)
    for given in (
        (inputs, labels[:-1]),
        (inputs, labels + 1),
        (inputs * torch.nan, labels),
        (inputs, labels[:, None].expand(-1, 2)),
        (inputs.long(), labels),
    ):
        with pytest.raises(ValueError, match=r"\w+ .*\.$") as error:
            prepared(model, given, given)
        assert "picture" not in str(error.value)
