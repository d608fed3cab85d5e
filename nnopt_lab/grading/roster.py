"""A class's list of learners: who they are in which system, who handed in nothing, and who has more time."""

import csv
import io
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from nnopt_lab.grading.gradebook import Entry
from nnopt_lab.grading.lateness import moment

# Titles of columns as teachers write them, and as Canvas and Moodle export them in their most common languages.
_TITLES = {
    "name": "name|student|learner|full name|vollständiger name|nom complet|nombre completo|全名|姓名",
    "first": "first name|given name|vorname|prénom|nombre|名字|名",
    "last": "last name|surname|family name|nachname|nom de famille|nom|apellidos?|apellido\\(s\\)|姓氏|姓",
    "email": "e-?mail( address)?|e-?mail-?adresse|adresse de courriel|correo( electrónico)?|dirección de correo"
    "|电子邮件地址|邮箱",
    "login": "login|user ?name|sis login id|anmeldename|nom d.utilisateur|nombre de usuario|用户名",
    "sis": "sis user id|sis id|id number|student id|id-nummer|numéro d.identification|número de id|学号",
    "id": "id|lms id|canvas id|identifier|identifiant|identificador|编号|标识符",
    "group": "groups?|section|gruppen?|groupes?|grupos?|小组",
    "extension": "extension|extended( to)?|due|verlängerung|prolongation|prórroga|延期",
}
_PARTICIPANT = re.compile(r"[^\d\W]\D*(\d+)")  # Moodle's identifier: "Participant 4001" in any language
_POINTS_POSSIBLE = "points possible"


@dataclass(frozen=True)
class Person:
    """A learner on the roster; what the roster does not contain is "".

    Attributes:
        name: as on the roster, with an identifier behind it if two people have the same.
        email, login, sis, group: as on the roster.
        canvas, moodle: the numbers that the platforms put into file names.
        identifier: Moodle's in full, in the language of its site: "Participant 4001".
        extension: until when this learner has time, UTC, or None.
    """

    name: str
    email: str = ""
    login: str = ""
    sis: str = ""
    canvas: str = ""
    moodle: str = ""
    identifier: str = ""
    group: str = ""
    extension: datetime | None = None


class Roster:
    """The people on a roster, and the titles of its columns.

    Args:
        text: a CSV table with a line of titles: name (or first name and last name), e-mail, login, SIS id, id, group,
            extension; also an export of Canvas's gradebook, or Moodle's grading worksheet or list of participants.
        source: what messages call it.

    Raises:
        ValueError: it is no such table, a person has no name, two have the same identifier, or an extension can't be
            read. The message names the line.
    """

    def __init__(self, text: str, source: str = "The roster"):
        self.titles, rows = _table(text, source)
        columns = _columns(self.titles, rows, source)
        people = [
            _person({name: row[place].strip() for name, place in columns.items() if place < len(row)}, line, source)
            for line, row in rows
        ]
        self.people = _distinct(people, [line for line, _ in rows], source)
        self._by_number = {
            (system, getattr(person, system)): person
            for person in self.people
            for system in ("canvas", "moodle")
            if getattr(person, system)
        }
        self._by_name: dict[str, set[Person]] = defaultdict(set)
        for person in self.people:
            for key in _keys(person):
                self._by_name[key].add(person)

    def find(self, learner: str, system: str = "", number: str = "") -> Person | None:
        """The person whose file this is, or None if it is nobody's or could be several people's.

        Args:
            learner: from the file's name, in any order of its parts: "Li Na", "lina", an e-mail address, a login.
            system, number: of the platform; a number counts unless the name is another person's.
        """
        named = self._by_name.get(_plain(re.sub(r" \(\d+\)$", "", learner)), set())
        numbered = self._by_number.get((system, number))
        if numbered is not None and (not named or numbered in named):
            return numbered
        return next(iter(named)) if len(named) == 1 else None

    def named(self, entries: Iterable[Entry]) -> tuple[list[Entry], dict[str, Person], list[str]]:
        """Give the entries their learners' names on the roster.

        Returns:
            The entries; the people who handed in something, by name; and the learners who are not on the roster.
        """
        renamed, found, unknown = [], {}, []
        for entry in entries:
            person = self.find(entry.learner, entry.system, entry.number)
            if person is None:
                unknown.append(entry.learner)
                renamed.append(entry)
            else:
                found[person.name] = person
                renamed.append(replace(entry, learner=person.name))
        return renamed, found, sorted(set(unknown))


def _table(text: str, source: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    text = text.removeprefix("\ufeff")
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        titles = [title.strip() for title in next(reader, [])]
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise ValueError(f"{source} can't be read as a table: {error}.") from None
    return titles, [row for row in rows if _POINTS_POSSIBLE not in row[1][0].lower()]


def _columns(titles: list[str], rows: list[tuple[int, list[str]]], source: str) -> dict[str, int]:
    found = {}
    for name, pattern in _TITLES.items():
        place = next((n for n, title in enumerate(titles) if re.fullmatch(pattern, title.lower())), None)
        if place is not None:
            found[name] = place
    if not {"name", "email", "login"} & found.keys() and not {"first", "last"} <= found.keys():
        shown = ", ".join(titles[:12]) or "none"
        raise ValueError(
            f"{source} must have a line of titles with name, e-mail or login among them; its titles are: {shown}."
        )
    if not rows:
        raise ValueError(f"{source} contains no learner.")
    return found


def _person(cells: dict[str, str], line: int, source: str) -> Person:
    name = cells.get("name") or " ".join(filter(None, (cells.get("first"), cells.get("last"))))
    name = name or cells.get("email") or cells.get("login") or ""
    if not name:
        raise ValueError(f"{source}, line {line}: the learner's name is missing.")
    participant = _PARTICIPANT.fullmatch(cells.get("id", ""))
    extension = None
    if cells.get("extension"):
        try:
            extension = moment(cells["extension"])
        except ValueError:
            raise ValueError(
                f"{source}, line {line}: extension={cells['extension']!r} must be a date and time such as "
                "2026-12-01T18:00, or a date."
            ) from None
    return Person(
        unicodedata.normalize("NFC", name),
        *(cells.get(key, "") for key in ("email", "login", "sis")),
        canvas=cells.get("id", "") if cells.get("id", "").isdigit() else "",
        moodle=participant[1] if participant else "",
        identifier=participant[0] if participant else "",
        group=cells.get("group", ""),
        extension=extension,
    )


def _distinct(people: list[Person], lines: list[int], source: str) -> tuple[Person, ...]:
    """Add an identifier to the names of people with the same name; refuse two with the same identifier."""
    for kind in ("email", "login", "sis", "canvas", "moodle"):
        seen: dict[str, int] = {}
        for person, line in zip(people, lines, strict=True):
            value = getattr(person, kind).casefold()
            if value and value in seen:
                raise ValueError(
                    f"{source}, line {line}: {person.name} has the same {_SPOKEN[kind]}, {getattr(person, kind)!r}, "
                    f"as line {seen[value]}."
                )
            seen[value] = line
    counts = Counter(person.name for person in people)
    for person, line in zip(people, lines, strict=True):
        if counts[person.name] > 1 and not _identifier(person):
            raise ValueError(
                f"{source}, line {line}: several learners are called {person.name}; give each an e-mail address or id."
            )
    return tuple(
        replace(person, name=f"{person.name} ({_identifier(person)})") if counts[person.name] > 1 else person
        for person in people
    )


_SPOKEN = {"email": "e-mail address", "login": "login", "sis": "SIS id", "canvas": "id", "moodle": "id"}


def _identifier(person: Person) -> str:
    return person.canvas or person.moodle or person.sis or person.login or person.email


def _keys(person: Person) -> set[str]:
    """What a file's name may call a person; parts of a name come in either order ("Doe, Jane", "doejane")."""
    name = re.sub(r" \([^()]*\)$", "", person.name)
    parts = re.split(r"[,\s]+", name.strip())
    turned = [" ".join(parts[n:] + parts[:n]) for n in range(len(parts))]
    spoken = [*turned, person.email, person.email.partition("@")[0], person.login, person.sis, person.name]
    return {_plain(text) for text in spoken} - {""}


def _plain(text: str) -> str:
    """Letters and digits only, in lower case, without accents."""
    text = unicodedata.normalize("NFKD", text).casefold()
    return "".join(c for c in text if c.isalnum())
