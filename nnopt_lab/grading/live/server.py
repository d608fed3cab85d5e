"""The web server of the live page: it takes the learners' messages, and shows the page to the teacher only.

Learners post to `/CODE`. The teacher opens `/class/KEY`, which puts the key into a cookie, so that the address that a
projector shows contains no secret.
"""

import hashlib
import json
import logging
import re
import time

import tornado.httpserver
import tornado.web

from nnopt_lab.grading.live.board import Board, Full, Removed
from nnopt_lab.grading.live.codes import Codes
from nnopt_lab.grading.live.message import Unreadable, parse
from nnopt_lab.grading.rendering import script, script_texts, template

LARGEST_MESSAGE = 1 << 16  # bytes
PATIENCE_SECONDS = 20  # with a connection that sends nothing, or slowly
_TOKEN = re.compile(r"Bearer ([A-Za-z0-9_-]{16,200})", re.ASCII)
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def serve(sockets: list, board: Board, codes: Codes) -> tornado.httpserver.HTTPServer:
    """Begin to answer in the running event loop, on the sockets of `addresses.listen`; `stop()` ends the server."""
    _hush()
    settings = {"board": board, "codes": codes}
    routes = [
        (r"/", Page, settings),
        (r"/class/(.{1,100})", Enter, settings),
        (r"/view", View, settings),
        (r"/remove", Remove, settings),
        (r"/(\w{1,64})/?", Share, settings),
        (r".*", Nothing, settings),
    ]
    application = tornado.web.Application(routes, compress_response=True, log_function=lambda handler: None)
    server = tornado.httpserver.HTTPServer(
        application,
        max_body_size=LARGEST_MESSAGE,
        max_header_size=1 << 14,
        idle_connection_timeout=PATIENCE_SECONDS,
        body_timeout=PATIENCE_SECONDS,
    )
    server.add_sockets(sockets)
    return server


class Handler(tornado.web.RequestHandler):
    """What all addresses have in common: headers, and errors in one sentence as JSON."""

    def initialize(self, board: Board, codes: Codes) -> None:
        """Keep what the address works on."""
        self.board, self.codes = board, codes

    def set_default_headers(self) -> None:
        """Forbid caches, frames and guesses of types, and do not name the server."""
        for name, value in _HEADERS.items():
            self.set_header(name, value)
        self.clear_header("Server")

    def refuse(self, status: int, sentence: str) -> None:
        """Answer with an error."""
        self.set_status(status)
        self.finish({"class": "nnopt", "error": sentence})

    def write_error(self, status_code: int, **details) -> None:
        """Answer errors of the framework in the same form, without details."""
        self.finish({"class": "nnopt", "error": f"The class answers {status_code}: {self._reason}."})

    def log_exception(self, *details) -> None:
        """Keep quiet: an attacker must not fill the teacher's terminal."""

    @property
    def cookie(self) -> str:
        """The name of the teacher's cookie; a browser shares cookies between the ports of a machine."""
        return f"nnopt_class_{hashlib.sha256(self.codes.key.encode()).hexdigest()[:8]}"

    def is_teacher(self) -> bool:
        """Whether the request carries the page's key."""
        return self.codes.is_key(self.get_cookie(self.cookie) or "")


class Nothing(Handler):
    """An address that there is not."""

    def prepare(self) -> None:
        """Answer every method."""
        self.refuse(404, "There is no class at this address.")


class Share(Handler):
    """A learner's messages."""

    def get(self, code: str) -> None:
        """Tell someone who opens the address in a browser what it is for."""
        if not self.codes.is_code(code):
            return self.refuse(404, "There is no class at this address.")
        self.finish(template("live_notice.html").render(is_code=True))

    def post(self, code: str) -> None:
        """Take a message."""
        token = _TOKEN.fullmatch(self.request.headers.get("Authorization", ""))
        if not self.codes.is_code(code):
            return self.refuse(404, "The class has another code: ask your teacher for the new address.")
        if token is None:
            return self.refuse(401, "The message has no token.")
        try:
            name = self.board.receive(token[1], parse(self.request.body), time.time(), self.request.remote_ip)
        except Unreadable as error:
            return self.refuse(400, str(error))
        except Removed as error:
            return self.refuse(403, str(error))
        except Full as error:
            return self.refuse(503, str(error))
        self.finish({"class": "nnopt", "name": name})


class Enter(Handler):
    """The address that the teacher opens."""

    def get(self, key: str) -> None:
        """Exchange the key in the address for a cookie."""
        if not self.codes.is_key(key):
            return self.refuse(404, "There is no class at this address.")
        self.set_cookie(self.cookie, key, httponly=True, samesite="Strict")
        self.redirect("../")


class Page(Handler):
    """The teacher's page."""

    def get(self) -> None:
        """The page, without any learner in it: its script asks for them."""
        if not self.is_teacher():
            self.set_status(403)
            return self.finish(template("live_notice.html").render(is_code=False))
        source, digest = script("live.js")
        self.finish(template("live.html").render(script=source, script_hash=digest, texts=script_texts("live.js")))


class View(Handler):
    """The state of the class, for the page's script."""

    def get(self) -> None:
        """All rows and sums, as JSON."""
        if not self.is_teacher():
            return self.refuse(403, "Only the teacher's page may ask for this.")
        self.finish(self.board.view(time.time()))


class Remove(Handler):
    """Removes a learner's row."""

    def post(self) -> None:
        """Take a row's number; JSON, so that no other site's form can send it."""
        is_json = self.request.headers.get("Content-Type", "").startswith("application/json")
        if not (self.is_teacher() and is_json):
            return self.refuse(403, "Only the teacher's page may ask for this.")
        try:
            self.board.remove(int(json.loads(self.request.body)["number"]))
        except (ValueError, TypeError, KeyError, RecursionError):
            return self.refuse(400, "The number is missing.")
        self.finish({"class": "nnopt"})


def _hush() -> None:
    """Keep what tornado says about malformed requests off the teacher's terminal."""
    logger = logging.getLogger("tornado")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
