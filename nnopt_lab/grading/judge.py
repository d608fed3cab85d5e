"""The judge of one submission: draws the inputs, holds the references and compares. Learners' code runs elsewhere.

A worker's reply counts as values and nothing more: a worker in a learner's hands can claim any result, but to claim the
right one for inputs drawn a moment ago, it has to compute it.
"""

import hashlib
import json
import re
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import torch

from nnopt_lab.course.checking import CASES, Outcome, compare, judge_answer, wrong_arguments
from nnopt_lab.course.differences import agree
from nnopt_lab.course.display import show
from nnopt_lab.course.exercises import Exercise, Question, cell_id, exercises, questions
from nnopt_lab.grading.course_cells import lesson_imports, stubs
from nnopt_lab.grading.results import BROKEN, JUDGED, Graded, Result
from nnopt_lab.grading.sandbox import JobResult, Sandbox, SandboxError
from nnopt_lab.grading.sandboxed import codec
from nnopt_lab.grading.sandboxed.exchange import WRITE_FAULTS
from nnopt_lab.grading.submissions import Submission
from nnopt_lab.grading.time_limit import TooLong, within

JUDGE_SECONDS = 10  # for one step of the judge's own work on one answer; an honest one takes milliseconds
MAX_SHOWN = 2_000  # characters of each text of a result
_TROUBLE = {
    "missing": "The answer's cell is not in the notebook.",
    "doubled": "The answer's cell is there more than once, with different answers: keep one.",
    "mistyped": "The answer's cell is no code cell any more.",
    "too long": "The answer's cell is longer than any answer.",
}


def grade(submission: Submission, sandbox: Sandbox, seed: int) -> Graded:
    """Grade every answer of a submission.

    They run one after the other in a worker, as they do in the notebook. One that does not pass there runs once more,
    in a worker of its own: what another answer changed must not cost it points.

    Args:
        seed: of the batch; the inputs follow from it, the file, the learner, and the exercise.
    """
    if submission.malformed:
        return Graded(submission.lesson, "malformed", submission.malformed)
    judge = _Judge(submission, sandbox, seed)
    lesson = submission.lesson
    items = (*exercises(lesson).values(), *questions(lesson).values())
    by_id = {result.id: result for result in judge.results(items)}
    results = [by_id[item.id] for item in items]
    return Graded(lesson, *_state(results), tuple(results))


def grade_safely(submission: Submission, sandbox: Sandbox, seed: int) -> Graded:
    """`grade`, but a fault of the grader itself becomes a state of the submission instead of the end of the batch."""
    try:
        return grade(submission, sandbox, seed)
    except SandboxError:
        raise
    except Exception as error:
        return Graded(submission.lesson, "crashed", _own_fault(error))


def _own_fault(error: Exception) -> str:
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"The grader itself failed: {type(error).__name__}: {error} ({place.name}, line {place.lineno})."


def _state(results: list[Result]) -> tuple[str, str]:
    unjudged = [result for result in results if result.state not in JUDGED]
    if not unjudged:
        return "graded", ""
    reason = "; ".join(f"{result.id}: {result.mistake or result.state}" for result in unjudged)
    states = {result.state for result in unjudged}
    only = len(unjudged) == len(results) and len(states) == 1 and states <= set(BROKEN)
    return (states.pop() if only else "partly graded"), reason


@dataclass(frozen=True)
class _Task:
    """An answer that is to be run: on each of the cases, or once where it answers a question."""

    item: Exercise | Question
    source: str
    cases: list[tuple]
    job: dict

    def packed(self, **more) -> bytes:
        """The job as a worker takes it; `more` is added to its header."""
        return codec.pack(self.job | more, self.cases)


@dataclass(frozen=True)
class _Ended:
    """How a job ended, and the worker's reply: header and values."""

    job: JobResult
    header: dict
    values: object

    @property
    def touched(self) -> bool:
        """Whether the worker ended, or raised, as one does that writes to an input (see `frozen`)."""
        if self.job.state == "crashed":
            return any(f"({name})" in self.job.reason for name in WRITE_FAULTS)
        return (_first_error(self.header) or {}).get("type") == "ChangedInPlace"

    @property
    def misses_a_name(self) -> bool:
        return (_first_error(self.header) or {}).get("type") == "NameError"

    @property
    def failed(self) -> bool:
        """Whether time, memory or the process itself came to an end."""
        out_of_memory = (_first_error(self.header) or {}).get("memory") is True
        return out_of_memory or (self.job.state in BROKEN and not self.touched)


@dataclass(frozen=True)
class _Judge:
    """Judges the answers of one submission."""

    submission: Submission
    sandbox: Sandbox
    seed: int

    def results(self, items: Iterable[Exercise | Question]) -> Iterator[Result]:
        """The results of answers, in no order."""
        tasks = []
        for item in items:
            found = self._not_run(item) or self._guarded(item, partial(self._task, item))
            if isinstance(found, Result):
                yield found
            else:
                tasks.append(found)
        while tasks:
            ended = self.sandbox.run_all([task.packed() for task in tasks])
            yield from map(self._result, tasks, ended)
            tasks = tasks[len(ended) :]

    def _result(self, task: _Task, ended: JobResult) -> Result:
        if ended.follows:
            result = self._guarded(task.item, lambda: self._verdict(task, _read(ended)))
            if result.state == "passed":
                return result
            ended = self.sandbox.run(task.packed())
        return self._guarded(task.item, lambda: self._judged(task, ended))

    def _guarded(self, item: Exercise | Question, work: Callable):
        """What some work on an answer returns; a fault of the grader itself costs at most this one."""
        try:
            return work()
        except SandboxError:
            raise
        except TooLong:
            state, why = "timed out", f"Your answer was stopped: judging its result takes more than {JUDGE_SECONDS} s."
        except Exception as error:
            state, why = "crashed", _own_fault(error)
        return _cut(Result(item.id, state, 0, item.points, why, source=self.submission.cells[item.id].source))

    def _not_run(self, item: Exercise | Question) -> Result | None:
        cell = self.submission.cells[item.id]
        if cell.trouble:
            return Result(item.id, cell.trouble, 0, item.points, _TROUBLE[cell.trouble])
        kind = "exercise" if isinstance(item, Exercise) else "question"
        if cell.source.strip() == stubs(self.submission.lesson).get(cell_id(kind, item.id), "").strip():
            return Result(item.id, "blank", 0, item.points, source=cell.source)
        return None

    def _task(self, item: Exercise | Question) -> _Task:
        source = self.submission.cells[item.id].source
        job = {
            "preamble": lesson_imports(self.submission.lesson),
            "others": self._mentioned_in(item.id, source),
            "source": source,
            "seed": self._draw(item.id, -1),
        }
        if isinstance(item, Question):
            return _Task(item, source, [], job | {"question": item.id})
        cases = [item.generate(torch.Generator().manual_seed(self._draw(item.id, n))) for n in range(CASES)]
        return _Task(item, source, cases, job | {"name": item.name, "arguments": list(item.arguments)})

    def _draw(self, id: str, number: int) -> int:
        # The digest: else a file could hold a table for the inputs that an earlier one printed.
        submission = self.submission
        text = json.dumps([self.seed, submission.sha256, submission.source.learner, id, number])
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6])

    def _judged(self, task: _Task, job: JobResult) -> Result:
        """The result of an answer that ran in a worker of its own; it may run once more."""
        ended = self._completed(task, job)
        result = self._verdict(task, ended)
        lists = any(_holds_list(case) for case in task.cases)
        if result.state == "passed" or isinstance(task.item, Question) or not (ended.touched or lists):
            return result
        # With inputs that it may change, and whose lists are of no class of their own.
        again = self._completed(task, self.sandbox.run(task.packed(writable=True)), writable=True)
        verdict = self._verdict(task, again, ended.touched)
        return verdict if ended.touched or verdict.state == "passed" else result

    def _completed(self, task: _Task, job: JobResult, **more) -> _Ended:
        """How a job ended; where a name was missing, with what the other cells define if that helps."""
        ended = self._without_trials(task, job, **more)
        if not ended.misses_a_name or not self.submission.code:
            return ended
        more |= {"code": self.submission.code}
        again = self._without_trials(task, self.sandbox.run(task.packed(**more)), **more)
        return ended if again.failed else again

    def _without_trials(self, task: _Task, job: JobResult, **more) -> _Ended:
        """How a job ended; where it failed, without what follows the answer's function if that helps."""
        ended = _read(job)
        if ended.failed and _goes_on_after(task.source, task.job.get("name")):
            again = _read(self.sandbox.run(task.packed(brief=True, **more)))
            if again.job.state == "replied" and not _first_error(again.header):
                return again
        return ended

    def _verdict(self, task: _Task, ended: _Ended, touched: bool = False) -> Result:
        """The result that a reply stands for.

        Args:
            touched: whether it wrote to its inputs before; then they count as changed, whatever the reply says of them.
        """
        unjudged = self._unjudged(task, ended)
        if unjudged is not None:
            return _cut(unjudged)
        if isinstance(task.item, Question):
            return _cut(within(JUDGE_SECONDS, partial(_question_result, task, ended)))
        return _cut(within(JUDGE_SECONDS, partial(_exercise_result, task, ended, touched)))

    def _unjudged(self, task: _Task, ended: _Ended) -> Result | None:
        def result(state: str, mistake: str = "") -> Result:
            printed = _text(ended.header.get("printed"))
            return Result(task.item.id, state, 0, task.item.points, mistake, printed=printed, source=task.source)

        if ended.job.state != "replied":
            return result(ended.job.state, f"Your answer was stopped: {ended.job.reason}.")
        error = _first_error(ended.header)
        if not error:
            return None
        if error.get("memory") is True:
            most = self.sandbox.limits.megabytes
            return result("out of memory", f"Your answer was stopped: it wanted more than {most} MiB.")
        return result("blank") if _is_blank(error) else result("raised", _raised(error, task.source))

    def _mentioned_in(self, id: str, source: str) -> dict[str, str]:
        """The learner's other answers whose functions this one mentions, directly or not, by their names.

        A word in a comment is a mention, too: the worker runs only what is really needed.
        """
        needed, sources = {}, [source]
        while sources:
            words = set(re.findall(r"[^\W\d]\w*", sources.pop()))
            for other in exercises(self.submission.lesson).values():
                cell = self.submission.cells[other.id]
                if other.name in words and other.id != id and other.name not in needed and not cell.trouble:
                    needed[other.name] = cell.source
                    sources.append(cell.source)
        return needed


def _read(job: JobResult) -> _Ended:
    if job.state == "replied":
        try:
            return _Ended(job, *within(JUDGE_SECONDS, partial(codec.unpack, job.reply)))
        except ValueError as error:
            job = JobResult("crashed", reason=f"its reply can't be read: {error}")
    return _Ended(job, {}, [])


def _cut(result: Result) -> Result:
    """A result with texts of bounded length, whatever a worker's reply held."""
    shown = {name: _shortened(text) for name, text in result.inputs.items()}
    texts = {name: _shortened(getattr(result, name)) for name in ("mistake", "got", "wanted", "printed")}
    return replace(result, inputs=shown, **texts)


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 2]} …"


def _goes_on_after(source: str, name: str | None) -> bool:
    """Whether something follows a function that defines nothing, such as a trial call."""
    lines = source.splitlines()
    last = max((n for n, line in enumerate(lines) if re.match(rf"def {name}\b", line)), default=len(lines))
    return any(re.match(r"(?!def |class |import |from |@)[^\W\d]", line) for line in lines[last + 1 :])


def _exercise_result(task: _Task, ended: _Ended, touched: bool) -> Result:
    exercise, cases, header, values = task.item, task.cases, ended.header, ended.values

    def result(state: str, mistake: str, **more) -> Result:
        printed = _text(header.get("printed"))
        return Result(exercise.id, state, 0, exercise.points, mistake, printed=printed, source=task.source, **more)

    if "missing" in header:
        what = f"it is of type {_text(header['missing'])}" if header["missing"] else "it is not there"
        return result("unusable", f"A function `{exercise.name}` is wanted from this cell, and {what}.")
    if "accepts" in header:
        return result("unusable", wrong_arguments(exercise, _text(header["accepts"])))
    pairs = values if isinstance(values, list) and len(values) == len(cases) else []
    if not pairs or not all(isinstance(p, list) and len(p) == 2 and isinstance(p[1], list) for p in pairs):
        return result("failed", "It did not give one result for each case.")
    foreign = next((value for value, _ in pairs if _foreign(value)), None)
    if foreign is not None:
        return result(
            "failed",
            f"The result holds {_foreign(foreign)}; only plain tensors, numbers, booleans, texts, and lists or tuples "
            "of them count.",
        )
    outcomes = [
        Outcome(value, changed=_changed(exercise, inputs, after) or (_changeable(exercise, inputs) if touched else ()))
        for inputs, (value, after) in zip(cases, pairs, strict=True)
    ]
    verdict = compare(exercise, cases, outcomes)
    state = "passed" if verdict.passed else "partly right" if verdict.credit else "failed"
    return Result(
        exercise.id,
        state,
        round(exercise.points * verdict.credit, 2),
        exercise.points,
        verdict.mistake,
        verdict.wrong_answer,
        verdict.inputs or {},
        verdict.got,
        verdict.wanted,
        _text(header.get("printed")),
        task.source,
    )


def _question_result(task: _Task, ended: _Ended) -> Result:
    question, header, values = task.item, ended.header, ended.values

    def result(state: str, mistake: str = "", points: int = 0) -> Result:
        return Result(question.id, state, points, question.points, mistake, source=task.source)

    if not isinstance(values, list) or len(values) != 1 or not header.get("asked"):
        return result("unusable", f'The cell does not call question("{question.id}", …).')
    answer = values[0]
    if answer is None:
        return result("blank")
    right = None if _foreign(answer) else judge_answer(question, answer)
    if right is None:
        given = _foreign(answer) or show(answer, 80)
        return result("unusable", f"The answer must be {question.allowed}; {given} was given.")
    if right:
        return result("passed", points=question.points)
    return result("failed", question.comment_on(answer))


def _changed(exercise: Exercise, before: tuple, after: list) -> tuple[str, ...]:
    pairs = zip(exercise.arguments, before, after, strict=False)
    return tuple(name for name, a, b in pairs if not agree(b, a, 0.0))


def _changeable(exercise: Exercise, inputs: tuple) -> tuple[str, ...]:
    """The first input that can be changed in place, by name."""
    named = zip(exercise.arguments, inputs, strict=True)
    return tuple(name for name, value in named if isinstance(value, torch.Tensor) or _holds_list(value))[:1]


def _holds_list(value) -> bool:
    return isinstance(value, list) or (isinstance(value, tuple) and any(map(_holds_list, value)))


def _foreign(value) -> str:
    if isinstance(value, codec.Foreign):
        return value.kind
    if isinstance(value, (list, tuple)):
        return next((kind for v in value if (kind := _foreign(v))), "")
    return ""


def _first_error(header: dict) -> dict | None:
    outcomes = header.get("outcomes")
    found = [header, *(o for o in outcomes if isinstance(o, dict))] if isinstance(outcomes, list) else [header]
    return next((one["error"] for one in found if isinstance(one.get("error"), dict)), None)


def _is_blank(error: dict) -> bool:
    return error.get("type") == "NotImplementedError" and error.get("bare") is True


def _raised(error: dict, source: str) -> str:
    kind, message, number = _text(error.get("type")), _text(error.get("message")), error.get("line")
    lines = source.splitlines()
    line = lines[number - 1].strip() if isinstance(number, int) and 0 < number <= len(lines) else ""
    if kind == "SyntaxError" and line[:1] in ("%", "!", "?"):
        return f"IPython's own commands are not run when an answer is graded: take out line {number}, `{line}`."
    said = f"raised {kind}: {message or 'no message'}"
    if kind in ("NameError", "ModuleNotFoundError") and "its own cell" not in message:
        said += (
            ". When it is graded, an answer sees its own cell, the lesson's imports of torch and of Python's library, "
            "your other answers, and what it needs of the definitions in your other cells: neither your other cells as "
            "a whole nor the course's library"
        )
    if kind in ("InductorError", "BackendCompilerFailed", "PermissionError") or "not permitted" in message:
        said += (
            ". When it is graded, an answer can't start other processes, which torch.compile and loaders with workers "
            "do, and has neither a network nor files"
        )
    return f"Your line {number}, `{line}`, {said}." if line else f"Your answer {said}."


def _text(value) -> str:
    return value if isinstance(value, str) else ""
