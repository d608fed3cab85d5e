"""Rosters: whose a file is, who is missing, and what the platforms' own exports say."""

import pytest

from nnopt_lab.grading.grades import MISSING, final, missing
from nnopt_lab.grading.lateness import policy
from nnopt_lab.grading.roster import Roster
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
