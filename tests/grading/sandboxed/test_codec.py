"""The codec: plain values come back as they were, everything else is refused."""

import contextlib
import json
import math
import pickle
import struct

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

from nnopt_lab.grading.sandboxed.codec import MAX_ALL_TEXT, MAX_DEPTH, MAX_DIMENSIONS, MAX_TEXT, Foreign, pack, unpack

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
        (torch.zeros([2] * 22, dtype=torch.bool), "a high-dimensional tensor"),
        (torch.zeros([1] * (MAX_DIMENSIONS + 1)), "a high-dimensional tensor"),
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


def forged(tree, header=None, tensors=None) -> bytes:
    """Bytes as a worker may write them that an attack took over; `tensors`: bytes, or tensors by their names."""
    text = json.dumps([header or {}, tree]).encode()
    tensors = save(tensors) if isinstance(tensors, dict) else tensors or b""
    return struct.pack(">I", len(text)) + text + tensors


def shaped(shape: list[int], size: int = 0, dtype: str = "BOOL", names: int = 1) -> bytes:
    """The bytes of tensors 0, 1, … without or with `size` bytes of numbers, of any shape that is claimed."""
    described = {str(n): {"dtype": dtype, "shape": shape, "data_offsets": [0, size]} for n in range(names)}
    text = json.dumps(described).encode()
    return struct.pack("<Q", len(text)) + text + bytes(size)


ONE = {"0": torch.zeros(1 << 10)}
FORGED = {
    "two references to one tensor": forged(["l", [["x", "0"]] * 2], tensors=ONE),
    "many references to one tensor": forged(["l", [["x", "0"]] * 19_000], tensors=ONE),
    "a tensor that nothing refers to": forged(["v", 1], tensors=ONE),
    "a tensor of 22 dimensions": forged(["x", "0"], tensors=shaped([2] * 22, 1 << 22)),
    "a tensor of a thousand dimensions": forged(["x", "0"], tensors=shaped([1] * 1000, 1)),
    "a thousand empty dimensions": forged(["x", "0"], tensors=shaped([0] * 1000)),
    "an overflowing shape": forged(["x", "0"], tensors=shaped([1 << 62, 1 << 62, 0])),
    "a shape beyond every number": forged(["x", "0"], tensors=shaped([0, 1 << 80])),
    "a negative shape": forged(["x", "0"], tensors=shaped([-1])),
    "too few numbers": forged(["x", "0"], tensors=shaped([1000], 10)),
    "an unknown dtype": forged(["x", "0"], tensors=shaped([1], 1, "F8_E8M0")),
    "no such dtype": forged(["x", "0"], tensors=shaped([1], 1, "X")),
    "many empty tensors": forged(["v", 1], tensors=shaped([0], names=100_000)),
    "a name beyond measure": forged(["v", 1], tensors=struct.pack("<Q", 1 << 63)),
    "a long text": forged(["v", "x" * (MAX_TEXT + 1)]),
    "many texts": forged(["l", [["v", "x" * 1_000]] * (MAX_ALL_TEXT // 1_000 + 1)]),
    "a long text in the header": forged(["v", 1], {"printed": "x" * (MAX_TEXT + 1)}),
    "many texts in the header": forged(["v", 1], {str(n): "x" * 10_000 for n in range(20)}),
    "a long name in the header": forged(["v", 1], {"x" * (MAX_TEXT + 1): 1}),
    "many values in the header": forged(["v", 1], {"outcomes": [{}] * 30_000}),
    "a deep header": forged(["v", 1], {"outcomes": json.loads("[" * 50 + "]" * 50)}),
    "texts in header and value": forged(["l", [["v", "x" * 15_000]] * 4], {str(n): "x" * 15_000 for n in range(4)}),
    "a long list": forged(["l", [["v", 1]] * 30_000]),
    "a long tree": forged(["v", 1], {"x": "y" * (3 << 20)}),
    "a bare infinity in place of a tree": forged(math.inf),
}


@pytest.mark.parametrize("what", FORGED)
def test_a_reply_that_holds_too_much_is_refused_before_it_is_used(what):
    with pytest.raises(ValueError):
        unpack(FORGED[what])


def test_a_job_may_hold_longer_texts():
    header = {"source": "x" * (3 << 20)}
    assert unpack(pack(header, [1]), trusted=True) == (header, [1])


def test_a_forged_boolean_is_one_of_two():
    size = json.dumps({"0": {"dtype": "BOOL", "shape": [3], "data_offsets": [0, 3]}}).encode()
    value = unpack(forged(["x", "0"], tensors=struct.pack("<Q", len(size)) + size + b"\0\1\2"))[1]
    assert value.dtype == torch.bool and value.view(torch.uint8).tolist() == [0, 1, 1]


def test_a_pickle_is_no_packed_value():
    with pytest.raises(ValueError):
        unpack(pickle.dumps([1, 2, 3]))


class Hostile:
    def __getattribute__(self, name):
        raise SystemExit(name)


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (Hostile, "a Hostile"),
        (type("int", (), {"__class__": property(lambda self: 1 / 0)}), "an int"),
        (lambda: torch.zeros(1).expand(2**50), "a tensor that can't be read"),
    ],
)
def test_what_can_t_be_looked_at_is_foreign_and_costs_no_more_than_itself(make, kind):
    _, received = unpack(pack({}, [1, [make()], torch.ones(1)]))
    assert received[0] == 1 and received[1] == [Foreign(kind)] and torch.equal(received[2], torch.ones(1))
