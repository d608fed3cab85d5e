"""Tests in a process of their own: each has its result, a crash is one failure, and workers and names work as ever."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from tests import own_process

TESTS = """
    import faulthandler
    import os
    import pytest

    pytestmark = pytest.mark.own_process
    made = []

    @pytest.fixture(scope="module")
    def thing():
        made.append(1)
        return os.getpid()

    def test_passes(thing):
        print("said to the terminal")
        assert thing == os.getpid() != int(os.environ["PARENT"])

    def test_shares_the_fixture(thing):
        assert len(made) == 1

    def test_fails(thing):
        assert thing == "another"

    @pytest.mark.skip(reason="not here")
    def test_is_skipped():
        pass

    @pytest.mark.xfail(strict=True)
    def test_fails_as_expected():
        assert False

    def test_ends_its_process():
        faulthandler._sigsegv()

    def test_runs_in_the_next_process(thing):
        pass

    @pytest.mark.parametrize("name", ["a b", "[c]"])
    def test_with_names(name):
        pass
"""
ELSEWHERE = """
    import os

    def test_stays_in_the_process_of_pytest():
        assert int(os.environ["PARENT"]) in (os.getpid(), os.getppid())
"""
CONFTEST = """
    import os
    import pytest
    from tests import own_process

    os.environ.setdefault("PARENT", str(os.getpid()))

    def pytest_configure(config):
        own_process.register(config)

    @pytest.hookimpl(wrapper=True)
    def pytest_collection_modifyitems(items):
        yield
        if "LAST_FIRST" in os.environ:  # as where a worker of xdist is given other files first
            items.insert(0, items.pop())
"""


def dedented(text):
    return "\n".join(line[4:] for line in text.splitlines())


@pytest.fixture
def results(tmp_path):
    """Runs pytest on a small folder of tests: {name: "passed" or (kind, text)}."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    for name, text in (("conftest", CONFTEST), ("test_marked", TESTS), ("test_other", ELSEWHERE)):
        (tmp_path / f"{name}.py").write_text(dedented(text))

    def run(*arguments):
        root = Path(__file__).parents[1]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
        environment["PYTHONPATH"] = str(root)
        command = [sys.executable, "-m", "pytest", "-q", "--junitxml=out.xml", "-p", "no:cacheprovider", *arguments]
        subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, timeout=120)
        cases = ElementTree.parse(tmp_path / "out.xml").iter("testcase")
        return {case.get("name"): (case[0].tag, ElementTree.tostring(case[0], "unicode", "text")) if len(case) and
                case[0].tag != "system-out" else "passed" for case in cases}  # fmt: skip

    return run


@pytest.mark.parametrize("workers", [(), ("-n", "2", "--dist", "worksteal")], ids=["alone", "two workers"])
def test_each_test_has_its_own_result(results, workers):
    found = results(*workers)
    kinds = {name.removeprefix("test_"): value if value == "passed" else value[0] for name, value in found.items()}
    assert kinds == {
        "passes": "passed",
        "shares_the_fixture": "passed",
        "fails": "failure",
        "is_skipped": "skipped",
        "fails_as_expected": "skipped",
        "ends_its_process": "failure",
        "runs_in_the_next_process": "passed",
        "with_names[a b]": "passed",
        "with_names[[c]]": "passed",
        "stays_in_the_process_of_pytest": "passed",
    }
    assert "thing ==" in found["test_fails"][1]
    crash = found["test_ends_its_process"][1]
    assert "own process ended with status" in crash and "Segmentation fault" in crash and "test_marked.py" in crash


def test_what_runs_before_may_share_its_folder_and_what_runs_after_not(results, tmp_path, monkeypatch):
    monkeypatch.setenv("LAST_FIRST", "1")
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"test_in_{folder}.py").write_text(f"def test_in_{folder}():\n    pass\n")
    (tmp_path / "test_marked.py").rename(tmp_path / "b" / "test_marked.py")
    found = results("a", "b/test_in_b.py", "b/test_marked.py::test_passes")
    assert found == {"test_in_a": "passed", "test_in_b": "passed", "test_passes": "passed"}


def test_a_process_that_died_between_two_tests_is_one_failure(tmp_path):
    plugin = own_process.OwnProcess()
    for leave in ("os._exit(3)", "os.close(0)\ntime.sleep(0.1)\nos._exit(3)"):
        command = [sys.executable, "-c", f"import os, time\n{leave}"]
        plugin.errors = open(tmp_path / "errors", "w+")  # noqa: SIM115 - the plugin closes it
        plugin.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        plugin.child.wait()
        item = SimpleNamespace(nodeid="x" * 100_000, location=("x.py", 1, "x"))
        (report,) = plugin._run(item, None)
        assert report.outcome == "failed" and "own process ended with status 3" in report.longrepr
        assert plugin.child is None
