"""A class that is served in a thread, and messages of learners."""

import asyncio
import http.client
import json
import threading
from contextlib import contextmanager

from nnopt_lab.course import mistakes
from nnopt_lab.course.exercises import exercises
from nnopt_lab.grading.live import codes
from nnopt_lab.grading.live.addresses import LOOPBACK, listen
from nnopt_lab.grading.live.board import Board
from nnopt_lab.grading.live.server import serve
from nnopt_lab.grading.live.workshop import Workshop

EXERCISE = exercises()["pruning.l1_importance"]
LESSON = EXERCISE.lesson
MISTAKE = mistakes._declared(EXERCISE.wrong_answers[0].sentence)
EVIL = "<img src=x onerror=\"document.title='evil'\">"


def sent(name="Anna", **changes) -> dict:
    """A message of a learner who failed twice at the first exercise."""
    return {
        "name": name,
        "lesson": LESSON,
        "item": EXERCISE.id,
        "idle": 0,
        "results": {EXERCISE.id: [0, 2]},
        "mistakes": [[EXERCISE.id, MISTAKE, 5]],
    } | changes


@contextmanager
def running(board: Board | None = None, port: int = 0, secrets: codes.Codes | None = None):
    """Serve a class until the end of the block, which gets it as a `Workshop`."""
    sockets, opened = listen(LOOPBACK, port)
    board = board if board is not None else Board()
    here = Workshop(LOOPBACK, opened, opened, board, secrets or codes.new(), sockets, None)
    ready, loop = threading.Event(), asyncio.new_event_loop()

    async def work():
        here.stop, server = asyncio.Event(), serve(sockets, here.board, here.codes)
        ready.set()
        await here.stop.wait()
        server.stop()
        await server.close_all_connections()

    thread = threading.Thread(target=lambda: loop.run_until_complete(work()), daemon=True)
    thread.start()
    ready.wait(10)
    try:
        yield here
    finally:
        loop.call_soon_threadsafe(here.stop.set)
        thread.join(10)
        loop.close()


def ask(here: Workshop, method: str, path: str, body=None, **headers) -> tuple[int, dict, bytes]:
    """Send a request: (status, headers, body)."""
    connection = http.client.HTTPConnection(LOOPBACK, here.port, timeout=20)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def share(here: Workshop, token: str, body) -> tuple[int, dict]:
    """Post a message as a learner: (status, answer)."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    status, _, answer = ask(here, "POST", f"/{here.codes.code}", raw, Authorization=f"Bearer {token}")
    return status, json.loads(answer)


def cookie_of(here: Workshop) -> str:
    """The teacher's cookie."""
    status, headers, _ = ask(here, "GET", f"/class/{here.codes.key}")
    assert status == 302
    return headers["Set-Cookie"].partition(";")[0]
