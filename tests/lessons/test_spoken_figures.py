"""What figures, diagrams, tables and playgrounds that put their texts together say in Chinese."""

import re

import pytest
import torch
from torch import nn

from nnopt_lab.lessons.accelerator import ladders
from nnopt_lab.lessons.accelerator.playground import price_playground
from nnopt_lab.lessons.batch_sizes.playground import batch_playground
from nnopt_lab.lessons.convolutions.playground import convolution_playground
from nnopt_lab.lessons.distillation.playground import distillation_playground
from nnopt_lab.lessons.few_bits.playground import equalization_playground
from nnopt_lab.lessons.hardware.playground import roofline_playground
from nnopt_lab.lessons.integers_by_hand.playground import quantization_playground
from nnopt_lab.lessons.learning_rates.playground import learning_rate_playground
from nnopt_lab.lessons.mixed_precision.playground import precision_playground
from nnopt_lab.lessons.parallelism.playground import scaling_playground
from nnopt_lab.lessons.pruning.playground import pruning_playground
from nnopt_lab.lessons.small_files.playground import compression_playground
from nnopt_lab.lessons.start_here.playground import layer_playground
from nnopt_lab.techniques.convolutions.cost_model import CostModel
from nnopt_lab.workbench import data, diagrams, models, plots
from nnopt_lab.workbench.language import speaking, translated
from nnopt_lab.workbench.language.typography import HAN
from nnopt_lab.workbench.measure import Comparison, Ratio, Timing
from nnopt_lab.workbench.training import History

pytestmark = pytest.mark.usefixtures("chinese_of_today")
NAMES = re.compile(
    r"\b(?:ours|theirs|NCHW|NHWC|MACs?|H100|GFLOP/s|GB/s|FLOPs?|float\d+|bfloat\d+|CPU|[KM]i?B|gzip|px|[bf]+p?\d+|ms|Amdahl)\b|\de[−+-]?\d"
)


def english_in(text: str) -> list[str]:
    return re.findall(r"[A-Za-z]{2,}", NAMES.sub("", re.sub(rf"<[^>]+>|[{HAN}]", " ", text)))


def rows() -> list[dict]:
    timings = {size: Timing((1e-3,) * 6, size) for size in (1, 256)}
    sizes = {"total": 10, "nonzero": 8, "macs": 100, "bytes": 4000, "compressed_bytes": 3000, "accuracy": 90.0}
    ratios = {size: Ratio(1.5, 1.4, 1.6, 0.95) for size in timings}
    first, second = ({"model": name, **sizes, "latency": timings, "ratio": ratios} for name in ("ours", "theirs"))
    return [first | {"ratio": dict.fromkeys(timings)}, second]


def alts():
    yield plots.comparison(rows()).alt
    run = History(train_loss=[1.0, 0.5], validation_accuracy=[50.0, 91.0])
    yield plots.history({"ours": run, "theirs": run}).alt
    yield plots.roofline([("ours", 2.0, 3.0)], 100.0, 10.0).alt
    yield plots.roofline([], 100.0, 10.0).alt
    yield plots.pictures(torch.zeros(2, 1, 4, 4, dtype=torch.uint8)).alt
    rung = {"name": "ours", "epochs": 2, "seconds": [3.0, 4.0], "test": [90.0, 91.0]}
    yield ladders.draw({"H100": [rung], "CPU": [rung]}).alt
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.MaxPool2d(2), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(36, 10))
    yield repr(diagrams.network(model, torch.zeros(1, 3, 14, 14)))
    yield repr(Comparison(rows()).table)
    yield repr(Comparison(rows()[:1]).table)


def test_descriptions_of_figures_and_tables_leave_no_english():
    with speaking("zh"):
        found = list(alts())
    assert len(found) == 9 and all(re.search(f"[{HAN}]", text) for text in found)
    assert [(text, english_in(text)) for text in found if english_in(text)] == []


def playgrounds():
    card = {"sizes": [1, 256], "accelerator": [1e3, 1e6], "cpu": [1e2, 1e3]}
    yield price_playground(card), {"card_euros": (0.5, 6.0)}
    yield roofline_playground(100.0, 10.0), {"kernel": (1, 7)}
    yield learning_rate_playground(), {"peak": (0.005, 0.2)}
    yield precision_playground(), {}
    yield scaling_playground(), {"serial": (0.0, 0.5)}


def test_texts_of_playgrounds_leave_no_english():
    with speaking("zh"):
        for playground, moves in playgrounds():
            for name, values in (moves or {"": ("",)}).items():
                for value in values:
                    if name:
                        playground._controls[name].value = value
                    text = playground.children[2].value
                    assert re.search(f"[{HAN}]", text) and not english_in(text), text
                    assert not english_in(playground.figure.alt), playground.figure.alt


@pytest.mark.parametrize(
    ("ratio", "said"),
    [
        (Ratio(1.5, 1.4, 1.6, 0.95), "速度是 1.50 倍（95% 区间 1.40 到 1.60）"),
        (Ratio(0.5, 0.4, 0.8, 0.95), "用时是 2.00 倍（95% 区间 1.25 到 2.50）"),
        (Ratio(1.0, 0.9, 1.1, 0.9), "没有测出差别（比值 1.00，90% 区间 0.90 到 1.10）"),
    ],
)
def test_ratios_of_times_are_found_whole(ratio, said):
    with speaking("zh"):
        assert translated(str(ratio)) == said


def of_networks():
    """The playgrounds that take a network, or a machine, by what makes them."""
    net, pictures = models.MyNet(), data.load("fashion")
    return {
        "layer": layer_playground,
        "pruning": lambda: pruning_playground(net, pictures),
        "convolution": lambda: convolution_playground(CostModel(100.0, 10.0, 1e-6)),
        "batch": lambda: batch_playground({"untrained": net}, pictures),
        "quantization": lambda: quantization_playground(net, pictures),
        "equalization": lambda: equalization_playground(net, pictures),
        "compression": lambda: compression_playground(net, pictures),
        "distillation": lambda: distillation_playground(net, net, pictures),
    }


@pytest.mark.parametrize("name", of_networks())
def test_controls_have_the_same_values_in_chinese_as_in_english(name):
    made = {}
    for language in ("en", "zh"):
        with speaking(language):
            controls = of_networks()[name]()._controls
        made[language] = {key: control.value for key, control in controls.items()}
    assert made["zh"] == made["en"]
