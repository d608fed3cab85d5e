"""Files and folders that are written: what goes wrong is said with the file's name."""

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def make_folder(folder: Path | str) -> Path:
    """Make a folder that may be there already, with the folders around it.

    Raises:
        OSError: it can't be made; the text says what is in the way.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        file = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
        raise OSError(f"{file} is no folder, and one is needed there.") from None
    return folder


def check_writable(path: Path | str) -> Path:
    """Check that a file can be written, before the work that it is to hold; it stays as it is.

    Raises:
        OSError: it can't be written; the text says why.
    """
    path = Path(path)
    if path.is_dir():
        raise OSError(f"{path} is a folder, and a file is to be written there.")
    if not path.parent.is_dir():
        raise OSError(f"{path} can't be written: there is no folder {path.parent}.")
    new = not os.path.lexists(path)
    with naming(path), path.open("ab"):
        pass
    if new:
        path.unlink()
    return path


def check_folder(folder: Path | str) -> Path:
    """Make a folder if need be, and check that files can be written in it; OSError, with the reason, if they can't."""
    folder = make_folder(folder)
    with naming(folder), tempfile.TemporaryFile(dir=folder) as probe:
        probe.write(b"x")
        probe.flush()
    return folder


@contextmanager
def naming(path: Path | str) -> Iterator[None]:
    """Make errors of writing a file OSErrors that name it.

    Python's own don't where the disk gets full in the middle of a file, and libraries have errors of their own.
    """
    try:
        yield
    except shutil.Error as error:  # a list of all that could not be copied
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
    """Yield another name beside `path`, and rename what was written there when all went well: never half a file."""
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
    """An error as a sentence that names the file and the cause."""
    if not isinstance(error, OSError) or error.errno is None:
        return str(error)
    file = error.filename if error.filename2 is None else error.filename2  # what was written, where something is copied
    cause = error.strerror or type(error).__name__
    return f"{file or 'The output, or a file,'} can't be used: {cause[:1].lower()}{cause[1:]}."
