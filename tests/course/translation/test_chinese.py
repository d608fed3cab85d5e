"""Typography of Chinese."""

import pytest

from nnopt_lab.course.translation.chinese import typography


@pytest.mark.parametrize(
    "text",
    [
        "网络有 3 层，准确率为 90%。",
        "用 `fit` 训练 **MyNet**（见[第 05 课](05_a.ipynb)）。",
        "权重 $w$ 的步长是 $s$，见图 1。",
        "快 11.4 倍：从 2.5 毫秒到 0.2 毫秒。",
        "**做什么**？先读一遍。",
        "“你好”——他说。",
        "[Dumoulin & Visin, *A guide* (2016)](https://arxiv.org/abs/1603.07285)",
        "| 参数 | 3 |",
        "误差在 ±0.5 以内",
        "第一段。\n第二段。",
    ],
)
def test_good_text_passes(text):
    assert list(typography(text, may_be_latin=True)) == []


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("网络,层", "half-width punctuation"),
        ("网络: 层", "half-width punctuation"),
        ("网络.", "full stop"),
        ("网络(层)", "brackets"),
        ('"网络"', "quotation"),
        ("网络3层", "no space"),
        ("3层", "no space"),
        ("用`fit`训练", "no space"),
        ("权重$w$很大", "no space"),
        ("90%的权重", "no space"),
        ("网络 ，层", "beside full-width"),
        ("网络， 层", "beside full-width"),
        ("网络 层", "between Chinese"),
        ("共 90 %", "before %"),
        ("网络，，层", "in a row"),
        ("请您运行", "您"),
        ("a network", "no Chinese character"),
    ],
)
def test_each_fault_is_named(text, named):
    assert any(named in problem for problem in typography(text))
