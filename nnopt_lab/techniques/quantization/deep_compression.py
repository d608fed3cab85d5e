"""Deep Compression: prune, let the weights that are left share a few values, code what remains, in a real file.

A pruned layer needs three things: which positions are left, which value each of them has, and the few values. The
positions become gaps, the values numbers of clusters; both are Huffman coded, layer by layer.

Source: Han, Mao & Dally 2016, "Deep Compression: Compressing Deep Neural Networks with Pruning, Trained Quantization
and Huffman Coding". Pruning is `nnopt_lab.techniques.pruning`; `training.fit` trains what is shared.
"""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from nnopt_lab.techniques import pruning
from nnopt_lab.techniques.quantization import huffman

MAGIC = b"NNDC1"
PARTS = ("header", "biases", "code books", "Huffman tables", "positions", "values")
WEIGHT_HEADER = "BHIIII"  # bits of a gap, code book, gaps and weights coded, bytes of both
ROUNDS = 1000  # of k-means; it stands still long before


def kmeans(values: Tensor, clusters: int, *, init: str = "linear", seed: int = 0) -> tuple[Tensor, Tensor]:
    """Lloyd's k-means on a line: (centroids float32 [k], ascending; number of each value's cluster int64 [N]).

    Each value belongs to the nearest centroid, each centroid is the mean of its values, and empty clusters are
    dropped. On a line, clusters meet half way between their centroids, so that bisection finds a value's cluster.

    Args:
        values: float [N].
        clusters: at least 1.
        init: where the centroids start (section 3.2 of the paper): "linear" → evenly spaced from the smallest to the
            largest value; "density" → each with as many values; "random" → values drawn by lot.
        seed: of "random".

    Raises:
        ValueError: an argument is out of its range, or a value is NaN or infinite.
    """
    if clusters < 1:
        raise ValueError(f"clusters={clusters} must be at least 1.")
    if values.dim() != 1 or not values.is_floating_point():
        raise ValueError(f"values is {values.dtype} {list(values.shape)}; it must be float [N].")
    if not values.isfinite().all():
        raise ValueError("values holds numbers that are NaN or infinite; they have no nearest centroid.")
    exact, labels = values.detach().double(), None
    centroids = _start(exact, clusters, init, seed)
    for _ in range(ROUNDS):
        before, labels = labels, torch.bucketize(exact, (centroids[1:] + centroids[:-1]) / 2, right=True)
        if before is not None and torch.equal(before, labels):
            break
        sizes = labels.bincount(minlength=len(centroids))
        means = labels.bincount(exact, minlength=len(centroids)) / sizes
        centroids = torch.where(sizes > 0, means, centroids)
    used, labels = labels.unique(return_inverse=True)
    return centroids[used].float(), labels


class SharedWeight(nn.Module):
    """A layer's weight as a table lookup, for `torch.nn.utils.parametrize`: what is trained is the [k] centroids.

    The gradient of a centroid is the sum of the gradients of all weights that share it (eq. 3 of the paper): that is
    what differentiating the lookup gives. A weight that is zero stays zero.

    Args:
        weight: float32, zeros where it is pruned.
        clusters, init, seed: as in `kmeans`, over the weights that are not zero.

    Attributes:
        labels: int64, the weight's shape: −1 where it is pruned, else the number of its centroid.
    """

    def __init__(self, weight: Tensor, clusters: int, *, init: str = "linear", seed: int = 0):
        super().__init__()
        weight = weight.detach()
        centroids, labels = kmeans(weight[weight != 0], clusters, init=init, seed=seed)
        self.clusters = len(centroids)
        self.register_buffer("labels", torch.full_like(weight, -1, dtype=torch.int64))
        self.labels[weight != 0] = labels

    def forward(self, centroids: Tensor) -> Tensor:
        """float32 [k] → the weight."""
        table = torch.cat([centroids.new_zeros(1), centroids])
        # Where algorithms must be deterministic, as in the loop, table[…] is many times slower backwards.
        return table.index_select(0, self.labels.flatten() + 1).reshape(self.labels.shape)

    def right_inverse(self, weight: Tensor) -> Tensor:
        """A weight → the mean of each cluster's weights [k]."""
        labels, places = self.labels.flatten() + 1, self.clusters + 1
        sums = labels.bincount(weight.flatten().double(), minlength=places)
        return (sums / labels.bincount(minlength=places))[1:].float()


def share_weights(model: nn.Module, bits: int | dict[str, int], *, init: str = "linear", seed: int = 0) -> nn.Module:
    """Let the weights of each convolution and linear layer share 2^bits values, in place; returns the model.

    Pruning masks are made permanent, and zeros stay zeros. Afterwards the model's parameters are centroids and
    biases, to be trained as any others. `make_permanent` ends it.

    Args:
        bits: 1 to 8, one number, or one for each prunable layer by name.
        init, seed: as in `kmeans`.

    Raises:
        ValueError: `bits` is out of its range or does not name the layers, a weight is NaN or infinite, or shared.
    """
    layers = pruning.prunable(model)
    bits = bits if isinstance(bits, dict) else dict.fromkeys(layers, bits)
    if bits.keys() != layers.keys() or not all(b in range(1, 9) for b in bits.values()):
        raise ValueError(f"bits={bits} must be 1 to 8, for all of the layers {', '.join(layers)}.")
    for name, layer in layers.items():
        if parametrize.is_parametrized(layer, "weight"):
            raise ValueError(f"model shares the weights of {name} already; call make_permanent first.")
    pruning.make_permanent(model)
    lookups = {n: SharedWeight(layer.weight, 2 ** bits[n], init=init, seed=seed) for n, layer in layers.items()}
    for name, lookup in lookups.items():
        parametrize.register_parametrization(layers[name], "weight", lookup)
    return model


@torch.no_grad()
def make_permanent(model: nn.Module) -> nn.Module:
    """Write masks and shared values into ordinary parameters, in place, and round all parameters to float16's numbers.

    They stay float32 tensors; a number too large for float16 keeps its value. What comes out is what `save` stores.
    """
    for layer in pruning.prunable(pruning.make_permanent(model)).values():
        if parametrize.is_parametrized(layer, "weight"):
            # torch changes the class that it made for the layer, and copies of the layer share it.
            layer.__class__ = type(type(layer).__name__, type(layer).__bases__, dict(vars(type(layer))))
            parametrize.remove_parametrizations(layer, "weight")
    for parameter in model.parameters():
        rounded = parameter.half().to(parameter.dtype)
        parameter.copy_(torch.where(rounded.isinf(), parameter, rounded))
    return model


def save(model: nn.Module, path: Path | str) -> dict[str, int]:
    """Write `model` to a file that `load` reads back to the same numbers (a −0 comes back as 0).

    Args:
        model: float32, with at most 256 different nonzero values in the weight of each convolution and linear layer.
            Numbers that float16 holds take two bytes in code books and biases, others four.

    Returns:
        Bytes by part, which add up to the file: "header" (magic, shapes, checksum), "biases" (and buffers), "code
        books", "Huffman tables", "positions", "values".

    Raises:
        ValueError: a weight has too many values, is not finite, not float32, or still under a mask or shared.
    """
    _check_plain(model)
    coded, chunks = _coded(model), [("header", MAGIC)]
    for name, tensor in sorted(model.state_dict().items()):
        values = tensor.detach().cpu().numpy().ravel()
        chunks.append(("header", struct.pack(f"<?B{tensor.dim()}I", name in coded, tensor.dim(), *tensor.shape)))
        chunks += _weight_chunks(name, values) if name in coded else [("biases", _array_bytes(values))]
    body = b"".join(chunk for _, chunk in chunks)
    chunks.append(("header", struct.pack("<I", zlib.crc32(body))))
    Path(path).write_bytes(body + chunks[-1][1])
    return {part: sum(len(chunk) for kind, chunk in chunks if kind == part) for part in PARTS}


def load(path: Path | str, model: nn.Module) -> nn.Module:
    """Read what `save` wrote into `model`, in place, a float32 network of the same layers; returns it.

    Raises:
        ValueError: the file is damaged, not one of `save`'s, or of another network; `model` is as it was then.
    """
    _check_plain(model)
    raw = Path(path).read_bytes()
    if raw[: len(MAGIC)] != MAGIC:
        raise ValueError(f"{path} is not a file of deep_compression.save.")
    if zlib.crc32(raw[:-4]) != int.from_bytes(raw[-4:], "little"):
        raise ValueError(f"{path} is damaged or cut short: its checksum differs.")
    file, coded, state = io.BytesIO(raw[len(MAGIC) : -4]), _coded(model), {}
    try:
        for name, tensor in sorted(model.state_dict().items()):
            is_coded, dimensions = _take(file, "?B")
            if (is_coded, _take(file, f"{dimensions}I")) != (name in coded, tuple(tensor.shape)):
                raise ValueError(f"{name} is not as in this model")
            values = (_read_weight if is_coded else _read_array)(file, tensor.numel())
            state[name] = torch.from_numpy(values).reshape(tensor.shape).to(tensor.dtype)
        if file.read(1):
            raise ValueError("it has more tensors than this model")
    except (ValueError, IndexError, TypeError, struct.error) as error:
        raise ValueError(f"{path} holds another network ({error}).") from error
    model.load_state_dict(state)
    return model


def gap_symbols(kept: np.ndarray, longest: int) -> np.ndarray:
    """Positions as the numbers of skipped ones before each (section 2 of the paper): int64, each 0 to `longest`.

    The symbol `longest` means: so many are skipped, and no weight follows yet. The paper puts a weight of zero there;
    this saves coding it.

    `kept` are ascending positions [N]; `longest` is at least 1.
    """
    skips, rests = np.divmod(np.diff(kept, prepend=-1) - 1, longest)
    symbols = np.full(len(kept) + skips.sum(), longest, dtype=np.int64)
    symbols[np.cumsum(skips + 1) - 1] = rests
    return symbols


def kept_positions(symbols: np.ndarray, longest: int) -> np.ndarray:
    """What `gap_symbols` was made of: ascending positions, int64 [N]."""
    is_weight = symbols != longest
    return (np.cumsum(symbols + is_weight) - 1)[is_weight]


def _weight_chunks(name: str, values: np.ndarray) -> list[tuple[str, bytes]]:
    kept = np.flatnonzero(values)
    book, labels = np.unique(values[kept], return_inverse=True)
    if not np.isfinite(book).all():
        raise ValueError(f"model has weights in {name} that are NaN or infinite.")
    if len(book) > 256:
        raise ValueError(f"model has {len(book)} different weights in {name}; a code book holds 256: share_weights.")
    # A short longest gap cuts long gaps in pieces, a long one makes the table long: each layer has its own best.
    coded = {bits: _coded_symbols(gap_symbols(kept, 2**bits - 1), 2**bits) for bits in range(1, 9)}
    bits = min(coded, key=lambda b: len(coded[b][0]) + len(coded[b][1]))
    gap_table, gaps, gap_count = coded[bits]
    label_table, stream, count = _coded_symbols(labels, len(book))
    return [
        ("header", struct.pack("<" + WEIGHT_HEADER, bits, len(book), gap_count, count, len(gaps), len(stream))),
        ("code books", _array_bytes(book)),
        ("Huffman tables", gap_table + label_table),
        ("positions", gaps),
        ("values", stream),
    ]


def _read_weight(file: io.BytesIO, size: int) -> np.ndarray:
    bits, book_size, gap_count, count, gap_bytes, label_bytes = _take(file, WEIGHT_HEADER)
    book = _read_array(file, book_size)
    gap_table, label_table = (np.frombuffer(file.read(n), dtype=np.uint8) for n in (2**bits, book_size))
    gaps = huffman.decode(file.read(gap_bytes), gap_count, gap_table)
    labels = huffman.decode(file.read(label_bytes), count, label_table)
    values = np.zeros(size, dtype=np.float32)
    values[kept_positions(gaps, 2**bits - 1)] = book[labels]
    return values


def _coded_symbols(symbols: np.ndarray, alphabet: int) -> tuple[bytes, bytes, int]:
    """The code's lengths, a byte each, the coded symbols, and how many they are."""
    lengths = huffman.code_lengths(np.bincount(symbols, minlength=alphabet))
    return lengths.astype(np.uint8).tobytes(), huffman.encode(symbols, lengths), len(symbols)


def _array_bytes(values: np.ndarray) -> bytes:
    """numpy's letter of the dtype, then the numbers: float32 as float16 where that changes nothing."""
    if values.dtype == np.float32:
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        values = half if np.array_equal(half.astype(np.float32), values) else values
    return values.dtype.char.encode() + values.tobytes()


def _read_array(file: io.BytesIO, size: int) -> np.ndarray:
    dtype = np.dtype(file.read(1).decode())
    values = np.frombuffer(file.read(size * dtype.itemsize), dtype=dtype)
    return values.astype(np.float32 if dtype == np.float16 else dtype)


def _take(file: io.BytesIO, form: str) -> tuple:
    return struct.unpack(f"<{form}", file.read(struct.calcsize(f"<{form}")))


def _coded(model: nn.Module) -> set[str]:
    return {f"{name}.weight" for name in pruning.prunable(model)}


def _check_plain(model: nn.Module) -> None:
    hidden = _coded(model) - model.state_dict().keys()
    if hidden:
        raise ValueError(f"model has weights under masks or shared: {', '.join(sorted(hidden))}. Call make_permanent.")
    for name, tensor in sorted(model.state_dict().items()):
        if tensor.is_floating_point() and tensor.dtype != torch.float32:
            raise ValueError(f"model has {name} in {tensor.dtype}; it must be float32.")


def _start(values: Tensor, clusters: int, init: str, seed: int) -> Tensor:
    if init not in ("linear", "density", "random"):
        raise ValueError(f"init={init!r} must be 'linear', 'density' or 'random'.")
    if len(values) == 0:
        return values
    if init == "linear":
        return torch.linspace(float(values.min()), float(values.max()), clusters).to(values)
    lots = torch.randperm(len(values), generator=torch.Generator().manual_seed(seed))[:clusters].sort().values
    evenly = ((torch.arange(clusters) + 0.5) / clusters * len(values)).long()
    return values.sort().values[(lots if init == "random" else evenly).to(values.device)]
