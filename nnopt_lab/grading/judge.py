"""Judge one submission: draw inputs, run the references and compare. Learners' code runs elsewhere.

A worker's reply counts only as values: a worker under a learner's control can claim any result, but to claim the right
one for fresh random inputs, it has to compute it.
"""

import hashlib
import json
import re
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import torch

from nnopt_lab.course.bare_code import bare
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

JUDGE_SECONDS = 10  # per step of the judge's work on one answer; an honest answer takes milliseconds
MAX_SHOWN = 2_000  # characters per text of a result
_SEEN = (
    "During grading, an answer sees its own cell, the lesson's imports of torch and of Python's library, your other "
    "answers, and the definitions that it needs from your other cells, but neither your other cells as a whole nor the "
    "course's library."
)
_FORBIDDEN = (
    "During grading, an answer can't start other processes, which torch.compile and loaders with workers do, and has "
    "neither a network nor files."
)
_TROUBLE = {
    "missing": "The answer's cell is missing from the notebook.",
    "doubled": "The answer's cell appears more than once, with different answers: keep one.",
    "mistyped": "The answer's cell is not a code cell any more.",
    "too long": "The answer's cell is too long to be an answer.",
}


def grade(submission: Submission, sandbox: Sandbox, seed: int) -> Graded:
    """Grade every answer of a submission.

    They run one after the other in one worker, as in the notebook. An answer that does not pass there runs again in its
    own worker, so that it loses no points for what another answer changed.

    Args:
        submission: the submission to grade.
        sandbox: runs the answers.
        seed: of the batch; it determines the inputs, with the file, the learner and the exercise.
    """
    if submission.malformed:
        return Graded(submission.lesson, "malformed", submission.malformed)
    judge = _Judge(submission, sandbox, seed)
    lesson = submission.lesson
    items = (*exercises(lesson).values(), *questions(lesson).values())
    by_id = {result.id: result for result in judge.results(items)}
    results = [by_id[item.id] for item in items]
    state, reason = _state(results)
    return Graded(lesson, state, " ".join(filter(None, (submission.note, reason))), tuple(results))


def grade_safely(submission: Submission, sandbox: Sandbox, seed: int) -> Graded:
    """Like `grade`, but an error in the grader becomes a state of the submission instead of ending the batch."""
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
    """An answer to run: on each case, or once if it answers a question."""

    item: Exercise | Question
    source: str
    cases: list[tuple]
    job: dict

    def packed(self, **more) -> bytes:
        """Serialise the job for a worker; `more` is added to its header."""
        return codec.pack(self.job | more, self.cases)


@dataclass(frozen=True)
class _Ended:
    """The end of a job, and the worker's reply: header and values."""

    job: JobResult
    header: dict
    values: object

    @property
    def touched(self) -> bool:
        """Whether the worker ended or raised an error as after a write to an input (see `frozen`)."""
        if self.job.state == "crashed":
            return any(f"({name})" in self.job.reason for name in WRITE_FAULTS)
        return (_first_error(self.header) or {}).get("type") == "ChangedInPlace"

    @property
    def misses_a_name(self) -> bool:
        return (_first_error(self.header) or {}).get("type") == "NameError"

    @property
    def failed(self) -> bool:
        """Whether it ran out of time or memory, or crashed."""
        out_of_memory = (_first_error(self.header) or {}).get("memory") is True
        return out_of_memory or (self.job.state in BROKEN and not self.touched)


@dataclass(frozen=True)
class _Judge:
    """Judges the answers of one submission."""

    submission: Submission
    sandbox: Sandbox
    seed: int

    def results(self, items: Iterable[Exercise | Question]) -> Iterator[Result]:
        """Yield the results of answers, in any order."""
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
        """Do some work on an answer and return its result; an error in the grader costs at most this answer."""
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
        if bare(cell.source) == bare(stubs(self.submission.lesson).get(cell_id(kind, item.id), "")):
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
        # With the digest, because otherwise a file could contain a table for the inputs that an earlier one printed.
        submission = self.submission
        text = json.dumps([self.seed, submission.sha256, submission.source.learner, id, number])
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6])

    def _judged(self, task: _Task, job: JobResult) -> Result:
        """The result of an answer that ran in its own worker; it may run once more."""
        ended = self._completed(task, job)
        result = self._verdict(task, ended)
        lists = any(_holds_list(case) for case in task.cases)
        if result.state == "passed" or isinstance(task.item, Question) or not (ended.touched or lists):
            return result
        # With inputs that it may change, and ordinary lists.
        again = self._completed(task, self.sandbox.run(task.packed(writable=True)), writable=True)
        verdict = self._verdict(task, again, ended.touched)
        return verdict if ended.touched or verdict.state == "passed" else result

    def _completed(self, task: _Task, job: JobResult, **more) -> _Ended:
        """The end of a job; if a name was missing, it may run again with the definitions of the other cells."""
        ended = self._without_trials(task, job, **more)
        if not ended.misses_a_name or not self.submission.code:
            return ended
        more |= {"code": self.submission.code}
        again = self._without_trials(task, self.sandbox.run(task.packed(**more)), **more)
        return ended if again.failed else again

    def _without_trials(self, task: _Task, job: JobResult, **more) -> _Ended:
        """The end of a job; if it failed, it may run again without the statements after the answer's function."""
        ended = _read(job)
        if ended.failed and _goes_on_after(task.source, task.job.get("name")):
            again = _read(self.sandbox.run(task.packed(brief=True, **more)))
            if again.job.state == "replied" and not _first_error(again.header):
                return again
        return ended

    def _verdict(self, task: _Task, ended: _Ended, touched: bool = False) -> Result:
        """Convert a reply to a result.

        Args:
            task: the answer.
            ended: the end of its job.
            touched: whether it wrote to its inputs earlier; then they count as changed, whatever the reply says.
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
            return result("out of memory", f"Your answer was stopped: it needed more than {most} MiB.")
        return result("blank") if _is_blank(error) else result("raised", _raised(error, task.source))

    def _mentioned_in(self, id: str, source: str) -> dict[str, str]:
        """The learner's other answers whose functions this one mentions, directly or not, by their names.

        A word in a comment counts as a mention too; the worker runs only what is really needed.
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
    """A result with texts of limited length, whatever the worker replied."""
    shown = {name: _shortened(text) for name, text in result.inputs.items()}
    texts = {name: _shortened(getattr(result, name)) for name in ("mistake", "got", "wanted", "printed")}
    return replace(result, inputs=shown, **texts)


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 2]} …"


def _goes_on_after(source: str, name: str | None) -> bool:
    """Whether the function is followed by statements other than definitions, such as a trial call."""
    lines = source.splitlines()
    last = max((n for n, line in enumerate(lines) if re.match(rf"def {name}\b", line)), default=len(lines))
    return any(re.match(r"(?!def |class |import |from |@)[^\W\d]", line) for line in lines[last + 1 :])


def _exercise_result(task: _Task, ended: _Ended, touched: bool) -> Result:
    exercise, cases, header, values = task.item, task.cases, ended.header, ended.values

    def result(state: str, mistake: str, **more) -> Result:
        printed = _text(header.get("printed"))
        return Result(exercise.id, state, 0, exercise.points, mistake, printed=printed, source=task.source, **more)

    if "missing" in header:
        what = f"it is of type {_text(header['missing'])}" if header["missing"] else "it does not"
        return result("unusable", f"This cell must define a function `{exercise.name}`, but {what}.")
    if "accepts" in header:
        return result("unusable", wrong_arguments(exercise, _text(header["accepts"])))
    pairs = values if isinstance(values, list) and len(values) == len(cases) else []
    if not pairs or not all(isinstance(p, list) and len(p) == 2 and isinstance(p[1], list) for p in pairs):
        return result("failed", "It did not return one result per case.")
    foreign = next((value for value, _ in pairs if _foreign(value)), None)
    if foreign is not None:
        return result(
            "failed",
            f"The result contains {_foreign(foreign)}; only plain tensors, numbers, booleans, texts, and lists or "
            "tuples of them are allowed.",
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

    def result(state: str, mistake: str = "", points: int = 0, got: str = "") -> Result:
        return Result(question.id, state, points, question.points, mistake, got=got, source=task.source)

    if not isinstance(values, list) or len(values) != 1 or not header.get("asked"):
        return result("unusable", f'The cell does not call question("{question.id}", …).')
    answer = values[0]
    if answer is None:
        return result("blank")
    right = None if _foreign(answer) else judge_answer(question, answer)
    if right is None:
        given = _foreign(answer) or show(answer, 80)
        return result("unusable", f"The answer must be {question.allowed}; {given} was given.")
    got = question.letter(answer) if question.choices else show(answer, 80)
    if right:
        return result("passed", points=question.points, got=got)
    return result("failed", question.comment_on(answer), got=got)


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
        return f"IPython's commands don't run when an answer is graded: remove line {number}, `{line}`."
    said = message or "no message"
    told = f"Your line {number}, `{line}`, raised {kind}: {said}." if line else f"Your answer raised {kind}: {said}."
    if kind in ("NameError", "ModuleNotFoundError") and "its own cell" not in message:
        told += f" {_SEEN}"
    if kind in ("InductorError", "BackendCompilerFailed", "PermissionError") or "not permitted" in message:
        told += f" {_FORBIDDEN}"
    return told


def _text(value) -> str:
    return value if isinstance(value, str) else ""
