"""The live page's server, over real HTTP: learners and teacher are kept apart, and nonsense is refused quietly."""

import base64
import hashlib
import json
import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from nnopt_lab.course.exercises import exercises, questions
from nnopt_lab.course.sharing import Refused, post
from nnopt_lab.grading.live import board, server
from tests.grading.live.classes import EVIL, EXERCISE, LESSON, MISTAKE, ask, cookie_of, running, sent, share

TOKEN = "0123456789abcdef" * 2
ITEMS = [*exercises(LESSON), *questions(LESSON)]


@pytest.fixture(scope="module")
def served():
    with running() as here:
        yield here


@pytest.fixture
def here(served):
    """The class, empty again."""
    served.board.__init__()
    return served


def view(here) -> dict:
    status, _, body = ask(here, "GET", "/view", Cookie=cookie_of(here))
    assert status == 200
    return json.loads(body)


def test_a_learner_shares_and_the_teacher_sees_it(here):
    assert share(here, TOKEN, sent()) == (200, {"class": "nnopt", "name": "Anna"})
    assert share(here, TOKEN[::-1], sent()) == (200, {"class": "nnopt", "name": "Anna (2)"})
    found = view(here)
    assert [row["name"] for row in found["learners"]] == ["Anna", "Anna (2)"] and found["here"] == 2
    assert found["mistakes"][0]["text"] == EXERCISE.wrong_answers[0].sentence


def test_two_hundred_learners(here):
    """Each with other results, all at the same time, three messages each."""

    def work(number: int) -> str:
        name, token = f"Learner {number % 150}", hashlib.sha256(str(number).encode()).hexdigest()
        for count in range(3):
            results = {id: [EXERCISE.points if n == 0 else 1, 1] for n, id in enumerate(ITEMS[: number % 5])}
            results[ITEMS[5]] = [0, count + 2]
            wrong = [[EXERCISE.id, MISTAKE, 1]] * (number % 3)
            shown = post(
                here.learners_address, token, sent(name, item=ITEMS[5], results=results, mistakes=wrong), seconds=60
            )
            here.board._rows[hashlib.sha256(token.encode()).hexdigest()].seen -= 1  # as if a second had passed
        return shown

    with ThreadPoolExecutor(16) as pool:
        shown = list(pool.map(work, range(200)))
    found = view(here)
    assert len(set(shown)) == 200 == found["here"] == len(found["learners"])
    assert {row["name"] for row in found["learners"]} == set(shown)
    assert all(row["stuck"] == 4 for row in found["learners"])
    (lesson,) = found["lessons"]
    passed = [one["passed"] for one in lesson["items"]]
    assert passed[:6] == [160, 120, 80, 40, 0, 0] and lesson["items"][5]["tried"] == 200
    (mistake,) = found["mistakes"]
    assert mistake["learners"] == 133 and mistake["tries"] == 199


@pytest.mark.parametrize("path", ["/", "/view", "/class/wrong", "/CODE", "/nothing", "/a/b", "/remove", "/.git/config"])
@pytest.mark.parametrize("cookie", ["", "nnopt_class=wrong", "NAME=wrong", "NAME=CODE", 'x="\\'])
def test_without_the_key_nobody_sees_the_class(here, path, cookie):
    share(here, TOKEN, sent("Anna Secret"))
    name = cookie_of(here).partition("=")[0]
    cookie = cookie.replace("NAME", name).replace("CODE", here.codes.code)
    for method in ("GET", "HEAD", "DELETE", "PUT", "OPTIONS"):
        status, headers, body = ask(here, method, path.replace("CODE", here.codes.code), Cookie=cookie)
        assert (status in (403, 404, 405)) or (path == "/CODE" and method in ("GET", "HEAD"))
        assert b"Secret" not in body and here.codes.key.encode() not in body and "Set-Cookie" not in headers
        assert here.codes.code.encode() not in body, "the learners' code is only on the teacher's terminal"


def test_the_key_leaves_the_address_for_a_cookie_that_scripts_can_not_read(here):
    status, headers, _ = ask(here, "GET", f"/class/{here.codes.key}")
    assert status == 302 and headers["Location"] == "../" and here.codes.key not in headers["Location"]
    assert re.search(r"HttpOnly", headers["Set-Cookie"], re.I) and "SameSite=Strict" in headers["Set-Cookie"]


def test_the_page_contains_no_learner_and_runs_only_its_own_script(here):
    share(here, TOKEN, sent(EVIL[:60]))
    status, headers, body = ask(here, "GET", "/", Cookie=cookie_of(here))
    page = body.decode()
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert status == 200 and f"script-src 'sha256-{digest}'" in page and "onerror" not in page
    assert not re.search(r"(?:src|href)=|https?://", page), "nothing comes from another host"
    assert headers["X-Frame-Options"] == "DENY" and headers["Cache-Control"] == "no-store"
    assert not {"innerHTML", "insertAdjacentHTML", "eval(", "document.write"} & set(re.findall(r"[\w.]+\(?", script))


@pytest.mark.parametrize(
    ("token", "body", "status"),
    [
        ("short", sent(), 401),
        ("x" * 500, sent(), 401),
        ("bad token here <b>", sent(), 401),
        (TOKEN, b"", 400),
        (TOKEN, b"\xff", 400),
        (TOKEN, b"[" * 60_000, 400),
        (TOKEN, sent("\u202e"), 400),
        (TOKEN, sent(idle="x"), 400),
    ],
)
def test_nonsense_is_refused_in_one_sentence_and_quietly(here, capfd, token, body, status):
    found, answer = share(here, token, body)
    assert found == status and set(answer) == {"class", "error"} and "\n" not in answer["error"]
    assert here.board.view(0)["learners"] == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("code", ["", "wrong", "class", "view", "x" * 65, "%00", "%C3%A9", "..%2f", "ABCD2345"])
def test_a_wrong_code_is_refused(here, code):
    status, _, body = ask(here, "POST", f"/{code}", json.dumps(sent()), Authorization=f"Bearer {TOKEN}")
    assert status in (403, 404, 405) and b"Traceback" not in body and here.board.view(0)["learners"] == []


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /CODE HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\nxxx",
        b"POST /CODE HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFF\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: " + b"y" * 40_000 + b"\r\n\r\n",
        b"POST /remove HTTP/1.1\r\nHost: x\r\nCookie: a=\xff\xfe;;;=\r\nContent-Length: 2\r\n\r\n{}",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
    ],
)
def test_broken_requests_end_nothing_and_say_nothing(here, capfd, raw):
    with socket.create_connection(("127.0.0.1", here.port), timeout=10) as connection:
        connection.sendall(raw.replace(b"CODE", here.codes.code.encode()))
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while part := connection.recv(4096):
            answer += part
    assert b"Traceback" not in answer and (not answer or not answer.split()[1].startswith((b"2", b"3")))
    assert share(here, TOKEN, sent())[0] == 200
    assert capfd.readouterr() == ("", "")


def test_a_large_message_is_not_read(here):
    with pytest.raises(OSError):
        post(here.learners_address, TOKEN, sent(more="x" * server.LARGEST_MESSAGE))
    assert here.board.view(0)["learners"] == []


def test_a_bug_is_answered_without_details(here, monkeypatch, capfd):
    def broken(*_):
        raise RuntimeError("secret")

    monkeypatch.setattr(here.board, "receive", broken)
    status, answer = share(here, TOKEN, sent())
    assert status == 500 and "secret" not in json.dumps(answer) and capfd.readouterr() == ("", "")


def test_a_full_page_is_for_later_and_other_refusals_for_good(here, monkeypatch):
    monkeypatch.setattr(board, "MOST_ROWS", 0)
    with pytest.raises(OSError, match="all places are taken"):
        post(here.learners_address, TOKEN, sent())
    with pytest.raises(Refused, match=r"another code"):
        post(here.learners_address + "x", TOKEN, sent())


def test_only_the_teacher_removes_a_row(here):
    share(here, TOKEN, sent())
    cookie, body = cookie_of(here), json.dumps({"number": 1})
    for headers in ({}, {"Content_Type": "application/json"}, {"Cookie": cookie, "Content_Type": "text/plain"}):
        assert ask(here, "POST", "/remove", body, **headers)[0] == 403
    for nonsense in ("", "[]", "{}", '{"number": "x"}', "[" * 50_000):
        assert ask(here, "POST", "/remove", nonsense, Cookie=cookie, Content_Type="application/json")[0] == 400
    assert len(here.board.view(time.time())["learners"]) == 1
    assert ask(here, "POST", "/remove", body, Cookie=cookie, Content_Type="application/json")[0] == 200
    status, answer = share(here, TOKEN, sent())
    assert status == 403 and "removed" in answer["error"] and view(here)["learners"] == []


def test_the_learners_address_explains_itself_in_a_browser(here):
    status, _, body = ask(here, "GET", f"/{here.codes.code}")
    assert status == 200 and b"nnopt lab --share" in body
    status, _, body = ask(here, "GET", "/")
    assert status == 403 and b"for the teacher" in body
