"""A pytest plugin for tests that need a process of their own.

Compilers and runtimes change the process that they are loaded into for good: what started processes later in it, as
the graders' sandbox does, was killed by a signal that could not be delivered. A file of such tests says

    pytestmark = pytest.mark.own_process

and its tests run first, one by one, in a second pytest process, which collects all files so marked and keeps their
fixtures until the last of them. Each test has its own result; `-n`, `-k` and `FILE::name` work as ever. A test that
ends its process fails, and the next one starts another.
"""

import contextlib
import os
import pickle
import subprocess
import sys
import tempfile

import pytest

CHILD = "NNOPT_TESTS_OWN_PROCESS"


class OwnProcess:
    """The parent's side: hands each marked test to the child, and reports what comes back."""

    def __init__(self):
        self.child = self.errors = None

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items):
        """Marked tests come first: together, so that one process serves them all, and where nobody steals them."""
        items.sort(key=lambda item: not _is_marked(item))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item, nextitem):
        if not _is_marked(item):
            return None
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        following = nextitem.nodeid if nextitem is not None and _is_marked(nextitem) else None
        for report in self._run(item, following):
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        # The test before left standing what it shares with this one, and only this knows what comes after.
        item.session._setupstate.teardown_exact(nextitem)
        if following is None:
            self._end()
        return True

    def pytest_sessionfinish(self):
        self._end()

    def _run(self, item, following):
        if self.child is None:
            self._start(item.session)
        with contextlib.suppress(OSError):  # it died since the last test: below, its answers just end
            pickle.dump((item.nodeid, following), self.child.stdin)
            self.child.stdin.flush()
        for data in _received(self.child.stdout):
            if data is None:
                return
            yield item.config.hook.pytest_report_from_serializable(config=item.config, data=data)
        status, said = self.child.wait(), self._said()
        self._end()
        sentence = f"The tests' own process ended with status {status}.\n{said[-4000:]}"
        yield pytest.TestReport(item.nodeid, item.location, {}, "failed", sentence, "call")

    def _start(self, session):
        files = dict.fromkeys(str(item.path) for item in session.items if _is_marked(item))
        self.errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - _end closes it
        self.child = subprocess.Popen(
            [sys.executable, __file__, str(session.config.rootpath), *files],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            cwd=session.config.rootpath,
            env=os.environ | {CHILD: "1"},
        )

    def _said(self):
        self.errors.seek(0)
        return self.errors.read()

    def _end(self):
        if self.child is not None:
            with contextlib.suppress(OSError):  # what it was sent last never arrived
                self.child.stdin.close()
            self.child.wait()
            self.child.stdout.close()
            self.errors.close()
            self.child = None


class Child:
    """The child's side: runs the tests that are asked for, and answers each with its reports and a null."""

    def __init__(self, asked, answers):
        self.asked, self.answers = asked, answers

    def pytest_runtestloop(self, session):
        items = {item.nodeid: item for item in session.items}
        for name, following in _received(self.asked):
            session.config.hook.pytest_runtest_protocol(item=items[name], nextitem=items.get(following))
            self._answer(None)
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report):
        self._answer(self.config.hook.pytest_report_to_serializable(config=self.config, report=report))

    def pytest_configure(self, config):
        self.config = config

    def _answer(self, data):
        pickle.dump(data, self.answers)  # JSON would make lists of tuples, which pytest tells apart
        self.answers.flush()


def register(config):
    """Add the marker and the plugin to a session; in the child, only the marker."""
    config.addinivalue_line("markers", "own_process: runs in a second pytest process, see tests/own_process.py.")
    if CHILD not in os.environ:
        config.pluginmanager.register(OwnProcess())


def _is_marked(item):
    return item.get_closest_marker("own_process") is not None


def _received(stream):
    """What the other side sends, until it closes the stream or ends."""
    while True:
        try:
            yield pickle.load(stream)
        except EOFError:
            return


def _serve():
    root, *files = sys.argv[1:]
    asked, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # whatever a library prints must not come between the answers
    options = [
        "-o",
        "addopts=--import-mode=importlib",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "-q",
        "--no-header",
        "--rootdir",
        root,
    ]
    sys.exit(pytest.main([*options, *files], plugins=[Child(asked, answers)]))


if __name__ == "__main__":
    _serve()
