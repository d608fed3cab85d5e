"""Many submissions, several at a time: read, grade, note. A batch never dies of a submission."""

import contextlib
import itertools
import queue
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator

from nnopt_lab.grading.gradebook import Gradebook
from nnopt_lab.grading.judge import Graded, grade
from nnopt_lab.grading.pool import Settings, WorkerPool
from nnopt_lab.grading.sandbox import Sandbox, SandboxError
from nnopt_lab.grading.submissions import Source, Submission, read


def grade_all(
    sources: Iterable[Source],
    book: Gradebook,
    settings: Settings,
    jobs: int = 1,
    on_done: Callable[[Submission], None] | None = None,
    cluster: str | None = None,
    warmed: WorkerPool | None = None,
) -> None:
    """Grade what the gradebook does not hold yet.

    Args:
        jobs: how many submissions at a time, on this machine.
        warmed: processes whose start has begun already; `jobs` is of no account then.
        cluster: address of a Dask scheduler, whose workers grade in place of this machine.
        on_done: called after each submission, those included that were graded before.

    Raises:
        SandboxError: the fence can't be put up or does not stand; nothing is graded outside of it.
    """
    todo = _not_graded(sources, book, settings, on_done)
    first = next(todo, None)
    if first is None:
        return
    todo = itertools.chain([first], todo)
    if cluster is not None:
        from nnopt_lab.grading.cluster import graded_there

        _note(graded_there(cluster, todo, book.seed, settings), book, on_done)
    else:
        with warmed or WorkerPool(settings, jobs) as processes:
            _note(_graded(todo, book.seed, processes), book, on_done)


def _note(results: Iterable[tuple[Submission, Graded]], book: Gradebook, on_done) -> None:
    for submission, graded in results:
        book.add(submission, graded)
        if on_done is not None:
            on_done(submission)


def grade_safely(submission: Submission, warm: Sandbox, seed: int) -> Graded:
    """`grade`, but a fault of the grader's own is a state of the submission and not the end of the batch."""
    try:
        return grade(submission, warm, seed)
    except SandboxError:
        raise
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        reason = f"The grader itself failed: {type(error).__name__}: {error} ({place.name}, line {place.lineno})."
        return Graded(submission.lesson, "crashed", reason)


def _not_graded(sources, book: Gradebook, settings: Settings, on_done) -> Iterator[Submission]:
    for source in sources:
        submission = read(source, settings.lesson)
        if not book.holds(submission):
            yield submission
        elif on_done is not None:
            on_done(submission)


def _graded(submissions: Iterator[Submission], seed: int, warmed: list[Sandbox]) -> Iterator[tuple[Submission, Graded]]:
    """Grades as they come; a few submissions wait in memory, never all of them."""
    waiting: queue.Queue = queue.Queue(maxsize=2 * len(warmed))
    done: queue.Queue = queue.Queue()

    def serve(warm: Sandbox) -> None:
        while (submission := waiting.get()) is not None:
            try:
                done.put((submission, grade_safely(submission, warm, seed)))
            except BaseException as error:
                done.put((submission, error))
                return

    threads = [threading.Thread(target=serve, args=(warm,), daemon=True) for warm in warmed]
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
            _put_anyway(waiting)


def _put_anyway(waiting: queue.Queue) -> None:
    # Full when stopped in the middle: the threads are daemons, and their processes are closed next.
    with contextlib.suppress(queue.Full):
        waiting.put_nowait(None)


def _or_raise(result: tuple) -> tuple[Submission, Graded]:
    if isinstance(result[1], BaseException):
        raise result[1]
    return result
