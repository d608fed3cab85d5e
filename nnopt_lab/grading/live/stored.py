"""An optional file that keeps a class, so that the server can be started again with the same addresses and rows."""

import json
from pathlib import Path

from nnopt_lab.grading.live.board import Board
from nnopt_lab.grading.live.codes import Codes
from nnopt_lab.workbench.files import check_writable, replacing

_FORMAT = "nnopt class 1"


def load(path: Path, board: Board) -> tuple[Codes, int] | None:
    """Fill the board from a file; returns the codes and the port, or None if there is no file yet.

    Raises:
        ValueError: it is no file of a class.
        OSError: it can't be read or written.
    """
    check_writable(path)
    if not path.is_file() or not path.stat().st_size:
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["format"] != _FORMAT:
            raise ValueError
        codes = Codes(str(found["code"]), str(found["key"]))
        board.restore(found["board"])
        return codes, int(found["port"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ValueError(f"{path} is not a class that nnopt class kept: move it away, or name another file.") from None


def save(path: Path, board: Board, codes: Codes, port: int) -> None:
    """Write the file, readable by its owner only, because it contains the class's secrets.

    Raises:
        OSError: it can't be written.
    """
    kept = {"format": _FORMAT, "code": codes.code, "key": codes.key, "port": port, "board": board.stored()}
    with replacing(path) as new:
        new.unlink(missing_ok=True)
        new.touch(0o600)
        new.write_text(json.dumps(kept), encoding="utf-8")
