"""`nnopt lab --share ADDRESS NAME`: send a learner's place and points to the page of a class, and nothing else.

`message` makes everything that is ever sent; `sent` says it to the learner before the first sending. A thread of
`nnopt lab` sends; the kernels open no connection. If the class does not answer, the thread tries again later, and sends
the state of that moment.
"""

import hashlib
import hmac
import http.client
import ipaddress
import json
import random
import secrets
import threading
import time
import unicodedata
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from nnopt_lab.course import record
from nnopt_lab.course.share_log import Event, ShareLog
from nnopt_lab.course.workspace import PROGRESS
from nnopt_lab.workbench.files import replacing
from nnopt_lab.workbench.language import _, translated_sentences
from nnopt_lab.workbench.text import printable

LONGEST_NAME = 60  # characters
RECENT_SECONDS, MISTAKES = 600, 50  # the mistakes that a message contains: how old at most, and how many
LOOK_SECONDS, SIGN_SECONDS = 2, 20  # between two looks for news, and between two messages without any
AWAY_SECONDS = (5, 10, 20, 30)  # waiting after each failure
ANSWER_SECONDS, START_SECONDS, END_SECONDS = 5, 12, 2
SECRET, _SECRET_BYTES = ".sharing-secret", 32
_LARGEST_ANSWER = 1 << 14


class Refused(ValueError):
    """The class does not take the messages, and will not take them later."""


def message(name: str, contents: dict, events: list[Event], now: float) -> dict:
    """Everything that is sent, always as a whole, so that a lost message does no harm.

    Args:
        name: the learner's.
        contents: of `record.read`.
        events: the latest, oldest first.
        now: the time, in seconds like the events'.

    Returns:
        {"name", "lesson", "item": the exercise or question tried last, or "", "idle": seconds since the last event,
        "results": {id: [points, tries]}, "mistakes": [[id, name of the mistake, seconds ago], …]}.
    """
    tried = {**contents["exercises"], **contents["questions"]}
    results = {id: [entry["points"], entry["attempts"]] for id, entry in tried.items() if entry["attempts"]}
    wrong = [e for e in events if e.mistake and now - e.time < RECENT_SECONDS][-MISTAKES:]
    last = events[-1] if events else Event(now, "", "", "")
    here = [e.item for e in events if e.item and e.lesson == last.lesson]
    return {
        "name": name,
        "lesson": last.lesson,
        "item": here[-1] if here else "",
        "idle": max(0, round(now - last.time)),
        "results": results,
        "mistakes": [[e.item, e.mistake, max(0, round(now - e.time))] for e in wrong],
    }


def sent(name: str) -> str:
    """What is sent under a name, in sentences."""
    return _(
        "While this command runs, it sends the class: the name {name}, the lesson and the exercise you are in, your "
        "points and tries per exercise and question, and which of the course's known mistakes you met, and when. Your "
        "code and your files stay on this machine.",
        name=name,
    )


def clean_name(name: str) -> str:
    """A name on one line, without control characters; "" if nothing is left, or it is longer than `LONGEST_NAME`."""
    text = unicodedata.normalize("NFC", name.encode("utf-8", "ignore").decode())
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= LONGEST_NAME else ""


class Sharing:
    """Sends what a learner shares, in a thread of its own.

    Args:
        address: of the class, as the teacher's command prints it; "http://" may be missing.
        name: of the learner, as the class will see it.
        folder: the workspace.
        say: shows a sentence to the learner.

    Raises:
        ValueError: the address or the name can't be one.
    """

    def __init__(self, address: str, name: str, folder: Path, say: Callable[[str], None] = print):
        self.address, self.name, self._folder, self._say = _checked(address), _named(name), folder, say
        self._log, self._ending, self._answered = ShareLog(folder), threading.Event(), threading.Event()
        self._refusal: Exception | None = None
        self._seen: tuple = ()
        self._thread = threading.Thread(target=self._run, name="sharing", daemon=True)

    def start(self) -> None:
        """Send for the first time, and go on in the background.

        Raises:
            ValueError: the class does not answer, or refuses.
            OSError: the workspace can't be written.
        """
        self._token = _token(self._folder, self.address, self.name)
        self._log.begin()
        self._thread.start()
        if not self._answered.wait(START_SECONDS):
            self._refusal = TimeoutError("timed out")
        if self._refusal is None:
            return
        self._ending.set()
        self._log.end()
        if isinstance(self._refusal, Refused):
            raise self._refusal
        raise ValueError(
            f"{self.address} does not answer ({_cause(self._refusal)}): check the address with your teacher, or leave "
            "out --share."
        )

    def stop(self) -> None:
        """Tell the class that the learner has left, if it answers at once."""
        self._ending.set()
        self._thread.join(END_SECONDS + 1)
        self._log.end()

    def _run(self) -> None:
        failures, next_sign = 0, 0.0
        while not self._ending.is_set():
            news = self._look()
            if (news and not failures) or time.monotonic() >= next_sign:
                try:
                    self._send(ANSWER_SECONDS)
                    if failures:
                        self._say(_("Sharing goes on."))
                    failures, wait = 0, SIGN_SECONDS
                except (OSError, http.client.HTTPException, ValueError) as error:
                    if self._is_over(error):
                        return
                    if not failures:
                        self._say(
                            _("The class does not answer ({cause}); sharing goes on when it does.", cause=_cause(error))
                        )
                    wait = AWAY_SECONDS[min(failures, len(AWAY_SECONDS) - 1)]
                    failures += 1
                next_sign = time.monotonic() + wait * random.uniform(0.8, 1.2)  # else a class would come back at once
            self._ending.wait(LOOK_SECONDS)
        with suppress(OSError, http.client.HTTPException, ValueError):
            self._send(END_SECONDS, left=True)

    def _is_over(self, error: Exception) -> bool:
        """Whether an error ends the sharing: any at the start, and later a refusal."""
        if not self._answered.is_set():
            self._refusal = error
            self._answered.set()
            return True
        if isinstance(error, Refused):
            self._say(_("Sharing has ended: {reason}", reason=translated_sentences(str(error))))
        return isinstance(error, Refused)

    def _look(self) -> bool:
        """Whether something happened since the last look."""
        news, before = self._log.follow(), self._seen
        with suppress(OSError):
            found = (self._folder / PROGRESS).stat()
            self._seen = (found.st_mtime_ns, found.st_size)
        return news or self._seen != before

    def _send(self, seconds: float, left: bool = False) -> None:
        contents = record.read(self._folder)
        body = message(self.name, contents, list(self._log.events), time.time())
        shown = post(self.address, self._token, body | ({"left": True} if left else {}), seconds)
        if not self._answered.is_set():
            self._answered.set()
            if shown != self.name:
                said = _("Another learner has this name; the class sees you as {name}.", name=printable(shown))
                self._say(said)


def post(address: str, token: str, body: dict, seconds: float = ANSWER_SECONDS) -> str:
    """Send a message to the class; returns the name under which it shows the learner.

    Raises:
        Refused: the class refuses for good; the message is a sentence.
        OSError, http.client.HTTPException, ValueError: no class answers there, or it can't at the moment.
    """
    request = urllib.request.Request(
        address,
        json.dumps(body).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {token}", "Connection": "close"},
        method="POST",
    )
    try:
        with _opener(address).open(request, timeout=seconds) as answer:
            return _field(answer.read(_LARGEST_ANSWER), "name")
    except urllib.error.HTTPError as error:
        with error:
            said = _field(error.read(_LARGEST_ANSWER), "error")
        if error.code in (429, 503):
            raise OSError(said) from None
        raise Refused(printable(said)) from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments):
        return None  # a network's log-in page would take the message


def _opener(address: str) -> urllib.request.OpenerDirector:
    try:
        is_near = ipaddress.ip_address(urlsplit(address).hostname or "").is_private
    except ValueError:
        is_near = urlsplit(address).hostname == "localhost"
    proxies = [urllib.request.ProxyHandler({})] if is_near else []  # a school's proxy does not reach its own network
    return urllib.request.build_opener(_NoRedirect, *proxies)


def _field(answer: bytes, name: str) -> str:
    """A field of the class's answer; whatever else answers at the address has none."""
    with suppress(ValueError, KeyError, TypeError, RecursionError):
        found = json.loads(answer)
        if found["class"] == "nnopt":
            return str(found[name])
    raise ConnectionError("what answers there is no class")


def _checked(address: str) -> str:
    """The address with its scheme."""
    text = address.strip()
    full = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(full)
        fits = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
        fits = fits and parts.path.strip("/") and not (parts.username or parts.query or parts.fragment)
        fits = fits and full.isascii() and full.isprintable() and " " not in full
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"address={printable(address)!r} must be the one that your teacher's nnopt class shows, such as "
            "http://192.168.1.5:8890/abcd2345."
        )
    return full.rstrip("/")


def _named(name: str) -> str:
    if name.startswith("-") or not clean_name(name):
        raise ValueError(
            f"name={printable(name)!r} must have 1 to {LONGEST_NAME} characters and not begin with a dash: "
            "nnopt lab --share ADDRESS NAME."
        )
    return clean_name(name)


def _token(folder: Path, address: str, name: str) -> str:
    """Proves to this class that later messages come from the same workspace; another class gets another one."""
    path = folder / SECRET
    if not path.is_file() or path.stat().st_size < _SECRET_BYTES:
        with replacing(path) as new:
            new.touch(0o600)
            new.write_bytes(secrets.token_bytes(_SECRET_BYTES))
    key = path.read_bytes()
    return hmac.new(key, f"{urlsplit(address).path} {name}".encode(), hashlib.sha256).hexdigest()


def _cause(error: Exception) -> str:
    reason = getattr(error, "reason", error)
    return printable(getattr(reason, "strerror", None) or reason or type(error).__name__, 120)
