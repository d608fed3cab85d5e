"""Read notebooks from zip archives of learning platforms and learners, in memory, without unpacking them.

The names in an archive are only inspected, so they can't lead outside; links in it are not followed, and sizes are
limited before anything is read.
"""

import contextlib
import io
import os
import stat
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path

ENDING = ".zip"
MAX_BYTES = 64 << 20  # of a learner's archive, on disk or inside another one
MAX_ENTRIES = 10_000  # in a learner's archive
_ENTRY = b"PK\x01\x02"  # begins each entry of an archive's table of contents
_UTF8 = 0x800
_LEADS_OUT = "Its name in the archive leads out of it."


@dataclass(frozen=True)
class Found:
    """A file in an archive.

    Attributes:
        parts: its path, without parts that would lead out of the archive.
        place: its position in the archive, followed by its position in an inner archive if it is in one; empty for a
            file that is in no archive.
    """

    parts: tuple[str, ...]
    place: tuple[int, ...]


def is_archive(name: str) -> bool:
    """Whether a file is an archive, by its name."""
    return name.lower().endswith(ENDING)


def find(path: Path, wanted, trusted: bool) -> list[Found]:
    """Find the files in an archive, and in archives inside it, whose names are `wanted`.

    Args:
        path: of the archive.
        wanted: a function file name → bool.
        trusted: whether the archive comes from the teacher and may have any size; archives inside it are learners'.

    Raises:
        ValueError: it can't be read; the message is a sentence with the reason.
    """
    with _opened(path, trusted) as archive:
        found = []
        for position, info in enumerate(archive.infolist()):
            parts = _parts(info)
            if not parts or info.is_dir() or _is_hidden(parts):
                continue
            if wanted(parts[-1]):
                found.append(Found(parts, (position,)))
            elif is_archive(parts[-1]):
                found += _find_inside(archive, position, parts, wanted)
        return found


def read(path: Path, place: tuple[int, ...], most: int, zone: tzinfo | None = None) -> tuple[bytes, float]:
    """Read the first `most` bytes of a file in an archive, and its modification time in seconds since 1970.

    Most archives contain local times: they are read in `zone`, or in this machine's time zone.

    Raises:
        ValueError: it can't be read; the message is a sentence with the reason.
    """
    with _opened(path, trusted=True) as archive:
        for position in place[:-1]:
            archive = _inner(archive, position)
        info = archive.infolist()[place[-1]]
        return _content(archive, info, most), _changed(info, zone)


def _find_inside(archive: zipfile.ZipFile, position: int, parts: tuple[str, ...], wanted) -> list[Found]:
    try:
        inner = _inner(archive, position)
        found = [
            Found((*parts, *names), (position, place))
            for place, info in enumerate(inner.infolist())
            if (names := _parts(info)) and not info.is_dir() and not _is_hidden(names) and wanted(names[-1])
        ]
    except ValueError:
        found = []
    return found or [Found(parts, (position,))]  # reading it will produce a message for its learner


@contextlib.contextmanager
def _opened(path: Path, trusted: bool) -> Iterator[zipfile.ZipFile]:
    with in_words(), open_file(path) as file:
        if not trusted:
            data = file.read(MAX_BYTES + 1)
            file = io.BytesIO(_checked(data))
        with zipfile.ZipFile(file) as archive:
            yield archive


def _inner(archive: zipfile.ZipFile, position: int) -> zipfile.ZipFile:
    with in_words():
        data = _content(archive, archive.infolist()[position], MAX_BYTES + 1)
        return zipfile.ZipFile(io.BytesIO(_checked(data)))


def _checked(data: bytes) -> bytes:
    if len(data) > MAX_BYTES:
        raise ValueError(f"It is an archive of more than {MAX_BYTES >> 20} MiB; hand in the notebook itself.")
    if data.count(_ENTRY) > MAX_ENTRIES:
        raise ValueError(f"It is an archive of more than {MAX_ENTRIES:,} files; hand in the notebook itself.")
    return data


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int) -> bytes:
    if stat.S_ISLNK(info.external_attr >> 16):
        raise ValueError("It is a link, not a file.")
    if info.flag_bits & 1:
        raise ValueError("It is encrypted in its archive.")
    if _leads_out(_raw_name(info)):
        raise ValueError(_LEADS_OUT)
    with in_words(), archive.open(info) as file:
        return file.read(most)


@contextlib.contextmanager
def in_words() -> Iterator[None]:
    """Turn any error from reading an archive into a ValueError with a sentence."""
    try:
        yield
    except ValueError:
        raise
    except OSError as error:
        raise ValueError(f"It can't be read: {error.strerror or error}.") from None
    except Exception as error:  # zipfile, zlib, bz2 and lzma raise a dozen types of errors for damaged archives
        raise ValueError(f"It is not a readable zip archive ({type(error).__name__}).") from None


def open_file(path: Path) -> io.BufferedReader:
    """Open an untrusted file, which must be a regular file and not a link.

    Raises:
        ValueError: it is a link or not a regular file.
        OSError: it can't be opened.
    """
    # Non-blocking, so that a pipe with that name can't stall. Windows has neither O_NOFOLLOW nor O_NONBLOCK.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    if os.path.islink(path):
        raise ValueError("It is a link, not a file.")
    file = open(os.open(path, flags), "rb")  # noqa: SIM115 - the caller closes it
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    raise ValueError("It is not a regular file.")


def _raw_name(info: zipfile.ZipInfo) -> str:
    """The name with / between its parts, decoded as UTF-8 if possible, even if the archive does not declare it."""
    name = info.orig_filename
    if not info.flag_bits & _UTF8:
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return name.partition("\0")[0].replace("\\", "/")


def _parts(info: zipfile.ZipInfo) -> tuple[str, ...]:
    return tuple(part for part in _raw_name(info).split("/") if part not in ("", ".", ".."))


def _leads_out(name: str) -> bool:
    return name.startswith("/") or ".." in name.split("/") or name[1:2] == ":"


def _is_hidden(parts: tuple[str, ...]) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in parts)


def _changed(info: zipfile.ZipInfo, zone: tzinfo | None) -> float:
    """Modification time: UTC if the archive has it (Info-ZIP's extra field), otherwise in a time zone."""
    extra = info.extra
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<HH", extra)
        if kind == 0x5455 and length >= 5 and len(extra) >= 9 and extra[4] & 1:
            return float(struct.unpack_from("<i", extra, 5)[0])
        extra = extra[4 + length :]
    try:
        return datetime(*info.date_time, tzinfo=zone).timestamp()
    except (ValueError, OverflowError):
        return float("nan")
