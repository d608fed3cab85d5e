"""Runs one answer in a process of its own: reads a job, calls the learner's function, replies with plain values.

From the first line of the answer on, nothing in this process can be believed. The judge believes none of it: it takes
values out of the reply, and compares them itself.
"""

import inspect
import io
import linecache
import random
import sys
import traceback

import codec
import numpy as np
import torch

FILE = "<answer>"
MAX_PRINTED = 2_000


class Printed(io.TextIOBase):
    """Keeps the first characters of what is printed and drops the rest, so that a flood costs nothing."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        if len(self.text) < MAX_PRINTED:
            self.text += str(text)[: MAX_PRINTED - len(self.text)]
        return len(text)


def reply_to(job: bytes) -> bytes:
    """The reply to a job.

    The job's header holds `preamble` (the lesson's own imports), `before` (answers that this one calls), `source`, and
    either `name`, a function to be called on each case, or `question`, an id whose given answer is wanted. The reply's
    header holds `printed` and `error` (one that came before any call) or `outcomes`, one per case: {} or {"error": …}.
    """
    header, cases = codec.unpack(job)
    _seed(header["seed"])
    printed = sys.stdout = sys.stderr = Printed()
    namespace = {"__name__": "answer"}
    asked: list = []
    namespace["question"] = lambda id, answer=None: asked.append(answer) if id == header.get("question") else None
    reply, values = {"outcomes": []}, []
    # As IPython does, so that what looks at the source of a function (TorchScript does) finds it.
    linecache.cache[FILE] = len(header["source"]), None, header["source"].splitlines(keepends=True), FILE
    try:
        for source in (header["preamble"], *header["before"]):
            exec(compile(source, "<before>", "exec"), namespace)
        exec(compile(header["source"], FILE, "exec"), namespace)
        if "question" in header:
            reply, values = {"asked": len(asked)}, asked[-1:]
        else:
            reply, values = _call(namespace, header, cases)
    except BaseException as error:  # SystemExit too
        reply = {"error": described(error)}
    return codec.pack(reply | {"printed": printed.text}, values)


def _seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.default_generator.manual_seed(seed)  # torch.manual_seed looks for accelerators, which takes longer


def _call(namespace: dict, header: dict, cases: list) -> tuple[dict, list]:
    function = namespace.get(header["name"])
    if not callable(function):
        return {"missing": "" if header["name"] not in namespace else type(function).__name__}, []
    try:  # as `course.checking` does, of which the worker can import nothing
        inspect.signature(function).bind(*header["arguments"])
    except TypeError:
        return {"accepts": str(inspect.signature(function))[:200]}, []
    except ValueError:
        pass  # a builtin without a signature: calling it will tell
    outcomes, values = [], []
    for inputs in cases:
        try:
            values.append([function(*inputs), list(inputs)])
            outcomes.append({})
        except BaseException as error:
            values.append([None, list(inputs)])
            outcomes.append({"error": described(error)})
            break  # one is enough to tell
    return {"outcomes": outcomes}, values


def described(error: BaseException) -> dict:
    """An error as plain data: its type, its first line, and the line of the answer that led to it."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == FILE]
    text = str(error)
    if isinstance(error, SyntaxError):
        lines, text = [error.lineno or 0] if error.filename == FILE else [], str(error.msg)
    return {
        "type": type(error).__name__[:60],
        "message": next(iter(text.splitlines()), "")[:300],
        "line": lines[-1] if lines else 0,
        "bare": not error.args,
        "memory": isinstance(error, MemoryError) or "allocate memory" in text,
    }
