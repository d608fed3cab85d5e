"""One training loop for every lesson.

A technique changes the loop's inputs (the model, the loss, the optimizer, the schedule, the batches), never the loop.
Two runs with the same seed on the same machine give the same weights, bit for bit.
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

    `interrupted` is True if Ctrl-C (in a notebook, the stop button) ended the run early.
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
            return "History(no epoch finished)"
        return (
            f"History({len(self.train_loss)} epochs in {sum(self.seconds):.1f} s, training loss "
            f"{self.train_loss[-1]:.3f}, validation accuracy {self.validation_accuracy[-1]:.1f} %)"
        )


@dataclass(frozen=True)
class Evaluation:
    """Result on one split: mean loss, accuracy in percent, and which pictures were classified correctly (bool [N])."""

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
    """Train `model` in place on the training split and evaluate it on the validation split after each epoch.

    The test split is never used.

    Args:
        model: maps float32 [B, 3, 32, 32] to logits float [B, classes]. It ends in evaluation mode on the device where
            it started, ready to be compared with other networks there.
        pictures: from `data.load`, or another `data.ImageSet`.
        epochs: passes over the training pictures, an integer of at least 0; 0 trains nothing.
        batch_size: pictures per step; unused if `batches` or `loader` is given.
        optimizer: an optimizer over the model's parameters, or a function parameters → optimizer; default SGD with
            learning rate 0.01 and momentum 0.9, as in the article.
        scheduler: a function optimizer → scheduler; default none.
        schedule_per: when the scheduler steps, "batch" or "epoch". ReduceLROnPlateau always steps once per epoch, with
            the validation loss.
        loss: a function (logits, labels) → scalar; default cross-entropy.
        batches: a batch sampler that yields lists of positions, iterated once per epoch.
        augment: a function uint8 [B, C, H, W] → uint8 [B, C, H, W].
        train: a training split to use instead of the data set's own, such as a part of it.
        loader: (inputs, targets) batches to use instead of all of these, iterated once per epoch. If the model has
            batch norm, a batch of a single sample joins the previous batch.
        seed: of the order of the pictures, dropout and everything else that is random in the loop. Initial weights
            are not included: call `torch.manual_seed` before you make the model.
        device: default the accelerator if there is one, else the CPU.
        description: the progress bar's title.

    Returns:
        The history. Ctrl-C ends the run after the current step without raising, and keeps the weights and the history
        so far.

    Raises:
        ValueError: an argument is out of its range; the optimizer has other tensors than the model's parameters, or
            only frozen ones; the model doesn't return a tensor; a batch is too small for batch norm; or the loss became
            NaN or infinite.
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
    """Compute the loss and accuracy of `model` on a split, in evaluation mode without gradients.

    The model's mode is restored afterwards.

    Args:
        model: maps float32 [B, 3, 32, 32] to logits float [B, classes].
        split: the pictures and labels to evaluate on.
        pictures: the data set whose `to_input` transforms them.
        batch_size: pictures per forward pass.
        device: default the model's device.

    Raises:
        ValueError: the model doesn't return a tensor.
    """
    device = torch.device(device) if device is not None else device_of(model)
    seen, total, correct = smoke.few(split), 0.0, []
    with inference(model):
        for inputs, labels in data.loader(seen, pictures, batch_size):
            logits, labels = logits_of(model, inputs.to(device)), labels.to(device)
            total += nn.functional.cross_entropy(logits, labels, reduction="sum").item()
            correct.append((logits.argmax(1) == labels).cpu())
    correct = torch.cat(correct).clone()  # outside inference mode, so that autograd can use it
    accuracy = 100 * correct.float().mean().item()
    return Evaluation(total / len(seen), accuracy, smoke.repeat_rows(correct, len(split)))


def best_device() -> torch.device:
    """The accelerator that torch finds (CUDA, MPS, …), else the CPU."""
    return torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")


def device_of(model: nn.Module) -> torch.device:
    """Device of a model's parameters; the CPU if it has none."""
    return next((p.device for p in model.parameters()), torch.device("cpu"))


@contextmanager
def reproducible(seed: int):
    """Seed torch and use deterministic algorithms inside the block; restore both settings after it."""
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
    """Raise a ValueError if all parameters of an optimizer are frozen, which leaves nothing to train."""
    if not any(p.requires_grad for group in optimizer.param_groups for p in group["params"]):
        raise ValueError("All of the optimizer's parameters are frozen: call model.requires_grad_(True) first.")


def _optimizer_of(model: nn.Module, optimizer) -> Optimizer:
    if optimizer is None:
        return torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    if not isinstance(optimizer, Optimizer):
        optimizer = optimizer(model.parameters())
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    mine = {id(p) for p in model.parameters()}
    left_out = {id(p) for p in model.parameters() if p.requires_grad} - held
    # Training a part of the model, or more than the model, is allowed; other tensors instead of its own are a mistake.
    if not held & mine or (held - mine and left_out):
        raise ValueError(
            f"optimizer contains {len(held - mine)} tensors that are not parameters of the model and lacks "
            f"{len(left_out)} that are: create it after the last change to the model, or it updates the old ones."
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
            f"{count / (time.perf_counter() - started):,.0f} pictures/s",
            refresh=False,
        )
        bar.update(0)
        if not math.isfinite(total):
            raise ValueError(
                f"The loss became {value.item()} at learning rate {history.learning_rate[-1]:g}: lower the rate."
            )
    seconds = time.perf_counter() - started
    history.train_loss.append(total / count)
    history.train_accuracy.append(100 * right / count)
    history.seconds.append(seconds)
    history.images_per_second.append(count / seconds)


def _without_single_sample(loader: Iterable, model: nn.Module) -> Iterator[tuple[Tensor, object]]:
    """Yield the loader's batches; if the model has batch norm, a batch of one sample joins its larger neighbour."""
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
    """Run the model and check that its output is one tensor.

    Raises:
        ValueError: the output is a tuple, a dict or anything else, or a batch norm in training mode got one value per
            channel.
    """
    try:
        logits = model(inputs)
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise ValueError(
            f"A batch of {len(inputs)} leaves batch norm a single value per channel, which has no variance: "
            "each batch must contain at least 2 samples."
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
