"""Grade a batch on a Dask cluster, whose workers have the course installed and their own sandboxes.

Submissions are sent there and grades come back; the gradebook stays here. Nothing is lost if a worker dies: the
scheduler gives its submissions to another one, and the gradebook records each of them once.
"""

import threading
from collections import defaultdict
from collections.abc import Iterator
from importlib.metadata import version
from itertools import islice

from nnopt_lab.grading.judge import grade_safely
from nnopt_lab.grading.pool import Settings, ready, start
from nnopt_lab.grading.results import Graded
from nnopt_lab.grading.sandbox import SandboxError, available
from nnopt_lab.grading.submissions import Submission

CONNECT_SECONDS = 30
_idle: dict[Settings, list] = defaultdict(list)
_lock = threading.Lock()


def grade_on_cluster(
    address: str, submissions: Iterator[Submission], seed: int, settings: Settings
) -> Iterator[tuple[Submission, Graded]]:
    """Yield grades as they arrive from the cluster; each worker has a few submissions at a time.

    Raises:
        ValueError: Dask is not installed, nothing answers at the address, or it has no workers or other versions.
        SandboxError: a worker has no sandbox.
    """
    try:
        from distributed import Client, KilledWorker, as_completed
    except ImportError:
        raise ValueError("A cluster needs Dask: pip install 'nnopt-lab[cluster]'.") from None
    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ValueError(f"cluster={address!r}: no Dask scheduler answers there ({error}).") from None
    with client:
        under_way = {}
        running = as_completed(loop=client.loop)

        def send(submission: Submission) -> None:
            future = client.submit(_grade, submission, seed, settings, pure=False)
            under_way[future.key] = submission
            running.add(future)

        for submission in islice(submissions, 3 * _threads(client)):
            send(submission)
        for future in running:
            submission = under_way.pop(future.key)
            try:
                graded = Graded.from_json(future.result())
            except KilledWorker:
                graded = Graded(submission.lesson, "crashed", "Several machines died while grading it.")
            future.release()
            yield submission, graded
            for following in islice(submissions, 1):
                send(following)


def _threads(client) -> int:
    found = client.run(_version)
    if not found:
        raise ValueError("The cluster has no workers yet: start them with dask worker ADDRESS.")
    others = sorted({other for other in found.values() if other != _version()})
    if others:
        raise ValueError(f"The cluster's workers have nnopt-lab {', '.join(others)}, but this machine {_version()}.")
    return sum(client.nthreads().values())


def _version() -> str:
    return version("nnopt-lab")


def _grade(submission: Submission, seed: int, settings: Settings) -> str:
    """Grade on a worker, which keeps its sandboxes for the next submissions, one per thread."""
    settings = Settings(available(settings.kind), settings.limits, settings.lesson)
    with _lock:
        sandbox = _idle[settings].pop() if _idle[settings] else None
    sandbox = sandbox or ready(start(settings))
    try:
        return grade_safely(submission, sandbox, seed).to_json()
    except SandboxError:
        sandbox.is_lost = True
        raise
    finally:
        if not sandbox.is_lost:  # the next submission starts another one
            with _lock:
                _idle[settings].append(sandbox)
