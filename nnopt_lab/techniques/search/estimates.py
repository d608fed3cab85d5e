"""Cheap estimates that stop trials early: a candidate's final cost, and the accuracy that it can still reach."""

from collections.abc import Callable, Sequence
from functools import cached_property

import torch
from torch import Tensor, nn

from nnopt_lab.techniques import pruning
from nnopt_lab.techniques.convolutions import cost_model
from nnopt_lab.techniques.network_checks import copied
from nnopt_lab.techniques.search import evaluation
from nnopt_lab.techniques.search.points import Goal
from nnopt_lab.workbench import measure
from nnopt_lab.workbench.device import CPU, is_accelerator


class CostEstimates:
    """Estimates of candidates' bytes and latency, computed from their shapes.

    On the CPU, a cost model predicts a network's time. On an accelerator, where launches matter as much as arithmetic,
    the network is timed in eager mode before its training.

    Args:
        original: the network before the search.
        goal: of the search.
        batch: the input for which latency is estimated, on `device`.
        baseline_latency: the original's seconds per batch on each engine on which candidates are measured.
        device: the device for latency.
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
        """Predict bytes, and latency if it matters: the original's on the fastest engine, scaled by the cost model."""
        int8 = any(name.endswith("int8") for name in self.baseline_latency)
        predicted = {"bytes": predicted_bytes(model, config, int8)}
        if self.goal.target == "latency" or self.goal.max_latency:
            seconds = self._original_seconds  # 0 for a network of functions without layers
            share = self._seconds(model) / seconds if seconds else 1.0
            predicted["latency"] = share * min(self.baseline_latency.values())
        return predicted

    def size(self, model: nn.Module) -> float:
        """The quantity to minimise before any compression: seconds or number of parameters."""
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


def predicted_bytes(model: nn.Module, config: dict, int8: bool = False) -> float:
    """Estimate a candidate's file size before training: the bits of its kept weights, 4 bytes per other parameter.

    Args:
        model, config: of the candidate.
        int8: whether an engine stores weights in 8 bits.
    """
    layers = pruning.prunable(model)
    weights = sum(layer.weight.numel() for layer in layers.values())
    bits = sum(config["bits"].values()) / len(config["bits"]) if config.get("bits") else 8 if int8 else 32
    kept = 1 - config.get("sparsity", 0) if config.get("bits") else 1  # in a dense file, zeros are stored too
    return weights * kept * bits / 8 + 4 * (measure.parameters(model).total - weights)


def corrected(predicted: dict[str, float], finished: Sequence[dict], choose: Callable) -> dict[str, float]:
    """Correct estimates by the error factor of finished trials, which is nearly the same for all.

    Args:
        predicted: an estimate per figure, by name.
        finished: {"figures": …, "predicted": …} per finished trial, at least one.
        choose: combines the trials' factors: `min` for the most favourable, `statistics.median` for the typical one.

    Returns:
        The corrected figures; those that no finished trial predicted are left out.
    """
    factors = {
        name: [a["figures"][name] / a["predicted"][name] for a in finished if name in a["predicted"]]
        for name in predicted
    }
    return {name: predicted[name] * choose(known) for name, known in factors.items() if known}


def should_stop(
    accuracy: float, cost: float, gains: Sequence[float], finished: Sequence[tuple[float, float]], floor: float
) -> bool:
    """Whether a trial cannot reach the front any more, so that training it to the end would be a waste.

    Its best possible accuracy assumes the largest gain that any finished trial made from this point on.

    Args:
        accuracy: the trial's current accuracy in percent.
        cost: a lower bound of its final cost.
        gains: final accuracy minus accuracy after equally many epochs, per finished trial; if empty, returns False.
        finished: (accuracy, cost) of the trials that ended within the limits.
        floor: the lowest accuracy allowed.
    """
    hope = accuracy + max(gains, default=float("inf"))
    return hope < floor or any(c <= cost and a >= hope for a, c in finished)
