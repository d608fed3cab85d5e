"""A batch: the same seed gives the same grades, and neither kills nor a fault of the grader itself lose any."""

import contextlib
import random
import sqlite3
import subprocess
import sys
import time

import pytest

from nnopt_lab.grading import batch, gradebook, judge, pool, sandbox, sources
from nnopt_lab.grading.pool import Settings, WorkerPool
from tests.grading.classroom import (
    ATTACKED,
    HONEST_POINTS,
    LESSON,
    QUIET,
    RIGHT,
    RIGHT_QUIET,
    WRONG,
    adopt_orphans,
    descendants,
    entries,
    hand_in,
    honest,
    left_since,
    linux,
    notebook,
    solved,
)

pytestmark = linux
COMMAND = [sys.executable, "-c", "from nnopt_lab.cli import main; main()", "grade"]


@pytest.fixture(scope="module")
def settings():
    return Settings(sandbox.available(), sandbox.Limits(5))


@pytest.fixture(scope="module")
def sandboxes(settings):
    """Three, started once for all batches that need no others."""
    with WorkerPool(settings, 3) as started:
        yield started


@pytest.fixture
def room(tmp_path):
    for n in range(4):
        hand_in(tmp_path / "in", f"right{n}", honest())
        hand_in(tmp_path / "in", f"wrong{n}", notebook({ATTACKED: WRONG, QUIET: RIGHT_QUIET}))
    hand_in(tmp_path / "in", "solved", solved())
    return tmp_path / "in"


@pytest.fixture
def grade_into(settings, sandboxes):
    def grade(folder, room, jobs=1, seed=11, **more):
        book = gradebook.Gradebook(folder, seed)
        workers = contextlib.nullcontext(sandboxes[:jobs])
        batch.grade_all(sources.find([room]), book, settings, **{"workers": workers} | more)
        book.close()
        return entries(folder)

    return grade


def test_the_same_seed_gives_the_same_grades_with_any_number_of_jobs(tmp_path, room, grade_into):
    first = grade_into(tmp_path / "a", room, jobs=1)
    assert first == grade_into(tmp_path / "b", room, jobs=3)
    other = grade_into(tmp_path / "c", room, jobs=2, seed=12)
    assert [g.graded.results for g in first] != [g.graded.results for g in other]
    assert [[r.points for r in g.graded.results] for g in first] == [
        [r.points for r in g.graded.results] for g in other
    ]


def test_what_was_graded_is_not_graded_again_and_a_changed_file_is(tmp_path, room, grade_into, monkeypatch):
    first = grade_into(tmp_path / "out", room)
    monkeypatch.setattr(batch, "WorkerPool", None)  # nothing new: no process is started
    seen = []
    again = grade_into(tmp_path / "out", room, workers=None, on_done=seen.append)
    assert again == first and len(seen) == len(first)
    (room / "right0" / f"{LESSON}.ipynb").write_bytes((room / "solved" / f"{LESSON}.ipynb").read_bytes())
    again = grade_into(tmp_path / "out", room)
    assert len(again) == len(first) + 1


def test_a_fault_of_the_grader_is_a_state_of_one_submission(tmp_path, room, grade_into, monkeypatch):
    whole = judge.grade

    def with_a_bug(submission, sandbox, seed):
        if submission.source.learner == "right1":
            raise KeyError("bug")
        return whole(submission, sandbox, seed)

    monkeypatch.setattr(judge, "grade", with_a_bug)
    found = {g.learner: g.graded for g in grade_into(tmp_path / "out", room, jobs=2)}
    assert found["right1"].state == "crashed" and "The grader itself failed: KeyError" in found["right1"].reason
    assert {g.state for name, g in found.items() if name != "right1"} == {"graded"}


def test_no_process_stays_when_a_batch_breaks(tmp_path, room, settings, grade_into, monkeypatch):
    def broken(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(gradebook.Gradebook, "add", broken)
    adopt_orphans()
    before = descendants()
    workers = WorkerPool(settings, 2)
    with pytest.raises(KeyboardInterrupt):
        grade_into(tmp_path / "out", room, workers=workers)
    assert not left_since(before)


@pytest.fixture
def fragile(settings, monkeypatch):
    """Sandboxes that mallory's answer takes down for good: they don't start again."""

    def exchange(sandbox, job):
        if b"# from mallory" in job:
            sandbox.taken_down = True
            return None
        return whole_exchange(sandbox, job)

    def start(sandbox):
        if getattr(sandbox, "taken_down", False):
            raise OSError("no room")
        whole_start(sandbox)

    kind = pool.start(settings)
    kind.close()
    whole_exchange, whole_start = type(kind)._exchange, type(kind)._start
    monkeypatch.setattr(type(kind), "_exchange", exchange)
    monkeypatch.setattr(type(kind), "_start", start)
    monkeypatch.setattr(sandbox, "PAUSES", (0, 0))
    return lambda count: WorkerPool(settings, count)


@pytest.fixture
def hostile_room(tmp_path):
    hand_in(tmp_path / "in", "alice", honest())
    hand_in(tmp_path / "in", "mallory", notebook({ATTACKED: f"# from mallory\n{RIGHT}", QUIET: RIGHT_QUIET}))
    for n in range(4):
        hand_in(tmp_path / "in", f"zoe{n}", honest())
    return tmp_path / "in"


def points(graded) -> dict[str, float]:
    return {g.learner: sum(r.points for r in g.graded.results) for g in graded}


def test_a_sandbox_that_is_lost_for_good_is_the_state_of_one_submission(tmp_path, hostile_room, grade_into, fragile):
    found = grade_into(tmp_path / "out", hostile_room, workers=fragile(2))
    states = {g.learner: g.graded for g in found}
    assert states["mallory"].state == "partly graded" and "could not be restarted" in states["mallory"].reason
    others = {name: earned for name, earned in points(found).items() if name != "mallory"}
    assert len(others) == 5 and set(others.values()) == {HONEST_POINTS}


def test_where_the_last_sandbox_is_lost_the_batch_resumes_behind_who_took_it_down(
    tmp_path, hostile_room, grade_into, fragile
):
    with pytest.raises(sandbox.SandboxError, match="no room"):
        grade_into(tmp_path / "out", hostile_room, workers=fragile(1))
    found = grade_into(tmp_path / "out", hostile_room, workers=fragile(1))
    assert points(found) == {"alice": HONEST_POINTS, "mallory": 0, **{f"zoe{n}": HONEST_POINTS for n in range(4)}}


def count(folder) -> int:
    """How many submissions the gradebook holds, also while a grader writes to it."""
    if not (folder / gradebook.FILE).exists():
        return 0
    with contextlib.closing(sqlite3.connect(folder / gradebook.FILE, timeout=10)) as book:
        try:
            return book.execute("SELECT count(*) FROM submission").fetchone()[0]
        except sqlite3.OperationalError:  # killed before it had made its tables
            return 0


def test_killed_at_any_moment_it_resumes_with_nothing_lost_and_nothing_twice(tmp_path, grade_into):
    for n in range(30):
        hand_in(tmp_path / "in", f"learner{n:02d}", honest() if n % 2 else notebook({ATTACKED: WRONG}))
    undisturbed = grade_into(tmp_path / "a", tmp_path / "in", jobs=2)
    command = [*COMMAND, str(tmp_path / "in"), "--out", str(tmp_path / "b"), "--jobs", "2", "--seed", "11"]
    chance, graded = random.Random(5), []
    adopt_orphans()
    before = descendants()
    for kill in range(4):
        # Twice during the start, otherwise with a few more submissions graded and others in progress.
        wanted = count(tmp_path / "b") + chance.randint(1, 3) if kill % 2 else -1
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
        time.sleep(chance.uniform(0.1, 1.0) if wanted < 0 else 0)
        while count(tmp_path / "b") < wanted and process.poll() is None:
            time.sleep(0.005)
        process.kill()
        process.wait()
        graded.append(count(tmp_path / "b"))
    assert graded == sorted(graded) and 0 < graded[-1] < len(undisturbed)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert entries(tmp_path / "b") == undisturbed
    assert not left_since(before)
