"""The trained networks that a search keeps, so that none has to be trained again for export.

Only the networks of the front and the best one are kept; those that a later trial beats are deleted.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

from torch import nn

from nnopt_lab.techniques.network_checks import copied
from nnopt_lab.techniques.search import candidates, files
from nnopt_lab.techniques.search.points import Point
from nnopt_lab.techniques.search.tasks import Task


class KeptNetworks:
    """Trained networks by trial number, whichever engine runs them.

    Args:
        task: the task of the search.
        search: identifies the search, see `study.fingerprint`.
        folder: stores the networks for later calls and other processes; default memory.
    """

    def __init__(self, task: Task, search: str, folder: Path | None = None):
        self.task, self.search, self.folder = task, search, folder
        self._in_memory: dict[int, tuple[nn.Module, dict]] = {}

    def add(self, point: Point, model: nn.Module, sizes: dict) -> None:
        """Store a network; `sizes` are those that `candidates.make` returned."""
        if self.folder is None:
            self._in_memory[point.number] = model, sizes
        else:
            record = {"search": self.search, "config": _network(point), "sizes": sizes}
            files.save_weights(self._file(point.number), model, record)

    def get(self, point: Point) -> tuple[nn.Module, dict] | None:
        """Return a copy of a point's network and its sizes; None if it was not kept or belongs to another search."""
        if self.folder is None:
            return copied(self._in_memory.get(point.number))
        if not self._file(point.number).is_file():
            return None
        state, record = files.load_weights(self._file(point.number))
        if (record["search"], record["config"]) != (self.search, _network(point)):
            return None
        model = candidates.reshape(self.task.model, self.task.inputs(1), record["sizes"])
        model.load_state_dict(state)
        return model.eval(), record["sizes"]

    def keep_only(self, wanted: Collection[Point], known: Sequence[Point]) -> None:
        """Delete the networks of `known` points that are not `wanted`; newer ones of other processes stay."""
        for number in {point.number for point in known} - {point.number for point in wanted}:
            if self.folder is None:
                self._in_memory.pop(number, None)
            else:
                self._file(number).unlink(missing_ok=True)

    def _file(self, number: int) -> Path:
        return self.folder / f"{number}.safetensors"


def _network(point: Point) -> dict:
    """The configuration of a point's network, without its engine."""
    return {key: value for key, value in point.config.items() if key != "engine"}
