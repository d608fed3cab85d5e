"""Find a file's learner from the names that learners, browsers and learning platforms give to files and folders."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from nnopt_lab.course.lesson import lessons

_ENDING = re.compile(r"\.ipynb(\.txt|\.json)?$|\.zip$", re.IGNORECASE)  # some browsers add a type that they guess
_LESSON = "\0"  # replaces a lesson's name, whose number is not a platform's
_CANVAS = re.compile(r"(?P<name>[^_]+)_(?P<late>LATE_)?(?P<number>\d+)_(?P<file>\d+)_(?P<rest>.+)")
_MOODLE = re.compile(r"(?P<name>.+?)_(?P<number>\d+)_assignsubmission_(?:file|onlinetext)(?:_.*)?")
# Numbered things other than people: "team_12_34_alice" is a team's file, not a file of a learner called team.
_THINGS = re.compile(
    r"(team|group|gruppe|groupe|grupo|lab|section|class|course|kurs|week|woche|day|hw|homework|assignment|project|projekt|"
    r"exercise|ex|aufgabe|task|version|ver|v|backup|draft|final|submission|abgabe|unit|part|chapter|sheet|blatt|pair|room|"
    r"table|seat|test|quiz|exam|try|attempt|run|set|student|learner|participant|user|nr|no|id)s?[ .-]?",
    re.IGNORECASE,
)
_COPY = re.compile(
    r"([\s_.-]*(\(\d{1,3}\)|(copy|kopie|copie|copia)[\s_.-]*(\d{1,3}|\(\d{1,3}\))?))+|[\s_-]\d{1,2}", re.IGNORECASE
)
_COPY_OF = re.compile(r"(copy of|kopie von|copie de|copia de|copia di)\s+", re.IGNORECASE)


@dataclass(frozen=True)
class Named:
    """The contents of a learning platform's file name: learner, the learner's number there, and whether it was late."""

    learner: str
    system: str
    number: str
    late: bool = False


def is_notebook(name: str) -> bool:
    """Whether a file is a notebook, by its name."""
    return re.search(r"\.ipynb(\.txt|\.json)?$", name, re.IGNORECASE) is not None


def stem(name: str) -> str:
    """A file's name without its extension."""
    return _ENDING.sub("", name)


def lesson_in(stem: str) -> str:
    """The lesson whose name is part of a file's name, or ""."""
    return next((lesson for lesson in lessons() if lesson in stem), "")


def learner_in(stem: str) -> str:
    """A file's name without the lesson's: "alice" for "alice_01_pruning", "" for "01_pruning" or "01_pruning (1)"."""
    lesson = lesson_in(stem)
    if not lesson:
        return stem
    before, _, after = stem.partition(lesson)
    before = _COPY_OF.sub("", before, count=1)
    return (before + ("" if _COPY.fullmatch(after) else after)).strip("_- .")


def by_system(names: Iterable[str]) -> dict[str, Named]:
    """Find the names in a folder that a platform gave, with their contents.

    Moodle's are unmistakable. Canvas's resemble many others (lab_1_2_carol, backup_2026_11_26), so such a name counts
    only if its numbers can be database ids and no other name in the folder contradicts that.
    """
    named, canvas = {}, {}
    for name in dict.fromkeys(names):
        text = stem(name)
        lesson = lesson_in(text)
        # A Canvas name may contain a Moodle name, because it ends with the name that the learner chose.
        found = _CANVAS.fullmatch(text.replace(lesson, _LESSON, 1) if lesson else text)
        if found and _are_database_numbers(found["number"], found["file"], found["rest"]) and not _is_thing(found):
            canvas[name] = (found, lesson)
        elif moodle := _MOODLE.fullmatch(text):
            named[name] = Named(moodle["name"], "moodle", moodle["number"])
    for name in canvas.keys() - _refuted(canvas):
        found, _ = canvas[name]
        named[name] = Named(
            found["name"].replace(_LESSON, canvas[name][1]), "canvas", found["number"], bool(found["late"])
        )
    return named


def _are_database_numbers(user: str, file: str, rest: str) -> bool:
    if min(len(user), len(file)) < 2 or user[0] == "0" or file[0] == "0":
        return False
    return not _is_date(user, file, rest)


def _is_thing(found: re.Match) -> bool:
    """Whether the numbers count things: ids of a person's account and file are rarely that small."""
    if not _are_small(found):
        return False
    foreign = [word for word in _words(found["rest"]) if word not in found["name"].lower()]
    return _THINGS.fullmatch(found["name"]) is not None or (_LESSON in found["rest"] and bool(foreign))


def _are_small(found: re.Match) -> bool:
    return len(found["number"]) < 4 and len(found["file"]) < 4


def _is_date(first: str, second: str, rest: str) -> bool:
    """Whether two numbers and the rest are a date: 2026_11_26, 2026_1126, 20261126_1830, 26_11_2026."""
    year = r"(19|20)\d\d"
    if re.fullmatch(year, first):
        return len(second) <= 2 or re.fullmatch(r"1[0-2][0-3]\d", second) is not None
    if re.fullmatch(rf"{year}[01]\d[0-3]\d|[0-3]\d[01]\d{year}", first):
        return len(second) <= 6
    return len(second) == 2 and int(first) <= 31 and re.match(rf"{year}(\D|$)", rest) is not None


def _refuted(canvas: dict[str, tuple[re.Match, str]]) -> set[str]:
    """Names that can't be Canvas's: there, each file has its own number, and a learner is one person."""
    refuted, by_file, by_learner = set(), defaultdict(set), defaultdict(list)
    for name, (found, lesson) in canvas.items():
        by_file[found["file"]].add(name)
        by_learner[found["name"], found["number"]].append((name, lesson, _words(found["rest"])))
    for names in by_file.values():
        refuted |= names if len(names) > 1 else set()
    for theirs in by_learner.values():
        for name, lesson, words in theirs:
            others = [said for other, same, said in theirs if other != name and same == lesson and said]
            if (lesson or _are_small(canvas[name][0])) and words and any(words.isdisjoint(said) for said in others):
                refuted.add(name)
    return refuted


def _words(text: str) -> set[str]:
    return set(re.findall(r"[^\W\d_]{2,}", text.lower())) - {"copy", "kopie", "copie", "copia", "late"}
