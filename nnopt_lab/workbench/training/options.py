"""Check the options of `fit` that change how steps are computed, and apply them."""

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import nn
from torch.optim import Optimizer

from nnopt_lab.workbench import device as devices
from nnopt_lab.workbench.language import _
from nnopt_lab.workbench.training.compiling import WITH_GRAPHS, Compiled, mode_of
from nnopt_lab.workbench.training.graphs import GraphStep
from nnopt_lab.workbench.training.optimizers import rates_on, use_capturable, use_fused
from nnopt_lab.workbench.training.steps import Step


@dataclass(frozen=True)
class Options:
    """Options of `fit` with these names; `compiled` is a mode of `torch.compile` or None."""

    bf16: bool
    fused: bool
    compiled: str | None
    cuda_graph: bool

    @classmethod
    def checked(
        cls, device: torch.device, *, bf16: bool, fused: bool, compiled: bool | str, cuda_graph: bool
    ) -> "Options":
        """Return the options that have an effect on a device; warn in one sentence about each that has none.

        Raises:
            ValueError: `compiled` is not a mode, two options exclude each other, or the accelerator lacks bf16.
        """
        mode = mode_of(compiled)
        if cuda_graph and mode in WITH_GRAPHS:
            raise ValueError(f"compiled={mode!r} records its own graphs: use it or cuda_graph=True, not both.")
        on_accelerator = devices.is_accelerator(device)
        if bf16 and on_accelerator and (why := devices.unavailable(device, "bf16")):
            raise ValueError(f"bf16=True: {why}")
        if cuda_graph and (why := devices.unavailable(device, "graphs")):
            on_a_cpu = _("cuda_graph=True has no effect on a CPU.")
            _say(_("cuda_graph=True has no effect: {why}", why=why) if on_accelerator else on_a_cpu)
            cuda_graph = False
        if mode == "reduce-overhead" and not on_accelerator:
            _say(_("compiled='reduce-overhead' has the same effect as compiled=True on a CPU."))
        return cls(bool(bf16), bool(fused), mode, bool(cuda_graph))

    def prepare(self, optimizer: Optimizer) -> None:
        """Switch an optimizer to the version that the options require.

        Raises:
            ValueError: the optimizer has no such version.
        """
        if self.fused:
            use_fused(optimizer)
        if self.cuda_graph:
            use_capturable(optimizer)

    def rates(self, optimizer: Optimizer, device: torch.device) -> AbstractContextManager:
        """Keep the learning rates where the step needs them, inside a block."""
        return rates_on(optimizer, device) if self.cuda_graph else nullcontext()

    def step(self, model: nn.Module, loss: Callable, optimizer: Optimizer, device: torch.device) -> Step | GraphStep:
        """Make the step."""
        forward = Compiled(model, self.compiled) if self.compiled else model
        step = Step(model, forward, loss, optimizer, device, torch.bfloat16 if self.bf16 else None)
        return GraphStep(step, [*model.parameters(), *model.buffers()]) if self.cuda_graph else step


def _say(sentence: str) -> None:
    warnings.warn(sentence, stacklevel=4)  # points to the call of `fit`
