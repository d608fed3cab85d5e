"""Write a pruned network with shared weights to a file, and read it back.

Each layer's weight is stored in three parts: the positions of the remaining weights, the index of each one's value, and
the table of values. Positions become gaps; gaps and indices are Huffman coded layer by layer. A tensor that is tied to
an earlier one is stored as that one's number.
"""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from nnopt_lab.techniques import pruning
from nnopt_lab.techniques.network_checks import require_plain
from nnopt_lab.techniques.quantization.deep_compression import huffman
from nnopt_lab.techniques.quantization.deep_compression.gaps import gap_symbols, kept_positions
from nnopt_lab.techniques.quantization.deep_compression.weight_sharing import is_shared

MAGIC = b"NNDC1"
PLAIN, CODED, TIED = range(3)  # how a tensor is stored
PARTS = ("header", "biases", "code books", "Huffman tables", "positions", "values")
# One byte each. Older files use numpy's own letters, whose "l" has 4 bytes on Windows and 8 elsewhere.
CODES = {
    "e": "<f2", "f": "<f4", "d": "<f8", "b": "<i1", "B": "<u1", "h": "<i2", "H": "<u2", "i": "<i4", "I": "<u4",
    "q": "<i8", "Q": "<u8", "?": "|b1", "F": "<c8", "D": "<c16",
}  # fmt: skip
WEIGHT_HEADER = "BHIIII"  # bits of a gap, code book, gaps and weights coded, bytes of both


def save(model: nn.Module, path: Path | str) -> dict[str, int]:
    """Write `model` to a file from which `load` reads the same numbers (except that −0 becomes 0).

    Args:
        model: float32, with at most 256 different nonzero values in the weight of each convolution and linear layer.
            In code books and biases, numbers that float16 can represent take two bytes, others four.
        path: of the file; an existing one is overwritten.

    Returns:
        Bytes by part, which sum to the file's size: "header" (magic, shapes, checksum), "biases" (and buffers), "code
        books", "Huffman tables", "positions", "values".

    Raises:
        ValueError: a weight has too many values, is not finite, not float32, or still computed from others (masked,
            shared, under a weight norm).
    """
    _check_plain(model)
    kinds, chunks = _kinds(model), [("header", MAGIC)]
    for name, tensor in sorted(model.state_dict().items()):
        kind, first = kinds[name]
        chunks.append(("header", struct.pack(f"<BB{tensor.dim()}I", kind, tensor.dim(), *tensor.shape)))
        values = tensor.detach().cpu().numpy().ravel()
        if kind == TIED:
            chunks.append(("header", struct.pack("<I", first)))
        else:
            chunks += _weight_chunks(name, values) if kind == CODED else [("biases", _array_bytes(values))]
    body = b"".join(chunk for _, chunk in chunks)
    chunks.append(("header", struct.pack("<I", zlib.crc32(body))))
    Path(path).write_bytes(body + chunks[-1][1])
    return {part: sum(len(chunk) for kind, chunk in chunks if kind == part) for part in PARTS}


def load(path: Path | str, model: nn.Module) -> nn.Module:
    """Load a file of `save` into `model`, in place; returns the model.

    Args:
        path: of the file.
        model: a float32 network with the same layers, tied in the same places.

    Raises:
        ValueError: the file is damaged, not written by `save`, or of another network; `model` is unchanged then.
    """
    _check_plain(model)
    raw = Path(path).read_bytes()
    if raw[: len(MAGIC)] != MAGIC:
        raise ValueError(f"{path} is not a file of deep_compression.save.")
    if zlib.crc32(raw[:-4]) != int.from_bytes(raw[-4:], "little"):
        raise ValueError(f"{path} is damaged or cut short: its checksum differs.")
    file, kinds, state = io.BytesIO(raw[len(MAGIC) : -4]), _kinds(model), {}
    names = sorted(model.state_dict())
    try:
        for name, tensor in sorted(model.state_dict().items()):
            kind, dimensions = _take(file, "BB")
            first = kinds[name][1]
            same = (kind, _take(file, f"{dimensions}I")) == (kinds[name][0], tuple(tensor.shape))
            if not same or (kind == TIED and _take(file, "I") != (first,)):
                raise ValueError(f"{name} differs from this model's")
            if kind == TIED:
                state[name] = state[names[first]]
                continue
            values = (
                _read_weight(file, tensor.numel()) if kind == CODED else _read_array(file, tensor.numel(), tensor.dtype)
            )
            state[name] = torch.from_numpy(values).reshape(tensor.shape).to(tensor.dtype)
        if file.read(1):
            raise ValueError("it has more tensors than this model")
    except (ValueError, IndexError, TypeError, struct.error) as error:
        raise ValueError(f"{path} contains another network ({error}).") from error
    model.load_state_dict(state)
    return model


def _weight_chunks(name: str, values: np.ndarray) -> list[tuple[str, bytes]]:
    kept = np.flatnonzero(values)
    book, labels = np.unique(values[kept], return_inverse=True)
    if not np.isfinite(book).all():
        raise ValueError(f"model has weights in {name} that are NaN or infinite.")
    if len(book) > 256:
        raise ValueError(
            f"model has {len(book)} different weights in {name}; a code book has at most 256: call share_weights first."
        )
    # A small limit splits long gaps, a large one makes the table long: the best number of bits depends on the layer.
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
    if not 1 <= bits <= 8:
        raise ValueError(f"gaps of {bits} bits; they have 1 to 8")
    book = _read_array(file, book_size)
    gap_table, label_table = (np.frombuffer(file.read(n), dtype=np.uint8) for n in (2**bits, book_size))
    gaps = huffman.decode(file.read(gap_bytes), gap_count, gap_table)
    labels = huffman.decode(file.read(label_bytes), count, label_table)
    values = np.zeros(size, dtype=np.float32)
    values[kept_positions(gaps, 2**bits - 1)] = book[labels]
    return values


def _coded_symbols(symbols: np.ndarray, alphabet: int) -> tuple[bytes, bytes, int]:
    """The code lengths, one byte each, the coded symbols, and their number."""
    lengths = huffman.code_lengths(np.bincount(symbols, minlength=alphabet))
    return lengths.astype(np.uint8).tobytes(), huffman.encode(symbols, lengths), len(symbols)


def _array_bytes(values: np.ndarray) -> bytes:
    """The code of the dtype, then the numbers; float32 becomes float16 if that changes nothing."""
    if values.dtype == np.float32:
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        values = half if np.array_equal(half.astype(np.float32), values) else values
    code = next(code for code, dtype in CODES.items() if np.dtype(dtype) == values.dtype)
    return code.encode() + values.astype(CODES[code]).tobytes()


def _read_array(file: io.BytesIO, size: int, wanted: torch.dtype = torch.float32) -> np.ndarray:
    code = file.read(1).decode()
    if code in ("l", "L"):  # older files: 8 bytes, but 4 if written on Windows
        signed, narrow = code == "l", wanted in (torch.int32, torch.uint32)
        code = ("i" if narrow else "q") if signed else ("I" if narrow else "Q")
    if code not in CODES:
        raise ValueError(f"{code!r} is not a number type")
    dtype = np.dtype(CODES[code])
    values = np.frombuffer(file.read(size * dtype.itemsize), dtype=dtype)
    return values.astype(np.float32 if dtype == np.float16 else dtype.newbyteorder("="))


def _take(file: io.BytesIO, form: str) -> tuple:
    return struct.unpack(f"<{form}", file.read(struct.calcsize(f"<{form}")))


def _kinds(model: nn.Module) -> dict[str, tuple[int, int]]:
    """How each tensor of the state is stored, and for tied ones the number of the first of them in the file."""
    state = dict(sorted(model.state_dict().items()))
    layers = {f"{name}.weight".lstrip(".") for name in pruning.prunable(model)}
    together: dict[object, list[str]] = {}
    for name, tensor in state.items():
        same = (tensor.data_ptr(), tensor.shape, tensor.stride()) if tensor.numel() else name
        together.setdefault(same, []).append(name)
    kinds = {}
    for names in together.values():
        kinds |= dict.fromkeys(names, (TIED, list(state).index(names[0])))
        kinds[names[0]] = CODED if layers.intersection(names) else PLAIN, 0
    return kinds


def _check_plain(model: nn.Module) -> None:
    layers = pruning.prunable(model).items()
    hidden = [f"{name}.weight" for name, layer in layers if hasattr(layer, "weight_mask") or is_shared(layer)]
    if hidden:
        raise ValueError(f"model has masked or shared weights, {', '.join(sorted(hidden))}: call make_permanent first.")
    require_plain(model)
    known = {np.dtype(code) for code in CODES.values()}
    for name, tensor in sorted(model.state_dict().items()):
        if not isinstance(tensor, Tensor):
            raise ValueError(f"model has {name}, a {type(tensor).__name__}; only tensors can be written.")
        if tensor.is_floating_point() and tensor.dtype != torch.float32:
            raise ValueError(f"model has {name} in {tensor.dtype}; it must be float32.")
        if torch.empty(0, dtype=tensor.dtype).numpy().dtype not in known:
            raise ValueError(f"model has {name} in {tensor.dtype}, which the file format doesn't support.")
