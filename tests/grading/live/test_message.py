"""Learners' messages: what has the wrong form is refused, what the course does not know is left out."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnopt_lab.course import mistakes
from nnopt_lab.course.exercises import exercises, questions
from nnopt_lab.course.lesson import lessons
from nnopt_lab.grading.live.message import Unreadable, parse, read
from tests.grading.live.classes import EVIL, EXERCISE, LESSON, MISTAKE, sent

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


def test_a_message_is_read():
    found = parse(json.dumps(sent(left=True)).encode())
    assert (found.name, found.lesson, found.item, found.left) == ("Anna", LESSON, EXERCISE.id, True)
    assert found.results == {EXERCISE.id: (0, 2)} and found.mistakes == ((EXERCISE.id, MISTAKE, 5),)


def test_what_the_course_does_not_know_is_left_out():
    found = read(
        sent(
            lesson=EVIL,
            item="no.such",
            results={"no.such": [1, 1], EXERCISE.id: [10**6, 1]},
            mistakes=[
                ["no.such", MISTAKE, 1],
                [EXERCISE.id, EVIL, 1],
                [EXERCISE.id, "wrong-000000000000", 1],
                [EXERCISE.id, MISTAKE, 601],
                [EXERCISE.id, "x" * 10_000, 1],
            ],
            more="ignored",
        )
    )
    assert (found.lesson, found.item, found.mistakes) == ("", "", ())
    assert found.results == {EXERCISE.id: (EXERCISE.points, 1)}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"{",
        b"[" * 60_000,
        b"[]",
        b"1" * 5_000,
        b"null",
        b'"text"',
        b"{}",
    ],
)
def test_what_is_no_message_is_refused(body):
    with pytest.raises(Unreadable):
        parse(body)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": " \u202e\n"},
        {"name": "x" * 61},
        {"name": 3},
        {"name": None},
        {"lesson": None},
        {"lesson": []},
        {"item": {}},
        {"idle": -1},
        {"idle": 1.5},
        {"idle": True},
        {"idle": "1"},
        {"idle": float("nan")},
        {"idle": 10**9},
        {"idle": None},
        {"results": []},
        {"results": {EXERCISE.id: 1}},
        {"results": {EXERCISE.id: [1]}},
        {"results": {EXERCISE.id: [1, -1]}},
        {"results": {EXERCISE.id: [True, 1]}},
        {"results": {EXERCISE.id: ["1", 1]}},
        {"results": {str(n): [0, 1] for n in range(1_001)}},
        {"mistakes": {}},
        {"mistakes": [1]},
        {"mistakes": [[EXERCISE.id, MISTAKE]]},
        {"mistakes": [[EXERCISE.id, 1, 1]]},
        {"mistakes": [[[], MISTAKE, 1]]},
        {"mistakes": [[EXERCISE.id, MISTAKE, -1]]},
        {"mistakes": [[EXERCISE.id, MISTAKE, 1]] * 51},
        {"left": 1},
        {"left": None},
    ],
    ids=str,
)
def test_a_field_of_the_wrong_form_is_refused_in_one_sentence(changes):
    with pytest.raises(Unreadable) as refused:
        read(sent() | changes)
    assert "\n" not in str(refused.value) and str(refused.value).endswith(".")


@given(
    st.fixed_dictionaries({name: JSON for name in sent()}) | st.dictionaries(st.sampled_from([*sent(), "left"]), JSON)
)
def test_any_json_is_read_or_refused_and_nothing_else_happens(found):
    try:
        message = parse(json.dumps(sent() | found).encode())
    except Unreadable:
        return
    assert message.name.isprintable() and 1 <= len(message.name) <= 60
    assert message.lesson in ("", *lessons()) and message.results.keys() <= {*exercises(), *questions()}
    assert all(mistakes.sentence(id, name) for id, name, _ in message.mistakes)


@given(st.text(min_size=1))
def test_a_name_is_one_printable_line(name):
    try:
        found = parse(json.dumps(sent(name)).encode())
    except Unreadable:
        return
    assert found.name.isprintable() and found.name == found.name.strip() and "  " not in found.name
    assert read(sent(found.name)).name == found.name
