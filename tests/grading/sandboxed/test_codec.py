"""The codec: plain values come back as they were, everything else is refused."""

import contextlib
import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nnopt_lab.grading.sandboxed.codec import MAX_DEPTH, Foreign, pack, unpack

DTYPES = (torch.bool, torch.uint8, torch.int8, torch.int64, torch.float16, torch.bfloat16, torch.float32, torch.float64)


@st.composite
def tensors(draw):
    shape = draw(st.lists(st.integers(0, 3), max_size=3))
    tensor = torch.randint(0, 2, shape, generator=torch.Generator().manual_seed(draw(st.integers(0, 99))))
    tensor = tensor.to(draw(st.sampled_from(DTYPES)))
    return tensor.T if draw(st.booleans()) and tensor.ndim == 2 else tensor


plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20) | tensors(),
    lambda inner: st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple),
    max_leaves=12,
)


def same(a, b) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return torch.equal(a, b) and a.dtype == b.dtype if isinstance(a, torch.Tensor) else a == b


@given(plain_values)
def test_plain_values_come_back_as_they_were(value):
    header, back = unpack(pack({"a": 1}, value))
    assert header == {"a": 1} and same(back, value)


@given(st.binary(max_size=300))
def test_no_bytes_do_anything_but_raise_value_error(data):
    with contextlib.suppress(ValueError):
        unpack(data)


@given(st.data())
def test_damaged_bytes_do_no_harm(data):
    whole = bytearray(pack({"outcomes": [{}]}, [[torch.arange(6.0), [1, "x"]]]))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ValueError):
        unpack(bytes(whole))


def test_nan_and_infinities_come_back():
    _, (nan, up, down) = unpack(pack({}, [math.nan, math.inf, -math.inf]))
    assert math.isnan(nan) and (up, down) == (math.inf, -math.inf)


def test_what_numpy_and_torch_give_for_a_number_is_a_number():
    _, back = unpack(pack({}, [np.float32(0.5), np.array(3), np.bool_(True), torch.nn.Parameter(torch.ones(1))]))
    assert same(back, [0.5, 3, True, torch.ones(1)])


class Liar(list):
    pass


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({"a": 1}, "a dict"),
        (np.zeros(3), "a ndarray"),
        (object(), "an object"),
        (Liar(), "a Liar"),
        (torch.zeros(3).to_sparse(), "a sparse tensor"),
        (torch.zeros(3, device="meta"), "a meta tensor"),
        (torch.zeros(3, dtype=torch.complex128), "a complex128 tensor"),
        (torch.zeros(3).as_subclass(type("Mine", (torch.Tensor,), {})), "a Mine"),
        (10**500, "an int"),
        ("x" * 50_000, "a str"),
    ],
)
def test_what_is_not_plain_is_only_named(value, kind):
    assert unpack(pack({}, [value]))[1] == [Foreign(kind)]


def test_depth_and_count_have_an_end():
    deep = []
    for _ in range(MAX_DEPTH * 2):
        deep = [deep]
    assert "Foreign" in str(unpack(pack({}, deep))[1])
    with pytest.raises(ValueError, match="too many"):
        unpack(pack({}, [0] * 30_000))


def test_a_pickle_is_no_packed_value():
    with pytest.raises(ValueError):
        unpack(pickle.dumps([1, 2, 3]))
