"""Judge files for the capstone: each is read, checked and run in a worker, which never gets the labels.

The worker runs in a sandbox, or in an ordinary process for files that you trust; see `sandboxed.classifier`.
"""

import os
import secrets
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import torch
from torch import Tensor

from nnopt_lab.grading import pool, sandbox
from nnopt_lab.grading.capstone import by_heart, variants
from nnopt_lab.grading.capstone.entry import BASELINE, BATCHES, Entry
from nnopt_lab.grading.capstone.leaderboard import Leaderboard
from nnopt_lab.grading.sandbox import JobResult, Limits
from nnopt_lab.grading.sandboxed import codec
from nnopt_lab.grading.sandboxed.classifier import MIN_ROUNDS
from nnopt_lab.grading.unsandboxed import UnsandboxedProcess
from nnopt_lab.lessons.capstone.onnx_files import write_onnx
from nnopt_lab.workbench import data, measure, models, smoke
from nnopt_lab.workbench.paths import data_dir
from nnopt_lab.workbench.progress_bar import progress_bar
from nnopt_lab.workbench.text import printable

MAX_BYTES = 4 << 20
LIMITS = Limits(seconds=300, megabytes=1024)  # for each of a file's three jobs
ROUNDS, SECONDS = 20, 4.0
SMOKE_PICTURES = 2 * max(BATCHES)  # in smoke mode; results keep their length
SMOKE_LENGTH = 10_000
NO_SENSE = "Its worker's reply is invalid."


def judge(
    paths: Iterable[Path] = (),
    *,
    board: Leaderboard | None = None,
    ours: bool = True,
    isolation: str = "auto",
    limits: Limits = LIMITS,
    rounds: int = ROUNDS,
    seconds: float = SECONDS,
) -> Leaderboard:
    """Judge files on the test pictures of "fashion", with the baseline and the course's own entries on the board.

    Files are also judged on slightly changed versions of these pictures and on other pictures (see `variants`): a file
    that has memorised the test pictures is refused, and the lower one of the two accuracies counts.

    Args:
        paths: of ONNX files; one that is not a valid classifier gets a sentence in the table.
        board: an earlier leaderboard, to which these files are added. Files already on it are judged again, except the
            baseline and the course's own.
        ours: whether to judge the course's own entries too.
        isolation: as in `sandbox.available`, or "own files": a sandbox if this machine has one, otherwise none.
        limits: for reading, checking and running one file.
        rounds, seconds: of timing, per batch size; at least 6 rounds.

    Raises:
        SandboxError: the sandbox does not start or has a hole.
        ValueError: a path does not exist, or `rounds` is below 6.
    """
    paths = [Path(path).absolute() for path in paths]
    for path in paths:
        if not _is_there(path):
            raise ValueError(f"{path} is not a file: paths must name ONNX files.")
    if rounds < MIN_ROUNDS:
        raise ValueError(f"rounds={rounds} must be at least {MIN_ROUNDS}.")
    pictures, timing = _pictures(), (rounds, seconds)
    shown = variants.draw(pictures, _fresh())
    entries = [entry for entry in board.entries if entry.ours or entry.path not in paths] if board else []
    with tempfile.TemporaryDirectory() as folder:
        baseline = write_onnx(models.trained("mynet"), Path(folder, f"{BASELINE}.onnx"))
        shipped = sorted((data_dir() / "capstone").glob("*.onnx")) if ours else []
        files = [] if board else [(path.stem, path, True) for path in (baseline, *shipped)]
        taken = {name for name, *_ in files} | {entry.name for entry in entries}
        files += [(name, path, False) for name, path in _named(paths, taken)]
        raw = baseline.read_bytes()
        with worker(isolation, limits) as process, progress_bar(total=len(files), desc="judging", unit="file") as bar:
            for name, path, is_ours in files:
                entry = _judge_file(name, path, raw, pictures, shown, process, timing)
                entries.append(replace(entry, ours=is_ours, path=path))
                bar.update()
    if entries[0].refused:
        raise RuntimeError(f"The baseline itself could not be measured: {entries[0].refused}")
    return Leaderboard(tuple(entries))


@contextmanager
def worker(isolation: str, limits: Limits) -> Iterator[sandbox.Sandbox | UnsandboxedProcess]:
    """Start a sandbox, or an `UnsandboxedProcess`, by the rules of `judge`."""
    kind = "none"
    if isolation != "none":
        try:
            kind = sandbox.available("auto" if isolation == "own files" else isolation)
            started = pool.ready(pool.start(pool.Settings(kind, limits)))
        except sandbox.SandboxError:
            if isolation != "own files":
                raise
            kind = "none"
    if kind == "none":
        yield UnsandboxedProcess(limits)
    else:
        with started:
            yield started


def _judge_file(
    name: str, path: Path, baseline: bytes, pictures: data.Pictures, shown: variants.Shown, process, timing
) -> Entry:
    try:
        raw, size = _read_file(path)
    except OSError as error:
        return Entry(name, 0, f"It can't be read: {error.strerror or error}.")
    if len(raw) > MAX_BYTES:
        return Entry(name, size, f"It is larger than {MAX_BYTES:,} bytes, four times the baseline.")
    bench = _Bench(_as_tensor(raw), _as_tensor(baseline), pictures, process)
    try:
        right = variants.rightness(shown, bench.classes(shown.images))
        if known := by_heart.reason(right):
            return Entry(name, size, known)
        changed = bench.changed(right).mean().item()
        timings, validation = bench.timings(*timing), 100 * right.validation.mean().item()
        correct = right.as_is.bool()
        if smoke.on():
            correct = smoke.repeat_rows(correct, SMOKE_LENGTH)
        return Entry(name, size, "", correct, timings, changed=100 * changed, validation=validation)
    except _Refused as reason:
        return Entry(name, size, str(reason))


def _pictures() -> data.Pictures:
    whole = data.load("fashion")
    if not smoke.on():
        return whole
    return replace(whole, **{name: smoke.few(getattr(whole, name), SMOKE_PICTURES) for name in ("test", "validation")})


class _Refused(Exception):
    """A file is refused; the message is the sentence for the table."""


@dataclass(frozen=True)
class _Bench:
    """Runs one file in workers, on pictures in a random order that no file can predict."""

    model: Tensor
    baseline: Tensor
    pictures: data.Pictures
    process: sandbox.Sandbox | UnsandboxedProcess

    def classes(self, images: Tensor) -> Tensor:
        """The file's predicted classes for pictures, uint8 [N]."""
        order = torch.randperm(len(images), generator=_fresh())
        said = self._run("classify", ["model", "images", "mean", "std"], self.model, images[order], *self._scale)
        if len(said) != 1 or not _are_classes(said[0], len(order)):
            raise _Refused(NO_SENSE)
        classes = torch.empty_like(said[0])
        classes[order] = said[0]
        return classes

    def changed(self, right: variants.Rightness) -> Tensor:
        """For each test picture, whether most of its versions are right; more versions decide the open ones."""
        mostly, places = variants.mostly(right.near), right.open
        if 0 < len(places) <= variants.MAX_OPEN:
            test = self.pictures.test
            images = torch.cat(variants.versions(test.images[places], variants.MORE_PAIRS, _fresh()))
            more = self.classes(images).view(-1, len(places)) == test.labels[places]
            mostly[places] = variants.mostly(torch.cat([right.near[:, places], more.double()]))
        return mostly

    def timings(self, rounds: int, seconds: float) -> dict[int, tuple[measure.Timing, measure.Timing]]:
        """Batch size → (the baseline's timing, the file's)."""
        # Random pictures, because a file that knew the timed ones could be fast for those only.
        places = torch.randperm(len(self.pictures.test), generator=_fresh())[: max(BATCHES)]
        arguments = ["model", "baseline", "images", "mean", "std", "rounds", "seconds"]
        case = self.model, self.baseline, self.pictures.test.images[places], *self._scale, rounds, seconds
        samples = self._run("measure", arguments, *case)
        if len(samples) != len(BATCHES) or not all(map(_are_timings, samples)):
            raise _Refused(NO_SENSE)
        return {
            batch: tuple(measure.Timing(tuple(row[place] for row in rows), batch) for place in (0, 1))
            for batch, rows in zip(BATCHES, samples, strict=True)
        }

    @property
    def _scale(self) -> tuple[float, float]:
        return self.pictures.mean[0], self.pictures.std[0]

    def _run(self, name: str, arguments: list[str], *case) -> tuple:
        job = {"preamble": "", "source": f"from classifier import {name}", "name": name, "arguments": arguments}
        job |= {"seed": 0, "results_only": True}
        return _read(self.process.run(codec.pack(job, [case])))


def _fresh() -> torch.Generator:
    return torch.Generator().manual_seed(secrets.randbits(60))


def _is_there(path: Path) -> bool:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError:
        pass  # for example, a folder without permission: opening the file will show
    return True


def _read_file(path: Path) -> tuple[bytes, int]:
    """Read a file's first bytes, and its size.

    Raises:
        OSError: it can't be read, or is a folder, a pipe, a socket or a device.
    """
    if not stat.S_ISREG(path.stat().st_mode):  # opening a device may have consequences
        raise OSError("it is not a regular file")
    # Non-blocking, because it may have become a pipe by now. Windows has no O_NONBLOCK, but needs O_BINARY.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with open(handle, "rb") as file:
        return file.read(MAX_BYTES + 1), os.fstat(handle).st_size


def _read(ended: JobResult) -> tuple:
    """The values in a worker's reply after "done".

    Raises:
        _Refused: the file was refused, or its worker's reply is invalid.
    """
    if ended.state != "replied":
        raise _Refused(f"It can't be judged: {ended.reason}.")
    try:
        header, values = codec.unpack(ended.reply)
        if error := next((o["error"] for o in header.get("outcomes", [{}]) if o), header.get("error")):
            short = "it needs more memory than allowed" if error.get("memory") else str(error.get("message"))
            raise _Refused(printable(f"It can't be judged: {short}."))
        state, *result = values[0][0]
        if state == "refused":
            raise _Refused(printable("".join(result)) or "It was refused.")
        return tuple(result)
    except (ValueError, TypeError, IndexError, KeyError, AttributeError):  # an attack may control the worker
        raise _Refused(NO_SENSE) from None


def _are_classes(value, count: int) -> bool:
    return type(value) is Tensor and value.dtype == torch.uint8 and list(value.shape) == [count]


def _are_timings(rows) -> bool:
    try:
        return len(rows) >= MIN_ROUNDS and all(
            len(row) == 2 and all(0 < float(second) < 1e6 for second in row) for row in rows
        )
    except (ValueError, TypeError):
        return False


def _as_tensor(raw: bytes) -> Tensor:
    return torch.frombuffer(bytearray(raw), dtype=torch.uint8) if raw else torch.zeros(0, dtype=torch.uint8)


def _named(paths: Iterable[Path], taken: set[str]) -> Iterator[tuple[str, Path]]:
    """Yield a name for each file: its own, or if that is taken, with its folder in front or a number behind it."""
    for path in paths:
        name = next(n for n in _choices(path) if n not in taken)
        taken = taken | {name}
        yield name, path


def _choices(path: Path) -> Iterator[str]:
    stem, folder = printable(path.stem), printable(path.absolute().parent.name)
    yield from (stem, f"{folder}/{stem}")
    yield from (f"{folder}/{stem} {number}" for number in count(2))
