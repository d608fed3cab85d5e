"""Check a network on one batch of its data before any time is spent; whatever is wrong is one sentence with a cure."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from nnopt_lab.techniques.deployment.engine import model_outputs, reason
from nnopt_lab.techniques.network_checks import copied
from nnopt_lab.techniques.search.datasets import as_split, class_names, describe, noun
from nnopt_lab.techniques.search.networks import logits_in, searchable, without_auxiliary_heads
from nnopt_lab.techniques.search.tasks import GivenPictures, Task, sentence
from nnopt_lab.workbench import training

# Relative difference of outputs for the same picture: rounding stays below the first, what depends on chance doesn't.
ROUNDING = 1e-4
BATCH = 64  # pictures on which outputs must be finite


def prepared(
    model: nn.Module,
    train,
    validation,
    to_input: Callable | None = None,
    batch: int = 1,
    names: Sequence[str] | None = None,
    **options,
) -> Task:
    """Read the data and copy the network for a search, and check that they fit each other.

    Args:
        model, train, validation, to_input: as in `autotune.optimize`.
        batch: a number of pictures that the network must be able to take.
        names: of classes 0, 1, …; default those of the data set, if it has any.
        options: further attributes of the `Task`.

    Returns:
        The task, with notes on what was changed and what is unusual.

    Raises:
        ValueError: one sentence says what is wrong with the network, the data, `to_input` or the labels.
    """
    network, notes = searchable(model)
    pictures = GivenPictures(
        as_split(train, "train"), as_split(validation, "validation"), as_it_is if to_input is None else to_input
    )
    names = tuple(map(str, names)) if names else class_names(train) or class_names(validation)
    task = Task(network, pictures, class_names=names, **options)
    notes += _data_notes(task)
    return replace(task, notes=(*notes, *require_classifier(task, batch)))


def as_it_is(images: Tensor) -> Tensor:
    """The transform for pictures that are network inputs already: other floating-point formats become float32."""
    return images.float() if images.is_floating_point() else images


def require_classifier(task: Task, batch: int = 1) -> list[str]:
    """Check that a task's network classifies its pictures, also in batches of `batch`, and can be trained.

    In training mode, a network with auxiliary heads is changed to return its logits.

    Returns:
        Notes on what is unusual.

    Raises:
        ValueError: one sentence says what is wrong with the network, `to_input` or the labels.
    """
    inputs = _require_inputs(task)
    if not any(parameter.requires_grad for parameter in task.model.parameters()):
        cure = "call model.requires_grad_(True) first" if any(True for _ in task.model.parameters()) else "it has none"
        raise ValueError(f"model has no trainable parameter, but candidates are trained: {cure}.")
    outputs = _require_logits(task, inputs, batch)
    _require_labels(task, outputs.shape[1])
    outputs = _require_finite(task)
    notes = _require_determinism(task, inputs) + _output_notes(task, outputs)
    return notes + _require_training(task)


def _require_inputs(task: Task) -> Tensor:
    images = task.pictures.validation.images[:2]
    try:
        inputs = task.pictures.to_input(images)
    except Exception as error:
        raise ValueError(f"to_input cannot be called on {describe(images)} ({reason(error)}).") from error
    if not isinstance(inputs, Tensor) or inputs.dtype != torch.float32 or inputs.shape[:1] != images.shape[:1]:
        raise ValueError(
            f"to_input returns {describe(inputs)} for {len(images)} {noun(images)}; it must return float32 "
            f"[{len(images)}, ...]{_input_cure(inputs)}."
        )
    if not torch.isfinite(inputs).all():
        raise ValueError(f"to_input returns NaN or infinite values for {describe(images)}; inputs must be finite.")
    return task.inputs(2)


def _require_logits(task: Task, inputs: Tensor, batch: int) -> Tensor:
    model, what = copied(task.model), noun(inputs)
    for count in (2, batch):
        try:
            outputs = model_outputs(model, task.inputs(count), f"a batch of {count}")
        except ValueError as error:
            raise ValueError(f"{error}{_call_cure(task.model, inputs, error)}") from error
        if outputs.dim() != 2 or len(outputs) != count:
            raise ValueError(
                f"model returns {describe(outputs)} for {count} {what}; it must return [{count}, classes]"
                f"{_shape_cure(outputs, count)}."
            )
    if outputs.shape[1] == 1:
        raise ValueError(
            f"model returns 1 logit per {what[:-1]}; it must return at least 2: for 2 classes, end it with "
            "torch.cat([torch.zeros_like(logit), logit], 1)."
        )
    return outputs


def _require_labels(task: Task, classes: int) -> None:
    for name in ("train", "validation"):
        lowest, highest = (int(x) for x in getattr(task.pictures, name).labels.aminmax())
        if lowest < 0 or highest >= classes:
            cure = ": subtract 1 from the labels" if lowest >= 1 and highest == classes else ""
            raise ValueError(
                f"{name} has labels from {lowest} to {highest}, but the model has {classes} classes, numbered "
                f"from 0{cure}."
            )


def _require_finite(task: Task) -> Tensor:
    count = min(BATCH, len(task.pictures.validation))
    outputs = model_outputs(copied(task.model), task.inputs(count), f"a batch of {count}")
    if share := (~torch.isfinite(outputs)).float().mean().item():
        bad = [name for name, tensor in task.model.state_dict().items() if _has_nan(tensor)]
        cause = f"its {bad[0]} contains some too: load weights of a training that did not diverge" if bad else ""
        cure = cause or "check the weights, and that to_input scales as in its training"
        raise ValueError(
            f"model returns NaN or infinite values, {100 * share:.3g} % of its outputs for validation's first {count} "
            f"{noun(task.pictures.validation.images)}; {cure}."
        )
    return outputs


def _require_determinism(task: Task, inputs: Tensor) -> list[str]:
    model = copied(task.model)
    runs = [model_outputs(model, inputs, "a batch of 2") for _ in range(3)]
    if (error := max(_difference(run, runs[0]) for run in runs[1:])) > ROUNDING:
        raise ValueError(
            f"model returns other outputs for the same input in evaluation mode (relative difference {error:.2g}), so "
            "candidates can't be compared: use nn.Dropout, or F.dropout with training=self.training, and remove random "
            "numbers and counters from its forward."
        )
    try:
        single = model_outputs(model, inputs[:1], "a batch of 1")
    except ValueError:
        return [f"The network does not run on a single {noun(inputs)[:-1]}."]
    if _difference(runs[0][:1], single) > 10 * ROUNDING:
        return [
            f"The network's output for a {noun(inputs)[:-1]} depends on the others of its batch, as with batch norms "
            "without running statistics; accuracies hold for the batches of this search only."
        ]
    return []


def _require_training(task: Task) -> list[str]:
    split, seen = task.pictures.train, []
    count = min(task.batch_size, len(split), 2)
    inputs, labels = task.pictures.to_input(split.images[:count]).clone(), split.labels[:count]
    try:
        model = copied(task.model).train()
        outputs = training.logits_of(model, inputs, lambda x: logits_in(seen.append(model(x)) or seen[-1]))
    except Exception as error:
        raise ValueError(f"model cannot be trained: {sentence(error)}") from error
    if outputs.dim() != 2 or len(outputs) != count:
        raise ValueError(
            f"model cannot be trained: in training mode it returns {describe(outputs)} for {count} {noun(inputs)}; it "
            f"must return [{count}, classes], as in evaluation mode."
        )
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        loss = nn.functional.cross_entropy(outputs, labels)
        grads = torch.autograd.grad(loss, trained, allow_unused=True) if outputs.requires_grad else ()
    except Exception as error:
        raise ValueError(f"model cannot be trained: {sentence(error)}") from error
    grads = [grad for grad in grads if grad is not None]
    if not grads:
        raise ValueError(
            "model cannot be trained: its outputs do not depend on its trainable parameters (because of a detached "
            "tensor, or a forward set from outside that runs another network)."
        )
    if not all(torch.isfinite(grad).all() for grad in [loss, *grads]):
        raise ValueError(
            f"model cannot be trained: its loss for train's first {count} {noun(inputs)} is {loss.item():.3g}, and it "
            "or its gradients are NaN or infinite."
        )
    return without_auxiliary_heads(task.model, inputs, seen[-1])


def _data_notes(task: Task) -> list[str]:
    train, validation = task.pictures.train, task.pictures.validation
    what, notes = noun(train.images), []
    kinds = {describe(split.images).partition(" ")[0] for split in (train, validation)}
    if task.pictures.to_input is as_it_is and kinds & {"float64", "float16", "bfloat16"}:
        notes.append(f"The {what} are {' and '.join(sorted(kinds))}; the network got them in float32.")
    if train is validation or _same(train, validation):
        notes.append(f"train and validation contain the same {what}, so accuracies are too high.")
    return notes


def _same(one, other) -> bool:
    return (
        len(one) == len(other)
        and one.images.dtype == other.images.dtype
        and torch.equal(one.labels, other.labels)
        and torch.equal(one.images[:BATCH], other.images[:BATCH])
    )


def _output_notes(task: Task, outputs: Tensor) -> list[str]:
    notes, classes = [], outputs.shape[1]
    if (outputs >= 0).all() and torch.allclose(outputs.sum(1), torch.ones(len(outputs)), atol=1e-4):
        notes.append(
            "The network returns probabilities, but candidates are trained with cross-entropy, which expects logits: "
            "remove its last softmax."
        )
    if absent := classes - len(task.pictures.train.labels.unique()):
        notes.append(f"train contains no {noun(task.pictures.train.images)} of {absent} of the {classes} classes.")
    return notes


def _difference(one: Tensor, other: Tensor) -> float:
    return ((one - other).norm() / other.norm().clamp(min=1e-12)).item() if not torch.equal(one, other) else 0.0


def _has_nan(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and not bool(torch.isfinite(tensor).all())


def _call_cure(model: nn.Module, inputs: Tensor, error: Exception) -> str:
    if inputs.dim() == 4 and inputs.shape[3] in (1, 3, 4) and inputs.shape[1] > 4:
        return (
            f" The inputs {list(inputs.shape)} seem to have their channels last: pass pictures.permute(0, 3, 1, 2) "
            "instead."
        )
    if any(isinstance(layer, nn.Embedding) for layer in model.modules()) and "indices" in str(error):
        return " It seems to read token numbers, but optimize takes networks of one float input."
    if "it must return one tensor" in str(error):
        return " Wrap it in a torch.nn.Module whose forward returns the logits only."
    if any(f"returns {kind} " in str(error) for kind in ("float64", "float16", "bfloat16")):
        return " End its forward with .float()."
    if "Guard failed" in str(error):
        return " It was exported for one batch size: pass the torch.nn.Module that was exported."
    if "positional argument" in str(error):
        return " optimize takes networks of one input: give the others defaults."
    return ""


def _shape_cure(outputs: Tensor, count: int) -> str:
    if outputs.dim() > 2 and outputs.shape[2:].numel() == 1 and len(outputs) == count:
        return ": end it with .flatten(1)"
    if outputs.dim() == 4 and len(outputs) == count:
        return ", one class per input, which segmentation and detection don't have"
    if outputs.dim() == 3 and len(outputs) == count:
        return ": take one step of the sequence, or the mean of all"
    return ""


def _input_cure(inputs) -> str:
    if not isinstance(inputs, Tensor) or inputs.is_complex():
        return ": for complex values, pass to_input=lambda x: x.abs()" if isinstance(inputs, Tensor) else ""
    if inputs.dtype == torch.uint8:
        return ": for pictures scaled to 0 … 1, pass to_input=lambda x: x.float() / 255"
    return ": pass to_input=lambda x: x.float()" if inputs.dtype != torch.float32 else ""
