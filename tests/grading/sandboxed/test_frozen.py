"""Frozen inputs: equal to what they were made from, and protected."""

import copy
import faulthandler
import json
import os
import signal
import sys

import pytest
import torch

from nnopt_lab.grading.sandboxed import codec
from nnopt_lab.grading.sandboxed.frozen import ChangedInPlace, FrozenList, frozen, thawed

CHANGES = {
    "append": lambda x: x.append(1),
    "extend": lambda x: x.extend([1]),
    "insert": lambda x: x.insert(0, 1),
    "remove": lambda x: x.remove(3.0),
    "pop": lambda x: x.pop(),
    "clear": lambda x: x.clear(),
    "sort": lambda x: x.sort(),
    "reverse": lambda x: x.reverse(),
    "init": lambda x: x.__init__([1]),
    "item": lambda x: x.__setitem__(0, 1),
    "slice": lambda x: x.__setitem__(slice(None), []),
    "delete": lambda x: x.__delitem__(0),
    "plus": lambda x: x.__iadd__([1]),
    "times": lambda x: x.__imul__(2),
}


@pytest.mark.parametrize("dtype", sorted(codec._DTYPES, key=str), ids=str)
@pytest.mark.parametrize("shape", [(), (0, 3), (5,), (2, 3, 4)])
def test_a_frozen_tensor_has_the_same_values(dtype, shape):
    value = (torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 5).to(dtype)
    (found, other), number = frozen(((value, [value]), 3))
    assert (found.dtype, found.shape, number, len(other)) == (dtype, value.shape, 3, 1)
    for one in (found, other[0]):
        assert one.reshape(-1).view(torch.uint8).tolist() == value.reshape(-1).view(torch.uint8).tolist()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no mprotect")
@pytest.mark.parametrize(
    "write",
    [
        lambda x: x.abs_(),
        lambda x: x.numpy().fill(0),
        lambda x: x.view(-1)[3:].zero_(),
        lambda x: x.data.mul_(2),
        lambda x: torch.nn.functional.relu(x, inplace=True),
        lambda x: torch.add(x, 1, out=x),
    ],
)
def test_a_write_to_a_frozen_tensor_ends_the_process(write):
    (value,) = frozen([torch.ones(4, 5)])
    pid = os.fork()
    if pid == 0:
        faulthandler.disable()
        write(value)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) in (-signal.SIGSEGV, -signal.SIGBUS)
    assert value.sum() == 20


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_a_frozen_list_raises(change):
    value = frozen(([3.0, [3.0]],))[0]
    for one in (value, value[1]):
        before = list(one)
        with pytest.raises(ChangedInPlace):
            CHANGES[change](one)
        assert one == before


def test_what_is_made_from_a_frozen_list_can_be_changed():
    (value,) = frozen(([3, 1, [2]],))
    assert value == [3, 1, [2]] and json.dumps(value) == "[3, 1, [2]]"
    for made in (list(value), value.copy(), value[:], value * 2, copy.copy(value), type(value)(value)):
        made.append(1)
    deep = copy.deepcopy(value)
    deep[2].append(1)
    assert value == [3, 1, [2]]


def test_a_reply_holds_ordinary_lists():
    value = frozen(([1, (2, [3])], "a"))
    plain = thawed(value)
    assert plain == ([1, (2, [3])], "a") and type(plain) is tuple
    assert [type(plain[0]), type(plain[0][1]), type(plain[0][1][1])] == [list, tuple, list]
    own = FrozenList([1])
    own.append(own)
    assert codec.pack({}, thawed(own))  # one that holds itself is cut off
