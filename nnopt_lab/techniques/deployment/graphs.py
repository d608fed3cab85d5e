"""Engines that run a graph of the network, which several engines of one runtime share."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn

from nnopt_lab.techniques.deployment.engine import Engine, EngineUnavailable


@dataclass(frozen=True)
class GraphEngine:
    """A function (model, calibration) → engine in two steps, of which engines of the same runtime share the first.

    Attributes:
        graph: (model, calibration) → the network's graph for the runtime, which `engine` leaves unchanged.
        engine: (graph, calibration) → engine.
        refit: (graph of a network with parameters of the same names, model, calibration) → the model's graph, which
            takes less time than `graph`; None if that one does not fit. Default never.
    """

    graph: Callable[[nn.Module, Sequence[Tensor]], Any]
    engine: Callable[[Any, Sequence[Tensor]], Engine]
    refit: Callable[[Any, nn.Module, Sequence[Tensor]], Any] = lambda *_: None

    def __call__(self, model: nn.Module, calibration: Sequence[Tensor]) -> Engine:
        return self.engine(self.graph(model, calibration), calibration)


class Graphs:
    """The graphs of one network: each is made once, also if that fails.

    Args:
        templates: graphs of other networks, which are refitted if possible; new ones are added. Default none.
    """

    def __init__(self, templates: dict | None = None):
        self.templates = {} if templates is None else templates
        self._made: dict[Callable, Any] = {}
        self._seconds: dict[Callable, float] = {}

    def shared(self, make: Callable) -> Callable[[nn.Module, Sequence[Tensor]], Engine]:
        """Return a function like `make` that takes the graph that an earlier engine of the network had made."""
        return partial(self._build, make) if isinstance(make, GraphEngine) else make

    def saved_seconds(self, make: Callable) -> float:
        """The time that it took to make the graph of `make`, if that was done for an earlier engine; else 0."""
        return self._seconds.get(make.graph, 0.0) if isinstance(make, GraphEngine) else 0.0

    def _build(self, make: GraphEngine, model: nn.Module, calibration: Sequence[Tensor]) -> Engine:
        if make.graph not in self._made:
            started = time.perf_counter()
            try:
                self._made[make.graph] = self._graph(make, model, calibration)
            except EngineUnavailable as unavailable:
                self._made[make.graph] = unavailable
            self._seconds[make.graph] = time.perf_counter() - started
        graph = self._made[make.graph]
        if isinstance(graph, EngineUnavailable):
            raise graph
        return make.engine(graph, calibration)

    def _graph(self, make: GraphEngine, model: nn.Module, calibration: Sequence[Tensor]):
        names = [name for name, _ in model.named_parameters()]
        known, template = self.templates.get(make.graph, (None, None))
        graph = make.refit(template, model, calibration) if known == names else None
        if graph is None:
            graph = make.graph(model, calibration)
            self.templates[make.graph] = names, graph
        return graph
