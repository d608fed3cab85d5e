"""A course that speaks English and a little Chinese."""

import pytest

from nnopt_lab.workbench.language import set_language

MESSAGES = {
    "Two layers.": "两层。",
    "nearest": "最近",
    "{0} bits": "{0} 位",
    "{0} bits, {1}": "{1}，{0} 位",
    "up to {0} % (of {1})": "{1} 的 {0}%",
    "Nothing is off by {0}": "没有相差 {0}",
    "{0} is off by {1}.": "{0} 相差 {1}。",
    "{0} or {1} bits": "{0} 位或者 {1} 位",
    "{0}={1} must be {2}.": "{0}={1} 必须是{2}。",
    "{who} has {count} point.": "{who}有 {count} 分。",
    "{who} has {count} points.": "{who}有 {count} 分。",
}
SAID = {"runs": "能运行", "{0} runs": "{0} 能运行"}


@pytest.fixture(autouse=True)
def little_chinese(chinese):
    """A course that speaks English and a little Chinese."""
    chinese(MESSAGES, SAID)
    set_language(None)
