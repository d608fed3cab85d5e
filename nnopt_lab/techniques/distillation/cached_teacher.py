"""Batches with a teacher's logits, computed once and cached in a file.

Source: Beyer et al. 2022, "Knowledge Distillation: A Good Teacher Is Patient and Consistent",
https://arxiv.org/abs/2106.05237 (student and teacher must see the same view).
"""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from nnopt_lab.workbench import data, smoke, training
from nnopt_lab.workbench.fingerprints import fingerprint
from nnopt_lab.workbench.measure.modes import inference
from nnopt_lab.workbench.progress_bar import progress_bar
from nnopt_lab.workbench.training.evaluation import fitting_batch


def views(split: data.Split, augment: Callable[[Tensor], Tensor], count: int) -> data.Split:
    """Augment each picture of a split `count` times: a fixed set of views, whose logits the teacher can cache.

    Args:
        split: N pictures and labels.
        augment: a function uint8 [N, C, H, W] → uint8 [N, C, H, W].
        count: views per picture, at least 1.

    Returns:
        A split of count · N views.
    """
    return data.Split(torch.cat([augment(split.images) for _ in range(count)]), split.labels.repeat(count))


def cached_teacher_loader(
    teacher: nn.Module,
    split: data.Split,
    pictures: data.ImageSet,
    folder: Path,
    *,
    batch_size: int = 64,
    seed: int = 0,
) -> torch.utils.data.DataLoader:
    """Make a loader of batches (inputs, (labels, teacher's logits)) in random order; the teacher runs only once.

    Its logits, float32 [N, classes], are cached in a memory-mapped file in `folder`. The file's name is a hash of
    everything they depend on: the teacher's weights, buffers, attributes and code, the pictures and `to_input`. If any
    of these changes, so does the name, and the teacher runs again.

    Args:
        teacher: maps float32 [B, 3, 32, 32] to logits [B, classes].
        split: the pictures and labels to train on.
        pictures: the data set whose `to_input` transforms them.
        folder: created if missing.
        batch_size: at least 1.
        seed: of the order, which changes in every pass.

    Raises:
        ValueError: `batch_size` is below 1, or the teacher doesn't return a tensor.
    """
    logits = cached_logits(teacher, split, pictures, folder)
    batches = data.loader(split, pictures, batch_size, shuffle=True, seed=seed).sampler
    return torch.utils.data.DataLoader(_WithLogits(split, pictures, logits), sampler=batches, batch_size=None)


def cached_logits(teacher: nn.Module, split: data.Split, pictures: data.ImageSet, folder: Path) -> Tensor:
    """Compute or load the teacher's logits of a split in order: float32 [N, classes], memory-mapped from `folder`."""
    path = Path(folder, f"logits-{_fingerprint(teacher, split, pictures)}.npy")
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with inference(teacher), progress_bar(total=len(split), desc="running the teacher", unit="picture") as progress:
            said, batch = [], fitting_batch(split, pictures)
            for inputs, _ in data.loader(smoke.few(split, 1_000), pictures, batch):
                said.append(training.logits_of(teacher, inputs.to(training.device_of(teacher))).float().cpu())
                progress.update(len(inputs))
        unfinished = path.with_suffix(f".{os.getpid()}.tmp")
        with unfinished.open("wb") as file:  # gets its final name only when complete
            np.save(file, smoke.repeat_rows(torch.cat(said), len(split)).numpy())
        unfinished.replace(path)
    return torch.from_numpy(np.load(path, mmap_mode="c"))


class _WithLogits(torch.utils.data.Dataset):
    """A split with the teacher's logits beside its labels, read batch by batch."""

    def __init__(self, split: data.Split, pictures: data.ImageSet, logits: Tensor):
        self.batches, self.logits = data.Batches(split, pictures), logits

    def __len__(self) -> int:
        return len(self.logits)

    def __getitem__(self, positions: list[int]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        inputs, labels = self.batches[positions]
        return inputs, (labels, self.logits[positions])


def _fingerprint(teacher: nn.Module, split: data.Split, pictures: data.ImageSet) -> str:
    # The data set's other splits don't affect the logits; `to_input` does: its code, what it reads, and its output.
    fields = getattr(pictures, "__dict__", {})
    fields = {name: value for name, value in fields.items() if not isinstance(value, data.Split)}
    to_input, first = pictures.to_input, pictures.to_input(split.images[:1])
    if getattr(to_input, "__self__", None) is pictures:
        to_input = to_input.__func__
    return fingerprint(teacher, split.images, to_input, fields, first, smoke.on())
