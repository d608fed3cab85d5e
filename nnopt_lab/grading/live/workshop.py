"""Run the live page until Ctrl-C, and keep it in a file if one was named."""

import asyncio
import contextlib
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nnopt_lab.grading.live import addresses, codes, stored
from nnopt_lab.grading.live.board import Board
from nnopt_lab.grading.live.server import serve

SAVE_SECONDS = 5


@dataclass
class Workshop:
    """A class that is about to be served.

    Attributes:
        host: an address of this machine, or one that means all, such as 0.0.0.0.
        port: the port that was opened.
        asked: the port that was wanted.
    """

    host: str
    port: int
    asked: int
    board: Board
    codes: codes.Codes
    sockets: list
    file: Path | None

    @property
    def learners_address(self) -> str:
        """What learners type after --share."""
        return addresses.url(addresses.outside(self.host), self.port, self.codes.code)

    @property
    def page_address(self) -> str:
        """What the teacher opens on this machine."""
        return addresses.url(addresses.LOOPBACK, self.port, f"class/{self.codes.key}")


def prepare(host: str, port: int, file: Path | None = None) -> Workshop:
    """Open the port, and restore the class from `file`, if that is given and exists.

    Raises:
        ValueError: the host, the port or the file can't be used.
        OSError: the file can't be read or written.
    """
    board = Board()
    kept = stored.load(file, board) if file else None
    secrets, asked = kept or (codes.new(), port)
    sockets, opened = addresses.listen(host, asked)
    return Workshop(host, opened, asked, board, secrets, sockets, file)


def run(workshop: Workshop, say: Callable[[str], None] = print) -> None:
    """Answer until Ctrl-C or SIGTERM; `say` shows a sentence on the terminal."""
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_run(workshop, say))


async def _run(workshop: Workshop, say: Callable[[str], None]) -> None:
    server, ending = serve(workshop.sockets, workshop.board, workshop.codes), asyncio.Event()
    with contextlib.suppress(NotImplementedError, RuntimeError):  # on Windows, and outside of the main thread
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    saver = _Saver(workshop, say)
    try:
        while not ending.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ending.wait(), SAVE_SECONDS)
            saver.save()
    finally:
        server.stop()
        saver.save()


class _Saver:
    """Writes the file when something has changed, and reports a failure once."""

    def __init__(self, workshop: Workshop, say: Callable[[str], None]):
        self._workshop, self._say, self._version, self._failed = workshop, say, -1, False

    def save(self) -> None:
        here = self._workshop
        if here.file is None or self._version == here.board.version:
            return
        try:
            stored.save(here.file, here.board, here.codes, here.port)
        except OSError as error:
            if not self._failed:
                self._say(f"{here.file} can't be written ({error.strerror or error}); the class goes on without it.")
            self._failed = True
        else:
            self._version, self._failed = here.board.version, False
