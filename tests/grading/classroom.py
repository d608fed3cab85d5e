"""What the tests of grading share: submissions of lesson 01, graded entries, jobs, and the processes that are left."""

import copy
import ctypes
import io
import json
import os
import pickle
import sys
import time
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from filelock import FileLock

from nnopt_lab.course.exercises import cell_id
from nnopt_lab.course.lesson_files import paths
from nnopt_lab.grading.gradebook import Entry, Gradebook
from nnopt_lab.grading.results import Graded, Result
from nnopt_lab.grading.sandboxed import codec

LESSON = "01_pruning"
ATTACKED, QUIET = "pruning.l1_importance", "pruning.cubic_sparsity"
RIGHT = "def l1_importance(weight):\n    return weight.abs().sum(dim=(1, 2, 3))"
RIGHT_QUIET = "def cubic_sparsity(step, steps, final):\n    return final * (1 - (1 - step / steps) ** 3)"
HONEST_POINTS = 4.0  # two for each of these two
WRONG = "def l1_importance(weight):\n    return torch.rand(len(weight))"
DUE = "2026-12-01T18:00:00+00:00"
IN_TIME, LATE = "2026-12-01T17:59:00+00:00", "2026-12-03T06:00:00+00:00"  # 36 hours late
linux = pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")


@cache
def _blank() -> dict:
    notebook = json.loads(paths(LESSON)[False].read_text(encoding="utf-8"))
    notebook["cells"] = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for cell in notebook["cells"]:
        cell["outputs"] = []
    return notebook


def notebook(answers: dict[str, str]) -> dict:
    """The learner's notebook with answers, by the id of their exercise or question."""
    filled = copy.deepcopy(_blank())
    ids = {cell_id(kind, id): source for id, source in answers.items() for kind in ("exercise", "question")}
    for cell in filled["cells"]:
        cell["source"] = ids.get(cell["id"], cell["source"])
    return filled


def honest() -> dict:
    """Two right answers, the others blank."""
    return notebook({ATTACKED: RIGHT, QUIET: RIGHT_QUIET})


def solved() -> dict:
    """Every answer right."""
    return json.loads(paths(LESSON)[True].read_text(encoding="utf-8"))


def archive(files: dict[str, bytes], **changes) -> bytes:
    """An archive of these files; `changes` are of each entry."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            info = zipfile.ZipInfo(name, (2026, 11, 26, 12, 30, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            for key, value in changes.items():
                setattr(info, key, value)
            file.writestr(info, content)
    return made.getvalue()


def hand_in(folder, learner: str, content) -> None:
    """Write a learner's notebook: a dict, or the bytes of the file."""
    place = folder / learner
    place.mkdir(parents=True)
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    (place / f"{LESSON}.ipynb").write_bytes(data)


def entry(learner="alice", submitted_at=IN_TIME, points=2.0, state="graded", **more) -> Entry:
    """A gradebook's entry with two answers."""
    results = (
        Result("pruning.levels", "failed", points, 3, "wrong"),
        Result("pruning.l1_importance", "passed", 2, 2),
    )
    fields = {"name": f"{learner}/{LESSON}.ipynb", "system": "", "number": "", "late": False} | more
    graded = Graded(LESSON if state != "malformed" else "", state, "", results if state != "malformed" else ())
    return Entry(learner, submitted_at=submitted_at, graded=graded, **fields)


def entries(folder: Path) -> list[Entry]:
    """Everything in a folder's gradebook, in the order of the names; it holds no time of grading."""
    book = Gradebook(folder)
    found = sorted(book.entries(), key=lambda entry: entry.name)
    book.close()
    return found


def job(source: str, *cases) -> bytes:
    """A job for a worker: `source` defines f(x), which is called on each case."""
    header = {"preamble": "import torch", "source": source, "name": "f", "arguments": ["x"], "seed": 1}
    return codec.pack(header, [(case,) for case in cases])


CROWD = """
import ctypes, threading
ctypes.CDLL(None).mallopt(-8, 1)  # all threads share one heap, so that memory does not limit their number
threading.stack_size(1 << 15)

def f(most):
    stop, count = threading.Event(), 0
    try:
        while count < most:
            threading.Thread(target=stop.wait, daemon=True).start()
            count += 1
    except RuntimeError:
        pass
    return count
"""
POOLS = """
from concurrent.futures import ThreadPoolExecutor

def f(x):
    torch.set_num_threads(3)
    large = torch.ones(1 << 18).exp().sum() + (torch.ones(200, 200) @ torch.ones(200, 200)).sum()
    weight = torch.ones(3, requires_grad=True)
    (weight * large).sum().backward()
    done = []
    for _ in range(8):
        with ThreadPoolExecutor(4) as pool:
            done += pool.map(lambda n: n + x, range(4))
    return sum(done)
"""


def adopt_orphans() -> None:
    """Make this process the parent of every descendant whose parent ends, so that `descendants` finds it."""
    assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0  # PR_SET_CHILD_SUBREAPER


def descendants() -> set[int]:
    """Processes that this one started, directly or not, and that still run; needs `adopt_orphans` before."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(") ")[2].split()[:2]
        except OSError:  # it ended just now
            continue
        if state != "Z":
            children.setdefault(int(parent), []).append(int(stat.parent.name))
    found, parents = set(), [os.getpid()]
    while parents:
        own = children.get(parents.pop(), [])
        found.update(own)
        parents += own
    return found


def left_since(before: set[int], seconds: float = 10) -> set[int]:
    """Descendants that were not there before and do not end within some seconds."""
    deadline = time.monotonic() + seconds
    while (left := descendants() - before) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def once_per_run(tmp_path_factory, name: str, make: Callable[[], object]):
    """The value that `make` returns, made by the first of all processes that run tests."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    file = shared / f"{name}.pickle"
    with FileLock(f"{file}.lock"):
        if not file.exists():
            file.write_bytes(pickle.dumps(make()))
    return pickle.loads(file.read_bytes())
