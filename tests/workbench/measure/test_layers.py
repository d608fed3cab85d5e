"""A network's layers in a table: all that run, in their order, with parameters and work that add up."""

import pytest
import torch
from torch import nn

from nnopt_lab.workbench import models
from nnopt_lab.workbench.measure import layer_table, macs, parameters
from nnopt_lab.workbench.measure.layers import kind

PICTURE = torch.zeros(2, 3, 32, 32)


class Twice(nn.Module):
    """Runs one layer twice, and an unused one never."""

    def __init__(self):
        super().__init__()
        self.same, self.unused = nn.Linear(4, 4), nn.Linear(4, 7)

    def forward(self, x):
        return self.same(torch.relu(self.same(x)))


def number(cell):
    return 0 if cell == "–" else int(cell.replace(",", ""))


@pytest.mark.parametrize("name", ["mynet", "teacher"])
def test_parameters_and_shares_add_up(name):
    model = models.trained(name).train()
    *rows, total = layer_table(model, PICTURE).rows
    assert sum(number(row[3]) for row in rows) == number(total[3]) == parameters(model).total
    assert sum(float(row[5].rstrip(" %")) for row in rows if row[5] != "–") == pytest.approx(100, abs=0.5)
    assert model.training


def test_layers_are_listed_as_they_run_with_their_activations():
    rows = layer_table(models.MyNet(), PICTURE).rows
    assert [row[0] for row in rows] == [
        "features.0", "features.2", "features.3", "features.5", "classifier.0", "classifier.2", "all",
    ]  # fmt: skip
    assert rows[0][1:] == ["3×3 convolution, 3 → 16, ReLU", "16×32×32", "448", "442,368", "23.5 %"]
    assert rows[1][1:] == ["2×2 max-pooling", "16×16×16", "–", "–", "–"]
    assert rows[-1][4] == "1.89 M" and macs(models.MyNet(), PICTURE[:1]) == 1_885_440


def test_without_the_work_the_other_columns_stay():
    whole, short = (layer_table(models.MyNet(), PICTURE, "Layers", work=work) for work in (True, False))
    assert short.columns == whole.columns[:4] == ["layer", "what it does", "output", "parameters"]
    assert short.rows == [row[:4] for row in whole.rows]


def test_a_layer_that_runs_twice_has_two_rows_and_its_parameters_once():
    rows = layer_table(Twice(), torch.zeros(3, 4)).rows
    assert [(row[0], row[3]) for row in rows] == [("same", "20"), ("same", "–"), ("all", "55")]
    assert [row[4] for row in rows] == ["16", "16", "32"]


def test_networks_without_work_or_with_one_layer():
    no_work = nn.Sequential(nn.ReLU(), nn.Flatten())
    assert layer_table(no_work, PICTURE).rows == [["0", "ReLU", "3×32×32", "–", "–", "–"]]
    assert len(layer_table(nn.Linear(5, 2), torch.zeros(1, 5)).rows) == 1
    assert layer_table(nn.Identity(), PICTURE).rows == []


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (nn.Conv2d(8, 8, 3, groups=8, stride=2), "3×3 depthwise convolution, 8 → 8, stride 2"),
        (nn.Conv2d(8, 12, (1, 3), groups=4), "1×3 convolution, 8 → 12, 4 groups"),
        (nn.AvgPool2d((2, 4)), "2×4 average pooling"),
        (nn.AdaptiveAvgPool2d(1), "average pooling"),
        (nn.BatchNorm2d(3), "batch norm"),
        (nn.GELU(), "GELU"),
    ],
)
def test_kinds_in_words(layer, words):
    assert kind(layer) == words


@pytest.mark.parametrize("example", [torch.zeros(0, 3, 32, 32), torch.tensor(1.0)])
def test_an_example_without_a_first_input_is_refused(example):
    with pytest.raises(ValueError, match=r"example has shape \[.*\]; it must be \[N, \.\.\.\] with N at least 1"):
        layer_table(models.MyNet(), example)


def test_layers_are_described_in_the_language_in_use(chinese):
    chinese({"{kernel} convolution": "{kernel} 卷积", "stride {stride}": "步幅 {stride}", ", ": "，", "layer": "层"})
    model = nn.Sequential(nn.Conv2d(1, 2, 3, stride=2), nn.ReLU())
    table = layer_table(model, torch.zeros(1, 1, 8, 8))
    assert table.rows[0][1] == "3×3 卷积，1 → 2，步幅 2，ReLU" and repr(table).splitlines()[1].startswith("层 ")
