"""The training loop."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from nnopt_lab.workbench import data, smoke
from nnopt_lab.workbench import device as devices
from nnopt_lab.workbench.progress_bar import progress_bar
from nnopt_lab.workbench.training.evaluation import fitting_batch, judge
from nnopt_lab.workbench.training.feeding import Resident, Uploaded, groups, without_single_sample
from nnopt_lab.workbench.training.history import History, Tally
from nnopt_lab.workbench.training.optimizers import optimizer_of, require_trainable
from nnopt_lab.workbench.training.options import Options
from nnopt_lab.workbench.training.places import best_device, device_of
from nnopt_lab.workbench.training.seeds import reproducible
from nnopt_lab.workbench.training.steps import Batch


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
    resident: bool = False,
    accumulate: int = 1,
    bf16: bool = False,
    fused: bool = False,
    compiled: bool | str = False,
    cuda_graph: bool = False,
) -> History:
    """Train `model` in place on the training split and evaluate it on the validation split after each epoch.

    The test split is never used. The options from `resident` on change how steps are computed. They all work on the CPU
    too, where an option without effect gives a warning. `resident` keeps all numbers bit for bit on the CPU.

    Args:
        model: maps float32 [B, 3, 32, 32] to logits float [B, classes]. It ends in evaluation mode on the device where
            it started, ready to be compared with other networks there.
        pictures: from `data.load`, or another `data.ImageSet`.
        epochs: passes over the training pictures, an integer of at least 0; 0 trains nothing.
        batch_size: pictures per batch; unused if `batches` or `loader` is given.
        optimizer: an optimizer over the model's parameters, or a function parameters → optimizer; default SGD with
            learning rate 0.01 and momentum 0.9, as in the article.
        scheduler: a function optimizer → scheduler; default none.
        schedule_per: when the scheduler steps, "batch" (after each optimizer step) or "epoch". ReduceLROnPlateau always
            steps once per epoch, with the validation loss.
        loss: a function (logits, labels) → scalar; default cross-entropy.
        batches: a batch sampler that yields lists of positions, iterated once per epoch.
        augment: a function uint8 [B, C, H, W] → uint8 [B, C, H, W].
        train: a training split to use instead of the data set's own, such as a part of it.
        loader: (inputs, targets) batches to use instead of all of these, iterated once per epoch. If the model has
            batch norm, a batch of a single sample joins the previous batch.
        seed: of the order of the pictures, dropout and everything else that is random in the loop. Initial weights
            are not included: call `torch.manual_seed` before you make the model.
        device: "cpu", "accelerator" or a device of torch; default the accelerator if there is one, else the CPU. On an
            accelerator, losses stay there and are read once per epoch.
        description: the progress bar's title.
        resident: whether the whole split is copied to the device and transformed there once, in the first epoch (12 KiB
            per picture). With `augment`, which then gets pictures on the device, they are transformed batch by batch.
            The order of the pictures doesn't change.
        accumulate: batches per optimizer step, at least 1. Their gradients add up to that of one batch of
            `accumulate * batch_size` pictures, but batch norm sees single batches. The last step of an epoch may have
            fewer.
        bf16: whether layers compute in bfloat16 under `torch.autocast`; parameters stay float32. It saves time on
            processors with bf16 instructions and on NVIDIA GPUs since Ampere (2020).
        fused: whether the optimizer updates all parameters in one kernel.
        compiled: whether `torch.compile` compiles the forward and backward pass, True or one of its modes. Batches of
            another size than the first run without compilation.
        cuda_graph: whether the whole step, including the optimizer's, is recorded as one graph and replayed. The first
            step and batches of another size run eagerly. Model, loss and optimizer may neither wait for the device nor
            decide by a tensor's value, their Python code runs only during the recording, and the schedule may change
            nothing but the learning rate.

    Returns:
        The history. Ctrl-C ends the run after the current step without raising, and keeps the weights and the history
        so far.

    Raises:
        ValueError: an argument is out of its range; the device is missing; the optimizer has other tensors than the
            model's parameters, or only frozen ones, or no version for `fused` or `cuda_graph`; the model doesn't return
            a tensor or can't be compiled; the step can't be recorded; an epoch got no batches; a batch is too small for
            batch norm; or the loss became NaN or infinite (on an accelerator, raised when the epoch ends).
    """
    if epochs < 0 or int(epochs) != epochs:
        raise ValueError(f"epochs={epochs} must be an integer, at least 0.")
    if schedule_per not in ("batch", "epoch"):
        raise ValueError(f"schedule_per={schedule_per!r} must be 'batch' or 'epoch'.")
    if accumulate < 1 or int(accumulate) != accumulate:
        raise ValueError(f"accumulate={accumulate} must be an integer, at least 1.")
    if resident and loader is not None:
        raise ValueError("resident=True needs a split, and a loader replaces it: give one of the two.")
    device = devices.find(device) if device is not None else best_device()
    options = Options.checked(device, bf16=bf16, fused=fused, compiled=compiled, cuda_graph=cuda_graph)
    home = device_of(model)
    model.to(device)
    history = History()
    try:
        optimizer = optimizer_of(model, optimizer)
        if epochs:
            require_trainable(optimizer)
        options.prepare(optimizer)
        schedule = scheduler(optimizer) if scheduler else None
        if loader is None:
            order = {"shuffle": True, "seed": seed, "batches": batches, "augment": augment}
            feed = _feed(train or pictures.train, pictures, batch_size, device, resident, **order)
        else:
            feed = Uploaded(loader, device)
        batch = fitting_batch(pictures.validation, pictures)
        validation = _feed(smoke.few(pictures.validation), pictures, batch, device, resident)
        epoch = _Epoch(
            model,
            feed,
            options.step(model, loss or nn.functional.cross_entropy, optimizer, device),
            optimizer,
            schedule if schedule_per == "batch" and not isinstance(schedule, ReduceLROnPlateau) else None,
            int(accumulate),
            device,
        )
        bar = progress_bar(total=int(epochs), desc=description, unit="epoch")
        with reproducible(seed), bar, options.rates(optimizer, device):
            try:
                for _ in range(int(epochs)):
                    epoch.run(history, bar)
                    seen = judge(model, validation, len(pictures.validation))
                    history.validation_loss.append(seen.loss)
                    history.validation_accuracy.append(seen.accuracy)
                    _step_after_epoch(schedule, schedule_per, seen.loss)
                    bar.update()
            except KeyboardInterrupt:
                history.interrupted = True
                history.drop_unfinished_epoch()
    finally:
        model.to(home).eval()
    return history


@dataclass(frozen=True)
class _Epoch:
    """One pass over the training pictures."""

    model: nn.Module
    feed: Iterable[Batch]
    step: Callable[[list[Batch]], tuple[Tensor, Tensor]]
    optimizer: Optimizer
    schedule: LRScheduler | None  # that steps after each optimizer step
    accumulate: int
    device: torch.device

    def run(self, history: History, bar) -> None:
        self.model.train()
        started, on_accelerator = time.perf_counter(), devices.is_accelerator(self.device)
        tally = Tally(float(self.optimizer.param_groups[0]["lr"]), gather=on_accelerator)
        history.learning_rate.append(tally.rate)
        for group in groups(without_single_sample(self.feed, self.model), self.accumulate):
            losses, right = self.step(group)
            if self.schedule is not None:
                self.schedule.step()
            tally.add(losses, right, [len(inputs) for inputs, _ in group])
            if not on_accelerator:
                _show(bar, tally, started)
            bar.update(0)
        tally.read()
        if not tally.count:
            raise ValueError(
                f"Epoch {len(history.train_loss) + 1} got no batches: give a loader or a sampler that can be iterated "
                "once per epoch (a generator is empty after the first)."
            )
        _show(bar, tally, started)
        seconds = time.perf_counter() - started
        history.train_loss.append(tally.loss)
        history.train_accuracy.append(tally.accuracy)
        history.seconds.append(seconds)
        history.images_per_second.append(tally.count / seconds)


def _feed(
    split: data.Split, pictures: data.ImageSet, batch_size: int, device: torch.device, resident: bool, **order
) -> Uploaded | Resident:
    loader = data.loader(split, pictures, batch_size, **order)
    if resident:
        return Resident(split, pictures, loader.sampler, device, order.get("augment"))
    return Uploaded(loader, device)


def _show(bar, tally: Tally, started: float) -> None:
    bar.set_postfix_str(
        f"loss {tally.loss:.3f}, accuracy {tally.accuracy:.1f} %, "
        f"{tally.count / (time.perf_counter() - started):,.0f} pictures/s",
        refresh=False,
    )


def _step_after_epoch(schedule, schedule_per: str, validation_loss: float) -> None:
    if isinstance(schedule, ReduceLROnPlateau):
        schedule.step(validation_loss)
    elif schedule is not None and schedule_per == "epoch":
        schedule.step()
