"""Fingerprints: the same for what computes the same in the same way, another one for every change that matters."""

import collections
import copy
import datetime
import decimal
import logging
import re
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, prune

from nnopt_lab.workbench import models
from nnopt_lab.workbench.fingerprints import fingerprint

FACTOR = 2.0
X = torch.ones(1, 3)


def doubled(x):
    return FACTOR * x


class Net(nn.Module):
    def __init__(self, activation=F.relu, scale=1.0, shift=0.0):
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.activation, self.scale, self.calls, self.seen = nn.Linear(3, 3), activation, scale, 0, []
        self.register_buffer("shift", torch.tensor(shift), persistent=False)

    def forward(self, x):
        self.calls += 1
        self.seen.append(len(x))
        return self.activation(self.layer(x)) * self.scale + self.shift


class Squared(Net):
    def forward(self, x):
        return super().forward(x) ** 2


class Times:
    """A hook that multiplies, and counts its calls."""

    def __init__(self, factor):
        self.factor, self.calls, self.seen = factor, 0, []

    def __call__(self, layer, inputs, output):
        self.calls += 1
        self.seen.append(len(output))
        return output * self.factor

    def method(self, layer, inputs, output):
        return self(layer, inputs, output)


def times(factor):
    return lambda layer, inputs, output: output * factor


def multiply(layer, inputs, output, by=1):
    return output * by


def hooked(hook):
    return changed(lambda net: net.layer.register_forward_hook(hook))


def changed(change):
    net = Net()
    change(net)
    return net


DIFFERENT = {
    "plain": Net(),
    "python function": Net(F.gelu),
    "built-in": Net(torch.tanh),
    "module": Net(nn.ReLU()),
    "its option": Net(nn.LeakyReLU(0.1)),
    "its other option": Net(nn.LeakyReLU(0.2)),
    "lambda": Net(lambda x: x + 1),
    "another lambda": Net(lambda x: x + 2),
    "partial": Net(partial(F.leaky_relu, negative_slope=0.1)),
    "another partial": Net(partial(F.leaky_relu, negative_slope=0.2)),
    "global": Net(doubled),
    "attribute": Net(scale=2.0),
    "buffer that is in no file": Net(shift=1.0),
    "forward": Squared(),
    "forward of the instance": changed(lambda net: setattr(net, "forward", lambda x: net.layer(x))),
    "weight": changed(lambda net: net.layer.weight.data.add_(1e-3)),
    "hook": changed(lambda net: net.layer.register_forward_hook(lambda *a: a[2] * 2)),
    **{f"hook's closure, {n}": hooked(times(n)) for n in (3, 4)},
    **{f"hook's partial, {n}": hooked(partial(multiply, by=n)) for n in (3, 4)},
    **{f"hook's object, {n}": hooked(Times(n)) for n in (3, 4)},
    **{f"hook's method, {n}": hooked(Times(n).method) for n in (3, 4)},
    "hook's tensor": hooked(times(torch.tensor([1.0, 2.0, 3.0]))),
    "hook's other tensor": hooked(times(torch.tensor([1.0, 2.0, 4.0]))),
    "hook before": changed(lambda net: net.layer.register_forward_pre_hook(lambda layer, x: (x[0] * 2,))),
    "mask": changed(lambda net: prune.l1_unstructured(net.layer, "weight", 2)),
    "parametrisation": changed(lambda net: parametrizations.weight_norm(net.layer)),
    "class": nn.Sequential(Net()),
}


class TestNetworks:
    def test_differ_where_their_answers_may(self):
        prints = {name: fingerprint(net) for name, net in DIFFERENT.items()}
        assert len(set(prints.values())) == len(prints)

    @pytest.mark.parametrize("name", DIFFERENT)
    def test_stay_the_same_when_copied_run_or_put_in_another_mode(self, name):
        net = DIFFERENT[name]
        before = fingerprint(net)
        with torch.no_grad():
            net(X)
        assert fingerprint(net) == before
        assert fingerprint(net.train()) == fingerprint(net.eval()) == before
        if "instance" not in name:
            assert fingerprint(copy.deepcopy(net)) == before

    def test_see_the_value_of_a_global_that_a_function_reads(self, monkeypatch):
        before = fingerprint(Net(doubled))
        monkeypatch.setattr(sys.modules[__name__], "FACTOR", 3.0)
        assert fingerprint(Net(doubled)) != before

    def test_do_not_count_what_a_forward_notes_in_its_closure(self):
        asked = []

        def noting(x):
            asked.append(x)
            return x.relu()

        before = fingerprint(Net(noting))
        asked.append(1)
        assert fingerprint(Net(noting)) == before


def test_numbers_containers_and_objects():
    class Range:
        def __init__(self, low):
            self.low = low

    def above(low):
        return lambda x: x > low

    values = [
        1, 1.0, "1", True, None, (1, 2), [1, 2], {1, 2}, {1: 2}, torch.ones(2), torch.ones(2, 1), torch.ones(2).half(),
        torch.ones(2, dtype=torch.bfloat16), np.ones(2, dtype=np.int32), Range(1), Range(2), above(1), above(2),
        above([1]), above([2]), Range(1).__init__, torch.float16, torch.relu, F.relu, torch.ones(0), torch.tensor(1j),
        torch.eye(2).to_sparse(),
    ]  # fmt: skip
    prints = [fingerprint(value) for value in values]
    assert len(set(prints)) == len(values)
    assert fingerprint(Range(1)) == prints[14] and fingerprint(above([1])) == prints[18]
    circle = []
    circle.append(circle)
    assert len(fingerprint(circle)) == 16


def test_it_is_the_same_in_every_process():
    code = "from nnopt_lab.workbench import fingerprints, models; print(fingerprints.fingerprint(models.trained()))"
    said = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        for _ in range(2)
    }
    assert said == {fingerprint(models.trained())}


OPAQUE = {
    "names of classes": (np.array(["cat", "dog"]), np.array(["cat", "cow"])),
    "objects": (np.array([1, "a", None], dtype=object), np.array([2, "a", None], dtype=object)),
    "dates": (np.array(["2020-01-01"], dtype="datetime64[D]"), np.array(["2020-01-02"], dtype="datetime64[D]")),
    "records": (np.zeros(2, dtype=[("a", "i4")]), np.ones(2, dtype=[("a", "i4")])),
    "backwards": (np.arange(3)[::-1], np.arange(3)),
    "number of numpy": (np.float32(1.5), np.float32(2.5)),
    "number of numpy, double": (np.float64(1.5), np.float64(2.5)),
    "deque": (collections.deque([1]), collections.deque([2])),
    "pattern": (re.compile("a"), re.compile("b")),
    "date": (datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)),
    "decimal": (decimal.Decimal("1.1"), decimal.Decimal("1.2")),
    "range": (range(3), range(4)),
    "slice": (slice(1, 2), slice(1, 3)),
    "bytes": (bytearray(b"a"), bytearray(b"b")),
    "path": (Path("a"), Path("b")),
    "meta": (torch.empty(2, device="meta"), torch.empty(3, device="meta")),
    "sparse": (torch.eye(2).to_sparse(), 2 * torch.eye(2).to_sparse()),
    "layer": (nn.LazyLinear(2), nn.LazyLinear(3)),
}


@pytest.mark.parametrize("name", OPAQUE)
def test_whatever_a_network_holds_counts(name):
    def net(held):
        model = Net()
        model.held = held
        return fingerprint(model)

    one, other = OPAQUE[name]
    assert net(one) != net(other) and net(one) == net(copy.deepcopy(one))


@pytest.mark.parametrize("held", [threading.Lock(), iter([1]), (x for x in "a"), torch.Generator(), sys.stdout])
def test_what_cannot_be_looked_into_is_no_obstacle(held):
    assert fingerprint([held]) == fingerprint([held])


def test_a_logger_counts_by_its_name_in_every_process():
    code = "import logging; from nnopt_lab.workbench.fingerprints import *; print(fingerprint(logging.getLogger('a')))"
    elsewhere = subprocess.check_output([sys.executable, "-c", code], text=True).strip()
    assert elsewhere == fingerprint(logging.getLogger("a"))
