"""What a check says about a wrong answer, in Chinese: no English is left in it, and its numbers are the same."""

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nnopt_lab.course import slips
from nnopt_lab.course.differences import difference
from nnopt_lab.course.number_comments import number_comment, readings
from nnopt_lab.course.translation import catalogs
from nnopt_lab.course.translation.checks import problems
from nnopt_lab.course.translation.library import library_messages
from nnopt_lab.workbench import language
from nnopt_lab.workbench.language import translated_sentences

_NAMES = re.compile(
    r"`[^`]*`|\b(?:NaN|None|True|False|NumPy|float32|int64|bool|meta|MKL-DNN|OverflowError|Error|inf|nan)\b|\de[+-]"
)
_NUMBERS = st.one_of(
    st.integers(-(10**6), 10**6),
    st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: float(f"{x:.3g}")),
    st.sampled_from([0, 1, 2, 0.5, 100.0, 1024, 8.0]),
)
_VALUES = st.one_of(_NUMBERS, st.lists(_NUMBERS, max_size=3), st.booleans(), st.none(), st.just(float("nan")))
_TENSORS = st.tuples(st.lists(st.integers(1, 3), max_size=3), st.integers(0, 99)).map(
    lambda of: torch.randint(-4, 9, of[0], generator=torch.Generator().manual_seed(of[1])).float()
)
_SLIPS = (
    *(lambda x, by=by: x * by for by in (-1, 2, 0.5, 10, 0.01, 8, 1.7, 1024, 1 / 1024, 1.024, -3.5)),
    *(lambda x, by=by: x + by for by in (1, -1, 0.25, -7)),
    *(lambda x: 1 / x, lambda x: 1 - x, lambda x: 100 - x),
)
_MOVES = (
    *(lambda x, axis=axis: x.transpose(axis, axis - 1) for axis in (-1, 0)),
    *(lambda x, axis=axis: x.flip(axis) for axis in (-1, 0)),
    *(lambda x, axis=axis: x.roll(1, axis) for axis in (-1, 0)),
    *(lambda x, axis=axis: torch.cat([x, x.narrow(axis, 0, 1)], axis) for axis in (-1, 0)),
    *(lambda x, axis=axis: torch.cat([x.narrow(axis, 0, 1) + 9, x], axis) for axis in (-1, 0)),
    *(lambda x, axis=axis: x.narrow(axis, 0, x.shape[axis] - 1) for axis in (-1, 0)),
    *(lambda x, axis=axis: x.narrow(axis, 1, x.shape[axis] - 1) for axis in (-1, 0)),
)


pytestmark = pytest.mark.usefixtures("chinese_of_today")


def _check(sentence: str) -> None:
    with language.speaking("zh"):
        said, again = translated_sentences(sentence), translated_sentences(str(sentence))
    assert not re.search("[A-Za-z]", _NAMES.sub("", said)), (str(sentence), said)
    assert problems(str(sentence), said, ["message"], "zh") == [], (str(sentence), said)
    assert again == said, str(sentence)  # as a grader's page shows it, which knows only the recorded text


@given(_VALUES, _VALUES, st.booleans())
@settings(max_examples=150, deadline=None)
def test_differences_of_values(got, wanted, named):
    if sentence := difference(got, wanted, 1e-5, named=named):
        _check(sentence)


@given(st.one_of(_TENSORS, _VALUES), _TENSORS, st.booleans())
@settings(max_examples=150, deadline=None)
def test_differences_of_tensors(got, wanted, named):
    for value in (got, *[change(wanted) for change in (*_SLIPS, torch.Tensor.long, torch.Tensor.isnan)]):
        if sentence := difference(value, wanted, 1e-5, named=named):
            _check(sentence)


@given(st.lists(st.floats(0.5, 900).map(lambda x: float(f"{x:.3g}")), min_size=2, max_size=2), st.integers(0, 9))
@settings(max_examples=30, deadline=None)
def test_slips(numbers, seed):
    rows = [torch.rand(2, 3, generator=torch.Generator().manual_seed(seed + k)) + 1 for k in (0, 10)]
    cubes = [torch.stack([row, 3 * row]) for row in rows]
    pairs = [(number, 3 * number + 1) for number in numbers]
    said = set()
    for wanted, changes in (
        (numbers, _SLIPS),
        ([round(number) for number in numbers], (lambda x: x + 1, lambda x: x - 1)),
        (rows, (*_SLIPS, *_MOVES)),
        (cubes, _MOVES),
        (pairs, (lambda pair: pair[::-1], lambda pair: (pair[0], pair[1] * 8), lambda pair: pair[:1])),
        ([list(row[0].tolist()) for row in rows], (lambda x: x[1:], lambda x: x[1:] + x[:1], lambda x: [*x, 1.0])),
        ([row > 1.5 for row in rows], (lambda mask: ~mask,)),
    ):
        for change in changes:
            values = [change(value) for value in wanted]
            accepts = lambda n, value, wanted=wanted: difference(value, wanted[n], 1e-5) is None  # noqa: E731
            if sentence := slips.slip(values, wanted, 0, accepts):
                _check(sentence)
                said.add(re.sub(r"[\d.,]+", "", sentence))
    assert len(said) > 20
    matches = [lambda n, case: case == (2, 1)]
    _check(slips.swapped_arguments([(1, 2)], ["a", "b"], matches[0]))


@given(st.floats(-1e5, 1e5).map(lambda x: float(f"{x:.3g}")), st.floats(-1e5, 1e5).map(lambda x: float(f"{x:.3g}")))
@settings(max_examples=80, deadline=None)
def test_comments_on_numbers(given_number, right):
    _check(number_comment(given_number, right, 0.0))
    for comment in {comment for comment, *_ in readings(given_number, scaled=bool(given_number))}:
        _check(comment)


def test_every_template_is_one_that_the_translation_has():
    catalog = catalogs.translations(catalogs.read(catalogs.po_file("nnopt_lab", "zh")))
    assert "{pattern}: expected {wanted}, got {got}." in catalog
    assert not [text for text in library_messages() if "{0} is one too" in text]
