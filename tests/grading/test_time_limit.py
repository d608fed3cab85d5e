"""The limit of time for the grader's own work."""

import threading
import time

import pytest

from nnopt_lab.grading import time_limit
from nnopt_lab.grading.time_limit import TooLong, within


def test_what_is_done_in_time_has_its_result_or_its_error():
    assert within(5, lambda: 3) == 3
    with pytest.raises(KeyError, match="x"):
        within(5, lambda: {}["x"])
    with pytest.raises(SystemExit):
        within(5, lambda: (_ for _ in ()).throw(SystemExit))


def deaf(times: int):
    """Work without an end that catches what would stop it some times."""

    def work():
        for _ in range(times):
            try:
                while True:
                    pass
            except BaseException:
                continue
        while True:
            pass

    return work


@pytest.mark.parametrize("times", [0, 1, 5])
def test_what_takes_too_long_is_ended(times):
    before = threading.active_count()
    with pytest.raises(TooLong, match=r"not done within 0\.05 s"):
        within(0.05, deaf(times))
    assert threading.active_count() == before
    assert sum(range(10**6)) == 499_999_500_000  # nothing is left to be raised here


def test_a_result_that_comes_too_late_does_not_count():
    with pytest.raises(TooLong):
        within(0.05, lambda: time.sleep(0.3))


def test_one_call_that_can_t_be_ended_is_left_to_itself(monkeypatch):
    monkeypatch.setattr(time_limit, "GRACE_SECONDS", 0.1)
    ended = threading.Event()
    with pytest.raises(TooLong):
        within(0.05, lambda: (time.sleep(1), ended.set()))
    assert not ended.is_set()


def test_several_limits_run_at_the_same_time():
    found = []

    def one(work):
        try:
            found.append(within(0.2, work))
        except TooLong:
            found.append("late")

    threads = [threading.Thread(target=one, args=(work,)) for work in (deaf(1), lambda: 1, deaf(0), lambda: 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, found)) == ["1", "2", "late", "late"]
