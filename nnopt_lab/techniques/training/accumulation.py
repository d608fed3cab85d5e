"""Gradient accumulation: the step of a batch that is larger than the memory allows."""

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional as F
from torch.optim import Optimizer


class Accumulate(Optimizer):
    """Gradient accumulation: one step of `optimizer` for every `every` micro-batches, as from one large batch.

    A batch's gradient is a mean, so micro-batches of unequal size may not simply be averaged: with `weighted(loss)`
    each sample counts the same, and the step is that of the large batch but for rounding. Not so with layers that
    look across a batch (batch norm). A group that the end of an epoch cuts goes on in the next one. Schedulers work:
    state and param_groups are the optimizer's. `fit(accumulate=…)` does the same without a wrapper, also on an
    accelerator and in a graph, and ends a group with the epoch. ValueError where `every` < 1 or no loss went through
    `weighted`.
    """

    def __init__(self, optimizer: Optimizer, every: int):
        if every < 1:
            raise ValueError(f"every={every} must be at least 1.")
        super().__init__(optimizer.param_groups, optimizer.defaults)
        self.optimizer, self.every = optimizer, every
        self.state, self.param_groups = optimizer.state, optimizer.param_groups
        self._batches = self._samples = 0  # of the present group

    def weighted(self, loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy) -> Callable:
        """The same loss, a mean over its samples, but its gradient is that of their sum; `step` divides."""

        def counted(outputs: Tensor, targets) -> Tensor:
            value, size = loss(outputs, targets), len(outputs)
            value.register_hook(lambda gradient: gradient * size)
            self._samples += size
            return value

        return counted

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Empties the gradients where a group begins, and keeps them inside one."""
        if self._batches == 0:
            self.optimizer.zero_grad(set_to_none)

    def step(self) -> None:
        """Ends a micro-batch; steps if it is the last of its group."""
        if self._samples == 0:
            raise ValueError("optimizer: no loss went through Accumulate; give fit loss=optimizer.weighted(loss).")
        self._batches += 1
        if self._batches == self.every:
            for gradient in (p.grad for group in self.param_groups for p in group["params"] if p.grad is not None):
                gradient.div_(self._samples)
            self._batches = self._samples = 0
            self.optimizer.step()

    def load_state_dict(self, state_dict: dict) -> None:
        """As the optimizer's own."""
        self.optimizer.load_state_dict(state_dict)
        self.state, self.param_groups = self.optimizer.state, self.optimizer.param_groups
