"""How large, how fast and how accurate a network is, and whether a difference between two of them is real.

Sizes are counted exactly. Times are samples: networks that are compared are timed in turns, round by round, so that
whatever slows the machine for a while slows all of them, and the ratio of two networks comes with an interval.
"""

import contextlib
import gzip
import html
import math
import os
import platform
import tempfile
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import NormalDist
from typing import NamedTuple

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nnopt_lab.workbench.bars import bar

COUNTED = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
SAMPLE_SECONDS = 0.002  # the clock and the Python loop cost about a microsecond, so they stay below a thousandth of it
FEWEST_ROUNDS = 6  # with 5 samples not even smallest to largest covers the median in 95 % of cases: 1 - 2/2⁵ = 0.94
# The same code can be a few per cent slower for where the linker or malloc placed it (Mytkowicz et al., "Producing
# Wrong Data Without Doing Anything Obviously Wrong!", ASPLOS 2009): one process cannot tell such networks apart.
INDISTINGUISHABLE = 0.01


# --- size


class Parameters(NamedTuple):
    total: int
    nonzero: int


def parameters(model: nn.Module) -> Parameters:
    """Number of parameters, and of those that are not zero; a shared parameter counts once, a buffer does not count.

    Where `torch.nn.utils.prune` masks a weight, its zeros are those of `weight_orig * weight_mask`.
    """
    others = {name for name, _ in model.named_buffers(remove_duplicate=False)}
    state = _effective_state(model).items()
    weights = [value for name, value in state if name not in others and isinstance(value, Tensor)]
    return Parameters(sum(w.numel() for w in weights), sum(int((w != 0).sum()) for w in weights))


def disk_bytes(model: nn.Module, compressed: bool = False) -> int:
    """Size of the model's file: its state dict is really written, as safetensors, and the file measured.

    A shared tensor is written once, a pruned weight as `weight_orig * weight_mask` without its mask. A zero takes as
    many bytes as any other number, unless the file is `compressed` with gzip, level 9 (Huffman coding after replacing
    repetitions, RFC 1951).

    Raises:
        ValueError: an entry of the state dict is not a tensor, which safetensors cannot store.
    """
    state = _effective_state(model)
    for name, value in state.items():
        if not isinstance(value, Tensor):
            raise ValueError(f"model holds {name}, a {type(value).__name__}; only tensors can be written.")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.safetensors")
        save_file({name: value.detach().cpu().contiguous().clone() for name, value in state.items()}, path)
        if compressed:
            packed = path.with_suffix(".safetensors.gz")
            packed.write_bytes(gzip.compress(path.read_bytes(), compresslevel=9, mtime=0))
            path = packed
        return path.stat().st_size


def _effective_state(model: nn.Module) -> dict[str, Tensor]:
    """The state dict with pruning masks multiplied in, and a shared tensor under its first name only."""
    state, effective, seen = model.state_dict(keep_vars=True), {}, set()
    for name, value in state.items():
        stem, _, kind = name.rpartition("_")
        if kind == "mask" and f"{stem}_orig" in state:
            continue
        mask = state.get(f"{stem}_mask") if kind == "orig" else None
        if (id(value), id(mask)) not in seen:
            seen.add((id(value), id(mask)))
            effective[name if mask is None else stem] = value if mask is None else value * mask
    return effective


# --- work


class LayerCost(NamedTuple):
    """One call of one layer: its multiply-accumulates (MACs), and the bytes it must read and write at the least."""

    name: str
    kind: str
    macs: int
    weight_bytes: int  # with the bias
    input_bytes: int
    output_bytes: int
    output_shape: tuple[int, ...]

    @property
    def intensity(self) -> float:
        """Floating-point operations (2 a MAC) per byte moved: the x axis of a roofline."""
        return 2 * self.macs / (self.weight_bytes + self.input_bytes + self.output_bytes)


def layer_costs(model: nn.Module, example: Tensor) -> list[LayerCost]:
    """The cost of every Conv1d, Conv2d, ConvTranspose2d and Linear for one batch, in the order in which they run.

    Not counted: biases, activations, normalisation, pooling, additions, functions such as `F.linear` and
    `nn.MultiheadAttention`, which call no such layer, and layers of any other type. Padding counts as any input, and
    a zero weight as any weight: dense kernels multiply by both. A layer that runs twice is listed twice.

    Args:
        model: in any mode; it runs once, in evaluation mode.
        example: what the model takes, [N, ...]; the costs are those of all N.
    """
    costs, hooks = [], []
    # A compiled model runs code in which no hook was called for; the original one beside it does the same work.
    model = getattr(model, "_orig_mod", model)
    for name, module in model.named_modules():
        if isinstance(module, COUNTED):

            def hook(module, args, kwargs, output, name=name):
                costs.append(_cost(name, module, (*args, *kwargs.values())[0], output))

            hooks.append(module.register_forward_hook(hook, with_kwargs=True))
    try:
        with _inference(model):
            model(example)
    finally:
        for hook in hooks:
            hook.remove()
    return costs


def macs(model: nn.Module, example: Tensor) -> int:
    """Multiply-accumulates of `layer_costs` for the whole batch given: for one picture give [1, 3, 32, 32]."""
    return sum(cost.macs for cost in layer_costs(model, example))


def _cost(name: str, module: nn.Module, source: Tensor, output: Tensor) -> LayerCost:
    # Each output is a dot product with one row of the weight; transposed, each input is spread with one row.
    dots = source if isinstance(module, nn.ConvTranspose2d) else output
    work = dots.numel() * module.weight.shape[1:].numel()
    weight_bytes = module.weight.nbytes + (0 if module.bias is None else module.bias.nbytes)
    kind, shape = type(module).__name__, tuple(output.shape)
    return LayerCost(name, kind, work, weight_bytes, source.nbytes, output.nbytes, shape)


@contextlib.contextmanager
def _inference(*models) -> Iterator[None]:
    """Evaluation mode without autograd; afterwards each submodule is back in the mode it had."""
    models = [model for model in models if isinstance(model, nn.Module)]
    modes = {module: module.training for model in models for module in model.modules()}
    try:
        for model in models:
            model.eval()
        with torch.inference_mode():
            yield
    finally:
        for module, training in modes.items():
            module.training = training


# --- intervals


@dataclass(frozen=True)
class Interval:
    """An estimate and the range that covers the true value with probability `confidence` (0 to 1)."""

    estimate: float
    low: float
    high: float
    confidence: float

    def __str__(self) -> str:
        return f"{self.estimate:.3g} ({self._range(self.low, self.high, '.3g')})"

    def _range(self, low: float, high: float, form: str) -> str:
        return f"{100 * self.confidence:g} % interval {low:{form}} to {high:{form}}"


class Ratio(Interval):
    """How many times as long one network takes as another; `str` says what that means."""

    @property
    def median(self) -> float:
        return self.estimate

    @property
    def differs(self) -> bool:
        """Whether the interval lies outside 1 ± 0.01: nearer to 1, one process cannot tell two networks apart."""
        return self.low > 1 + INDISTINGUISHABLE or self.high < 1 - INDISTINGUISHABLE

    def __str__(self) -> str:
        if not self.differs:
            return f"no difference measured (ratio {self.estimate:.2f}, {self._range(self.low, self.high, '.2f')})"
        if self.estimate > 1:
            return f"{self.estimate:.2f}× faster ({self._range(self.low, self.high, '.2f')})"
        return f"{1 / self.estimate:.2f}× slower ({self._range(1 / self.high, 1 / self.low, '.2f')})"


def median_interval(values, confidence: float = 0.95) -> Interval:
    """The median of independent samples with an interval that holds whatever their distribution.

    The k-th smallest and the k-th largest of n values fail to enclose the median only if fewer than k of them fall on
    one side of it, and how many do is binomial(n, ½). Of all k that keep the confidence the largest is taken
    (Conover, Practical Nonparametric Statistics, 3rd ed. 1999, section 3.2).

    Args:
        values: numbers, at least 6 of them for a confidence of 0.95.
        confidence: above 0, below 1.

    Raises:
        ValueError: `confidence` is out of its range, or there are too few values for it.
    """
    _check_confidence(confidence)
    values = sorted(values)
    n, k, tail = len(values), 0, 0.5 ** len(values)
    while tail <= (1 - confidence) / 2:  # tail: the probability that at most k of n fall below the median
        k += 1
        tail += math.comb(n, k) / 2**n
    if n == 0 or k == 0:
        fewest = math.ceil(math.log2(2 / (1 - confidence)))
        raise ValueError(f"values: {n} given, but a {100 * confidence:g} % interval needs at least {fewest}.")
    return Interval((values[(n - 1) // 2] + values[n // 2]) / 2, values[k - 1], values[n - k], confidence)


def proportion_difference(correct_a: Tensor, correct_b: Tensor, confidence: float = 0.95) -> Interval:
    """Accuracy of b minus accuracy of a on the same pictures, in percentage points.

    Only pictures on which the two disagree say anything about the difference. The interval is Wald's for matched
    pairs after half a picture is added to each of the four cases (Agresti & Min, Statistics in Medicine 24, 2005),
    which keeps its confidence where the disagreements are few.

    Args:
        correct_a, correct_b: bool [N], which pictures each network got right, in the same order.
        confidence: above 0, below 1.

    Raises:
        ValueError: the tensors are not bool, one-dimensional, equally long and non-empty, or `confidence` is out of
            its range.
    """
    _check_confidence(confidence)
    for name, value in (("correct_a", correct_a), ("correct_b", correct_b)):
        if value.dtype != torch.bool or value.dim() != 1 or len(value) == 0:
            raise ValueError(f"{name} is {value.dtype} {list(value.shape)}; it must be bool [N] with N at least 1.")
    if len(correct_a) != len(correct_b):
        raise ValueError(f"correct_a has {len(correct_a)} pictures and correct_b {len(correct_b)}; pairs are needed.")
    n, gained, lost = len(correct_a), int((correct_b & ~correct_a).sum()), int((correct_a & ~correct_b).sum())
    centre = (gained - lost) / (n + 2)
    error = math.sqrt(gained + lost + 1 - (gained - lost) ** 2 / (n + 2)) / (n + 2)
    reach = NormalDist().inv_cdf((1 + confidence) / 2) * error
    low, high = max(centre - reach, -1), min(centre + reach, 1)
    return Interval(100 * (gained - lost) / n, 100 * low, 100 * high, confidence)


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence} must lie between 0 and 1, such as 0.95.")


# --- time


@dataclass(frozen=True)
class Timing:
    """Seconds per call of one model, one sample a round, for `batch_size` pictures a call."""

    samples: tuple[float, ...]
    batch_size: int

    @property
    def median(self) -> float:
        return self._quantile(0.5)

    @property
    def quartiles(self) -> tuple[float, float]:
        return self._quantile(0.25), self._quantile(0.75)

    @property
    def throughput(self) -> float:
        """Pictures per second, at the median."""
        return self.batch_size / self.median

    def __str__(self) -> str:
        unit, scale = ("s", 1) if self.median >= 1 else ("ms", 1e3) if self.median >= 1e-4 else ("µs", 1e6)
        middle, low, high = (_three_digits(q * scale) for q in (self.median, *self.quartiles))
        return f"{middle} {unit} ({low}–{high})"

    def _quantile(self, q: float) -> float:
        return torch.tensor(self.samples, dtype=torch.float64).quantile(q).item()


def latency(
    models: dict[str, Callable[[Tensor], object]], example: Tensor, rounds: int = 60, budget_seconds: float = 10.0
) -> dict[str, Timing]:
    """Time models against each other: in every round each runs once, and the one that starts changes.

    One sample is the mean of as many calls as last 2 ms, after one call that is not timed: it brings back to the caches
    what the model before it pushed out. Models run in evaluation mode without autograd; their mode is restored.

    Args:
        models: what is called, by name; modules or any other function of the example.
        example: [N, ...], given to each; on an accelerator the clock waits for it. Give real pictures and trained
            networks: max-pooling on the CPU branches on the values, and two seeds of MyNet differ by up to 9 %.
        rounds: samples of each model, at least 1; 6 or more for an interval.
        budget_seconds: after this long, warm-up not included, no further round starts, but 6 are always done if
            `rounds` asks for them.

    Raises:
        ValueError: there is no model, `example` has no batch dimension, or a number is out of its range.
    """
    if not models or rounds < 1 or budget_seconds <= 0 or example.dim() < 1:
        raise ValueError(
            f"models={list(models)}, example {list(example.shape)}, rounds={rounds}, budget_seconds={budget_seconds}: "
            "one model, one dimension, one round and a budget above 0 are needed at the least."
        )
    order, samples = deque(models), {name: [] for name in models}
    with _inference(*models.values()):
        repeats = {name: _warm_up(model, example) for name, model in models.items()}
        started = time.perf_counter()
        for done in bar(range(rounds), desc="timing", unit="round", delay=2):
            if done >= FEWEST_ROUNDS and time.perf_counter() - started > budget_seconds:
                break
            for name in order:
                _seconds(models[name], example, 1)
                samples[name].append(_seconds(models[name], example, repeats[name]) / repeats[name])
            order.rotate()
    return {name: Timing(tuple(values), len(example)) for name, values in samples.items()}


def ratio(slow: Timing, fast: Timing, confidence: float = 0.95) -> Ratio:
    """How many times as long `slow` takes as `fast`: the median over rounds of the ratio within a round.

    The interval (`median_interval`) covers what varies from round to round in this process. Another process or another
    machine can differ by more.

    Raises:
        ValueError: the timings are not of the same rounds and batch size, or have too few rounds.
    """
    if (len(slow.samples), slow.batch_size) != (len(fast.samples), fast.batch_size):
        raise ValueError(
            f"slow has {len(slow.samples)} rounds of batch {slow.batch_size}, fast {len(fast.samples)} of batch "
            f"{fast.batch_size}; only timings from one call of latency() are pairs."
        )
    pairs = median_interval((s / f for s, f in zip(slow.samples, fast.samples, strict=True)), confidence)
    return Ratio(pairs.estimate, pairs.low, pairs.high, confidence)


def _warm_up(model: Callable, example: Tensor) -> int:
    """How many calls make up a sample; finding that out is the warm-up too."""
    for _ in range(3):
        _seconds(model, example, 1)  # compiles, allocates, wakes the threads
    repeats = 1
    while _seconds(model, example, repeats) < SAMPLE_SECONDS:
        repeats *= 2
    return repeats


def _seconds(model: Callable, example: Tensor, repeats: int) -> float:
    wait = torch.accelerator.synchronize if example.device.type != "cpu" else lambda: None
    wait()
    started = time.perf_counter()
    for _ in range(repeats):
        model(example)
    wait()
    return time.perf_counter() - started


# --- memory


def peak_memory(fn: Callable, *args) -> int:
    """The most bytes of tensors that were alive at one time during `fn(*args)`, beyond those alive before it.

    What `fn` returns counts. On the CPU every storage that a torch operation makes is followed until it is freed: this
    is exact and the same in every run, but scratch memory inside an operation (an unfolded picture in a convolution,
    say) is not seen. With a CUDA tensor among `args`, CUDA's allocator tells, and sees that too.
    """
    if any(isinstance(a, Tensor) and a.is_cuda for a in tree_leaves(args)):
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        fn(*args)
        return torch.cuda.max_memory_allocated() - before
    with _StorageTracker() as tracker:
        fn(*args)
    return tracker.peak


class _StorageTracker(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.alive: dict[int, int] = {}  # address of a storage → its bytes
        self.now = self.peak = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        result = operation(*args, **(kwargs or {}))
        given = {storage._cdata for storage in _storages((args, kwargs))}
        for storage in _storages(result):
            key = storage._cdata
            if key not in given and key not in self.alive:  # else it is a view, or was written in place
                self.alive[key] = storage.nbytes()
                self.now += storage.nbytes()
                weakref.finalize(storage, self._freed, key)
        self.peak = max(self.peak, self.now)
        return result

    def _freed(self, key: int) -> None:
        self.now -= self.alive.pop(key)


def _storages(tree) -> list:
    return [t.untyped_storage() for t in tree_leaves(tree) if isinstance(t, Tensor) and t.layout == torch.strided]


# --- the machine


@dataclass(frozen=True)
class Machine:
    """What the measurements ran on; None or empty where the system does not tell. `print` it, or show it in a cell."""

    processor: str
    cores: int  # that this process may use
    threads: int  # that torch uses
    caches: dict[str, int]  # "L1", "L2", …: bytes of one of that level; on a virtual machine others may share it
    memory: int | None  # bytes
    instructions: tuple[str, ...]  # what torch's kernels were chosen for, then flags that matter to small numbers
    accelerator: str | None
    system: str
    torch: str

    def peak_gflops(self) -> float:
        """Billions of float32 operations a second in the best of several products of 1024×1024 matrices on the CPU.

        This is what torch's own library reaches with its present number of threads, which a layer can hope for; the
        processor's data sheet promises more. A MAC is two operations. Takes about half a second.
        """
        n = 1024
        a, b, out = torch.rand(n, n), torch.rand(n, n), torch.empty(n, n)
        return 2 * n**3 / _best_seconds(lambda: torch.mm(a, b, out=out)) / 1e9

    def peak_bandwidth(self) -> float:
        """Billions of bytes a second in the best of several copies of a large tensor on the CPU, read plus written.

        As in STREAM (McCalpin 1995), without what the cache reads before it overwrites a line. Source and target
        each have twice the size of the largest cache, but 64 to 256 MiB, and at most 1/16 of the memory. Where the
        cache is larger than that (a virtual machine often reports one that it shares with others), the number lies
        between the speed of the memory and that of the cache. Takes about a second.
        """
        size = min(max(2 * max(self.caches.values(), default=0), 2**26), 2**28, (self.memory or 2**32) // 16)
        source, target = torch.ones(size, dtype=torch.uint8), torch.ones(size, dtype=torch.uint8)
        return 2 * size / _best_seconds(lambda: target.copy_(source)) / 1e9

    def _cells(self) -> list[list[str]]:
        shown = {field.name: getattr(self, field.name) for field in fields(self)}
        shown["caches"] = ", ".join(f"{name} {format_bytes(size)}" for name, size in self.caches.items())
        shown["memory"] = self.memory and format_bytes(self.memory)
        shown["instructions"] = ", ".join(self.instructions)
        return [[name, str(value)] for name, value in shown.items() if value not in (None, "")]

    def __str__(self) -> str:
        return _text_table(self._cells())

    def _repr_html_(self) -> str:
        return _html_table(self._cells())


def machine() -> Machine:
    """Look at the machine, without measuring anything."""
    cpu = _first_processor()
    flags = cpu.get("flags", cpu.get("Features", "")).split()
    useful = ("amx", "avx512_vnni", "avx_vnni", "avx512_bf16", "avx512_fp16", "asimddp", "i8mm", "bf16", "sve")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return Machine(
        processor=cpu.get("model name") or platform.processor() or platform.machine(),
        cores=cores,
        threads=torch.get_num_threads(),
        caches=_caches(),
        memory=_memory(),
        instructions=(torch.backends.cpu.get_cpu_capability(), *(f for f in flags if f.startswith(useful))),
        accelerator=torch.cuda.get_device_name() if torch.cuda.is_available() else accelerator and accelerator.type,
        system=f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        torch=torch.__version__,
    )


def _first_processor() -> dict[str, str]:
    with contextlib.suppress(OSError):
        first = Path("/proc/cpuinfo").read_text().split("\n\n")[0]
        return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())}
    return {}


def _caches() -> dict[str, int]:
    sizes = {}
    with contextlib.suppress(OSError, ValueError):
        for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
            if (index / "type").read_text().strip() != "Instruction":
                size = (index / "size").read_text().strip()  # such as "2048K"
                sizes[f"L{(index / 'level').read_text().strip()}"] = int(size.rstrip("K")) * 1024
    return sizes


def _memory() -> int | None:
    with contextlib.suppress(AttributeError, ValueError, OSError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None


def _best_seconds(call: Callable[[], object], budget_seconds: float = 0.4) -> float:
    call()
    best, started = math.inf, time.perf_counter()
    while (before := time.perf_counter()) - started < budget_seconds:
        call()
        best = min(best, time.perf_counter() - before)
    return best


# --- everything in one table


@dataclass(frozen=True, repr=False)
class Comparison:
    """The table of `compare`. `rows` has a dict for each model:

    model, total, nonzero, macs (a picture's), bytes, compressed_bytes, accuracy (percent or None), and by batch size
    latency (`Timing`) and ratio (`Ratio` against the first model; None in its own row).
    """

    rows: list[dict]

    def _cells(self) -> list[list[str]]:
        batches = list(self.rows[0]["latency"])
        header = ["model", "parameters", "MACs\na picture", "file\ngzipped", "accuracy"]
        cells = [header + [f"batch {b:,}\nmedian (quartiles)" for b in batches]]
        for row in self.rows:
            accuracy = "–" if row["accuracy"] is None else f"{row['accuracy']:.2f} %"
            cells.append([row["model"], f"{row['total']:,}\n{row['nonzero']:,} nonzero", format_count(row["macs"])])
            cells[-1] += [f"{format_bytes(row['bytes'])}\n{format_bytes(row['compressed_bytes'])}", accuracy]
            for b in batches:
                verdict = (
                    ""
                    if row["ratio"][b] is None
                    else "\n" + str(row["ratio"][b]).replace(" (", "\n(").replace(", ", ",\n")
                )
                cells[-1].append(str(row["latency"][b]) + verdict)
        return cells

    def __repr__(self) -> str:
        return _text_table(self._cells())

    def _repr_html_(self) -> str:
        return _html_table(self._cells(), header=True)

    def plot(self):
        """A matplotlib Figure: size, MACs and latencies relative to the first model, and accuracy where given."""
        from nnopt_lab.workbench import plots

        return plots.comparison(self.rows)


def compare(
    models: dict[str, nn.Module],
    example: Tensor,
    accuracy: dict[str, float] | None = None,
    batch_sizes: tuple[int, ...] = (1, 256),
    rounds: int = 60,
    budget_seconds: float = 10.0,
) -> Comparison:
    """Measure networks against the first of them: parameters, MACs, file, latency, and accuracy where you have it.

    Args:
        models: any number of networks by name, all on the example's device.
        example: pictures [N, ...], N at least 1; repeated and cut to each batch size. Real ones: see `latency`.
        accuracy: in percent, by the same names; some may be missing.
        batch_sizes: pictures a call, each at least 1; all networks are timed for each.
        rounds, budget_seconds: as in `latency`, for each batch size; at least 6 rounds.

    Raises:
        ValueError: an argument is not as said here; nothing has been measured then.
    """
    _check_comparison(models, example, accuracy or {}, batch_sizes, rounds)
    rows = [
        _sizes(name, model, example[:1]) | {"accuracy": (accuracy or {}).get(name)} for name, model in models.items()
    ]
    for size in batch_sizes:
        batch = example.repeat(-(-size // len(example)), *[1] * (example.dim() - 1))[:size]
        timings = latency(models, batch, rounds, budget_seconds)
        first, *others = timings.values()
        ratios = [None, *(ratio(first, other) for other in others)]
        for row, timing, against_first in zip(rows, timings.values(), ratios, strict=True):
            row.setdefault("latency", {})[size] = timing
            row.setdefault("ratio", {})[size] = against_first
    return Comparison(rows)


def _sizes(name: str, model: nn.Module, example: Tensor) -> dict:
    return {
        "model": name,
        **parameters(model)._asdict(),
        "macs": macs(model, example),
        "bytes": disk_bytes(model),
        "compressed_bytes": disk_bytes(model, compressed=True),
    }


def _check_comparison(models, example: Tensor, accuracy: dict, batch_sizes, rounds: int) -> None:
    if not models or not all(isinstance(model, nn.Module) for model in models.values()):
        kinds = {name: type(model).__name__ for name, model in models.items()}
        raise ValueError(f"models={kinds} must name at least one model, and each must be an nn.Module.")
    if example.dim() < 1 or len(example) < 1:
        raise ValueError(f"example has shape {list(example.shape)}; it must be at least one picture, [N, ...].")
    for name, percent in accuracy.items():
        if name not in models or not 0 <= percent <= 100:
            raise ValueError(f"accuracy[{name!r}]={percent} must be percent, 0 to 100, of one of {list(models)}.")
    if not batch_sizes or min(batch_sizes) < 1:
        raise ValueError(f"batch_sizes={batch_sizes} must be at least one number, each at least 1.")
    if rounds < FEWEST_ROUNDS:
        raise ValueError(f"rounds={rounds} must be at least {FEWEST_ROUNDS}: a 95 % interval needs as many.")


# --- numbers and tables for people


def format_bytes(count: float) -> str:
    """Three digits and a unit: 512 B, 1.05 MiB (1 MiB = 1024² bytes)."""
    power = min((int(count).bit_length() - 1) // 10, 4) if count >= 1024 else 0
    return f"{count:.0f} B" if power == 0 else f"{_three_digits(count / 1024**power)} {'KMGT'[power - 1]}iB"


def format_count(count: float) -> str:
    """Below a million every digit, 268,650; from there three and a thousand-power: 1.88 M, 40.6 G, 3.10 T."""
    power = min(int(math.log10(max(count, 1)) / 3), 4)
    return f"{count:,.0f}" if power < 2 else f"{_three_digits(count / 1000**power)} {'MGT'[power - 2]}"


def _three_digits(value: float) -> str:
    decimals = 2 - math.floor(math.log10(value)) if value > 0 else 2
    return f"{value:,.{min(max(decimals, 0), 3)}f}"


def _text_table(cells: list[list[str]]) -> str:
    """Aligned columns; a cell may have several lines."""
    split = [[cell.split("\n") for cell in row] for row in cells]
    widths = [max(len(line) for cell in column for line in cell) for column in zip(*split, strict=True)]
    lines = []
    for row in split:
        for i in range(max(map(len, row))):
            parts = (cell[i] if i < len(cell) else "" for cell in row)
            lines.append("  ".join(part.ljust(width) for part, width in zip(parts, widths, strict=True)).rstrip())
    return "\n".join(lines)


def _html_table(cells: list[list[str]], header: bool = False) -> str:
    """The same, in the colours of the reader's JupyterLab theme; elsewhere in those of the page."""
    line = "border-bottom:1px solid var(--jp-border-color2, #bbb)"
    style = f"padding:4px 12px 4px 0; text-align:left; vertical-align:top; white-space:nowrap; {line}"
    rows = []
    for i, row in enumerate(cells):
        tag = "th" if header and i == 0 else "td"
        rows.append("".join(f'<{tag} style="{style}">{_html_cell(cell)}</{tag}>' for cell in row))
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<table style="border-collapse:collapse; color:var(--jp-ui-font-color1, inherit)">{body}</table>'


def _html_cell(cell: str) -> str:
    first, *others = html.escape(cell).split("\n")
    return first + "".join(f'<br><span style="opacity:0.7">{line}</span>' for line in others)
