"""A class's list of learners: who they are in which system, who handed in nothing, and who has more time."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo

from nnopt_lab.grading import tables
from nnopt_lab.grading.gradebook import Entry
from nnopt_lab.grading.times import moment

# Titles of columns as teachers write them, and as Canvas and Moodle export them in their most common languages.
_TITLES = {
    "name": "name|student( name)?|learner|full ?name|display name|vollständiger name|nom complet|nombre completo"
    "|nome completo|volledige naam|fullständigt namn|fulde navn|fullt navn|koko nimi|pełna nazwa|imię i nazwisko"
    "|celé jméno|tam adı?|полное имя|фио|全名|姓名|氏名|フルネーム|이름 전체|성명",
    "first": "(first|given) ?names?|forename|vornamen?|prénom|nombre|nome|voornaam|förnamn|fornavn|etunimi|imię"
    "|(křestní )?jméno|ad[ıi]?|имя|名字?|이름",
    "last": "last ?name|surname|family ?name|(nach|familien|zu)name|nom( de famille)?|apellidos?|apellido\\(s\\)"
    "|cognome|sobrenome|apelido|achternaam|efternamn|efternavn|etternavn|sukunimi|nazwisko|příjmení|soyad[ıi]?"
    "|фамилия|姓氏?|성",
    "email": "e-?mail(s|[ -]?(address|adresse|adres))?|e-?mail \\(.*\\)|mail|(adresse|dirección) (de|e-?)"
    " ?(courriel|mail|correo|correo electrónico)|adresse e-?mail|courriel|correo( electrónico)?|indirizzo e-?mail"
    "|endereço de e-?mail|e-?postadress|e-?mailadresse|e-?postadresse|sähköposti(osoite)?|adres e-?mail"
    "|e-?mailová adresa|e-?posta( adresi)?|адрес электронной почты|(电子)?邮(件地址|箱)|メールアドレス|이메일( 주소)?",
    "login": "login( id)?|user ?(name|id)|sis login id|anmeldename|benutzername|kennung|nom d.utilisateur"
    "|nombre de usuario|nome utente|gebruikersnaam|användarnamn|логин|用户名|ユーザ名|사용자 이름",
    "sis": "sis (user )?id|id number|student (id|no\\.?|number)|id-nummer|numéro (d.identification|d.étudiant)"
    "|matri?(kel|culation|\\.)?[ -]?(nummer|nr\\.?|number|no\\.?)|número de id|matricola|numero id"
    "|学号|学籍番号|学번|학번",
    "id": "id|lms id|canvas (user )?id|moodle id|identifier|identifiant|identificador|identificativo"
    "|id-?bezeichner|teilnehmer(/in)?|编号|标识符",
    "group": "groups?|teams?|sections?|gruppen?|groupes?|grupos?|gruppi|gruppo|sektion|小组|グループ|그룹",
    "extension": "extension|extended( to| until)?|extension until|due( date)?|deadline|verlänger(ung|t bis)"
    "|prolongation|prórroga|proroga|延期",
}
_NUMBER_COLUMNS = ("id", "sis")
_PARTICIPANT = re.compile(r"[^\d\W]\D*(\d+)")  # Moodle's identifier: "Participant 4001" in any language
_POINTS_POSSIBLE = "points possible"
_WHO = ("name", "first", "last", "email", "login", "sis", "id")
# Canvas's own learner, whose last row is in every export.
_TEST_STUDENT = re.compile(r"student, test|test student", re.IGNORECASE)
_TEST_LOGIN = re.compile(r"[0-9a-f]{32,}|")
# Letters that no decomposition turns into plain ones.
_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"})
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"})


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
        zone: of extensions without one; None for this machine's.

    Raises:
        ValueError: it is no such table, a person has no name, two have the same identifier, or an extension can't be
            read. The message names the line.
    """

    def __init__(self, text: str, source: str = "The roster", zone: tzinfo | None = None):
        self.titles, rows = tables.rows(text.removeprefix("\ufeff"), source)
        columns = _columns(self.titles, source)
        learners = {}
        for line, row in rows:
            cells = {name: row[place].strip() for name, place in columns.items() if place < len(row)}
            if _POINTS_POSSIBLE not in row[0].lower() and _is_someone(cells, set(self.titles)):
                learners[line] = cells
        if not learners:
            raise ValueError(f"{source} contains no learner.")
        people = [_person(cells, line, source, zone) for line, cells in learners.items()]
        self.people = _distinct(people, list(learners), source)
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
        self._by_group: dict[str, list[Person]] = defaultdict(list)
        for person in self.people:
            for group in filter(None, map(_plain, re.split("[,;]", person.group))):
                self._by_group[group].append(person)

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

    def members(self, learner: str, system: str = "", number: str = "") -> list[Person]:
        """Everyone whose file this is: one person, or a group if the file has its name; nobody if it is unknown.

        Moodle puts the group before the name of each member ("Team A-Jane Doe"); Canvas's files of a group have its
        name and one member's number.
        """
        person = self.find(learner, system, number)
        group = self._by_group.get(_plain(learner), [])
        if group and (person is None or person in group) and _plain(learner) not in self._by_name:
            return group
        if person is None and system == "moodle":
            parts = re.sub(r" \(\d+\)$", "", learner).split("-")
            found = (self.find("-".join(parts[n:]), system, number) for n in range(1, len(parts)))
            person = next(filter(None, found), None)
        return [person] if person else []

    def named(self, entries: Iterable[Entry]) -> tuple[list[Entry], dict[str, Person], list[str]]:
        """Give the entries their learners' names on the roster; a group's entry becomes one for each member.

        Returns:
            The entries; the people who handed in something, by name; and the learners who are not on the roster.
        """
        renamed, found, unknown = [], {}, []
        for entry in entries:
            people = self.members(entry.learner, entry.system, entry.number)
            if not people:
                unknown.append(entry.learner)
                renamed.append(entry)
            for person in people:
                found[person.name] = person
                renamed.append(replace(entry, learner=person.name))
        return renamed, found, sorted(set(unknown))


def _columns(titles: list[str], source: str) -> dict[str, int]:
    found = {}
    for name, pattern in _TITLES.items():
        place = next((n for n, title in enumerate(titles) if re.fullmatch(pattern, _title(title))), None)
        if place is not None:
            found[name] = place
    if not {"name", "first", "last", "email", "login", "id"} & found.keys():
        shown = ", ".join(titles[:12]) or "none"
        raise ValueError(
            f"{source} must have a line of titles with name, e-mail or login among them; its titles are: {shown}."
        )
    return found


def _title(text: str) -> str:
    """A column's title in lower case, without what is not in words: "Student_ID*" is "student id"."""
    return " ".join(unicodedata.normalize("NFC", text).lower().replace("_", " ").strip(" *:#\ufeff").split())


def _is_someone(cells: dict[str, str], titles: set[str]) -> bool:
    """Whether a row is a learner's; Canvas exports rows about assignments, and its test student."""
    if not any(cells.get(key) for key in _WHO):
        return False
    is_canvas = {"Student", "ID"} <= titles
    return not (
        is_canvas
        and _TEST_STUDENT.fullmatch(cells.get("name", ""))
        and not cells.get("sis")
        and _TEST_LOGIN.fullmatch(cells.get("login", ""))
    )


def _full_name(cells: dict[str, str]) -> str:
    """The name, from one column or several; beside first names, a column called "Name" has the last ones."""
    name, first, last = (cells.get(key, "") for key in ("name", "first", "last"))
    if name and first and not last and _plain(first) not in _plain(name):
        return f"{first} {name}"
    return name or " ".join(filter(None, (first, last)))


def _person(cells: dict[str, str], line: int, source: str, zone: tzinfo | None) -> Person:
    name = _full_name(cells) or cells.get("email") or cells.get("login") or ""
    if not {"name", "first", "last", "email", "login"} & cells.keys():
        name = cells["id"]  # Moodle's worksheet of an assignment that is marked blindly has nothing else
    if not name:
        raise ValueError(f"{source}, line {line}: the learner's name is missing.")
    for key in _NUMBER_COLUMNS:  # spreadsheets and pandas turn whole numbers into floats where a cell is empty
        cells[key] = re.sub(r"(?<=\d)\.0$", "", cells.get(key, ""))
    participant = _PARTICIPANT.fullmatch(cells.get("id", ""))
    extension = None
    if cells.get("extension"):
        try:
            extension = moment(cells["extension"], zone)
        except ValueError as error:
            raise ValueError(f"{source}, line {line}: extension={cells['extension']!r} {error}.") from None
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
    spelled = [text.casefold().translate(_UMLAUTS) for text in turned]
    spoken = [*turned, *spelled, person.email, person.email.partition("@")[0], person.login, person.sis, person.name]
    return {_plain(text) for text in spoken} - {""}


def _plain(text: str) -> str:
    """Letters and digits only, in lower case, without accents."""
    text = unicodedata.normalize("NFKD", text).casefold().translate(_LETTERS)
    return "".join(c for c in text if c.isalnum())
