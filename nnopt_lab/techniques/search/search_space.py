"""The space of a search for a small or fast network, and the configurations with which it begins.

A point of the space is a dict of *knobs* that a sampler sets, such as one width for all layers and a factor per layer.
`Space.config` converts it to a configuration for `candidates`.
"""

import importlib
import math
from collections.abc import Callable, Collection

from torch import nn

from nnopt_lab.techniques import pruning
from nnopt_lab.techniques.convolutions import low_rank
from nnopt_lab.techniques.network_checks import copied
from nnopt_lab.techniques.quantization import deep_compression
from nnopt_lab.techniques.search import candidates
from nnopt_lab.techniques.search.files import file_bytes
from nnopt_lab.techniques.search.points import Goal
from nnopt_lab.techniques.search.tasks import Task, sentence
from nnopt_lab.workbench import training
from nnopt_lab.workbench.progress_bar import progress_bar

SENSITIVITY_PICTURES = 500
NARROWEST, STEP = 0.25, 0.125  # of the width of all groups


class Space:
    """The knobs for a task and a goal.

    Args:
        task, goal: of the search.

    Attributes:
        groups: the size of each group of channels that can be removed, by its name.
        shared: names of the layers whose weights can be pruned and share values; empty if bytes do not matter.
        notes: a sentence for everything that can't be tried.
    """

    def __init__(self, task: Task, goal: Goal):
        self.task, self.goal, self.notes = task, goal, []
        self.groups = self._unless_refused("Channels were not removed", self._removable, {})
        self.shared = self._unless_refused("Weights were not pruned and shared", self._shareable, [])

    def _unless_refused(self, what: str, find: Callable, otherwise):
        try:
            return find()
        except Exception as error:
            self.notes.append(f"{what}: {sentence(error)}")
            return otherwise

    def _removable(self) -> dict[str, int]:
        """The groups of channels that can be removed; one trial removal finds networks that depend on their number."""
        groups = {group.name: group.size for group in self.task.groups if group.removable}
        candidates.shaped(self.task, {"channels": dict.fromkeys(groups, 0.5)})
        return groups

    def _shareable(self) -> list[str]:
        """The layers whose weights can be pruned and shared, if bytes matter; one trial finds weights that can't."""
        if not self.goal.counts_bytes:
            return []
        layers = list(pruning.prunable(self.task.model))
        config = {"sparsity": 0.5, "bits": dict.fromkeys(layers, 2)}
        model = candidates.compress(copied(self.task.model), config)
        file_bytes(deep_compression.make_permanent(model), config)
        return layers

    def distributions(self) -> dict:
        """The optuna distribution of each knob, by name."""
        d = importlib.import_module("optuna").distributions
        layers = low_rank.factorisable(self.task.model).values()
        space = {"teacher": d.CategoricalDistribution([0.0, 0.5, 0.9])}
        if self.groups:
            space["width"] = d.FloatDistribution(NARROWEST, 1.0, step=STEP)
            space |= {f"width of {g}": d.FloatDistribution(0.5, 1.5, step=0.25) for g in self.groups}
        for kind, cls in candidates.KINDS.items():
            if any(isinstance(layer, cls) for layer in layers):
                space[f"energy, {kind}"] = d.FloatDistribution(0.5, 1.0, step=0.05)
        if self.shared:
            space |= {"sparsity": d.FloatDistribution(0.0, 0.95, step=0.05), "bits": d.IntDistribution(2, 6)}
            space |= {f"bits of {name}": d.IntDistribution(-1, 1) for name in self.shared}
        return space

    def config(self, params: dict) -> dict:
        """Convert a trial's knobs to its configuration; equal networks have equal configurations."""
        config = {"teacher": params["teacher"], "channels": {}}
        for group, size in self.groups.items():
            share = min(max(params["width"] * params[f"width of {group}"], 0.125), 1.0)
            if (count := _even(share * size, size)) < size:
                config["channels"][group] = count / size
        energy = {kind: params.get(f"energy, {kind}", 1.0) for kind in candidates.KINDS}
        config["energy"] = {kind: round(share, 2) for kind, share in energy.items() if share < 0.999}
        if self.shared:
            config["bits"] = {n: min(max(params["bits"] + params[f"bits of {n}"], 2), 8) for n in self.shared}
            config["sparsity"] = round(params["sparsity"], 2)
        return candidates.effective(config)

    def neutral(self) -> dict:
        """The knobs that change nothing, with training on the labels alone, from which a few epochs gain the most."""
        knobs = {name: 0 if name.startswith("bits of") else 1.0 for name in self.distributions()} | {"teacher": 0.0}
        return knobs | ({"sparsity": 0.0, "bits": 6} if self.shared else {})

    def widths(self) -> list[float]:
        """The values of the width of all groups, narrowest first."""
        return [NARROWEST + step * STEP for step in range(round((1.0 - NARROWEST) / STEP) + 1)]

    def next_width(self, width: float, enough: Callable[[float], bool | None]) -> float | None:
        """The next width to try for all groups: narrower after a success, wider after a failure, halving what is left.

        Args:
            width: the first one, a multiple of 1/8.
            enough: a function width → whether the network of that width is within the goal's limits; None if it was
                not tried.

        Returns:
            A width that was not tried; None if its neighbours on the grid are known.
        """
        narrow, wide = NARROWEST - STEP, 1.0
        while (result := enough(width)) is not None:
            narrow, wide = (narrow, width) if result else (width, wide)
            steps = round((wide - narrow) / STEP)
            if steps < 2:
                return None
            width = narrow + steps // 2 * STEP
        return width

    def starts(self, sensitive: dict[str, tuple[float, float]], plain: bool = True) -> list[dict]:
        """The knobs that manual tuning would try first.

        For latency: nothing but the engine; half of all channels; widths by sensitivity; narrower and wider networks;
        one factorisation. For a small file: sparsity with few bits. (`proposals` adds widths that follow from results.)

        Args:
            sensitive: the result of `sensitivity`.
            plain: whether the unchanged network is a candidate, because another engine may be faster.
        """
        neutral, small, tries = self.neutral(), [{}], [{}] if plain else []
        if self.shared:
            small = [{"sparsity": 0.8, "bits": 5}, {"sparsity": 0.9, "bits": 4}, {"sparsity": 0.5, "bits": 5}]
            tries = small
        if self.groups:
            by_sensitivity = self._factors(sensitive)
            for width, few in zip((0.5, 0.75, 0.375), small * 3, strict=False):
                tries = tries + [few | {"width": width} | more for more in ({}, by_sensitivity)]
        tries = tries + ([{"energy, linear": 0.8}] if "energy, linear" in neutral else [])
        return [neutral | changes for changes in tries]

    def _factors(self, sensitive: dict[str, tuple[float, float]]) -> dict[str, float]:
        """Width factors from ½ to 1½, smallest for the groups that lose the least accuracy per saving."""
        order = sorted(self.groups, key=lambda g: sensitive[g][0] / max(sensitive[g][1], 1e-6))
        places = {group: place / max(len(order) - 1, 1) for place, group in enumerate(order)}
        return {f"width of {group}": 0.5 + round(4 * place) / 4 for group, place in places.items()}


def _even(count: float, size: int) -> int:
    """A number of channels near `count`, between 1 and `size`, that kernels fill.

    Kernels compute 4 to 16 channels at a time, so a count between takes as long as the next multiple.
    """
    multiple = next((m for least, m in ((128, 16), (64, 8), (32, 4)) if size >= least), 1)
    return min(max(multiple * math.floor(count / multiple + 0.5), multiple), size)


def sensitivity(
    task: Task,
    groups: Collection[str],
    size: Callable[[nn.Module], float],
    score: dict = candidates.FILTERS_AND_READERS,
) -> dict[str, tuple[float, float]]:
    """Find fragile and expensive channels by removing half of each group, without training.

    Args:
        task: the task of the search.
        groups: names of groups of channels.
        size: a function network → quantity to minimise.
        score: what decides which half stays, as in `candidates.shape`.

    Returns:
        For each group, the loss of validation accuracy in percentage points, at least 0, and the share of size saved.
    """
    few = task.pictures.validation[:SENSITIVITY_PICTURES]
    whole, found = (training.evaluate(task.model, few, task.pictures).accuracy, size(task.model)), {}
    for group in progress_bar(groups, desc="sensitivity", unit="group"):
        half, _ = candidates.shaped(task, {"channels": {group: 0.5}}, score)
        lost = whole[0] - training.evaluate(half, few, task.pictures).accuracy
        found[group] = max(lost, 0.0), 1 - size(half) / whole[1]
    return found
