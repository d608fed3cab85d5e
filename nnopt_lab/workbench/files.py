"""Write files and folders so that every error names the file."""

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nnopt_lab.workbench.language import _


def make_folder(folder: Path | str) -> Path:
    """Make a folder and its parents, unless they exist.

    Raises:
        OSError: it can't be made; the message names the file in the way.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        file = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
        raise OSError(f"{file} must be a folder, but it is a file.") from None
    return folder


def check_writable(path: Path | str) -> Path:
    """Check that a file can be written, before the work whose result goes there; the file is left as it is.

    Raises:
        OSError: it can't be written; the message says why.
    """
    path = Path(path)
    if path.is_dir():
        raise OSError(f"{path} can't be written: it is a folder.")
    if not path.parent.is_dir():
        raise OSError(f"{path} can't be written: the folder {path.parent} does not exist.")
    new = not os.path.lexists(path)
    with naming(path), path.open("ab"):
        pass
    if new:
        path.unlink()
    return path


def check_folder(folder: Path | str) -> Path:
    """Make a folder if it does not exist, and check that files can be written in it.

    Raises:
        OSError: they can't; the message says why.
    """
    folder = make_folder(folder)
    with naming(folder), tempfile.TemporaryFile(dir=folder) as probe:
        probe.write(b"x")
        probe.flush()
    return folder


@contextmanager
def naming(path: Path | str) -> Iterator[None]:
    """Turn errors from writing a file into OSErrors that name it.

    Python's own error names no file if the disk fills up in the middle of one, and libraries raise other types.
    """
    try:
        yield
    except shutil.Error as error:  # its argument lists every file that could not be copied
        cause = re.sub(r"\[Errno -?\d+\] |: '.*", "", str(error.args[0][0][2]))
        raise OSError(f"{path} can't be written: {cause[:1].lower()}{cause[1:]}.") from error
    except OSError as error:
        if error.errno is None:
            raise
        raise type(error)(error.errno, error.strerror, str(path)) from error
    except Exception as error:
        if type(error).__name__ != "SafetensorError":
            raise
        raise OSError(f"{path} can't be written: {error}.") from error


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `path` and rename it to `path` on success, so that no partial file remains."""
    path = Path(path)
    unfinished = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        with naming(path):
            yield unfinished
            os.replace(unfinished, path)
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)


def in_words(error: OSError | ValueError) -> str:
    """Describe an error in a sentence that names the file and the cause."""
    if not isinstance(error, OSError) or error.errno is None:
        return str(error)
    file = error.filename if error.filename2 is None else error.filename2  # a copy's target, if there is one
    cause = error.strerror or type(error).__name__
    what = {"file": file or _("The output or a file"), "cause": f"{cause[:1].lower()}{cause[1:]}"}
    return _("{file} can't be used: {cause}.", **what)
