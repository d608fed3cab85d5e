"""Count a network's parameters and the bytes of its file."""

import gzip
import tempfile
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from nnopt_lab.workbench import smoke


class Parameters(NamedTuple):
    total: int
    nonzero: int


def parameters(model: nn.Module) -> Parameters:
    """Count all parameters and the nonzero ones; a shared parameter counts once, a buffer does not count.

    If `torch.nn.utils.prune` masks a weight, its zeros are those of `weight_orig * weight_mask`.
    """
    others = {name for name, _ in model.named_buffers(remove_duplicate=False)}
    state = _effective_state(model).items()
    weights = [value for name, value in state if name not in others and isinstance(value, Tensor)]
    return Parameters(sum(w.numel() for w in weights), sum(int((w != 0).sum()) for w in weights))


def disk_bytes(model: nn.Module, compressed: bool = False, level: int = 9) -> int:
    """Measure the size of the model's file in bytes by writing its state dict to a temporary safetensors file.

    A shared tensor is written once, and a pruned weight as `weight_orig * weight_mask` without its mask. A zero takes
    as many bytes as any other number, unless the file is `compressed` with gzip, which replaces repetitions and then
    applies Huffman coding (RFC 1951, https://www.rfc-editor.org/rfc/rfc1951).

    Args:
        model: the model.
        compressed: whether to compress the file.
        level: of gzip, an integer from 1, the fastest, to 9, the smallest.

    Raises:
        ValueError: the level is out of range, or an entry of the state dict is not a tensor, which safetensors cannot
            store.
    """
    if isinstance(level, bool) or level not in range(1, 10):
        raise ValueError(f"level={level!r} must be an integer from 1 to 9.")
    state = _effective_state(model)
    for name, value in state.items():
        if not isinstance(value, Tensor):
            raise ValueError(f"model contains {name}, a {type(value).__name__}; only tensors can be written.")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.safetensors")
        save_file({name: value.detach().cpu().contiguous().clone() for name, value in state.items()}, path)
        if compressed:
            packed = path.with_suffix(".safetensors.gz")
            packed.write_bytes(gzip.compress(path.read_bytes(), compresslevel=smoke.cap(level, 6), mtime=0))
            path = packed
        return path.stat().st_size


def _effective_state(model: nn.Module) -> dict[str, Tensor]:
    """The state dict with pruning masks multiplied in, and a shared tensor under its first name only.

    Layers that share a weight have one mask each; the weight counts once if these masks are equal.
    """
    state, effective, seen = model.state_dict(keep_vars=True), {}, {}
    for name, value in state.items():
        stem, _, kind = name.rpartition("_")
        if kind == "mask" and f"{stem}_orig" in state:
            continue
        mask = state.get(f"{stem}_mask") if kind == "orig" else None
        masks = seen.setdefault(id(value), [])
        if not any(_same_mask(mask, other) for other in masks):
            masks.append(mask)
            effective[name if mask is None else stem] = value if mask is None else value * mask
    return effective


def _same_mask(a: Tensor | None, b: Tensor | None) -> bool:
    return a is b if a is None or b is None else torch.equal(a, b)
