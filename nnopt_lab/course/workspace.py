"""The learner's folder: lessons are copied into it, and the learner's work there is never overwritten."""

import hashlib
import json
import os
import shutil
import tempfile
from datetime import datetime
from pathlib import Path

from nnopt_lab.course.cell_prints import Prints, prints_of
from nnopt_lab.course.lesson import lessons
from nnopt_lab.workbench.files import make_folder, naming, replacing
from nnopt_lab.workbench.paths import colab_drive, in_colab, root

DEFAULT, ON_DRIVE = "work", "nnopt-lab"
MANIFEST = ".nnopt.json"
CELLS = "cells"  # the manifest's key for the cells of the copied texts
NEWER = "a newer text is there; your copy was kept, and this command takes the text and keeps your answers"
PROGRESS = "progress.json"
START_PAGE = "course.md"


def workspace() -> Path:
    """The learner's folder: `$NNOPT_WORKSPACE`, else the current folder, or `work/` if that contains the originals.

    In Colab, whose own disk is deleted after the session, it is on the user's drive, if that is mounted.
    """
    if named := os.environ.get("NNOPT_WORKSPACE"):
        return Path(named)
    here, drive = Path.cwd(), colab_drive()
    if drive is not None:
        return here if drive in here.parents else drive / ON_DRIVE
    return root() / "work" if here in (root() / "notebooks", root() / "solutions") else here


def where_progress_stays() -> str:
    """Say where progress is kept in Colab, in one sentence; "" elsewhere, or if `$NNOPT_WORKSPACE` says it."""
    if not in_colab() or os.environ.get("NNOPT_WORKSPACE"):
        return ""
    if (drive := colab_drive()) is None:
        return (
            "Your progress ends with this Colab session, unless you mount your Google Drive (the folder symbol at the "
            "left) and run this cell again."
        )
    return f"Your progress is kept in the folder {workspace().relative_to(drive)} of your Google Drive."


def find_workspace(named: Path | None = None) -> Path:
    """Find a command's workspace; returns an absolute path, which need not exist yet.

    Args:
        named: the user's choice; default `$NNOPT_WORKSPACE`, else the nearest workspace among the current folder and
            those above it, else `work` in the current folder.
    """
    if named is not None:
        return named.resolve()
    here = Path.cwd()
    if os.environ.get("NNOPT_WORKSPACE") or workspace() != here:
        return workspace().resolve()
    found = next((folder for folder in (here, *here.parents) if (folder / MANIFEST).is_file()), None)
    if found is None and (is_workspace(here) or here.name == DEFAULT):
        found = here
    return (found or here / DEFAULT).resolve()


def is_workspace(folder: Path) -> bool:
    """Whether a folder contains a learner's progress or lessons; the originals' folders do not count."""
    if folder in (root() / "notebooks", root() / "solutions"):
        return False
    held = (folder / MANIFEST, folder / PROGRESS, *(folder / f"{lesson}.ipynb" for lesson in lessons()))
    return any(path.is_file() for path in held)


def fill(folder: Path) -> list[tuple[str, str]]:
    """Copy the lessons into the workspace.

    A missing lesson is copied, an unchanged one is updated, and one that the learner changed is kept (running and
    saving it is a change).

    Returns:
        (lesson, what happened) for each lesson with news.

    Raises:
        OSError: the folder or a file can't be written.
    """
    make_folder(folder)
    copied, news = _read_manifest(folder), []
    for original in originals():
        mine, latest = folder / original.name, _hash(original)
        before = copied.get(original.stem)
        if not mine.exists():
            _copy(original, mine)
            news.append((original.stem, "new"))
        elif before == latest:
            if original.stem in copied[CELLS]:
                continue
        elif _hash(mine) in (before, latest):
            _copy(original, mine)
            if before is not None:
                news.append((original.stem, "updated"))
        else:
            news.append((original.stem, f"{NEWER}: nnopt update {original.stem}"))
            continue
        copied = _noted(copied, original)
        _write_manifest(folder, copied)
    return news


def restore(lesson: str, folder: Path) -> Path | None:
    """Put a fresh copy of a lesson, or of a draft, into the workspace.

    Returns:
        The new path of the old copy, or None if there was none or the learner had not changed it.

    Raises:
        FileNotFoundError: the course has no notebook of that lesson.
        OSError: a file can't be written.
    """
    original = root() / "notebooks" / f"{lesson}.ipynb"
    if not original.is_file():
        raise FileNotFoundError(f"{lesson}.ipynb has not been built: run nnopt build {lesson}.")
    make_folder(folder)
    mine, kept, copied = folder / original.name, None, _read_manifest(folder)
    if mine.exists() and not _is_untouched(mine, original, copied.get(lesson)):
        kept = free_name(mine)
        os.replace(mine, kept)
    _copy(original, mine)
    _write_manifest(folder, _noted(copied, original))
    return kept


def refresh(lesson: str, folder: Path) -> None:
    """Replace a copy that the learner has not changed by the latest text.

    Raises:
        OSError: a file can't be written.
    """
    _copy(root() / "notebooks" / f"{lesson}.ipynb", folder / f"{lesson}.ipynb")
    note_copied(lesson, folder)


def note_copied(lesson: str, folder: Path) -> None:
    """Note that a workspace's copy of a lesson has the latest text.

    Raises:
        OSError: the note can't be written.
    """
    _write_manifest(folder, _noted(_read_manifest(folder), root() / "notebooks" / f"{lesson}.ipynb"))


def is_outdated(lesson: str, folder: Path) -> bool:
    """Whether the course has another text of a lesson than the one that a workspace's copy was made from."""
    return _read_manifest(folder).get(lesson) != _hash(root() / "notebooks" / f"{lesson}.ipynb")


def copied_cells(lesson: str, folder: Path) -> Prints | None:
    """The fingerprints of the text that a workspace's copy of a lesson was made from; None if they are unknown."""
    try:
        return [(str(id), str(mark)) for id, mark in _read_manifest(folder)[CELLS][lesson]]
    except (KeyError, TypeError, ValueError):
        return None


def is_unchanged(lesson: str, folder: Path) -> bool:
    """Whether a workspace's copy of a lesson is as it was copied; running and saving it is a change."""
    return _hash(folder / f"{lesson}.ipynb") == _read_manifest(folder).get(lesson)


def originals() -> list[Path]:
    """The learner's notebooks shipped with the course, in order, without drafts."""
    drafts = {name for name, lesson in lessons().items() if lesson.draft}
    return sorted(path for path in (root() / "notebooks").glob("[0-9][0-9]_*.ipynb") if path.stem not in drafts)


def write_atomically(path: Path, text: str) -> None:
    """Write a file under another name, then rename it, so that it is never partial."""
    with naming(path):
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o644)
            os.replace(name, path)
        except BaseException:  # a full disk, Ctrl-C
            os.unlink(name)
            raise


def _copy(original: Path, target: Path) -> None:
    with replacing(target) as temporary:
        shutil.copyfile(original, temporary)


def _is_untouched(mine: Path, original: Path, copied: str | None) -> bool:
    """Whether the learner has not changed a copy; JupyterLab may have saved it in another layout."""
    if _hash(mine) in (copied, _hash(original)):
        return True
    cells = _cells(mine)
    return cells is not None and cells == _cells(original)


def _cells(path: Path) -> list[tuple] | None:
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        return [(c["cell_type"], "".join(c["source"]), c.get("outputs", []), c.get("attachments")) for c in cells]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def free_name(path: Path) -> Path:
    """A dated name beside a file that no file has yet."""
    stamp, n = f"{datetime.now():%Y-%m-%d-%H%M%S}", 0
    while True:
        name = path.with_name(f"{path.stem}.{stamp}{f'-{n}' if n else ''}{path.suffix}")
        if not name.exists():
            return name
        n += 1


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _read_manifest(folder: Path) -> dict:
    """The hashes of the copies by lesson, and their cells' fingerprints; if unknown, every file counts as changed."""
    try:
        found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = {}
    found = found if isinstance(found, dict) else {}
    return found | {CELLS: found[CELLS] if isinstance(found.get(CELLS), dict) else {}}


def _noted(copied: dict, original: Path) -> dict:
    """A manifest with a lesson's original as the one that was copied."""
    try:
        cells = prints_of(json.loads(original.read_text(encoding="utf-8"))["cells"])
    except (ValueError, KeyError, TypeError):
        cells = []
    return copied | {original.stem: _hash(original), CELLS: copied[CELLS] | {original.stem: cells}}


def _write_manifest(folder: Path, copied: dict) -> None:
    write_atomically(folder / MANIFEST, json.dumps(copied))
