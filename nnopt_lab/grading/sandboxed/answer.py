"""Run an answer in a separate process: read a job, call the learner's function, and reply with plain values.

From the answer's first line on, nothing in this process can be trusted, so the judge only takes values out of the reply
and compares them itself.
"""

import ast
import inspect
import io
import linecache
import random
import sys
import traceback
from collections.abc import Callable, Iterator

import cells
import codec
import exchange
import frozen
import numpy as np
import torch

FILE = "<answer>"
MAX_PRINTED = 2_000
_DEFINING = (
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom),
    *(ast.Assign, ast.AnnAssign, ast.AugAssign),
)


class Printed(io.TextIOBase):
    """Keeps the first characters of printed text and drops the rest, so that a flood costs nothing."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        if len(self.text) < MAX_PRINTED:
            self.text += str(text)[: MAX_PRINTED - len(self.text)]
        return len(text)


class Namespace(dict):
    """The names of a cell; missing ones are looked up in the learner's other answers, then in `asking`.

    The cell of another answer runs when its function is first needed, in its own namespace; a cell that is only
    mentioned never runs.
    """

    def __init__(self, names: dict, others: dict[str, str], asking: dict | None = None):
        super().__init__(names)
        self._names, self._others, self._asking = names, dict(others), asking
        self._failed: dict[str, str] = {}

    def __missing__(self, name):
        if name in self._others:
            source = self._others.pop(name)  # so that two answers that use each other don't recurse for ever
            cell = Namespace(self._names, self._others, self)
            error = execute(source, f"<the cell of {name}>", cell, lambda: name in cell, True)
            if name not in cell:
                self._failed[name] = _not_there(name, error)
            for key, value in cell.items():
                self.setdefault(key, value)
            if name in self:
                return self[name]
        if name in self._failed:
            raise NameError(self._failed[name])
        if self._asking is not None:
            return self._asking[name]
        raise KeyError(name)


def reply_to(job: bytes) -> bytes:
    """Return the reply to a job.

    The job's header contains `preamble` (the lesson's own imports), `others` (the learner's other answers that this one
    may call, by the names of their functions), `source`, perhaps `code` (all code cells, see `cells.Helpers`), and
    either `name`, a function to be called on each case, or `question`, the id of the question whose answer is read;
    `brief` leaves out what follows the function and defines nothing. A write to an input ends the process or raises
    `ChangedInPlace`, unless the header says `writable`. The reply contains a result per case and the inputs
    after the call; these are left out if the header says `results_only`. Its header contains `printed` and `error` (one
    raised before any call) or `outcomes`, one per case: {} or {"error": …}.
    """
    return _reply_to(*_read(job))


def replies_to(data: bytes) -> Iterator[bytes]:
    """Yield the replies to a job or a bundle of jobs, all of which are read before the first answer runs."""
    for header, cases in [_read(job) for job in exchange.jobs_in(data)]:
        yield _reply_to(header, cases)


def _read(job: bytes) -> tuple[dict, list]:
    header, cases = codec.unpack(job, trusted=True)
    return header, cases if header.get("writable") else frozen.frozen(cases)


def _reply_to(header: dict, cases: list) -> bytes:
    _seed(header["seed"])
    printed = sys.stdout = sys.stderr = Printed()
    names, asked = {"__name__": "answer"}, []
    names["question"] = lambda id, answer=None: asked.append(answer) if id == header.get("question") else None
    source = header["source"]
    # As in IPython, so that code that reads a function's source (such as TorchScript) finds it.
    linecache.cache[FILE] = len(source), None, source.splitlines(keepends=True), FILE
    reply, values = {"outcomes": []}, []
    try:
        exec(compile(header["preamble"], "<imports>", "exec"), names)
        helpers = cells.Helpers(names, header["code"], source) if "code" in header else None
        if helpers is not None or header.get("others"):
            names = Namespace(names, header.get("others", {}), helpers)
        asks, name = "question" in header, header.get("name")
        imported = names.get(name)
        there = (lambda: bool(asked)) if asks else (lambda: names.get(name, imported) is not imported)
        error = execute(source, FILE, names, there, header.get("brief", False))
        if error is not None and not there():
            raise error
        reply, values = ({"asked": len(asked)}, asked[-1:]) if asks else _call(names, header, cases)
    except BaseException as error:  # SystemExit too
        reply = {"error": described(error)}
    return codec.pack(reply | {"printed": printed.text}, values)


def execute(source: str, file: str, names: dict, there: Callable[[], bool], brief: bool) -> BaseException | None:
    """Run a cell statement by statement; returns the first error, or None.

    A statement that fails costs nothing, before or after the function: it may use names that only the notebook has
    (`model`, `display`, a file, another package), or be a failing trial call. A request to exit, such as `exit()`, ends
    the cell, unless its result is already `there`.

    Args:
        source: of the cell.
        file: name of the cell in tracebacks.
        names: the namespace to run it in.
        there: whether the cell's result is there.
        brief: whether to run only definitions once the result is there.
    """
    try:
        found = list(cells.statements(source, file))
    except BaseException as error:  # also for code that can't be encoded, or is nested too deeply
        return error
    first = None
    for node, code in found:
        if brief and there() and not isinstance(node, _DEFINING):
            continue
        try:
            exec(code(), names)
        except BaseException as error:
            first = error if first is None else first
            if not there() and not isinstance(error, Exception):
                break
    return first


def _not_there(name: str, error: BaseException | None) -> str:
    if error is None:
        return f"name {name!r} is not defined in its own cell"
    return f"name {name!r} can't be used: its own cell raised {type(error).__name__}: {_first_line(error)}"


def _seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.default_generator.manual_seed(seed)  # torch.manual_seed also looks for accelerators, which takes longer


def _call(namespace: dict, header: dict, cases: list) -> tuple[dict, list]:
    function = namespace.get(header["name"])
    if not callable(function):
        return {"missing": "" if header["name"] not in namespace else type(function).__name__}, []
    if accepts := _accepts_others(function, header["arguments"]):
        return {"accepts": accepts}, []
    outcomes, values = [], []
    for inputs in cases:
        result, outcome = None, {}
        try:
            result = function(*inputs)
        except BaseException as error:
            outcome = {"error": described(error)}
        values.append(frozen.thawed([result, [] if header.get("results_only") else list(inputs)]))
        outcomes.append(outcome)
        if outcome:
            break  # one error is enough
    return {"outcomes": outcomes}, values


def _accepts_others(function, arguments: list[str]) -> str:
    """The signature of a function that can't be called with these arguments, else ""; as in `course.checking`."""
    try:
        signature = inspect.signature(function)
        accepts = str(signature)[:200]
    except Exception:
        return ""  # a builtin without a signature, or an object with a broken one: the call will show
    try:
        signature.bind(*arguments)
    except TypeError:
        return accepts
    return ""


def described(error: BaseException) -> dict:
    """An error as plain data: its type, its first line, and the line of the answer that led to it."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == FILE]
    text = _first_line(error)
    if isinstance(error, SyntaxError):
        lines, text = [error.lineno or 0] if error.filename == FILE else [], str(error.msg)
    return {
        "type": type(error).__name__[:60],
        "message": text[:300],
        "line": lines[-1] if lines else 0,
        # True for the error of an unchanged stub, but not for one of another answer or of torch.
        "bare": not error.args and bool(frames) and frames[-1].filename == FILE,
        "memory": isinstance(error, MemoryError) or "allocate memory" in text,
    }


def _first_line(error: BaseException) -> str:
    try:
        return next(iter(str(error).splitlines()), "")
    except Exception:  # a learner's own class may raise
        return ""
