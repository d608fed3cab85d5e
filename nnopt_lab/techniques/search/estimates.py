"""Cheap estimates that stop trials before they are trained to the end: what a candidate will cost, and how good it can
still become."""

from collections.abc import Callable, Sequence
from functools import cached_property

import torch
from torch import Tensor, nn

from nnopt_lab.techniques import pruning
from nnopt_lab.techniques.convolutions import cost_model
from nnopt_lab.techniques.network_checks import copied
from nnopt_lab.techniques.search import evaluation
from nnopt_lab.techniques.search.points import EAGER, Goal
from nnopt_lab.workbench import measure
from nnopt_lab.workbench.device import CPU, is_accelerator


class CostEstimates:
    """First estimates of candidates' bytes and latency, from their shapes.

    On the CPU, a cost model predicts a network's seconds. On an accelerator, where launches cost as much as arithmetic,
    the untrained network is timed, operator by operator.

    Args:
        original: the network before the search.
        goal: of the search.
        batch: the input for which latency is estimated, on `device`.
        baseline_latency: seconds per batch of the original by each engine.
        device: where latency is measured.
    """

    def __init__(
        self,
        original: nn.Module,
        goal: Goal,
        batch: Tensor,
        baseline_latency: dict[str, float],
        device: torch.device = CPU,
    ):
        self.original, self.goal, self.batch, self.baseline_latency = original, goal, batch, baseline_latency
        self.device = device

    def predict(self, model: nn.Module, config: dict) -> dict[str, float]:
        """Bytes, and where latency counts the cost model's share of the original's time on the same engine."""
        predicted = {"bytes": predicted_bytes(model, config)}
        if self.goal.target == "latency" or self.goal.max_latency:
            seconds = self._original_seconds  # 0 for a network of functions, without layers
            share = self._seconds(model) / seconds if seconds else 1.0
            predicted["latency"] = share * self.baseline_latency[config.get("engine", EAGER)]
        return predicted

    def size(self, model: nn.Module) -> float:
        """What is to become small, before any compression: seconds or parameters."""
        return self._seconds(model) if self.goal.target == "latency" else measure.parameters(model).total

    @cached_property
    def _machine(self) -> cost_model.CostModel:
        return cost_model.calibrate()

    @cached_property
    def _original_seconds(self) -> float:
        return self._seconds(self.original)

    def _seconds(self, model: nn.Module) -> float:
        if is_accelerator(self.device):
            there = copied(model).to(self.device).eval()
            return evaluation.fastest_seconds({"untrained": there}, self.batch, 0.2)["untrained"]
        return self._machine.model_seconds(model, self.batch)


def predicted_bytes(model: nn.Module, config: dict) -> float:
    """A first estimate of a candidate's file before it is trained: bits of the weights that stay, 4 bytes of others."""
    layers = pruning.prunable(model)
    weights = sum(layer.weight.numel() for layer in layers.values())
    bits = sum(config["bits"].values()) / len(config["bits"]) if config.get("bits") else 32
    if config.get("engine", "").endswith("int8"):
        bits = min(bits, 8)
    kept = 1 - config.get("sparsity", 0) if config.get("bits") else 1  # a dense file holds zeros as any number
    return weights * kept * bits / 8 + 4 * (measure.parameters(model).total - weights)


def corrected(predicted: dict[str, float], finished: Sequence[dict], choose: Callable) -> dict[str, float]:
    """Estimates times the factor by which those of finished trials were off, which is nearly the same for all.

    Args:
        predicted: by name of a figure.
        finished: {"figures": …, "predicted": …} of each finished trial, at least one.
        choose: of the trials' factors: `min` for the most favourable, `statistics.median` for the likely one.
    """
    return {
        name: value * choose(a["figures"][name] / a["predicted"][name] for a in finished if name in a["predicted"])
        for name, value in predicted.items()
    }


def should_stop(
    accuracy: float, cost: float, gains: Sequence[float], finished: Sequence[tuple[float, float]], floor: float
) -> bool:
    """Whether a trial cannot end on the front any more, so that training it to the end would be a waste.

    The most that it can hope for is the largest gain that any finished trial made from this point on.

    Args:
        accuracy: of the trial now, percent.
        cost: the least that it will have.
        gains: of finished trials: accuracy at their end minus accuracy after equally many epochs; empty → False.
        finished: (accuracy, cost) of the trials that ended within the limits.
        floor: the lowest accuracy allowed.
    """
    hope = accuracy + max(gains, default=float("inf"))
    return hope < floor or any(c <= cost and a >= hope for a, c in finished)
