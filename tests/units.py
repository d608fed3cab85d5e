"""The units in which pytest-xdist deals the tests to its workers, and what becomes of a dead worker's."""

from functools import cache
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests import own_process

BY_PARAMETER = ("test_blank_notebooks.py", "test_exercises.py")


class Units(LoadScopeScheduling):
    """Side by side, a worker gets a file at a time: a notebook's cells build on each other, a file's tests share
    fixtures. Of the files in BY_PARAMETER it gets the tests of one parameter, which share nothing with the others. The
    files whose tests run in a process of their own are one unit, since each worker would start another process.
    """

    def _split_scope(self, nodeid):
        file, _, test = nodeid.partition("::")
        if Path(file).name in BY_PARAMETER:
            return file + test.partition("[")[2]
        return own_process.CHILD if _in_own_process(self.config.rootpath / file) else file

    def schedule(self):
        """Long units first and short ones last, so that no worker waits long for another's last one.

        A kernel takes longer than a unit's few tests suggest, and an exercise takes a second.
        """
        super().schedule()
        for unit in sorted(self.workqueue, key=_turn):
            self.workqueue.move_to_end(unit)

    def remove_node(self, node):
        """Deal a dead worker's units again, without the test that ended it: that would end one worker after another.

        Returns:
            The test's id, or None if the worker had nothing to do.
        """
        units = self.assigned_work.pop(node)
        ended_by = next(((unit, test) for unit in units.values() for test, done in unit.items() if not done), None)
        if ended_by is None:
            return None
        unit, test = ended_by
        unit[test] = True
        self.workqueue.update({name: unit for name, unit in units.items() if not all(unit.values())})
        for other in self.nodes:
            self._reschedule(other)
        return test

    def _reschedule(self, node):
        """Deal units to a worker until it has two tests: it keeps the last one until it gets another, or is to end."""
        if node not in self.registered_collections:  # it replaces a dead one, and is still collecting
            return
        super()._reschedule(node)
        while self.workqueue and not node.shutting_down and self._pending_of(self.assigned_work[node]) < 2:
            self._assign_work_unit(node)


def _turn(unit: str) -> int:
    if ".ipynb" in unit or "test_blank_notebooks.py" in unit:
        return 0
    return 2 if "test_exercises.py" in unit else 1


@cache
def _in_own_process(file: Path) -> bool:
    return file.suffix == ".py" and "\npytestmark = pytest.mark.own_process" in file.read_text(encoding="utf-8")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return Units(config, log)
