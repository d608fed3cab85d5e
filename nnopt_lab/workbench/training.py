"""One training loop for every lesson.

A technique changes what goes into the loop (the model, the loss, the optimizer, the schedule, the batches), never the
loop itself. Two runs with the same seed on the same machine give the same weights, bit for bit.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from torch.utils._pytree import tree_map

from nnopt_lab.workbench import data, smoke
from nnopt_lab.workbench.measure.modes import inference
from nnopt_lab.workbench.progress_bar import progress_bar


@dataclass
class History:
    """Record of a training run; lists have one entry per epoch, accuracies are in percent.

    `interrupted` is True where Ctrl-C (in a notebook: the stop button) ended the run early.
    """

    train_loss: list[float] = field(default_factory=list)
    train_accuracy: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    images_per_second: list[float] = field(default_factory=list)
    interrupted: bool = False

    def __repr__(self) -> str:
        if not self.train_loss:
            return "History(no epoch was finished)"
        return (
            f"History({len(self.train_loss)} epochs in {sum(self.seconds):.1f} s, training loss "
            f"{self.train_loss[-1]:.3f}, validation accuracy {self.validation_accuracy[-1]:.1f} %)"
        )


@dataclass(frozen=True)
class Evaluation:
    """Result on one split: mean loss, accuracy in percent, and which pictures were right (bool [N])."""

    loss: float
    accuracy: float
    correct: Tensor


def fit(
    model: nn.Module,
    pictures: data.ImageSet,
    *,
    epochs: float = 8,
    batch_size: int = 64,
    optimizer: Optimizer | Callable[[Iterable[nn.Parameter]], Optimizer] | None = None,
    scheduler: Callable[[Optimizer], LRScheduler] | None = None,
    schedule_per: str = "batch",
    loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    batches: Iterable[list[int]] | None = None,
    augment: Callable[[Tensor], Tensor] | None = None,
    train: data.Split | None = None,
    loader: Iterable[tuple[Tensor, Tensor]] | None = None,
    seed: int = 0,
    device: torch.device | str | None = None,
    description: str = "training",
) -> History:
    """Train `model` in place on the training split and watch the validation split; the test split is not touched.

    Args:
        model: gets float32 [B, 3, 32, 32] and gives logits [B, classes]; left in evaluation mode, on the device where
            it was before: networks that are then compared stand side by side.
        pictures: from `data.load`, or another `data.ImageSet`.
        epochs: passes over the training pictures, at least 0 (then nothing is trained).
        batch_size: pictures per step; not used where `batches` or `loader` is given.
        optimizer: an optimizer over the model's parameters, or a function parameters → optimizer.
            SGD with learning rate 0.01 and momentum 0.9 (the article's) where it is None.
        scheduler: a function optimizer → scheduler.
        schedule_per: "batch" or "epoch": when the scheduler steps. ReduceLROnPlateau always steps once per epoch, with
            the validation loss.
        loss: function (logits, labels) → scalar; cross-entropy where it is None.
        batches: a batch sampler, iterated once per epoch: yields lists of positions.
        augment: function uint8 images → uint8 images.
        train: another training split than the set's own (a part of it, say).
        loader: (input, target) batches to use instead of all of these, iterated once per epoch. Where the model has
            batch norm, a batch of a single sample joins the one before it.
        seed: of the order of the pictures, dropout and whatever else is random in the loop. Seed the model's
            initial weights yourself, before you make it.
        device: the accelerator if there is one, else the CPU.

    Returns:
        The history. Ctrl-C ends the run after the current step, keeps the weights and the history so far, and does
        not raise.

    Raises:
        ValueError: an argument is out of its range, the optimizer holds other tensors instead of the model's
            parameters, or only frozen ones, the model returns something else than a tensor, a batch is too small for a
            batch norm, or the loss became NaN or infinite.
    """
    if epochs < 0 or int(epochs) != epochs:
        raise ValueError(f"epochs={epochs} must be an integer, at least 0.")
    if schedule_per not in ("batch", "epoch"):
        raise ValueError(f"schedule_per={schedule_per!r} must be 'batch' or 'epoch'.")
    device = torch.device(device) if device is not None else best_device()
    home = device_of(model)
    model.to(device)
    optimizer = _optimizer_of(model, optimizer)
    if epochs:
        require_trainable(optimizer)
    schedule = scheduler(optimizer) if scheduler else None
    if loader is None:
        loader = data.loader(
            train or pictures.train, pictures, batch_size, shuffle=True, seed=seed, batches=batches, augment=augment
        )
    loss = loss or nn.functional.cross_entropy
    history = History()
    with reproducible(seed), progress_bar(total=int(epochs), desc=description, unit="epoch") as bar:
        try:
            for _ in range(int(epochs)):
                _epoch(
                    model, loader, optimizer, schedule if schedule_per == "batch" else None, loss, device, history, bar
                )
                seen = evaluate(model, pictures.validation, pictures, device=device)
                history.validation_loss.append(seen.loss)
                history.validation_accuracy.append(seen.accuracy)
                _step_after_epoch(schedule, schedule_per, seen.loss)
                bar.update()
        except KeyboardInterrupt:
            history.interrupted = True
            _drop_unfinished_epoch(history)
        finally:
            model.to(home).eval()
    return history


def evaluate(
    model: nn.Module, split: data.Split, pictures: data.ImageSet, *, batch_size: int = 500, device=None
) -> Evaluation:
    """Loss and accuracy of `model` on a split, in evaluation mode, without gradients; the model's mode is restored."""
    device = torch.device(device) if device is not None else device_of(model)
    seen, total, correct = smoke.few(split), 0.0, []
    with inference(model):
        for inputs, labels in data.loader(seen, pictures, batch_size):
            logits, labels = logits_of(model, inputs.to(device)), labels.to(device)
            total += nn.functional.cross_entropy(logits, labels, reduction="sum").item()
            correct.append((logits.argmax(1) == labels).cpu())
    correct = torch.cat(correct).clone()  # made outside inference mode, so that autograd may meet it
    accuracy = 100 * correct.float().mean().item()
    return Evaluation(total / len(seen), accuracy, smoke.repeat_rows(correct, len(split)))


def best_device() -> torch.device:
    """The accelerator that torch finds (CUDA, MPS, …), else the CPU."""
    return torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")


def device_of(model: nn.Module) -> torch.device:
    """Device of a model's parameters; the CPU where it has none."""
    return next((p.device for p in model.parameters()), torch.device("cpu"))


@contextmanager
def reproducible(seed: int):
    """Seeds torch and asks for deterministic algorithms inside the block; both are as they were after it."""
    before, warn_only = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    accelerators = range(torch.accelerator.device_count()) if torch.cuda.is_available() else ()
    with torch.random.fork_rng(devices=accelerators):
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before, warn_only=warn_only)


def require_trainable(optimizer: Optimizer) -> None:
    """Raise a ValueError where all parameters of an optimizer are frozen: there would be nothing to train."""
    if not any(p.requires_grad for group in optimizer.param_groups for p in group["params"]):
        raise ValueError("All parameters that are to be trained are frozen: call model.requires_grad_(True) first.")


def _optimizer_of(model: nn.Module, optimizer) -> Optimizer:
    if optimizer is None:
        return torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    if not isinstance(optimizer, Optimizer):
        optimizer = optimizer(model.parameters())
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    mine = {id(p) for p in model.parameters()}
    left_out = {id(p) for p in model.parameters() if p.requires_grad} - held
    # A part of the model may be trained, and more than the model; other tensors in its stead are a mistake.
    if not held & mine or (held - mine and left_out):
        raise ValueError(
            f"optimizer holds {len(held - mine)} tensors that are not the model's parameters, and not {len(left_out)} "
            "that are: make it after the last change to the model (made earlier, it keeps stepping the old ones)."
        )
    return optimizer


def _epoch(model, loader, optimizer, schedule, loss, device, history: History, bar) -> None:
    model.train()
    started, total, right, count = time.perf_counter(), 0.0, 0, 0
    history.learning_rate.append(optimizer.param_groups[0]["lr"])
    for inputs, targets in _without_single_sample(loader, model):
        inputs, targets = inputs.to(device, non_blocking=True), _to(targets, device)
        optimizer.zero_grad(set_to_none=True)
        logits = logits_of(model, inputs)
        value = loss(logits, targets)
        value.backward()
        optimizer.step()
        if schedule is not None and not isinstance(schedule, ReduceLROnPlateau):
            schedule.step()
        total += value.item() * len(inputs)
        count += len(inputs)
        right += _count_right(logits, targets)
        bar.set_postfix_str(
            f"loss {total / count:.3f}, accuracy {100 * right / count:.1f} %, "
            f"{count / (time.perf_counter() - started):,.0f} images/s",
            refresh=False,
        )
        bar.update(0)
        if not math.isfinite(total):
            raise ValueError(
                f"The loss became {value.item()} at learning rate {history.learning_rate[-1]:g}: lower it."
            )
    seconds = time.perf_counter() - started
    history.train_loss.append(total / count)
    history.train_accuracy.append(100 * right / count)
    history.seconds.append(seconds)
    history.images_per_second.append(count / seconds)


def _without_single_sample(loader: Iterable, model: nn.Module) -> Iterator[tuple[Tensor, object]]:
    """The loader's batches; where the model has batch norm, a batch of one sample joins its larger neighbour."""
    batches = smoke.few_batches(loader)
    before = None
    if any(isinstance(layer, _BatchNorm) and layer.training for layer in model.modules()):
        before = next(batches, None)
    for batch in batches:
        if before is None:
            yield batch
        elif (len(before[0]) == 1) != (len(batch[0]) == 1) and before[0].shape[1:] == batch[0].shape[1:]:
            before = tree_map(lambda *parts: torch.cat(parts), tuple(before), tuple(batch))
        else:
            yield before
            before = batch
    if before is not None:
        yield before


def logits_of(model: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
    """`model(inputs)`, which must be one tensor.

    Raises:
        ValueError: it is a tuple, a dict or anything else, or a batch norm in training mode got one value per channel.
    """
    try:
        logits = model(inputs)
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise ValueError(
            f"A batch of {len(inputs)} leaves a batch norm one value per channel, which has no variance: "
            "batches must hold 2 samples or more."
        ) from error
    if not isinstance(logits, Tensor):
        raise ValueError(
            f"{type(model).__name__} returns a {type(logits).__name__}; it must return one tensor, the logits."
        )
    return logits


def _count_right(logits: Tensor, targets) -> int:
    labels = targets[0] if isinstance(targets, (tuple, list)) else targets
    return (logits.argmax(1) == labels).sum().item()


def _to(targets, device):
    if isinstance(targets, (tuple, list)):
        return type(targets)(t.to(device, non_blocking=True) for t in targets)
    return targets.to(device, non_blocking=True)


def _step_after_epoch(schedule, schedule_per: str, validation_loss: float) -> None:
    if isinstance(schedule, ReduceLROnPlateau):
        schedule.step(validation_loss)
    elif schedule is not None and schedule_per == "epoch":
        schedule.step()


def _drop_unfinished_epoch(history: History) -> None:
    whole = len(history.validation_accuracy)
    for values in vars(history).values():
        if isinstance(values, list):
            del values[whole:]
