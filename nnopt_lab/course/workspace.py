"""The learner's folder: lessons are copied into it, and the learner's work there is never overwritten.

Copies in English lie in the workspace itself, those in another language in a folder of their own, such as `zh`. The
progress file is the same for all, because exercises have the same names in every language.
"""

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
from nnopt_lab.workbench.language import ENGLISH, VARIABLE, _, languages, set_language, spoken_language
from nnopt_lab.workbench.paths import colab_drive, in_colab, root

DEFAULT, ON_DRIVE = "work", "nnopt-lab"
MANIFEST = ".nnopt.json"
LANGUAGE = "language"  # the manifest's key for the language of the copies, if it isn't English
CELLS = "cells"  # the manifest's key for the cells of the copied texts
NEW, UPDATED, NEWER = "new", "updated", "newer"  # what `fill` tells of a lesson
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
        return _without_edition(here) if drive in here.parents else drive / ON_DRIVE
    return root() / "work" if _has_originals(here) else _without_edition(here)


def where_progress_stays() -> str:
    """Say where progress is kept in Colab, in one sentence; "" elsewhere, or if `$NNOPT_WORKSPACE` says it."""
    if not in_colab() or os.environ.get("NNOPT_WORKSPACE"):
        return ""
    if (drive := colab_drive()) is None:
        return _(
            "Your progress ends with this Colab session, unless you mount your Google Drive (the folder symbol at the "
            "left) and run this cell again."
        )
    folder = workspace().relative_to(drive)
    return _("Your progress is kept in the folder {folder} of your Google Drive.", folder=folder)


def find_workspace(named: Path | None = None) -> Path:
    """Find a command's workspace; returns an absolute path, which need not exist yet.

    Args:
        named: the user's choice; default `$NNOPT_WORKSPACE`, else the nearest workspace among the current folder and
            those above it, else `work` in the current folder.
    """
    if named is not None:
        return _without_edition(named.resolve())
    here = _without_edition(Path.cwd())
    if os.environ.get("NNOPT_WORKSPACE") or workspace() != here:
        return workspace().resolve()
    found = next((folder for folder in (here, *here.parents) if _has_manifest(folder)), None)
    if found is None and (is_workspace(here) or here.name == DEFAULT):
        found = here
    return _without_edition((found or here / DEFAULT).resolve())


def is_workspace(folder: Path) -> bool:
    """Whether a folder contains a learner's progress or lessons; the originals' folders do not count."""
    if _has_originals(folder):
        return False
    held = (folder / PROGRESS, *(folder / f"{lesson}.ipynb" for lesson in lessons()))
    return _has_manifest(folder) or any(path.is_file() for path in held)


def edition_folder(folder: Path) -> Path:
    """The folder of a workspace's copies in the language in use: for English the workspace itself."""
    language = spoken_language()
    return folder if language == ENGLISH else folder / language


def speak_as_copies(folder: Path) -> None:
    """Speak the language of the copies in a folder, such as a notebook's own, unless `$NNOPT_LANGUAGE` chooses one.

    `nnopt lab` sets the variable; a notebook that is opened by another program has nothing but its folder.
    """
    language = _read_manifest(folder).get(LANGUAGE)
    if language in languages() and not os.environ.get(VARIABLE):
        set_language(language)


def other_copies(lesson: str, folder: Path) -> list[Path]:
    """A workspace's copies of a lesson in other languages than that in use, those saved last first."""
    folders = [folder, *(folder / language for language in languages() if language != ENGLISH)]
    found = [path / f"{lesson}.ipynb" for path in folders if path != edition_folder(folder)]
    return sorted(filter(Path.is_file, found), key=lambda path: -path.stat().st_mtime_ns)


def shipped(lesson: str) -> Path:
    """The course's notebook of a lesson in the language in use, in English if it has no translation."""
    translated = root() / "notebooks" / spoken_language() / f"{lesson}.ipynb"
    return translated if translated.is_file() else root() / "notebooks" / f"{lesson}.ipynb"


def other_editions(lesson: str) -> list[Path]:
    """The course's notebooks of a lesson in other languages than that in use."""
    home = root() / "notebooks"
    found = [home / f"{lesson}.ipynb", *(home / language / f"{lesson}.ipynb" for language in languages())]
    return [path for path in found if path.is_file() and path != shipped(lesson)]


def fill(folder: Path) -> list[tuple[str, str]]:
    """Copy the lessons, in the language in use, into the workspace.

    A missing lesson is copied, an unchanged one is updated, and one that the learner changed is kept (running and
    saving it is a change).

    Returns:
        (lesson, NEW, UPDATED or NEWER) for each lesson with news. NEWER: there is a newer text, but the learner has
        changed the copy, which was kept; `nnopt update` takes the text and keeps the answers.

    Raises:
        OSError: the folder or a file can't be written.
    """
    folder = edition_folder(folder)
    make_folder(folder)
    copied, news = _read_manifest(folder), []
    for original in originals():
        mine, latest = folder / original.name, _hash(original)
        before = copied.get(original.stem)
        if not mine.exists():
            _copy(original, mine)
            news.append((original.stem, NEW))
        elif before == latest:
            if original.stem in copied[CELLS]:
                continue
        elif _hash(mine) in (before, latest):
            _copy(original, mine)
            if before is not None:
                news.append((original.stem, UPDATED))
        else:
            news.append((original.stem, NEWER))
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
    original, folder = shipped(lesson), edition_folder(folder)
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
    _copy(shipped(lesson), edition_folder(folder) / f"{lesson}.ipynb")
    note_copied(lesson, folder)


def note_copied(lesson: str, folder: Path) -> None:
    """Note that a workspace's copy of a lesson has the latest text.

    Raises:
        OSError: the note can't be written.
    """
    folder = edition_folder(folder)
    _write_manifest(folder, _noted(_read_manifest(folder), shipped(lesson)))


def is_outdated(lesson: str, folder: Path) -> bool:
    """Whether the course has another text of a lesson than the one that a workspace's copy was made from."""
    return _read_manifest(edition_folder(folder)).get(lesson) != _hash(shipped(lesson))


def copied_cells(lesson: str, folder: Path) -> Prints | None:
    """The fingerprints of the text that a workspace's copy of a lesson was made from; None if they are unknown."""
    try:
        return [(str(id), str(mark)) for id, mark in _read_manifest(edition_folder(folder))[CELLS][lesson]]
    except (KeyError, TypeError, ValueError):
        return None


def is_unchanged(lesson: str, folder: Path) -> bool:
    """Whether a workspace's copy of a lesson is as it was copied; running and saving it is a change."""
    folder = edition_folder(folder)
    return _hash(folder / f"{lesson}.ipynb") == _read_manifest(folder).get(lesson)


def originals() -> list[Path]:
    """The learner's notebooks shipped with the course, in order, without drafts, in the language in use."""
    drafts = {name for name, lesson in lessons().items() if lesson.draft}
    english = sorted((root() / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    return [shipped(path.stem) for path in english if path.stem not in drafts]


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


def _has_originals(folder: Path) -> bool:
    return root() / "notebooks" in (folder, folder.parent) or folder == root() / "solutions"


def _has_manifest(folder: Path) -> bool:
    return any((folder / part / MANIFEST).is_file() for part in ("", *languages()))


def _without_edition(folder: Path) -> Path:
    """The workspace that a folder of copies in another language belongs to; any other folder itself."""
    return folder.parent if _read_manifest(folder).get(LANGUAGE) == folder.name else folder


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
    if spoken_language() != ENGLISH:
        copied = copied | {LANGUAGE: spoken_language()}
    write_atomically(folder / MANIFEST, json.dumps(copied))
