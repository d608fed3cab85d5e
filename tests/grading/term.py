"""A term's worth of submissions: a class, what each learner hands in, the platforms' downloads, and the right grades.

Everything follows from the number of learners: who is in the class, how they are called, and what becomes of each of
their files. Four assignments arrive in four ways: Canvas's download, Moodle's with names, Moodle's of a blindly marked
assignment, and the folders of nbgrader. Each arrives in two rounds, because some learners hand in again.
"""

import csv
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

from nnopt_lab.course.exercises import cell_id, exercises, lesson_points, questions
from nnopt_lab.course.lesson_files import paths

ZONE = "Asia/Tokyo"  # far from the machines that run tests
DUE = datetime(2026, 12, 1, 18, 0)
PENALTY = "10%/day"
ASSIGNMENTS = {
    "canvas": "01_pruning",
    "moodle": "02_convolutions",
    "blind": "03_learning_rates",
    "nbgrader": "04_batch_sizes",
}
OTHER_LESSON = "05_integers_by_hand"

# What a learner does: for each round, which answers, in which form, and hours after the due date; hours of extension.
NOTHING = (None, None)


@dataclass(frozen=True)
class Handed:
    """A file: answers are "all", "half", "none", "own" or "raises"; `form` is a way of spoiling it."""

    answers: str
    hours: float = -5
    form: str = "notebook"


@dataclass(frozen=True)
class Kind:
    """What happens to a learner's submission.

    Attributes:
        rounds: what is handed in before the first download, and before the second one.
        share: of the points of the answers that count, after the penalty.
        counts: the answers that count.
        state: of the grade.
        is_worse: whether an earlier submission earned more.
        extension: hours.
    """

    rounds: tuple[Handed | None, Handed | None]
    counts: str = "all"
    share: float = 1.0
    state: str = "graded"
    is_worse: bool = False
    extension: float | None = None


KINDS = {
    "solved": Kind((Handed("all"), None)),
    "half": Kind((Handed("half"), None), "half"),
    "blank": Kind((Handed("none"), None), "none"),
    "raises": Kind((Handed("raises"), None), "raises"),
    "minutes late": Kind((Handed("all", 0.25), None), share=0.9),
    "days late": Kind((None, Handed("all", 30)), share=0.8),
    "extended": Kind((None, Handed("all", 30)), extension=48),
    "later than the extension": Kind((None, Handed("all", 50)), share=0.9, extension=48),
    "extended in vain": Kind((Handed("half", -5), None), "half", extension=48),
    "better": Kind((Handed("half", -9), Handed("all", -1))),
    "better but late": Kind((Handed("half", -9), Handed("all", 5)), share=0.9),
    "worse": Kind((Handed("all", -9), Handed("half", -1)), "half", is_worse=True),
    "blank after good": Kind((Handed("all", -9), Handed("none", -1)), "none", is_worse=True),
    "broken after good": Kind((Handed("all", -9), Handed("all", -1, "broken"))),
    "only code": Kind((Handed("all", -5, "code"), None), "none", state="malformed"),
    "zipped": Kind((Handed("all", -5, "zipped"), None)),
    "wrong lesson": Kind((Handed("all", -5, "wrong lesson"), None), "none", state="malformed"),
    "empty": Kind((Handed("all", -5, "empty"), None), "none", state="malformed"),
    "broken": Kind((Handed("all", -5, "broken"), None), "none", state="malformed"),
    "ids lost": Kind((Handed("all", -5, "bare"), None)),
    "renamed": Kind((Handed("half", -5, "renamed"), None), "half"),
    "missing": Kind(NOTHING, "none", state="missing"),
    "copied": Kind((Handed("own"), None), "own"),
    "copied, too": Kind((Handed("own"), None), "own"),
}
UNIQUE = {"copied", "copied, too"}  # once in a class
_FIRST = "Jane|José|Zoë|Søren|Łukasz|娜|伟|Anne-Marie|Ali|Ute|Olga|Pat|Nguyễn|Óscar|Ingrid|Kofi|Mei|Raj|Sara|Tomáš"
_LAST = (
    "Doe|García Márquez|Müller|Ærø|Żak|李|王|O'Brien|van der Berg|Straße|Иванова|Roe, Jr.|Smith-Jones|D’Angelo|Åberg"
)
_LAST += '|"Bob" Lee|Mensah|Chen|Kapoor|Lopez|Novák|Kim|Silva|Rossi|Dubois'
NAMESAKES = 4  # learners called the same, two by two


@dataclass(frozen=True)
class Learner:
    """A learner on the class's list."""

    number: int
    name: str
    sortable: str
    kind: str

    @property
    def login(self) -> str:
        return f"user{self.number:04}"

    @property
    def email(self) -> str:
        return f"{self.login}@example.org"

    @property
    def canvas(self) -> int:
        return 88_000 + 7 * self.number

    @property
    def moodle(self) -> int:
        return 4_001 + 3 * self.number

    @property
    def blind(self) -> int:
        return 990_001 + 11 * self.number


def people(count: int) -> list[Learner]:
    """A class; every kind of submission occurs, most of them often, and the first learners have names in pairs."""
    first_names, last_names = _FIRST.split("|"), _LAST.split("|")
    usual = [kind for kind in KINDS if kind not in UNIQUE]
    kinds = [*KINDS, *(usual[(3 * n) % len(usual)] for n in range(count - len(KINDS)))][:count]
    found = []
    for n, kind in enumerate(kinds):
        k = n // 2 if n < NAMESAKES else n
        first = first_names[k % len(first_names)]
        family = last_names[(k // len(first_names) + k) % len(last_names)]
        found.append(Learner(n, f"{first} {family}", f"{family}, {first}", kind))
    return found


def expected(learner: Learner, lesson: str) -> float:
    """The learner's points."""
    kind = KINDS[learner.kind]
    return round(points(lesson, kind.counts) * kind.share, 2)


def points(lesson: str, answers: str) -> float:
    """What answers earn."""
    if answers == "own" and lesson != ASSIGNMENTS["canvas"]:
        answers = "half"
    if answers == "all":
        return lesson_points(lesson)
    items = {**exercises(lesson), **questions(lesson)}
    return sum(items[id].points for id in _sources(lesson, answers) if answers != "raises" or id != _first(lesson))


# --- notebooks ---


_OWN = {
    "pruning.l1_importance": """
def l1_importance(weight):
    collected = []
    for which in range(weight.shape[0]):
        running = torch.zeros((), dtype=weight.dtype)
        for plane in weight[which].flatten(1).unbind(0):
            running = running + torch.where(plane < 0, -plane, plane).sum()
        collected.append(running)
    return torch.stack(collected)
""",
    "pruning.cubic_sparsity": """
def cubic_sparsity(step, steps, final):
    remaining, factor = (steps - step) / steps, 1.0
    for _ in range(3):
        factor = factor * remaining
    kept = factor * final
    return final - kept
""",
}


@cache
def _cells(lesson: str, solved: bool) -> list[dict]:
    cells = json.loads(paths(lesson)[solved].read_text("utf-8"))["cells"]
    return [cell | {"outputs": [], "execution_count": None} for cell in cells if cell["cell_type"] == "code"]


def _first(lesson: str) -> str:
    return next(iter(exercises(lesson)))


@cache
def _sources(lesson: str, answers: str) -> dict[str, str]:
    """The text of each answer that is given, by its exercise or question."""
    by_cell = {cell["id"]: "".join(cell["source"]) for cell in _cells(lesson, True)}
    ids = {id: cell_id("exercise", id) for id in exercises(lesson)} | {
        id: cell_id("question", id) for id in questions(lesson)
    }
    right = {id: by_cell[cell] for id, cell in ids.items()}
    if answers == "own" and lesson == ASSIGNMENTS["canvas"]:
        return _OWN
    if answers in ("half", "own"):
        return dict(list(right.items())[: len(right) // 2])
    if answers == "raises":
        first = _first(lesson)
        return right | {first: f"def {exercises()[first].name}(*a, **k):\n    raise KeyError('not today')"}
    return right if answers == "all" else {}


@cache
def content(lesson: str, handed: Handed) -> tuple[str, bytes]:
    """The file's name and its bytes."""
    name = f"{lesson}.ipynb"
    given = OTHER_LESSON if handed.form == "wrong lesson" else lesson
    sources = {
        cell_id(kind, id): text
        for id, text in _sources(given, handed.answers).items()
        for kind in ("exercise", "question")
    }
    cells = [cell | {"source": sources.get(cell["id"], cell["source"])} for cell in _cells(given, False)]
    if handed.form == "bare":  # a tool that knows neither ids nor metadata
        cells = [{key: value for key, value in cell.items() if key != "id"} | {"metadata": {}} for cell in cells]
    notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    data = json.dumps(notebook).encode()
    if handed.form == "code":
        return f"{lesson}.py", "\n\n".join("".join(cell["source"]) for cell in cells).encode()
    if handed.form == "zipped":
        return f"{name}.zip", archive([(name, data, DUE)])
    if handed.form == "renamed":
        return "my homework (final).ipynb", data
    if handed.form == "empty":
        return name, b""
    return name, data[: len(data) // 2] if handed.form == "broken" else data


def archive(files: list[tuple[str, bytes, datetime]]) -> bytes:
    """A zip archive of (name, content, local time)."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for name, data, when in files:
            info = zipfile.ZipInfo(name, when.timetuple()[:6])
            info.compress_type = zipfile.ZIP_STORED if name.endswith(".zip") else zipfile.ZIP_DEFLATED
            file.writestr(info, data)
    return made.getvalue()


# --- the platforms' downloads ---


def handed_in(learner: Learner, round: int) -> tuple[Handed, int] | None:
    """The learner's latest file before a download, and how many there were."""
    files = [handed for handed in KINDS[learner.kind].rounds[: round + 1] if handed]
    return (files[-1], len(files)) if files else None


def files(system: str, learners: list[Learner], round: int) -> Iterator[tuple[str, bytes, datetime]]:
    """The files of a platform's download: path, content and local time."""
    lesson = ASSIGNMENTS[system]
    for learner in learners:
        if found := handed_in(learner, round):
            handed, attempts = found
            name, data = content(lesson, handed)
            when = DUE + timedelta(hours=handed.hours)
            yield f"{_folder(system, learner, handed, attempts)}{name}", data, when


def _folder(system: str, learner: Learner, handed: Handed, attempts: int) -> str:
    """What a platform puts before the name of a learner's file."""
    if system == "canvas":
        plain = "".join(c for c in learner.sortable.lower() if c.isalnum())
        return (
            f"{plain}_{'LATE_' if handed.hours > 0 else ''}{learner.canvas}_{500_000 + 9 * learner.number + attempts}_"
        )
    if system == "moodle":
        plain = learner.name.replace("_", " ").replace('"', "")
        return f"{plain}_{learner.moodle}_assignsubmission_file/"
    if system == "blind":
        return f"Participant_{learner.blind}_assignsubmission_file_"
    return f"{learner.login}/week4/"


def download(system: str, learners: list[Learner], round: int, folder: Path) -> Path:
    """Write a download as the platform does; returns what the teacher grades."""
    folder.mkdir(parents=True, exist_ok=True)
    if system != "nbgrader":
        path = folder / f"{system}-{round}.zip"
        path.write_bytes(archive(list(files(system, learners, round))))
        return path
    root = folder / f"submitted-{round}"
    for name, data, when in files(system, learners, round):
        path = root / name
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
        (path.parent / "timestamp.txt").write_text(f"{when}.000001 {ZONE}")
    return root


def roster(system: str, learners: list[Learner]) -> bytes:
    """The class as each platform exports it, with a column of extensions that the teacher added in a spreadsheet."""
    text = io.StringIO()
    if system == "canvas":
        table = csv.writer(text, lineterminator="\r\n")
        table.writerow(["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "01_pruning (4711)", "Extension"])
        table.writerow(["    Points Possible", "", "", "", "", lesson_points("01_pruning"), ""])
        for x in learners:
            table.writerow(
                [x.sortable, x.canvas, f"s{x.number}", x.login, "One", "", _extension(x, "%b %d, %Y, %I:%M %p")]
            )
        table.writerow(["Student, Test", 99_999, "", "0123456789abcdef" * 2, "One", "", ""])
        return text.getvalue().encode("utf-8-sig")
    if system == "nbgrader":
        table = csv.writer(text, delimiter=";", lineterminator="\r\n")
        table.writerow(["Vorname", "Nachname", "E-Mail-Adresse", "Anmeldename", "Verlängerung"])
        for x in learners:
            last, first = x.sortable.rsplit(", ", 1)
            table.writerow([first, last, x.email, x.login, _extension(x, "%d.%m.%Y %H:%M")])
        return text.getvalue().encode("utf-8")
    table = csv.writer(text, delimiter="\t", lineterminator="\r\n")
    named = system == "moodle"
    table.writerow(["Identifier", *(["Full name", "Email address"] if named else []), "Status", "Grade", "Extension"])
    for x in learners:
        who = [f"Participant {x.moodle}", x.name, x.email] if named else [f"Participant {x.blind}"]
        table.writerow([*who, "", "", _extension(x, "%Y-%m-%d %H:%M")])
    return text.getvalue().encode("utf-16")


def _extension(learner: Learner, form: str) -> str:
    hours = KINDS[learner.kind].extension
    return f"{DUE + timedelta(hours=hours):{form}}" if hours is not None else ""


def named(system: str, learners: list[Learner]) -> dict[str, Learner]:
    """The learners by the name that the gradebook gives them; namesakes have their number."""
    if system == "blind":
        return {f"Participant {x.blind}": x for x in learners}
    names = [x.sortable if system == "canvas" else x.name for x in learners]
    number = {"canvas": "canvas", "moodle": "moodle", "nbgrader": "login"}[system]
    return {
        f"{name} ({getattr(x, number)})" if names.count(name) > 1 else name: x
        for name, x in zip(names, learners, strict=True)
    }


def options(system: str, folder: Path, learners: list[Learner]) -> list:
    """The command's options for an assignment; writes the roster."""
    path = folder / f"{system}.csv"
    path.write_bytes(roster(system, learners))
    due = ["--due", f"{DUE:%Y-%m-%d %H:%M}", "--zone", ZONE, "--late", PENALTY]
    return [*due, "--roster", path, "--lesson", ASSIGNMENTS[system], "--out", folder / f"grades-{system}"]


def rows(folder: Path) -> dict[str, dict]:
    """The lines of grades.csv by learner."""
    with open(folder / "grades.csv", encoding="utf-8", newline="") as file:
        return {row["learner"]: row for row in csv.DictReader(file)}


def wrong(system: str, learners: list[Learner], found: dict[str, dict]) -> list[str]:
    """Every learner whose points, state or lateness differ from what they should be; empty if all are right."""
    lesson, faults = ASSIGNMENTS[system], []
    should = named(system, learners)
    for name, learner in should.items():
        kind = KINDS[learner.kind]
        want = (f"{expected(learner, lesson):g}", kind.state, kind.share < 1)
        row = found.get(name)
        got = (f"{float(row['points']):g}", row["state"], bool(row["late"])) if row else None
        if got != want:
            faults.append(f"{system}, {name}, {learner.kind}: {got} instead of {want}")
    faults += [f"{system}: {name} is nobody of the class" for name in sorted(found.keys() - should.keys())]
    return faults
