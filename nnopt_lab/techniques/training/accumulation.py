"""Gradient accumulation: take the step of a batch that does not fit in memory."""

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional as F
from torch.optim import Optimizer


class Accumulate(Optimizer):
    """An optimizer that takes one step per `every` micro-batches, as if they were one large batch.

    A batch's gradient is a mean, so averaging micro-batches of unequal size would be wrong. With `weighted(loss)`, each
    sample has the same weight, and the step equals that of the large batch up to rounding, except for layers that
    compute across a batch (batch norm). A group that an epoch's end interrupts continues in the next epoch. Schedulers
    work, because state and param_groups are the optimizer's own. `fit(accumulate=…)` does the same without a wrapper,
    also on an accelerator and in a graph, and ends a group with the epoch.

    Args:
        optimizer: takes the steps.
        every: micro-batches per step, at least 1.

    Raises:
        ValueError: `every` is below 1; from `step`: no loss was computed by `weighted`.
    """

    def __init__(self, optimizer: Optimizer, every: int):
        if every < 1:
            raise ValueError(f"every={every} must be at least 1.")
        super().__init__(optimizer.param_groups, optimizer.defaults)
        self.optimizer, self.every = optimizer, every
        self.state, self.param_groups = optimizer.state, optimizer.param_groups
        self._batches = self._samples = 0  # of the current group

    def weighted(self, loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy) -> Callable:
        """Wrap a loss, a mean over samples, so that its gradient is that of their sum, which `step` divides."""

        def counted(outputs: Tensor, targets) -> Tensor:
            value, size = loss(outputs, targets), len(outputs)
            value.register_hook(lambda gradient: gradient * size)
            self._samples += size
            return value

        return counted

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients at the start of a group, and keep them inside one."""
        if self._batches == 0:
            self.optimizer.zero_grad(set_to_none)

    def step(self) -> None:
        """End a micro-batch; take a step if it is the last of its group."""
        if self._samples == 0:
            raise ValueError("optimizer has seen no loss of its own: pass loss=optimizer.weighted(loss) to fit.")
        self._batches += 1
        if self._batches == self.every:
            for gradient in (p.grad for group in self.param_groups for p in group["params"] if p.grad is not None):
                gradient.div_(self._samples)
            self._batches = self._samples = 0
            self.optimizer.step()

    def load_state_dict(self, state_dict: dict) -> None:
        """Load the optimizer's state."""
        self.optimizer.load_state_dict(state_dict)
        self.state, self.param_groups = self.optimizer.state, self.optimizer.param_groups
