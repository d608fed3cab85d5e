"""Record a whole training step as one graph, and replay its launches as one."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from nnopt_lab.workbench import device as devices
from nnopt_lab.workbench.training.optimizers import constants_of, tensors_of
from nnopt_lab.workbench.training.steps import Batch, Step


class GraphStep:
    """A step recorded in a graph for batches of the first batch's shape; the step runs eagerly for other shapes.

    The first step runs eagerly, because it creates the optimizer's state. At the second batch of that shape the step is
    recorded with static inputs, into which later batches are copied. Recording starts with warm-up steps on a side
    stream; weights and state are restored after them, so that training continues as if they had not happened (except
    that dropout has drawn random numbers). Gradients are reset inside the graph, and the learning rate is a tensor.

    Args:
        step: the step to record.
        tensors: the model's parameters and buffers.
    """

    def __init__(self, step: Step, tensors: Iterable[Tensor]):
        self.step, self.tensors = step, list(tensors)
        self._shapes = self._capture = None

    def __call__(self, batches: list[Batch]) -> tuple[Tensor, Tensor]:
        """Train on K batches, with the same results as `Step`.

        Raises:
            ValueError: the step can't be recorded, or a recorded constant has changed.
        """
        shapes = [(t.shape, t.dtype) for t in tree_leaves(batches)]
        if self._shapes is None:
            self._shapes = shapes
            return self.step(batches)
        if shapes != self._shapes:
            return self.step(batches)
        if self._capture is None:
            self._record(batches)
        self._require_the_recorded_constants()
        with torch.no_grad():
            for recorded, new in zip(tree_leaves(self._batches), tree_leaves(batches), strict=True):
                recorded.copy_(new)
        self._capture.replay()
        losses, right = self._capture.result
        return losses.clone(), right.clone()  # the next replay overwrites them

    def _record(self, batches: list[Batch]) -> None:
        self._batches = tree_map(torch.clone, batches)
        self._constants = constants_of(self.step.optimizer)
        put_back = _saved([*self.tensors, *tensors_of(self.step.optimizer)])
        try:
            self._capture = devices.capture(lambda: self.step(self._batches), self.step.device)
        except RuntimeError as error:
            raise ValueError(
                f"cuda_graph=True: this step can't be recorded, since something in it waits for the device or decides "
                f"by a tensor's value ({str(error).strip().splitlines()[0]})."
            ) from error
        finally:
            put_back()

    def _require_the_recorded_constants(self) -> None:
        for then, now in zip(self._constants, constants_of(self.step.optimizer), strict=True):
            if changed := [name for name in then if now.get(name) != then[name]]:
                cure = " (OneCycleLR(…, cycle_momentum=False))" if {"betas", "momentum"} & {*changed} else ""
                raise ValueError(
                    f"cuda_graph=True: the optimizer's {changed[0]} changed between steps, but a graph has recorded "
                    f"it as a constant; schedule only the learning rate{cure}."
                )


def _saved(tensors: list[Tensor]) -> Callable[[], None]:
    """Return a function that restores the present values of tensors."""
    unique = list({id(t): t for t in tensors}.values())
    values = [t.detach().clone() for t in unique]

    def put_back() -> None:
        with torch.no_grad():
            for tensor, value in zip(unique, values, strict=True):
                tensor.copy_(value)

    return put_back
