"""The file between the kernels and `nnopt lab --share`: small, in order, and there only while somebody shares."""

import json
import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnopt_lab.course import calls, share_log
from nnopt_lab.course.exercises import exercises, questions
from nnopt_lab.course.share_log import FILE, ShareLog, note

EXERCISE = exercises()["pruning.l1_importance"]
CHOICE = next(q for q in questions().values() if q.choices)


@pytest.fixture
def log(tmp_path):
    made = ShareLog(tmp_path)
    made.begin()
    yield made
    made.end()


def test_without_sharing_nothing_is_written(tmp_path):
    calls.lesson("01_pruning")
    calls.check(EXERCISE.id, lambda weight: weight)
    assert not (tmp_path / FILE).exists() and list(tmp_path.iterdir())


def test_a_file_that_was_left_behind_is_not_written(log):
    os.utime(log.path, (time.time() - 1000, time.time() - 1000))
    note("01_pruning")
    assert log.path.read_bytes() == b""
    log.follow()  # which `nnopt lab` does every few seconds
    note("01_pruning")
    assert log.follow()


def test_events_come_in_order_and_once(log):
    note("01_pruning")
    assert log.follow() and not log.follow()
    note("01_pruning", EXERCISE.id, "other")
    note("01_pruning", EXERCISE.id)
    assert log.follow()
    assert [event[1:] for event in log.events] == [
        ("01_pruning", "", ""),
        ("01_pruning", EXERCISE.id, "other"),
        ("01_pruning", EXERCISE.id, ""),
    ]


def test_checks_and_questions_are_noted_by_names_only(log):
    calls.lesson("01_pruning")
    calls.check(EXERCISE.id, lambda weight: weight.sum((1, 2, 3)))
    calls.check(EXERCISE.id, lambda weight: weight.abs().sum((1, 2, 3)))
    wrong = next(letter for letter in CHOICE.choices if letter != CHOICE.answer)
    calls.question(CHOICE.id)
    calls.question(CHOICE.id, wrong)
    calls.question(CHOICE.id, "what?")
    log.follow()
    found = [(event.lesson, event.item, event.mistake.partition("-")[0]) for event in log.events]
    assert found == [
        ("01_pruning", "", ""),
        ("01_pruning", EXERCISE.id, "wrong"),
        ("01_pruning", EXERCISE.id, ""),
        (CHOICE.lesson, CHOICE.id, "choice"),
    ]
    assert b"weight" not in log.path.read_bytes()


def test_a_blank_exercise_is_no_try(log):
    def blank(weight):
        raise NotImplementedError

    calls.check(EXERCISE.id, blank)
    log.follow()
    assert [event[1:] for event in log.events] == [(EXERCISE.lesson, "", "")]


def test_a_file_that_can_not_be_written_is_left_alone(log):
    log.end()
    note("01_pruning")
    log.path.mkdir()
    note("01_pruning")
    log.path.rmdir()
    assert not log.follow()


def test_the_file_stays_small_and_the_reader_goes_on(log, monkeypatch):
    monkeypatch.setattr(share_log, "LARGEST", 500)
    for number in range(100):
        note("01_pruning", f"item{number}")
        log.follow()
    assert log.path.stat().st_size < 700 and log.events[-1].item == "item99" and len(log.events) > 90


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_damaged_lines_are_left_out(tmp_path_factory, lines):
    log = ShareLog(tmp_path_factory.mktemp("log"))
    log.begin()
    good = json.dumps([1.5, "01_pruning", "a", ""]).encode()
    text = b"".join(line.replace(b"\n", b"") + b"\n" + good + b"\n" for line in lines)
    log.path.write_bytes(text + good[:-3])
    log.follow()
    assert sum(event[1:] == ("01_pruning", "a", "") for event in log.events) >= len(lines)
    with log.path.open("ab") as file:
        file.write(good[-3:] + b"\n")
    assert log.follow(), "the last line is read once it is whole"


def test_deep_nesting_is_no_event(log):
    log.path.write_bytes(b"[" * 100_000 + b"\n")
    assert not log.follow()
