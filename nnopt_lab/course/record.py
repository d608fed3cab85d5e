"""A learner's record in a small file of the workspace, `progress.json`: passes, hints, guesses, marks and claims.

The file is written under another name and then renamed, so it is never partial. An unreadable file is archived under a
dated name, and a new one begun. If it can't be written, the record stays in the kernel's memory until it can.
"""

import copy
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import FileLock

from nnopt_lab.course.workspace import PROGRESS, workspace, write_atomically
from nnopt_lab.workbench.files import make_folder

FILE = PROGRESS
LOCK_SECONDS = 10
NOT_JUDGED = "not judged: busy"  # the state of a claim that compares times, on a machine that is busy
_FIGURE = (int, float, type(None))
_ATTEMPT = {"passed": bool, "points": int, "attempts": int}
_PREDICTION = {"lesson": str, "unit": str, "guess": _FIGURE, "measured": _FIGURE, "low": _FIGURE, "high": _FIGURE}
_DISTURBED = {"disturbed": bool}  # only in predictions whose measurement was
_SECTIONS = {  # the file is accepted only if each entry is valid for its section
    "exercises": lambda entry: _has(entry, _ATTEMPT),
    "questions": lambda entry: _has(entry, _ATTEMPT),
    "hints": lambda entry: isinstance(entry, int),
    "predictions": lambda entry: (
        (_has(entry, _PREDICTION) or _has(entry, _PREDICTION | _DISTURBED))
        and len({entry[key] is None for key in ("measured", "low", "high")}) == 1
    ),
    "marks": lambda entry: isinstance(entry, list) and all(type(line) is int for line in entry),
    "entries": lambda entry: _is_number(entry) and 0 <= entry <= 10,
    "claims": lambda entry: isinstance(entry, dict) and all(isinstance(holds, bool | None) for holds in entry.values()),
    "timing_claims": lambda entry: (
        isinstance(entry, dict)
        and all(isinstance(holds, bool | None) or holds == NOT_JUDGED for holds in entry.values())
    ),
}
unwritten: dict[Path, dict] = {}  # the contents of files that could not be written, until they can


def read(folder: Path) -> dict:
    """Read a workspace's progress file; if it is missing, all sections are empty.

    Returns:
        {"exercises": {id: {"passed", "points", "attempts"}}, "questions": likewise, "hints": {id: number shown},
        "predictions": {name: …}, "marks": {program: numbers of its lines}, "entries": {capstone division: most points},
        "claims": {lesson: {text: bool, or None if it does not apply}},
        "timing_claims": likewise, or NOT_JUDGED if the machine was busy}.
    """
    path = Path(folder) / FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        found = {}
    except (ValueError, OSError, RecursionError):
        found = None
    if not _trusted(found):
        found = _archive(path)
    in_memory = copy.deepcopy(unwritten.get(path, {}))
    return {key: found.get(key, {}) | in_memory.get(key, {}) for key in _SECTIONS}


@contextmanager
def change(folder: Path | None = None) -> Iterator[dict]:
    """Yield the contents, to change in place; the end of the block writes them. Two notebooks may do so at once."""
    path = Path(folder or workspace()) / FILE
    with ExitStack() as stack:
        # Without the lock (in a read-only folder, on a file system without locks, or if a stopped kernel holds it),
        # two notebooks at once might lose one change, but an error here would lose all of them.
        with suppress(OSError, NotImplementedError):
            make_folder(path.parent)
            stack.enter_context(FileLock(path.with_name(f".{FILE}.lock"), timeout=LOCK_SECONDS))
        contents = read(path.parent)
        yield contents
        try:
            write_atomically(path, json.dumps(contents, indent=1))
            unwritten.pop(path, None)
        except OSError as error:
            if path not in unwritten:
                print(f"{path} cannot be written ({error.strerror}); your progress is kept until this kernel ends.")
            unwritten[path] = copy.deepcopy(contents)


def note_attempt(section: str, id: str, passed: bool, points: int, answered: bool = True) -> None:
    """Record an attempt at an exercise or question; a pass, once earned, is kept."""
    with change() as contents:
        entry = contents[section].setdefault(id, {"passed": False, "points": 0, "attempts": 0})
        entry["attempts"] += answered
        if passed:
            entry |= {"passed": True, "points": points}


def forget_unguessed(lesson: str, folder: Path) -> None:
    """Forget what was measured in a lesson without a guess, so that a fresh copy of it can ask for the guess again."""
    entries = read(folder)["predictions"].items()
    unguessed = [name for name, entry in entries if entry["lesson"] == lesson and entry["guess"] is None]
    if unguessed:
        with change(folder) as contents:
            for name in unguessed:
                contents["predictions"].pop(name, None)


def note_entry(division: str, points: float, folder: Path | None = None) -> None:
    """Record the points, 0 to 10, of an entry in a division of the capstone; the highest ones are kept."""
    with change(folder) as contents:
        contents["entries"][division] = max(points, contents["entries"].get(division, 0))


def _is_number(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _trusted(contents) -> bool:
    if not isinstance(contents, dict):
        return False
    sections = [(contents.get(key, {}), sound) for key, sound in _SECTIONS.items()]
    return all(isinstance(section, dict) and all(map(sound, section.values())) for section, sound in sections)


def _has(entry, kinds: dict) -> bool:
    return (
        isinstance(entry, dict)
        and entry.keys() == kinds.keys()
        and all(isinstance(entry[key], kind) for key, kind in kinds.items())
    )


def _archive(path: Path) -> dict:
    kept = path.with_name(f"progress.damaged-{datetime.now():%Y-%m-%d-%H%M%S-%f}.json")
    try:
        os.replace(path, kept)
        print(f"{FILE} could not be read; it was archived as {kept.name} and a new one begun.")
    except OSError:
        print(f"{FILE} could not be read or archived; your progress starts over.")
    return {}
