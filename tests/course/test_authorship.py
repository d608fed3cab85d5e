"""Whose code an answer is: the library's, under any name and in any wrapper, or the learner's."""

import functools
import importlib
import sys

import pytest
import torch

from nnopt_lab.course.authorship import library_function, watched
from nnopt_lab.course.cards import Card
from nnopt_lab.course.exercises import Exercise, exercises
from nnopt_lab.workbench.torchvision_repair import _RepairBeforeImport
from tests.course.answers import own

REFERENCE = exercises()["start.conv_parameters"].reference
INPUTS = (3, 4, 3, True)


class Bound:
    def method(self, *inputs):
        return REFERENCE(*inputs)


class Called:
    def __call__(self, *inputs):
        return REFERENCE(*inputs)


@functools.wraps(REFERENCE)
def wrapped(*inputs):
    return REFERENCE(*inputs)


def through_a_helper(*inputs):
    return wrapped(*inputs)


def inside_a_loop(*inputs):
    return next(map(REFERENCE, *([value] for value in inputs)))


def mine(i, o, k, b):
    print(i, Card("a card"))
    return o * i * k**2 + o * b


@pytest.mark.parametrize("wrap", [lambda f: f, functools.partial, functools.cache, staticmethod, torch.compile])
def test_the_librarys_function_is_known_under_any_name_and_in_a_wrapper_that_is_no_python_code(wrap):
    assert library_function(wrap(REFERENCE)) == "conv_parameters"
    assert library_function(wrap(mine)) == library_function(wrap(own(REFERENCE))) == ""


def test_the_librarys_classes_and_their_objects_are_the_librarys():
    assert library_function(Exercise) == library_function(exercises()["start.conv_parameters"]) == "Exercise"


@pytest.mark.parametrize("answer", [mine, print, max, torch.relu, torch.nn.Linear(1, 1), 3, None, [], Bound, Called()])
def test_everything_else_is_not_the_librarys(answer):
    assert library_function(answer) == ""


class Odd:
    @property
    def func(self):
        raise RuntimeError("no")


def test_any_object_can_be_looked_at():
    circle = functools.partial(mine)
    circle.__wrapped__ = circle
    assert library_function(Odd()) == library_function(circle) == ""


@pytest.mark.parametrize(
    "answer",
    [
        lambda *inputs: REFERENCE(*inputs),
        *(wrapped, through_a_helper, inside_a_loop, Bound().method, Called(), torch.no_grad()(wrapped)),
    ],
)
def test_a_call_of_the_librarys_function_is_seen_wherever_it_stands(answer):
    assert library_function(answer) == ""
    called = []
    assert watched(answer, called)(*INPUTS) == REFERENCE(*INPUTS)
    assert called == ["conv_parameters"]


def test_code_of_the_learners_is_left_alone_and_its_errors_come_through():
    called = []
    assert watched(mine, called)(*INPUTS) == REFERENCE(*INPUTS)
    with pytest.raises(ZeroDivisionError):
        watched(lambda: 1 / 0, called)()
    assert called == [] and sys.getprofile() is None


def test_what_python_runs_of_its_own_accord_is_not_the_answers(monkeypatch):
    class Held:
        def __del__(self):
            REFERENCE(*INPUTS)

    held = [Held()]

    def answer():
        held.clear()
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module("there_is_no_such_module")  # our own finder is asked for it, too
        return 1

    monkeypatch.setattr(sys, "meta_path", [_RepairBeforeImport(), *sys.meta_path])
    called = []
    assert watched(answer, called)() == 1 and called == []


def test_a_profiler_that_is_at_work_goes_on():
    seen = []

    def profiler(frame, event, argument):
        seen.append(event)

    sys.setprofile(profiler)
    try:
        watched(mine, [])(*INPUTS)
        assert sys.getprofile() is profiler
    finally:
        sys.setprofile(None)
