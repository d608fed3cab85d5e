"""The time limit of a check: an answer that never ends is stopped, whatever it catches, and nothing else changes."""

import signal
import sys
import threading
import time
from contextlib import suppress

import pytest

from nnopt_lab.course import checking, patience
from nnopt_lab.course.calls import check
from nnopt_lab.course.exercises import exercises
from nnopt_lab.course.patience import TooLong
from nnopt_lab.course.record import read

ID = "start.conv_parameters"
SHORT = 0.1


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(checking, "LIMIT", SHORT)
    monkeypatch.setattr(checking, "SLOWER", 0)
    monkeypatch.setattr(patience, "AGAIN", SHORT)


@pytest.fixture(autouse=True)
def restored():
    before = signal.getsignal(signal.SIGINT), sys.gettrace(), threading.active_count()
    yield
    assert before == (signal.getsignal(signal.SIGINT), sys.gettrace(), threading.active_count())


def loops(in_channels, out_channels, kernel_size, bias):
    count = 0
    while True:
        count += 1


def sleeps(in_channels, out_channels, kernel_size, bias):
    time.sleep(60)


def catches_errors(in_channels, out_channels, kernel_size, bias):
    while True:
        with suppress(Exception):
            time.sleep(60)


def catches_everything(in_channels, out_channels, kernel_size, bias):
    while True:
        try:
            time.sleep(60)
        except BaseException:
            continue


def catches_everything_around_a_helper(in_channels, out_channels, kernel_size, bias):
    while True:
        try:
            sleeps(in_channels, out_channels, kernel_size, bias)
        except BaseException as error:
            print(error)


@pytest.mark.parametrize(
    "answer", [loops, sleeps, catches_errors, catches_everything, catches_everything_around_a_helper]
)
def test_an_endless_answer_is_stopped_and_costs_no_try(own_workspace, answer):
    card = check(ID, answer)
    assert card.title == f"{exercises()[ID].title}: stopped after 0 s" and card.mood == "bad"
    assert card.lines[0].endswith("was still running. Probably a loop never ends.")
    assert read(own_workspace)["exercises"].get(ID, {}).get("attempts", 0) == 0


def test_the_line_that_never_ended_is_named():
    number = loops.__code__.co_firstlineno
    numbers = {number + 2: "while True:", number + 3: "count += 1"}
    told = check(ID, loops).lines[0]
    assert any(told.startswith(f"Your line {line}, `{text}`,") for line, text in numbers.items())


def test_a_stop_by_the_learner_still_says_so(monkeypatch):
    monkeypatch.setattr(checking, "LIMIT", 60)

    def stopped(in_channels, out_channels, kernel_size, bias):
        signal.raise_signal(signal.SIGINT)
        time.sleep(60)

    assert check(ID, stopped).title.endswith(": interrupted")


def test_there_is_no_limit_outside_the_main_thread():
    ended = []

    def work():
        with patience.patience(0):
            ended.append(time.sleep(3 * SHORT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ended == [None]


def test_what_ends_in_time_is_untouched_and_an_error_comes_through():
    with patience.patience(60):
        pass
    with pytest.raises(ZeroDivisionError), patience.patience(60):
        1 / 0  # noqa: B018
    with pytest.raises(TooLong), patience.patience(0):
        time.sleep(60)


def test_the_limit_grows_with_the_references_time(monkeypatch):
    monkeypatch.setattr(checking, "SLOWER", 1e9)
    assert checking.time_limit(exercises()[ID]) > 1000 * SHORT
