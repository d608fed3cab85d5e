"""Rosters: whose a file is, who is missing, and what the platforms' own exports say."""

from datetime import UTC, datetime

import pytest

from nnopt_lab.grading.grades import MISSING, final, missing
from nnopt_lab.grading.lateness import policy
from nnopt_lab.grading.roster import Roster
from nnopt_lab.grading.times import time_zone
from tests.grading.classroom import DUE, IN_TIME, LATE, LESSON, entry

OWN = """name,e-mail,id,login,group,extension
Jane Doe,jane@x.org,12345,jdoe,A,
Li Na,na1@x.org,4001,lina1,A,2026-12-04T06:00+00:00
Li Na,na2@x.org,4002,lina2,B,
Zoë Müller,zoe@x.org,,zoe,B,
"""
CANVAS = """Student,ID,SIS User ID,SIS Login ID,Section,01_pruning (98765),Final Score
    Points Possible,,,,,17,
"Doe, Jane",12345,s1,jdoe,One,,
"Na, Li",4001,s2,lina1,One,,
"""
WORKSHEET = """\ufeffIdentifier;Full name;Email address;Status;Grade
Teilnehmer/in4001;Li Na;na1@x.org;;
Teilnehmer/in4002;Li Na;na2@x.org;;
"""
PARTICIPANTS = """First name,Last name,Email address,Groups
Jane,Doe,jane@x.org,A
Li,Na,na1@x.org,B
"""


@pytest.mark.parametrize(
    ("learner", "system", "number", "name"),
    [
        ("doejane", "canvas", "12345", "Jane Doe"),
        ("doejane", "", "", "Jane Doe"),
        ("Jane Doe", "", "", "Jane Doe"),
        ("jane@x.org", "", "", "Jane Doe"),
        ("jdoe", "", "", "Jane Doe"),
        ("JDOE", "", "", "Jane Doe"),
        ("nali", "canvas", "4001", "Li Na (4001)"),
        ("nali (4002)", "canvas", "4002", "Li Na (4002)"),
        ("Li Na", "", "", None),  # could be either
        ("lina2", "", "", "Li Na (4002)"),
        ("zoe_muller", "", "", "Zoë Müller"),
        ("Zoë Müller", "moodle", "77", "Zoë Müller"),
        ("Jane Doe", "canvas", "4001", "Jane Doe"),  # the number is another learner's
        ("somebody", "canvas", "12345", "Jane Doe"),
        ("somebody", "moodle", "12345", None),  # the number is Canvas's
        ("somebody", "", "", None),
    ],
)
def test_whose_a_file_is(learner, system, number, name):
    person = Roster(OWN).find(learner, system, number)
    assert (person.name if person else None) == name


def test_a_blind_download_of_moodle_is_told_by_its_numbers():
    roster = Roster(WORKSHEET)
    assert [p.name for p in roster.people] == ["Li Na (4001)", "Li Na (4002)"]
    assert roster.find("Participant (4002)", "moodle", "4002").email == "na2@x.org"
    assert roster.find("Participant", "moodle", "4001").identifier == "Teilnehmer/in4001"


@pytest.mark.parametrize("text", [CANVAS, PARTICIPANTS])
def test_the_platforms_own_lists_are_rosters(text):
    roster = Roster(text)
    assert len(roster.people) == 2
    assert roster.find("doejane") is not None and roster.find("Jane Doe") is not None


def test_who_handed_in_nothing_has_a_grade_and_the_rest_their_names():
    roster = Roster(OWN)
    entries, people, unknown = roster.named(
        [entry("doejane"), entry("nali", system="canvas", number="4002"), entry("x")]
    )
    assert [e.learner for e in entries] == ["Jane Doe", "Li Na (4002)", "x"] and unknown == ["x"]
    grades = final(entries, {}, policy("none"), people)
    absent = missing(grades, roster.people)
    assert [(g.learner, g.lesson, g.entry.graded.state, g.points) for g in absent] == [
        ("Li Na (4001)", LESSON, MISSING, 0),
        ("Zoë Müller", LESSON, MISSING, 0),
    ]
    assert {g.learner: g.person.group for g in grades if g.person} == {"Jane Doe": "A", "Li Na (4002)": "B"}


def test_two_files_of_one_learner_under_two_names_are_one_learners():
    entries, people, _ = Roster(OWN).named([entry("doejane"), entry("jane@x.org", submitted_at=LATE, points=1)])
    (grade,) = final(entries, {}, policy("none"), people)
    assert (grade.learner, grade.earlier, grade.best) == ("Jane Doe", 1, 4)


@pytest.mark.parametrize(
    ("learner", "mark", "late"),
    [("lina1", None, False), ("lina2", None, True), ("lina1", True, False), ("lina2", False, False)],
)
def test_more_time_comes_before_a_platforms_mark_and_a_mark_before_the_files_date(learner, mark, late):
    platform = {"system": "canvas", "late": mark} if mark is not None else {}
    entries, people, _ = Roster(OWN).named([entry(learner, submitted_at=LATE, **platform)])
    (grade,) = final(entries, {}, policy("10%", DUE), people)
    assert bool(grade.late) == late


def test_more_time_ends_too():
    entries, people, _ = Roster(OWN).named([entry("lina1", submitted_at="2026-12-05T00:00:00+00:00")])
    assert final(entries, {}, policy("10%", DUE), people)[0].late == "18 hours late"
    entries, people, _ = Roster(OWN).named([entry("lina1", submitted_at=IN_TIME)])
    assert not final(entries, {}, policy("10%", DUE), people)[0].late


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "its titles are: none"),
        (
            "points,total\n1,2\n",
            "must have a line of titles with name, e-mail or login among them; its titles are: points",
        ),
        ("name,id\n", "contains no learner"),
        ("name,id\n,5\n", "line 2: the learner's name is missing"),
        ("name,id\nA,5\nB,5\n", "line 3: B has the same id, '5', as line 2"),
        ("name,e-mail\nA,a@x\nB,A@X\n", "line 3: B has the same e-mail address"),
        ("name\nLi Na\nLi Na\n", "line 2: several learners are called Li Na"),
        ("name,extension\nA,soon\n", "line 2: extension='soon' must be a date and time"),
    ],
)
def test_what_is_no_roster_is_refused_with_its_line(text, said):
    with pytest.raises(ValueError, match=r"class\.csv") as error:
        Roster(text, "class.csv")
    assert said in str(error.value)


MANY = "name,e-mail,login\n" + "".join(
    f'"{name}",{n}@x.org,user{n}\n'
    for n, name in enumerate(
        [
            "Doe, Jane",
            'Robert ""Bob"" Roe',
            "O'Brien, Pat",
            "Müller, Zoë",
            "Søren Ærø",
            "Łukasz Żak",
            "李娜",
            "王伟 (Wei)",
            "Jean-Luc Picard",
            "García Márquez, José María",
            "Straße, Ute",
        ]
    )
)


@pytest.mark.parametrize(
    ("learner", "number"),
    [
        ("doejane", 0),
        ("DOE_JANE", 0),
        ("robertbobroe", 1),
        ("obrienpat", 2),
        ("Pat O’Brien", 2),
        ("mllerzo", None),  # letters are missing
        ("mullerzoe", 3),
        ("muellerzoe", 3),
        ("Zoë Mueller", 3),
        ("Zoe Muller", 3),
        ("sorenaero", 4),
        ("Soeren Aeroe", 4),
        ("lukaszzak", 5),
        ("李娜", 6),
        ("王伟", 7),
        ("Jean Luc Picard", 8),
        ("picardjeanluc", 8),
        ("José María García Márquez", 9),
        ("strasseute", 10),
        ("USER7", 7),
    ],
)
def test_names_are_found_whatever_their_letters(learner, number):
    person = Roster(MANY).find(learner)
    assert (person.email if person else None) == (None if number is None else f"{number}@x.org")


@pytest.mark.parametrize(
    "titles",
    [
        "First name,Last name,Email address,ID number",
        "FIRST NAME,SURNAME,E-Mail,Student_ID",
        "Vorname,Nachname,E-Mail-Adresse,Matrikelnummer",
        "Vorname,Name,Mail,Matr.-Nr.",
        "Prénom,Nom de famille,Adresse de courriel,Numéro d'identification",
        "Prénom,Nom,Adresse e-mail,Numéro d’étudiant",
        "Nombre,Apellido(s),Dirección de correo,Número de ID",
        "Nome,Cognome,Indirizzo email,Matricola",
        "Nome,Sobrenome,Endereço de email,SIS ID",
        "Voornaam,Achternaam,E-mailadres,Student no.",
        "Förnamn,Efternamn,E-postadress,id number",
        "Imię,Nazwisko,Adres e-mail,id number",
        "Имя,Фамилия,Адрес электронной почты,id number",
        "名,姓氏,电子邮件地址,学号",
        "名,姓,メールアドレス,学籍番号",
        "이름,성,이메일,학번",
    ],
)
def test_titles_of_many_languages(titles):
    (person,) = Roster(f"{titles}\nJane,Doe,j@x.org,s17\n").people
    assert (person.name, person.email, person.sis) == ("Jane Doe", "j@x.org", "s17")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Name,First name\nDoe,Jane\n", "Jane Doe"),
        ("Name,First name\nJane Doe,Jane\n", "Jane Doe"),
        ("Name,First name,Last name\nDoe Jane,Jane,Doe\n", "Doe Jane"),
        ("Nombre,E-mail\nJane Doe,j@x.org\n", "Jane Doe"),
        ("e-mail\nj@x.org\n", "j@x.org"),
        ("login;group\njdoe;A\n", "jdoe"),
        ("sep=;\nname;e-mail\nJane Doe;j@x.org\n", "Jane Doe"),
        ("name\te-mail\nJane Doe\tj@x.org\n", "Jane Doe"),
    ],
)
def test_a_name_in_one_column_or_in_two(text, name):
    assert [person.name for person in Roster(text).people] == [name]


def test_rows_of_a_canvas_export_that_are_no_learners():
    text = CANVAS.replace("    Points", "    ,,,,,Manual Posting,\n    Points")
    text += '"Student, Test",4999,,2e1b4c6d8f0a2e1b4c6d8f0a2e1b4c6d8f0a1234,One,,\n'
    assert [person.name for person in Roster(text).people] == ["Doe, Jane", "Na, Li"]
    somebody = 'Student,ID,SIS User ID\n"Student, Test",4999,s9\n'
    assert len(Roster(somebody).people) == 1  # someone may have that name


def test_numbers_that_a_spreadsheet_made_floats():
    (person,) = Roster("name,id,SIS User ID\nJane Doe,12345.0,77.0\n").people
    assert (person.canvas, person.sis) == ("12345", "77")


GROUPS = "name,id,group\nAnn,4001,Team A\nBob,4002,Team A\nJean-Luc Picard,4003,Team-B\nDan,4004,\n"


@pytest.mark.parametrize(
    ("learner", "system", "number", "names"),
    [
        ("Team A", "", "", ["Ann", "Bob"]),
        ("team_a", "", "", ["Ann", "Bob"]),
        ("teama", "canvas", "4002", ["Ann", "Bob"]),
        ("teama", "canvas", "4004", ["Dan"]),  # the number is not a member's
        ("Team A-Ann", "moodle", "1", ["Ann"]),
        ("Team-B-Jean-Luc Picard", "moodle", "2", ["Jean-Luc Picard"]),
        ("Default group-Dan", "moodle", "3", ["Dan"]),
        ("Team C-Nobody", "moodle", "4", []),
        ("Team A-Ann", "", "", []),
    ],
)
def test_a_group_s_file_is_each_member_s(learner, system, number, names):
    roster = Roster(GROUPS)
    assert [person.name for person in roster.members(learner, system, number)] == names
    renamed, found, unknown = roster.named([entry(learner, system=system, number=number)])
    assert sorted(found) == names and unknown == ([] if names else [learner])
    assert [e.learner for e in renamed] == (names or [learner])


@pytest.mark.parametrize(
    "written", ["2026-12-04T06:00", "04.12.2026 06:00", "4 Dec 2026, 6:00 AM", "2026-12-04T05:00Z"]
)
def test_an_extension_is_in_the_course_s_zone(written):
    text = f'name,extension\nAnn,"{written}"\n'
    (person,) = Roster(text, zone=time_zone("Europe/Berlin")).people
    assert person.extension == datetime(2026, 12, 4, 5, tzinfo=UTC)
