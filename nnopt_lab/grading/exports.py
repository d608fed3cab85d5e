"""Write grades as files for other systems: grades.csv, Canvas, Moodle, spreadsheets, JSON, GitHub Classroom.

There is none for Gradescope, which imports no results: its autograders run on its own machines, in containers without
the rights for a sandbox.
"""

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from nnopt_lab.course.exercises import lesson_points
from nnopt_lab.course.workspace import write_atomically
from nnopt_lab.grading import spreadsheet
from nnopt_lab.grading.formulas import defuse, without_controls
from nnopt_lab.grading.grades import MISSING, Grade
from nnopt_lab.grading.results import begun, state_in_words
from nnopt_lab.workbench.files import make_folder
from nnopt_lab.workbench.language import _, translated, translated_sentences

FORMATS = ("canvas", "moodle", "xlsx", "json", "classroom")
_DIGITS, _KEPT_BYTES = 12, 57
_PLAIN = re.compile(r"[a-z0-9_][a-z0-9_-]{0,56}")
_DIGEST_AT_END = re.compile(rf"-[0-9a-f]{{{_DIGITS}}}$")
_DEVICES = {"con", "prn", "aux", "nul", *(f"{name}{n}" for name in ("com", "lpt") for n in range(10))}  # Windows's


def write(grades: list[Grade], folder: Path, formats: Iterable[str], titles: Iterable[str] = ()) -> list[Path]:
    """Write grades.csv and the given formats; all but xlsx omit learners who handed in nothing.

    Args:
        grades: of all learners.
        folder: created if missing.
        formats: some of `FORMATS`.
        titles: of a Canvas export's columns; a lesson's column there, such as "01_pruning (4711)", keeps its title, so
            that Canvas finds the assignment instead of making another one.

    Returns:
        The files written.

    Raises:
        ValueError: a format is unknown or needs a package that is missing.
        OSError: a file can't be written.
    """
    check(formats)
    make_folder(folder)
    written = [_table(folder / "grades.csv", _plain_rows(grades))]
    handed_in = [g for g in grades if g.entry.graded.state != MISSING]
    writers = {
        "moodle": _moodle,
        "xlsx": lambda *_: [_spreadsheet(grades, folder)],
        "json": _json,
        "classroom": _classroom,
    }
    for name in dict.fromkeys(formats):
        canvas = name == "canvas"
        written += _canvas(handed_in, folder, tuple(titles)) if canvas else writers[name](handed_in, folder)
    return written


def check(formats: Iterable[str]) -> None:
    """Raise ValueError if a format is unknown or needs a package that is missing."""
    for name in formats:
        if name not in FORMATS:
            raise ValueError(f"format={name!r} must be one of {', '.join(FORMATS)}.")
        if name == "xlsx":
            spreadsheet.check()


def safe_name(learner: str) -> str:
    """Turn a learner's name into a file name of at most 70 bytes, unique to the learner, and unchanged in a URL.

    A plain name is unchanged. Any other gets a digest at its end, including names with capitals, which some file
    systems don't distinguish, and names that look as if they had a digest.
    """
    if _PLAIN.fullmatch(learner) and not _DIGEST_AT_END.search(learner) and learner not in _DEVICES:
        return learner
    kept = "".join(c if c.isalnum() or c in "-_" else "-" for c in learner).encode("utf-8", "replace")[:_KEPT_BYTES]
    digest = hashlib.sha256(learner.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]
    return f"{kept.decode('utf-8', 'ignore')}-{digest}"


def _plain_rows(grades: list[Grade]):
    head = (
        "learner",
        "lesson",
        "points",
        "possible",
        "percent",
        "state",
        "reason",
        "late",
        "lost",
        "submitted",
        "file",
    )
    yield (*head, "email", "group")
    for g in grades:
        entry = g.entry
        numbers = (_number(g.points), g.possible, _number(g.percent))
        state = (entry.graded.state, entry.graded.reason, g.late, _number(g.lost))
        known = (g.person.email, g.person.group) if g.person else ("", "")
        yield (g.learner, g.lesson, *numbers, *state, entry.submitted_at, entry.name, *known)


def _canvas(grades: list[Grade], folder: Path, titles: tuple[str, ...]) -> list[Path]:
    """One file per lesson, because an empty cell for another lesson would clear the grade that Canvas has for it.

    Canvas finds students by ID, or else by SIS login.
    """
    written = []
    for lesson in sorted({g.lesson for g in grades if g.lesson}):
        title = next((title for title in titles if lesson in title), lesson)
        rows = [("Student", "ID", "SIS User ID", "SIS Login ID", "Section", title)]
        rows.append(("    Points Possible", "", "", "", "", lesson_points(lesson)))
        theirs = [g for g in grades if g.lesson == lesson]
        shared = _shared_numbers(theirs, "canvas")
        rows += [(g.learner, *_canvas_ids(g, shared), _number(g.points)) for g in theirs]
        written.append(_table(folder / f"canvas-{lesson}.csv", rows))
    return written


def _canvas_ids(g: Grade, shared: set[str]) -> tuple[str, str, str, str]:
    """ID, SIS User ID, SIS Login ID and Section."""
    entry, person = g.entry, g.person
    number = entry.number if entry.system == "canvas" and entry.number not in shared else ""
    if person is None:
        return number, "", "" if number else g.learner, ""
    return number or person.canvas, person.sis, person.login or person.email, person.group


def _moodle(grades: list[Grade], folder: Path) -> list[Path]:
    """One offline grading worksheet per lesson; Moodle reads Identifier, Grade and Last modified (grade)."""
    written = []
    for lesson in sorted({g.lesson for g in grades if g.lesson}):
        head = ("Identifier", "Full name", "Status", "Grade", "Maximum Grade", "Grade can be changed")
        rows = [(*head, "Last modified (submission)", "Last modified (grade)", "Feedback comments")]
        shared = _shared_numbers([g for g in grades if g.lesson == lesson], "moodle")
        for g in grades:
            if g.lesson == lesson:
                points = (_number(g.points), g.possible)
                whose = (_moodle_id(g, shared), g.learner)
                rows.append((*whose, "", *points, "Yes", g.entry.submitted_at, "-", comment(g)))
        written.append(_table(folder / f"moodle-{lesson}.csv", rows))
    return written


def _moodle_id(g: Grade, shared: set[str]) -> str:
    """The identifier, in the site's language if the roster has it, because Moodle reads no other."""
    if g.person and g.person.identifier:
        return g.person.identifier
    known = g.entry.system == "moodle" and g.entry.number not in shared
    return f"Participant {g.entry.number}" if known else g.learner


def _shared_numbers(grades: list[Grade], system: str) -> set[str]:
    """Numbers on several learners' files; an import by these would give one learner another's points."""
    pairs = {(g.entry.number, g.learner) for g in grades if g.entry.system == system}
    numbers = [number for number, _ in pairs]
    return {number for number in numbers if numbers.count(number) > 1}


def _spreadsheet(grades: list[Grade], folder: Path) -> Path:
    head, *rows = _plain_rows(grades)
    numbers = [name in ("points", "possible", "percent", "lost") for name in head]
    typed = ([float(v) if is_number else v for v, is_number in zip(row, numbers, strict=True)] for row in rows)
    return spreadsheet.write(folder / "grades.xlsx", [head, *typed], grades)


def _json(grades: list[Grade], folder: Path) -> list[Path]:
    write_atomically(folder / "grades.json", json.dumps([asdict(g) for g in grades], indent=1))
    return [folder / "grades.json"]


def _classroom(grades: list[Grade], folder: Path) -> list[Path]:
    """The result of a test runner, as the action autograding-grading-reporter of GitHub Classroom reads it.

    It adds the tests' scores, and takes the sum for the repository's points.
    """
    content = {
        "version": 1,
        "status": "error" if any(not g.answers for g in grades) else "pass",
        "max_score": sum(g.possible for g in grades) or 1,  # it reports nothing if the maximum is 0
        "tests": [test for g in grades for test in _tests(g)],
    }
    write_atomically(folder / "classroom.json", json.dumps(content, indent=1))
    return [folder / "classroom.json"]


def _tests(g: Grade) -> Iterable[dict]:
    """A test for each answer, and one for what else changes the sum."""
    for a in g.answers:
        name = f"{a.result.id} ({_number(a.points)} of {a.result.possible} points)"
        right = a.points >= a.result.possible
        said = "" if right else a.result.mistake or a.result.state
        yield _test(name, "pass" if right else "fail", a.points, said)
    if not g.answers:
        yield _test(g.entry.name, "error", 0, g.entry.graded.reason)
    rest = round(g.points - sum(a.points for a in g.answers), 2)
    if rest:
        yield _test(g.late or g.comment or "added by the teacher", "pass" if rest > 0 else "fail", rest)


def _test(name: str, status: str, score: float, message: str = "") -> dict:
    # In one line, because GitHub would obey a line of a learner's text that begins a command.
    name, message = (" ".join(without_controls(text).split()) for text in (name, message))
    said = {"message": message} if message else {}
    return said | {"name": name, "status": status, "score": score, "test_code": "", "filename": "", "line_no": 0}


def comment(grade: Grade) -> str:
    """Describe a grade in a sentence or two."""
    graded = grade.entry.graded
    said = [_("{points} of {possible} points.", points=_number(grade.points), possible=grade.possible)]
    if graded.state != "graded":
        state, reason = begun(state_in_words(graded.state)), translated_sentences(graded.reason)
        said.append(_("{state}: {reason}.", state=state, reason=reason.rstrip(".。")))
    if grade.late:
        late = begun(translated(grade.late))
        lost = {"late": late, "points": _number(grade.lost)}
        is_one = lost["points"] == "1"
        said.append(_("{late}: {points} point less.", **lost) if is_one else _("{late}: {points} points less.", **lost))
    return " ".join([*said, grade.comment]).strip()


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _table(path: Path, rows) -> Path:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\r\n")
    for row in rows:
        table.writerow([defuse(without_controls(str(value))) for value in row])
    write_atomically(path, text.getvalue())
    return path
