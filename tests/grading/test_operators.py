"""torch in a sandbox is torch outside of it: what it looks up about the machine is looked up before the view closes."""

import shutil
from pathlib import Path

import pytest
import torch

from nnopt_lab.grading.container import ContainerSandbox
from nnopt_lab.grading.namespaces import NamespaceSandbox
from nnopt_lab.grading.probe import check
from nnopt_lab.grading.sandbox import Limits
from nnopt_lab.grading.sandboxed import codec
from tests.grading import operators
from tests.grading.classroom import linux
from tests.grading.engine import as_root

AT_ONCE = 500
LIMITS = Limits(120, 2048)
SOURCE = Path(operators.__file__).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def outside():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield _plain(operators.results(0, len(operators.JOBS)))
    torch.set_num_threads(threads)


def _plain(value):
    return codec.unpack(codec.pack({}, value))[1]


def _inside(sandbox) -> list:
    found = []
    for start in range(0, len(operators.JOBS), AT_ONCE):
        header = {"preamble": "", "source": SOURCE, "name": "results", "seed": 0}
        ended = sandbox.run(codec.pack(header | {"arguments": ["start", "stop"]}, [(start, start + AT_ONCE)]))
        assert ended.state == "replied", ended
        header, values = codec.unpack(ended.reply)
        assert header["outcomes"] == [{}], header
        found += values[0][0]
    return found


def _differing(inside: list, outside: list) -> dict:
    assert len(inside) == len(outside) > 2_000
    pairs = zip(operators.JOBS, inside, outside, strict=True)
    return {name: (i[:3], o[:3]) for name, i, o in pairs if not _same(i, o)}


def _same(a, b) -> bool:
    if isinstance(a, (list, tuple)):
        return isinstance(b, (list, tuple)) and len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and (a.dtype, a.shape) == (b.dtype, b.shape) and _equal(a, b)
    return a == b or (a != a and b != b)


def _equal(a, b) -> bool:
    # The order of a sum may depend on where in memory an operand lies, so the last bits may differ on one machine.
    precise = a.dtype in (torch.float32, torch.float64, torch.complex64)
    return _bytes(a) == _bytes(b) or (precise and torch.allclose(a, b, rtol=1e-5, atol=1e-5, equal_nan=True))


def _bytes(tensor) -> bytes:
    return tensor.reshape(-1).view(torch.uint8).numpy().tobytes()


@linux
@pytest.mark.parametrize(("kind", "tool"), [("unshare", "unshare"), ("bubblewrap", "bwrap")])
def test_every_operator_gives_the_same_result_in_a_sandbox_of_namespaces(kind, tool, outside):
    if not shutil.which(tool):
        pytest.skip(f"{tool} is not installed")
    with NamespaceSandbox(kind, LIMITS) as sandbox:
        sandbox.wait()
        check(sandbox)  # what the processor can do is hidden again
        assert _differing(_inside(sandbox), outside) == {}


@as_root
def test_every_operator_gives_the_same_result_in_a_container(docker, outside):
    with ContainerSandbox(LIMITS) as sandbox:
        sandbox.wait()
        assert _differing(_inside(sandbox), outside).keys() == {"temporary file"}  # nothing can be written there


def test_the_operators_work_at_all(outside):
    failed = {name: found for name, found in zip(operators.JOBS, outside, strict=True) if found[0] != "ok"}
    assert not failed.keys() & operators.OTHERS.keys(), failed
    assert len(failed) < len(operators.JOBS) / 2  # most of the others are dtypes that an operator does not have
