"""Goals out of their range are refused by name, and a configuration is told in words."""

import pytest

from nnopt_lab.techniques.search.points import Goal, describe, summary
from tests.techniques.search.small_search import CONFIG


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"target": "speed"}, "target='speed' must be 'latency' or 'bytes'"),
        ({"max_drop": -1}, "max_drop=-1 must be at least 0"),
        ({"max_drop": float("nan")}, "max_drop=nan"),
        ({"batch": 0}, "batch=0"),
        ({"max_bytes": 0}, "max_bytes=0"),
        ({"max_latency": -1.0}, "max_latency=-1.0"),
    ],
)
def test_what_is_no_goal_is_refused(wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        Goal(**wrong)


def test_a_configuration_in_words():
    assert describe(CONFIG) == [
        "computed by eager float32",
        "channels kept: 0 50 %, 7 50 %",
        "linear layers: rank for 90 % of the energy",
        "50 % of the weights pruned",
        "bits per weight: 0 4, 4 3, 7 2, 9 5",
        "taught by the original, share 0.5",
    ]
    assert describe({}) == ["computed by eager float32"]


@pytest.mark.parametrize(
    ("config", "line"),
    [
        (CONFIG, "channels 50 % in 2 layers; low rank: linear 90 %; 50 % pruned; "),
        ({"channels": {"a": 0.5}}, "channels a 50 %"),
        ({"channels": {"a": 0.5, "b": 0.75}, "teacher": 0.9}, "channels a 50 %, b 75 %; distilled"),
        ({"bits": {"a": 5, "b": 5}}, "5 bits per weight"),
        ({"bits": {"a": 5, "b": 4}}, "bits a 5, b 4"),
        ({"engine": "ONNX Runtime float32"}, "unchanged"),
        ({}, "unchanged"),
    ],
)
def test_a_configuration_in_a_short_line(config, line):
    assert summary(config).startswith(line)
