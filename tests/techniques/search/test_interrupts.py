"""Ctrl-C is noticed where a library swallows it, in a process of its own."""

import subprocess
import sys

import pytest

SWALLOWING = """
import os, signal
from nnopt_lab.techniques.search import candidates, evaluation, searcher
from tests.techniques.search.small_search import build, search

def swallowing(*given):
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        {after}
    return whole(*given)

whole = {module}.{name}
{module}.{name} = swallowing
try:
    found = search(build(), "bytes", trials=2)
    print(found.interrupted, len(found.points), found.failed)
except KeyboardInterrupt as stopped:
    print(stopped)
"""


BEFORE = "The search was interrupted before its first trial, so it has no results."
RAISE = "raise ImportError('interrupted')"


@pytest.mark.parametrize(
    ("module", "name", "after", "printed"),
    [
        ("candidates", "make", "pass", "True 1 []"),
        ("candidates", "make", RAISE, "True 0 []"),
        ("evaluation", "running_engines", "pass", BEFORE),
        ("evaluation", "running_engines", RAISE, BEFORE),
        ("searcher", "sensitivity", RAISE, BEFORE),
    ],
)
def test_a_swallowed_interrupt_ends_the_search(module, name, after, printed):
    code = SWALLOWING.format(after=after, module=module, name=name)
    output = subprocess.check_output([sys.executable, "-c", code], text=True, stderr=subprocess.DEVNULL)
    assert output.strip() == printed
