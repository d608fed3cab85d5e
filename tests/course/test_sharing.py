"""Sharing with a class: what is sent, what a wrong address says, and that nothing disturbs the learner."""

import json
import os
import socket
import stat
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnopt_lab.course import calls, record, sharing
from nnopt_lab.course.exercises import exercises, questions
from nnopt_lab.course.share_log import FILE, Event
from nnopt_lab.course.sharing import Refused, Sharing, clean_name, message
from nnopt_lab.grading.live.board import Board
from nnopt_lab.grading.live.message import parse
from tests.grading.live.classes import running

EXERCISE = exercises()["pruning.l1_importance"]
CHOICE = next(q for q in questions().values() if q.choices)
SECRET_CODE = "my_own_secret_variable"
EMPTY = {"exercises": {}, "questions": {}}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(sharing, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(sharing, "SIGN_SECONDS", 1)
    monkeypatch.setattr(sharing, "AWAY_SECONDS", (0.05,))
    monkeypatch.setattr("nnopt_lab.grading.live.board.PAUSE_SECONDS", 0)


@pytest.fixture
def said():
    return []


@pytest.fixture
def started(tmp_path, said):
    """Starts to share from this test's workspace; ended with the test."""
    made = []

    def start(address, name="Anna", folder=tmp_path):
        made.append(Sharing(address, name, folder, said.append))
        made[-1].start()
        return made[-1]

    yield start
    for one in made:
        one.stop()


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def rows(here) -> dict:
    return {row["name"]: row for row in here.board.view(time.time())["learners"]}


def my_own_secret_variable(weight):
    return weight.sum((1, 2, 3))


def test_a_learner_works_and_the_class_follows(started, tmp_path, said):
    with running() as here:
        one = started(here.learners_address)
        assert rows(here)["Anna"]["lesson"] == "" and said == []
        calls.lesson("01_pruning")
        for _ in range(4):
            calls.check(EXERCISE.id, my_own_secret_variable)
        until(lambda: [one["tries"] for one in here.board.view(time.time())["mistakes"]] == [4])
        assert rows(here)["Anna"]["stuck"] == 4 and rows(here)["Anna"]["lesson"] == "01 Pruning"
        assert here.board.view(time.time())["mistakes"][0]["text"] == EXERCISE.wrong_answers[0].sentence
        calls.check(EXERCISE.id, lambda weight: weight.abs().sum((1, 2, 3)))
        until(lambda: rows(here)["Anna"]["points"] == EXERCISE.points)
        one.stop()
        assert rows(here)["Anna"]["state"] == "left" and not (tmp_path / FILE).exists() and said == []


def test_the_message_contains_names_points_and_times_and_no_code(tmp_path):
    log = sharing.ShareLog(tmp_path)
    log.begin()
    calls.lesson("01_pruning")
    calls.check(EXERCISE.id, my_own_secret_variable)
    calls.check("pruning.levels", lambda scores, count: [][SECRET_CODE])
    calls.question(CHOICE.id, next(letter for letter in CHOICE.choices if letter != CHOICE.answer))
    log.follow()
    made = message("Anna", record.read(tmp_path), list(log.events), time.time())
    assert set(made) == {"name", "lesson", "item", "idle", "results", "mistakes"}
    assert made["results"] == {EXERCISE.id: [0, 1], "pruning.levels": [0, 1], CHOICE.id: [0, 1]}
    assert [entry[0] for entry in made["mistakes"]] == [EXERCISE.id, "pruning.levels", CHOICE.id]
    text = json.dumps(made)
    assert "secret" not in text and "weight" not in text and str(tmp_path) not in text and len(text) < 700
    assert parse(text.encode()).mistakes == tuple(map(tuple, made["mistakes"])), "the class understands all of it"


@given(st.lists(st.tuples(st.floats(0, 2000), st.sampled_from(["", "a", "b"]), st.sampled_from(["", "other"]))))
def test_a_message_is_small_whatever_happened(events):
    events = [Event(when, "01_pruning", item, mistake) for when, item, mistake in sorted(events)] * 20
    made = message("Anna", EMPTY, events, 2000.0)
    assert len(made["mistakes"]) <= sharing.MISTAKES and all(0 <= ago < 601 for *_, ago in made["mistakes"])
    assert made["idle"] >= 0 and parse(json.dumps(made).encode())


def test_everything_that_is_sent_is_said_before(started, said):
    sentence = sharing.sent("Anna")
    for word in ("Anna", "lesson", "exercise", "points", "tries", "mistakes", "when", "code", "stay on this machine"):
        assert word in sentence


def test_a_class_that_goes_away_is_told_once_and_found_again(started, said):
    with running() as here:
        port, secrets = here.port, here.codes
        started(here.learners_address)
    until(lambda: said)
    calls.check(EXERCISE.id, my_own_secret_variable)  # while nobody listens
    time.sleep(0.3)
    assert len(said) == 1 and "sharing goes on when it does" in said[0]
    with running(Board(), port, secrets) as again:  # without a file, it knows nothing of before
        until(lambda: rows(again).get("Anna", {}).get("strip", [[0]])[0] != [0])
        until(lambda: len(said) == 2)
        assert rows(again)["Anna"]["strip"][0][:2] == [0, 1] and said[1] == "Sharing goes on."


def test_who_starts_again_keeps_the_row_and_a_namesake_gets_another(started, tmp_path, said):
    with running() as here:
        started(here.learners_address).stop()
        started(here.learners_address)
        assert list(rows(here)) == ["Anna"] and rows(here)["Anna"]["state"] == "here" and said == []
        (tmp_path / "other").mkdir()
        started(here.learners_address, "ANNA", tmp_path / "other")
        assert list(rows(here)) == ["Anna", "ANNA (2)"]
        assert said == ["Another learner has this name; the class sees you as ANNA (2)."]


def test_a_copied_workspace_does_not_make_two_learners_one(started, tmp_path):
    with running() as here:
        started(here.learners_address, "Anna").stop()
        started(here.learners_address, "Bo")  # from the same folder, as from a copy of it
        assert list(rows(here)) == ["Anna", "Bo"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such rights")
def test_the_secret_is_the_owners(started, tmp_path):
    with running() as here:
        (tmp_path / sharing.SECRET).touch()  # left by a full disk
        started(here.learners_address)
        found = tmp_path / sharing.SECRET
        assert stat.S_IMODE(found.stat().st_mode) == 0o600 and found.stat().st_size == 32


def test_who_is_removed_is_told_and_the_lab_goes_on(started, said):
    with running() as here:
        started(here.learners_address)
        here.board.remove(1)
        calls.lesson("01_pruning")
        until(lambda: said)
        time.sleep(0.2)
        assert said == ["Sharing has ended: The teacher has removed you from the page."] and rows(here) == {}


def test_a_wrong_code_is_one_sentence(started, tmp_path):
    with running() as here, pytest.raises(Refused, match="another code") as refused:
        started(f"http://127.0.0.1:{here.port}/wrong")
    assert "\n" not in str(refused.value) and not (tmp_path / FILE).exists()


@contextmanager
def answering(status, body, headers=()):
    """Something else that answers at an address."""

    class Other(BaseHTTPRequestHandler):
        def do_POST(self):
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST

        def log_message(self, *arguments):
            pass

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/code"
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (200, b"<html>Log in to this network</html>", ()),
        (200, b"", ()),
        (200, b"[" * 10_000, ()),
        (200, b'{"class": "other", "name": "x"}', ()),
        (200, b'{"class": "nnopt"}', ()),
        (200, b"[]", ()),
        (302, b"", [("Location", "http://127.0.0.1:1/login")]),
        (307, b"", [("Location", "/code")]),
        (404, b"not here", ()),
        (500, b"\xff", ()),
    ],
)
def test_something_else_at_the_address_is_one_sentence(started, status, body, headers):
    with answering(status, body, headers) as address, pytest.raises(ValueError, match="does not answer") as told:
        started(address)
    assert "\n" not in str(told.value) and "--share" in str(told.value)


def test_nobody_at_the_address_is_one_sentence(started):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ValueError, match=r"does not answer \(Connection refused\)|does not answer"):
        started(f"127.0.0.1:{port}/code")


def test_a_class_that_never_answers_does_not_hold_the_lab_up(started, monkeypatch):
    monkeypatch.setattr(sharing, "START_SECONDS", 0.3)
    monkeypatch.setattr(sharing, "END_SECONDS", 0.1)
    monkeypatch.setattr(sharing, "ANSWER_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(ValueError, match="timed out"):
        started(f"http://127.0.0.1:{silent.getsockname()[1]}/code")


@pytest.mark.parametrize(
    "address",
    [
        "",
        " ",
        "here",
        "http://",
        "http://host",
        "http://host/",
        "ftp://host/code",
        "file:///etc/passwd",
        "http://host:99999/code",
        "http://host:x/code",
        "http://host:0/code",
        "http://[::1/code",
        "http://user:pw@host/code",
        "http://host/code?x=1",
        "http://host/code#x",
        "http://host/a b",
        "http://host/co\nde",
        "http://höst/code",
        "--port",
    ],
)
def test_what_is_no_address_is_one_sentence(address, tmp_path):
    with pytest.raises(ValueError, match=r"address=.* must be the one that your teacher's nnopt class shows") as told:
        Sharing(address, "Anna", tmp_path)
    assert "\n" not in str(told.value)


def test_the_scheme_may_be_missing_and_the_end_may_be_a_slash(tmp_path):
    assert Sharing("10.0.0.1:8890/code/", "Anna", tmp_path).address == "http://10.0.0.1:8890/code"
    assert Sharing("https://class.example/x/code", "Anna", tmp_path).address == "https://class.example/x/code"
    assert Sharing("[::1]:8890/code", "Anna", tmp_path).address == "http://[::1]:8890/code"


@pytest.mark.parametrize("name", ["", "  ", "\u202e\u200b", "x" * 61, "--port", "-", "\ud800"])
def test_what_is_no_name_is_one_sentence(name, tmp_path):
    with pytest.raises(ValueError, match=r"name=.* must have 1 to 60 characters"):
        Sharing("http://127.0.0.1:1/code", name, tmp_path)


@given(st.text())
def test_a_clean_name_stays_clean(name):
    cleaned = clean_name(name)
    assert clean_name(cleaned) == cleaned and cleaned.isprintable() and len(cleaned) <= 60


def test_a_read_only_workspace_is_told(tmp_path):
    (tmp_path / "file").touch()
    with running() as here, pytest.raises(OSError):
        Sharing(here.learners_address, "Anna", tmp_path / "file").start()


@pytest.mark.parametrize(
    ("address", "is_near"),
    [
        ("http://127.0.0.1/x", True),
        ("http://192.168.1.5:1/x", True),
        ("http://localhost/x", True),
        ("http://a.org/x", False),
    ],
)
def test_a_proxy_is_not_asked_for_the_own_network(address, is_near, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://proxy.invalid:3128")
    monkeypatch.delenv("no_proxy", raising=False)
    proxies = [handler.proxies for handler in sharing._opener(address).handlers if hasattr(handler, "proxies")]
    assert any(found.get("http") for found in proxies) == (not is_near)
