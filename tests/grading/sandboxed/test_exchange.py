"""Bundles: several jobs of one learner in one worker."""

import itertools

import pytest

from nnopt_lab.grading.namespaces import NamespaceSandbox
from nnopt_lab.grading.sandbox import Limits
from nnopt_lab.grading.sandboxed import codec, exchange
from tests.grading.classroom import job, linux

RIGHT = "def f(x): return 2 * x"


@pytest.mark.parametrize(
    "jobs", [[b""], [b"a", b""], [b"\xff" * 20, bytes(8), b"x" * 70_000], [bytes([n]) for n in range(50)]]
)
def test_the_jobs_of_a_bundle_come_back_as_they_were(jobs):
    assert exchange.jobs_in(exchange.bundle(jobs)) == jobs


@pytest.mark.parametrize("value", [0, "bundle", [1] * 5_000])
def test_a_single_job_is_no_bundle(value):
    packed = codec.pack({}, value)
    assert exchange.jobs_in(packed) == [packed]


@pytest.fixture(scope="module")
def impatient(sandbox, lend_template):
    """A sandbox for answers that never end."""
    template = lend_template(sandbox.kind, sandbox.limits)
    with NamespaceSandbox(sandbox.kind, Limits(1, 512), template) as ready:
        ready.wait()
        yield ready


ENDS = {
    "replied": RIGHT,
    "crashed": "import os\nos._exit(0)",
    "timed out": "import time\ntime.sleep(100)",
}


@linux
@pytest.mark.parametrize("states", [*itertools.product(ENDS, repeat=2), ("replied",) * 5, ("replied",)])
def test_a_bundle_ends_at_the_first_job_without_a_reply(sandbox, impatient, states):
    chosen = impatient if states[0] == "timed out" else sandbox
    ended = chosen.run_all([job(ENDS[state], n) for n, state in enumerate(states)])
    reached = next((n for n, state in enumerate(states, 1) if state != "replied"), len(states))
    assert [one.state for one in ended] == list(states[:reached])
    assert [one.follows for one in ended] == [n > 0 for n in range(reached)]
    for n, one in enumerate(ended):
        assert bool(one.reason) == (one.state != "replied")
        assert not one.reply if one.reason else codec.unpack(one.reply)[1] == [[2 * n, [n]]]


@linux
def test_all_replies_of_a_bundle_together_are_as_long_as_one_may_be(sandbox):
    large = job(f"def f(x): return torch.zeros({exchange.MAX_REPLY // 2}, dtype=torch.uint8)", 1)
    assert [one.state for one in sandbox.run_all([large] * 3)] == ["replied", "crashed"]
    assert sandbox.run(large).state == "replied"


@linux
def test_what_a_learner_writes_to_the_channel_is_at_most_taken_for_a_reply(sandbox):
    noise = "import os\nos.write(3, b'\\0' * 7 + b'\\3' + b'abc')\n" + RIGHT
    first, *following = sandbox.run_all([job(noise, 1), job(RIGHT, 2)])
    assert first.reply == b"abc" and not first.follows
    assert all(one.follows for one in following)
