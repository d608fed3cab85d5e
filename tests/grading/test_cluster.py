"""The same batch on a Dask cluster of real processes, one of which is killed in the middle."""

import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext

import pytest

from nnopt_lab.grading import batch, gradebook, sources
from nnopt_lab.grading import cluster as module
from nnopt_lab.grading.pool import Settings
from nnopt_lab.grading.sandbox import Limits, available
from tests.grading.classroom import ATTACKED, WRONG, entries, hand_in, honest, linux, notebook

pytestmark = linux
pytest.importorskip("distributed")
COUNT = 30


def settings():
    return Settings(available(), Limits(5))


@pytest.fixture
def cluster(tmp_path):
    """A scheduler and two workers: (address, the workers' processes)."""
    dask, file = [sys.executable, "-m", "dask"], tmp_path / "scheduler.json"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
    scheduler = [*dask, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    processes = [subprocess.Popen([*scheduler, "--scheduler-file", str(file)], **quiet)]
    worker = [*dask, "worker", "--scheduler-file", str(file), "--nthreads", "1", "--no-nanny", "--no-dashboard"]
    worker += ["--local-directory", str(tmp_path)]
    try:
        processes += [subprocess.Popen(worker, **quiet) for _ in range(2)]
        from distributed import Client

        deadline = time.monotonic() + 60
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        with Client(scheduler_file=str(file), set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
            address = client.scheduler.address
        yield address, processes[1:]
    finally:
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_a_worker_is_killed_in_the_middle_and_nothing_is_lost_or_graded_twice(tmp_path, cluster, sandbox):
    address, workers = cluster
    for n in range(COUNT):
        hand_in(tmp_path / "in", f"learner{n:02d}", honest() if n % 3 else notebook({ATTACKED: WRONG}))
    book = gradebook.Gradebook(tmp_path / "here", seed=3)
    batch.grade_all(sources.find([tmp_path / "in"]), book, settings(), workers=nullcontext([sandbox]))
    book.close()

    done = []

    def kill_one(submission):
        done.append(submission)
        if len(done) == COUNT // 3:
            os.kill(workers[0].pid, signal.SIGKILL)

    book = gradebook.Gradebook(tmp_path / "out", seed=3)
    batch.grade_all(sources.find([tmp_path / "in"]), book, settings(), on_done=kill_one, cluster=address)
    book.close()
    assert workers[0].wait(10) == -signal.SIGKILL and workers[1].poll() is None
    assert len(done) == COUNT
    assert entries(tmp_path / "out") == entries(tmp_path / "here")


def test_where_no_scheduler_answers_a_sentence_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CONNECT_SECONDS", 1)
    hand_in(tmp_path / "in", "alice", honest())
    book = gradebook.Gradebook(tmp_path / "out")
    with pytest.raises(ValueError, match="no Dask scheduler answers there"):
        batch.grade_all(sources.find([tmp_path / "in"]), book, settings(), cluster="tcp://127.0.0.1:1")
    assert not list(book.entries())
