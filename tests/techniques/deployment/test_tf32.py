"""Inside the block float32 products run as asked; afterwards torch's switches are as they were."""

import pytest
import torch
from torch import backends

from nnopt_lab.techniques.deployment import tf32


def switches():
    return (
        backends.cuda.matmul.fp32_precision in ("tf32",),
        backends.cudnn.conv.fp32_precision == "tf32",
        backends.cudnn.rnn.fp32_precision == "tf32",
    )


@pytest.fixture(autouse=True)
def as_before():
    before = [backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32]
    yield
    backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32 = before


@pytest.mark.parametrize("matmul", [True, False])
@pytest.mark.parametrize("cudnn", [True, False])
@pytest.mark.parametrize("wanted", [True, False])
def test_all_switches_are_set_and_put_back(matmul, cudnn, wanted):
    backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32 = matmul, cudnn
    with pytest.raises(KeyError), tf32.float32_products(wanted):
        assert switches() == (wanted,) * 3
        assert (backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32) == (wanted, wanted)
        raise KeyError
    assert switches() == (matmul, cudnn, cudnn)


@pytest.mark.parametrize("wanted", [True, False])
def test_switches_of_the_newer_kind_too(wanted):
    backends.cudnn.conv.fp32_precision = "ieee"
    with pytest.raises(RuntimeError):
        backends.cudnn.allow_tf32  # noqa: B018 - torch refuses to read the older switch now
    before = switches()
    with tf32.float32_products(wanted):
        assert switches() == (wanted,) * 3
    assert switches() == before and backends.cudnn.conv.fp32_precision == "ieee"


def test_a_call_is_wrapped():
    seen = []
    before, x = switches(), torch.ones(2)

    def run(x):
        seen.append(switches())
        return x

    for precision, wanted in (("tf32", (True,) * 3), ("float32", (False,) * 3), ("bf16", before)):
        assert tf32.computing(run, precision)(x) is x and seen.pop() == wanted and switches() == before
