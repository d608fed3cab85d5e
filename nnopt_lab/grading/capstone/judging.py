"""Judges files for the capstone: each is read, checked and run in a worker; the labels stay here.

The worker runs in a sandbox or, for files that you trust, in a process of its own; see `sandboxed.classifier`.
"""

import secrets
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path

import torch
from torch import Tensor

from nnopt_lab.grading import pool, sandbox
from nnopt_lab.grading.capstone.entry import BASELINE, BATCHES, Entry
from nnopt_lab.grading.capstone.leaderboard import Leaderboard
from nnopt_lab.grading.sandbox import JobResult, Limits
from nnopt_lab.grading.sandboxed import codec
from nnopt_lab.grading.sandboxed.classifier import MIN_ROUNDS
from nnopt_lab.grading.unsandboxed import UnsandboxedProcess
from nnopt_lab.lessons.capstone.onnx_files import write_onnx
from nnopt_lab.workbench import data, measure, models
from nnopt_lab.workbench.paths import data_dir
from nnopt_lab.workbench.progress_bar import progress_bar
from nnopt_lab.workbench.text import printable

MAX_BYTES = 4 << 20  # with it and the pictures a reply stays below the sandbox's 16 MiB
LIMITS = Limits(seconds=90, megabytes=1024)
ROUNDS, SECONDS = 20, 4.0


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

    Args:
        paths: of ONNX files; one that is not such a classifier as is asked for gets a sentence in the table.
        board: an earlier one, to which these files are added; those that are on it already are judged again, the
            baseline and the course's own are not.
        ours: whether the course's own entries are judged too.
        isolation: as in `sandbox.available`, or "own files": a sandbox where this machine has one, otherwise none.
        limits: of one file, for reading, checking and running it.
        rounds, seconds: of timing, for each of the two batch sizes; at least 6 rounds.

    Raises:
        SandboxError: the sandbox does not start or has a hole.
        ValueError: a path is no file.
    """
    paths = [Path(path).absolute() for path in paths]
    for path in paths:
        if not path.is_file():
            raise ValueError(f"{path} is not a file: name ONNX files.")
    if rounds < MIN_ROUNDS:
        raise ValueError(f"rounds={rounds} must be at least {MIN_ROUNDS}.")
    pictures, timing = data.load("fashion"), (rounds, seconds)
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
                entry = _judge_file(name, path, raw, pictures, process, timing)
                entries.append(replace(entry, ours=is_ours, path=path))
                bar.update()
    if entries[0].refused:
        raise RuntimeError(f"The baseline itself could not be measured: {entries[0].refused}")
    return Leaderboard(tuple(entries))


@contextmanager
def worker(isolation: str, limits: Limits) -> Iterator[sandbox.Sandbox | UnsandboxedProcess]:
    """A sandbox, or an `UnsandboxedProcess`, by the rules of `judge`."""
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


def _judge_file(name: str, path: Path, baseline: bytes, pictures: data.Pictures, process, timing) -> Entry:
    with path.open("rb") as file:
        raw = file.read(MAX_BYTES + 1)
    size = path.stat().st_size
    if len(raw) > MAX_BYTES:
        return Entry(name, size, f"It is larger than {MAX_BYTES:,} bytes, four times the baseline.")
    job = {"preamble": "", "source": "from classifier import measure", "name": "measure", "seed": 0}
    job["arguments"] = ["model", "baseline", "images", "mean", "std", "rounds", "seconds"]
    # In an order that no file can know: a file that knew which pictures are timed could be fast for those only.
    order = torch.randperm(len(pictures.test), generator=torch.Generator().manual_seed(secrets.randbits(60)))
    shown = pictures.test.images[order]
    case = (_as_tensor(raw), _as_tensor(baseline), shown, pictures.mean[0], pictures.std[0], *timing)
    ended = process.run(codec.pack(job, [case]))
    try:
        refused, logits, samples = _read(ended, len(pictures.test))
    except (ValueError, TypeError, IndexError):  # a worker that an attack took over may reply anything
        refused = "Its worker's reply makes no sense."
    if refused:
        return Entry(name, size, refused)
    timings = {
        batch: tuple(measure.Timing(tuple(row[place] for row in rows), batch) for place in (0, 1))
        for batch, rows in zip(BATCHES, samples, strict=True)
    }
    correct = torch.empty(len(order), dtype=torch.bool)
    correct[order] = logits.argmax(1) == pictures.test.labels[order]
    return Entry(name, size, "", correct, timings)


def _read(ended: JobResult, pictures: int) -> tuple[str, Tensor | None, tuple]:
    """Read a worker's reply: why the file was refused, or "" with its logits [pictures, 10] and timings."""
    if ended.state != "replied":
        return f"It can't be judged: {ended.reason}.", None, ()
    header, values = codec.unpack(ended.reply)
    if error := next((o["error"] for o in header.get("outcomes", [{}]) if o), header.get("error")):
        short = "it asks for more memory than it may have" if error.get("memory") else str(error.get("message"))
        return printable(f"It can't be judged: {short}."), None, ()
    result = values[0][0]
    if result[0] == "refused":
        return printable(result[1]) or "It was refused.", None, ()
    logits, *samples = result[1:]
    if type(logits) is not Tensor or logits.dtype != torch.float32 or list(logits.shape) != [pictures, 10]:
        raise ValueError("no logits")
    if len(samples) != len(BATCHES) or not all(map(_are_timings, samples)):
        raise ValueError("no timings")
    return "", logits, tuple(samples)


def _are_timings(rows) -> bool:
    return len(rows) >= MIN_ROUNDS and all(
        len(row) == 2 and all(0 < float(second) < 1e6 for second in row) for row in rows
    )


def _as_tensor(raw: bytes) -> Tensor:
    return torch.frombuffer(bytearray(raw), dtype=torch.uint8) if raw else torch.zeros(0, dtype=torch.uint8)


def _named(paths: Iterable[Path], taken: set[str]) -> Iterator[tuple[str, Path]]:
    """A name for each file: its own or, where that is taken, with its folder before it or a number behind it."""
    for path in paths:
        name = next(n for n in _choices(path) if n not in taken)
        taken = taken | {name}
        yield name, path


def _choices(path: Path) -> Iterator[str]:
    stem, folder = printable(path.stem), printable(path.absolute().parent.name)
    yield from (stem, f"{folder}/{stem}")
    yield from (f"{folder}/{stem} {number}" for number in count(2))
