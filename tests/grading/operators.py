"""Operators of torch by the thousand, run as an answer in a sandbox and by the tests outside of it.

The file is also the answer's source, so it imports nothing but what an answer may.
"""

import io
import math
import os
import random
import secrets
import statistics
import tempfile
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

INTEGERS = ["uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64"]
FLOATS = ["float16", "bfloat16", "float32", "float64", "complex64"]
TINY = ["float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz"]
DTYPES = {name: getattr(torch, name) for name in ["bool", *INTEGERS, *FLOATS, *TINY]}


def words(text):
    return text.split()


def draw(*shape, dtype=torch.float32):
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(3)) * 5
    return torch.complex(x, x.flip(0)).to(dtype) if dtype.is_complex else x.to(dtype)


POINTWISE = words(
    """
    abs neg sqrt exp log sin tanh sigmoid erf round floor sign square rsqrt reciprocal isnan isfinite frac trunc
    logit lgamma digamma i0 erfinv angle argsort unique std var mean sum prod amax amin norm any all nonzero
    median histc trace diff
    """
)
ACTIVATIONS = words("gelu relu silu hardswish mish celu elu logsigmoid softplus softmax log_softmax")
ALONG = words("cumsum cumprod logsumexp sort mode topk kthvalue")
PAIRS = words(
    """
    add sub mul div floor_divide remainder pow maximum fmod atan2 logical_and bitwise_and eq lt hypot copysign
    isclose cdist
    """
)
PRODUCTS = {
    "mm": lambda x, y: x @ y.T,
    "bmm": lambda x, y: torch.bmm(x[None], y.T[None]),
    "outer": lambda x, y: torch.outer(x[0], y[0]),
    "dot": lambda x, y: torch.dot(x[0], y[0]),
    "einsum": lambda x, y: torch.einsum("ij,kj->ik", x, y),
    "linear": F.linear,
    "conv1d": lambda x, y: F.conv1d(x[None], y[None, :, :3].expand(2, 4, 3).contiguous()),
    "conv2d": lambda x, y: F.conv2d(x.expand(2, 3, 4, 6), y[:3, :3].expand(4, 3, 3, 3), padding=1),
    "depthwise": lambda x, y: F.conv2d(x[None, :, None], y[:4, None, None, :3], padding=1, groups=4),
    "channels last": lambda x, y: F.conv2d(
        x.expand(2, 8, 4, 6).contiguous(memory_format=torch.channels_last), y[0, 0].expand(8, 8, 3, 3)
    ),
    "transposed": lambda x, y: F.conv_transpose2d(x.expand(2, 3, 4, 6), y[:3, :3].expand(3, 4, 3, 3)),
    "attention": lambda x, y: F.scaled_dot_product_attention(x[None, None], y[None, None], y[None, None]),
    "scatter_add": lambda x, y: x.scatter_add(0, torch.zeros(4, 6, dtype=torch.long), y),
    "searchsorted": lambda x, y: torch.searchsorted(x.sort(1).values, y),
    "layer_norm": lambda x, y: F.layer_norm(x, (6,)),
    "cross_entropy": lambda x, y: F.cross_entropy(x, torch.arange(4)),
}


def along(name, x):
    return getattr(x, name)(*{"topk": (2,), "kthvalue": (2,)}.get(name, (1,)))


def pair(function, dtype):
    return function(draw(4, 6, dtype=dtype), draw(4, 6, dtype=dtype) * 2)


def quantised(engine):
    torch.backends.quantized.engine = engine
    x = torch.quantize_per_tensor(draw(2, 8), 0.1, 3, torch.quint8)
    weight = torch.quantize_per_tensor(draw(4, 8), 0.05, 0, torch.qint8)
    packed = torch.ops.quantized.linear_prepack(weight, draw(4))
    linear = torch.ops.quantized.linear(x, packed, 0.2, 5)
    return [linear.int_repr(), torch.ops.quantized.linear_dynamic(draw(2, 8), packed), torch.relu(x).int_repr()]


def gradients(make, x):
    torch.manual_seed(0)
    module = make()
    out = module(x)
    out = out[0] if isinstance(out, tuple) else out
    out.float().sum().backward()
    return [out.detach(), *(p.grad.to_dense() for p in module.parameters() if p.grad is not None)]


def trained(name, dtype):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)).to(dtype)
    optimizer = getattr(torch.optim, name)(module.parameters(), lr=0.01)

    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(module(draw(4, 1, 6, 6, dtype=dtype)).float(), torch.arange(4) % 3)
        loss.backward()
        return loss

    for _ in range(2):
        optimizer.step(closure)
    return [p.detach() for p in module.parameters()]


def autocast(dtype):
    with torch.autocast("cpu", dtype):
        return gradients(
            lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)), draw(2, 1, 6, 6)
        )


def on_two_threads():
    torch.set_num_threads(2)
    out = draw(300, 300) @ draw(300, 300), F.conv2d(draw(4, 8, 32, 32), draw(8, 8, 3, 3))
    torch.set_num_threads(1)
    return [value.isfinite().all() for value in out]


def saved_and_loaded():
    file = io.BytesIO()
    torch.save({"a": draw(3)}, file)
    file.seek(0)
    return torch.load(file)["a"]


def scripted(x):
    return x * 2


def bags(mode, dtype):
    return F.embedding_bag(torch.arange(6).view(2, 3), draw(8, 4).to(dtype), mode=mode)


BITS = torch.ops.quantized
OTHERS = {
    "processor": lambda: [
        torch.backends.cpu.get_cpu_capability(),
        torch.backends.quantized.engine,
        list(torch.backends.quantized.supported_engines),
        torch.ops.mkldnn._is_mkldnn_bf16_supported(),
        torch.ops.mkldnn._is_mkldnn_fp16_supported(),
        torch.backends.mkldnn.is_available(),
        torch.backends.openmp.is_available(),
    ],
    "embedding bag": lambda: gradients(lambda: nn.EmbeddingBag(8, 4), torch.arange(6).view(2, 3)),
    "embedding bag of bytes": lambda: BITS.embedding_bag_byte_rowwise_offsets(
        BITS.embedding_bag_byte_prepack(draw(8, 4)), torch.arange(6), torch.tensor([0, 3])
    ),
    "lstm": lambda: gradients(lambda: nn.LSTM(4, 5, 2), draw(3, 2, 4)),
    "transformer": lambda: gradients(
        lambda: nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True), draw(2, 5, 8)
    ),
    "fft": lambda: [torch.fft.fft(draw(4, 6)), torch.fft.rfft2(draw(4, 6)), torch.fft.fft(draw(7).double()).abs()],
    "stft": lambda: torch.stft(draw(64), 16, window=torch.hann_window(16), return_complex=True),
    "linalg": lambda: [
        torch.linalg.inv(draw(4, 4)),
        torch.linalg.svdvals(draw(40, 60).double()),
        torch.linalg.qr(draw(4, 4))[1],
        torch.linalg.eigvalsh(draw(4, 4)),
        torch.linalg.solve(draw(4, 4), draw(4, 2)),
        torch.linalg.lstsq(draw(6, 3), draw(6, 1)).solution,
        torch.linalg.matrix_exp(draw(3, 3)),
        torch.linalg.pinv(draw(4, 6)),
        torch.linalg.matrix_rank(draw(4, 4)),
    ],
    "sparse coo": lambda: [
        torch.sparse.mm(draw(4, 6).relu().to_sparse(), draw(6, 3)),
        torch.sparse.sum(draw(3).to_sparse()),
    ],
    "sparse csr": lambda: (draw(4, 4).relu().to_sparse_csr() @ draw(4, 4).relu().to_sparse_csr()).to_dense(),
    "sparse bsr": lambda: draw(4, 6).relu().to_sparse_bsr((2, 2)) @ draw(6, 3),
    "mkldnn": lambda: F.conv2d(draw(1, 3, 8, 8).to_mkldnn(), draw(4, 3, 3, 3).to_mkldnn(), None).to_dense(),
    "mkldnn linear": lambda: torch._C._nn.mkldnn_linear(draw(4, 8).to_mkldnn(), draw(3, 8), draw(3)).to_dense(),
    "bfloat16 conv": lambda: F.conv2d(draw(1, 16, 8, 8).bfloat16(), draw(16, 16, 3, 3).bfloat16()),
    "fake quantisation": lambda: torch.fake_quantize_per_tensor_affine(draw(6), 0.1, 0, -128, 127),
    "dynamic float16": lambda: BITS.linear_dynamic_fp16(draw(2, 8), BITS.linear_prepack_fp16(draw(4, 8), None)),
    "int8 product": lambda: torch._int_mm(draw(32, 32).to(torch.int8), draw(32, 32).to(torch.int8)),
    "scaled float8 product": lambda: torch._scaled_mm(
        draw(16, 16).to(torch.float8_e4m3fn),
        draw(16, 16).to(torch.float8_e4m3fn).T,
        torch.tensor(1.0),
        torch.tensor(1.0),
        out_dtype=torch.float32,
    ),
    "quantisation parameters": lambda: list(torch.choose_qparams_optimized(draw(20), 20, 16, 0.1, 8)),
    "seeds from the system": lambda: [
        torch.seed() > 0,
        torch.Generator().seed() > 0,
        len(os.urandom(4)),
        random.SystemRandom().random() < 1,
        np.random.default_rng().random() < 1,
        secrets.randbits(5) < 64,
    ],
    "random numbers": lambda: [
        torch.manual_seed(1).initial_seed(),
        torch.rand(4),
        torch.randperm(9),
        torch.multinomial(torch.ones(5), 3),
        torch.poisson(torch.ones(4) * 3),
        F.dropout(torch.ones(10)),
        nn.init.orthogonal_(torch.empty(4, 4)),
        torch.distributions.Beta(1.0, 2.0).sample(),
    ],
    "autocast bfloat16": lambda: autocast(torch.bfloat16),
    "autocast float16": lambda: autocast(torch.float16),
    "two threads": on_two_threads,
    "threads of python": lambda: list(ThreadPoolExecutor(2).map(lambda factor: draw(3) * factor, [1, 2])),
    "forked task": lambda: torch.jit.wait(torch.jit.fork(torch.neg, draw(3))),
    "vmap": lambda: torch.vmap(torch.dot)(draw(3, 4), draw(3, 4)),
    "grad": lambda: torch.func.grad(lambda x: (x**2).sum())(draw(3)),
    "functional call": lambda: torch.func.functional_call(
        nn.Linear(3, 2, bias=False), {"weight": draw(2, 3)}, draw(1, 3)
    ),
    "checkpoint": lambda: torch.utils.checkpoint.checkpoint(
        torch.sin, draw(3).requires_grad_(), use_reentrant=False
    ).detach(),
    "script": lambda: torch.jit.script(scripted)(draw(3)),
    "trace": lambda: torch.jit.trace(scripted, draw(3))(draw(3)),
    "fx": lambda: torch.fx.symbolic_trace(nn.Sequential(nn.ReLU()))(draw(3)),
    "weight norm": lambda: nn.utils.parametrizations.weight_norm(nn.Linear(3, 2)).weight.shape[0],
    "resized": lambda: [F.interpolate(draw(1, 2, 4, 4), scale_factor=2, mode=mode) for mode in ("bilinear", "bicubic")],
    "resized bytes": lambda: F.interpolate(
        draw(1, 3, 8, 8).abs().to(torch.uint8), size=(4, 4), mode="bilinear", antialias=True
    ),
    "pooled": lambda: [
        F.max_pool2d(draw(1, 2, 6, 6), 2),
        F.avg_pool2d(draw(1, 2, 6, 6), 2),
        F.unfold(draw(1, 2, 6, 6), 3),
    ],
    "saved": saved_and_loaded,
    "numpy": lambda: [
        torch.from_numpy(np.linalg.svd(draw(5, 4).numpy())[1]),
        torch.from_numpy(np.fft.rfft(draw(5, 4).numpy())),
        torch.from_numpy(draw(4).numpy().astype(np.float16)),
    ],
    "bits": lambda: [draw(3).view(torch.int32), draw(4).half().view(torch.int16), torch.tensor(math.pi).half().item()],
    "devices": lambda: [torch.get_default_device().type, draw(3).is_pinned()],
    "loader": lambda: list(torch.utils.data.DataLoader(torch.arange(6), 2)),
    "temporary file": lambda: os.write(tempfile.mkstemp()[0], b"x"),
    "quantiles": lambda: [statistics.NormalDist().inv_cdf(0.975), torch.quantile(draw(9), 0.3)],
}
JOBS = {f"{a} to {b}": lambda a=a, b=b: draw(5).to(DTYPES[a]).to(DTYPES[b]) for a in DTYPES for b in DTYPES}
for kind, dtype in DTYPES.items():
    JOBS |= {f"{f} {kind}": lambda f=f, dtype=dtype: getattr(torch, f)(draw(4, 6, dtype=dtype)) for f in POINTWISE}
    JOBS |= {f"{f} {kind}": lambda f=f, dtype=dtype: along(f, draw(4, 6, dtype=dtype)) for f in ALONG}
    JOBS |= {f"{f} {kind}": lambda f=f, dtype=dtype: pair(getattr(torch, f), dtype) for f in PAIRS}
    JOBS |= {f"{f} {kind}": lambda f=f, dtype=dtype: pair(PRODUCTS[f], dtype) for f in PRODUCTS}
    JOBS |= {
        f"{mode} of bags {kind}": lambda mode=mode, dtype=dtype: bags(mode, dtype) for mode in ("sum", "mean", "max")
    }
    JOBS |= {
        f"{f} {kind}": lambda f=f, dtype=dtype: getattr(F, f)(draw(4, 6, dtype=dtype), *(1,) * f.endswith("softmax"))
        for f in ACTIVATIONS
    }
JOBS |= {f"quantised {engine}": lambda e=engine: quantised(e) for engine in ("fbgemm", "qnnpack", "x86")}
JOBS |= {
    f"{name} trains": lambda name=name: trained(name, torch.float32) for name in ("SGD", "AdamW", "LBFGS", "RMSprop")
}
JOBS |= {
    f"SGD trains {kind}": lambda dtype=dtype: trained("SGD", dtype)
    for kind, dtype in DTYPES.items()
    if kind in FLOATS[:2]
}
JOBS |= OTHERS


def result(name):
    try:
        return ["ok", JOBS[name]()]
    except BaseException as error:
        return ["error", type(error).__name__, next(iter(str(error).splitlines()), "")[:200]]


def results(start, stop):
    """The results of the jobs from `start` to before `stop`, each ["ok", value] or ["error", type, message]."""
    warnings.simplefilter("ignore")
    engine = torch.backends.quantized.engine
    found = []
    for name in list(JOBS)[start:stop]:
        torch.manual_seed(0)
        found.append(result(name))
        torch.backends.quantized.engine = engine
    return found
