"""Grade many submissions, several at a time: read, grade, record. No submission can end a batch."""

import contextlib
import itertools
import queue
import threading
from collections.abc import Callable, Iterable, Iterator

from nnopt_lab.grading.gradebook import Gradebook
from nnopt_lab.grading.judge import grade_safely
from nnopt_lab.grading.pool import Settings, WorkerPool
from nnopt_lab.grading.results import Graded
from nnopt_lab.grading.sandbox import Sandbox, SandboxError
from nnopt_lab.grading.sources import Source
from nnopt_lab.grading.submissions import Submission, read


def grade_all(
    sources: Iterable[Source],
    book: Gradebook,
    settings: Settings,
    jobs: int = 1,
    on_done: Callable[[Submission], None] | None = None,
    cluster: str | None = None,
    workers: WorkerPool | None = None,
) -> None:
    """Grade the submissions that the gradebook does not contain yet.

    Args:
        sources: the submitted files.
        book: gets the grades.
        settings: of the sandboxes.
        jobs: number of submissions at a time, on this machine.
        on_done: called after each submission, including those graded earlier.
        cluster: address of a Dask scheduler, whose workers grade instead of this machine.
        workers: a pool that is already starting; `jobs` is ignored then.

    Raises:
        SandboxError: a sandbox does not start or has a hole, or all were lost during this batch and can't be
            restarted; nothing is graded outside a sandbox.
    """
    todo = _not_graded(sources, book, settings, on_done)
    first = next(todo, None)
    if first is None:
        return
    todo = itertools.chain([first], todo)
    if cluster is not None:
        from nnopt_lab.grading.cluster import grade_on_cluster

        _note(grade_on_cluster(cluster, todo, book.seed, settings), book, on_done)
    else:
        with workers or WorkerPool(settings, jobs) as sandboxes:
            _note(_grade_here(todo, book.seed, sandboxes), book, on_done)


def _note(results: Iterable[tuple[Submission, Graded]], book: Gradebook, on_done) -> None:
    for submission, graded in results:
        book.add(submission, graded)
        if on_done is not None:
            on_done(submission)


def _not_graded(sources, book: Gradebook, settings: Settings, on_done) -> Iterator[Submission]:
    zone = book.zone
    for source in sources:
        submission = read(source, settings.lesson, zone)
        if not book.holds(submission):
            yield submission
        elif on_done is not None:
            on_done(submission)


def _grade_here(
    submissions: Iterator[Submission], seed: int, sandboxes: list[Sandbox]
) -> Iterator[tuple[Submission, Graded]]:
    """Yield grades as they arrive; only a few submissions wait in memory."""
    waiting: queue.Queue = queue.Queue(maxsize=2 * len(sandboxes))
    done: queue.Queue = queue.Queue()

    left = set(sandboxes)

    def serve(sandbox: Sandbox) -> None:
        while (submission := waiting.get()) is not None:
            try:
                if not _is_ready(sandbox, left):
                    waiting.put(submission)  # another sandbox grades it
                    return
                done.put((submission, grade_safely(submission, sandbox, seed)))
            except BaseException as error:
                done.put((submission, error))
                return

    threads = [threading.Thread(target=serve, args=(sandbox,), daemon=True) for sandbox in sandboxes]
    for thread in threads:
        thread.start()
    out = 0
    try:
        for submission in submissions:
            while out >= waiting.maxsize:
                yield _or_raise(done.get())
                out -= 1
            waiting.put(submission)
            out += 1
        while out:
            yield _or_raise(done.get())
            out -= 1
    finally:
        for _ in threads:
            _put_if_free(waiting)


def _is_ready(sandbox: Sandbox, left: set[Sandbox]) -> bool:
    """Whether a sandbox can run answers; if not, it is removed from those that are `left`.

    Raises:
        SandboxError: it was the last one.
    """
    try:
        sandbox.repair()  # an earlier submission may have taken it down
    except SandboxError:
        left.discard(sandbox)
        if not left:
            raise
        return False
    return True


def _put_if_free(waiting: queue.Queue) -> None:
    # The queue is full if the batch was stopped midway: the threads are daemons, and their sandboxes close next.
    with contextlib.suppress(queue.Full):
        waiting.put_nowait(None)


def _or_raise(result: tuple) -> tuple[Submission, Graded]:
    if isinstance(result[1], BaseException):
        raise result[1]
    return result
