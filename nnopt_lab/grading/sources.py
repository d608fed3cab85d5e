"""Find submitted files in folders and archives, and their learners by name."""

import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from nnopt_lab.grading import archives
from nnopt_lab.grading.learners import Named, by_system, is_notebook, learner_in, lesson_in, stem
from nnopt_lab.workbench.text import storable


@dataclass(frozen=True)
class Source:
    """A submitted file and its learner.

    Attributes:
        path: of the file, or of the archive that contains it.
        name: the path relative to the given folder, as shown; like `learner`, valid UTF-8.
        learner: from the folder's or the file's name, in Unicode's composed form (NFC).
        system: the platform that names downloads like this, "canvas", "moodle" or "".
        number: the learner's number in that system, or "".
        late: whether the system marked it as late.
        place: position in its archive, see `archives.Found`.
    """

    path: Path
    name: str
    learner: str
    system: str = ""
    number: str = ""
    late: bool = False
    place: tuple[int, ...] = ()


@dataclass(frozen=True)
class _File:
    """A file; `parts` lead to it from `given`, the folder or archive that the teacher named."""

    path: Path
    parts: tuple[str, ...]
    given: Path
    place: tuple[int, ...] = ()

    @property
    def naming(self) -> tuple[str, ...]:
        """The parts that may name its learner, without those in a learner's archive."""
        end = next((n for n, part in enumerate(self.parts) if archives.is_archive(part)), len(self.parts))
        return self.parts[: end + 1]

    @property
    def given_name(self) -> str:
        return stem(self.given.name) if archives.is_archive(self.given.name) else self.given.name


def find(paths: Iterable[Path]) -> list[Source]:
    """Find the submitted files in files, folders and archives, sorted by name; a file given twice counts once.

    A file in a subfolder belongs to the learner whom the subfolder names, whatever the file's name, because learners
    choose file names. The same is true for an archive in a folder. If several folders are given (`handed-in/*`), each
    belongs to one learner, unless all their contents have the names of a platform's download, or most of them contain
    a folder per learner. A given archive is read like a folder. If learners of one platform have the same name, their
    numbers are added to it. Of a learner who handed in other files and no notebook, one of these files is found, so
    that everyone has a grade and a reason.

    Raises:
        FileNotFoundError: a path does not exist, or there is no notebook.
        ValueError: a given archive can't be read.
    """
    found: dict[tuple[str, tuple[int, ...]], _File] = {}
    # Outermost first: a file that is in several of them counts as part of the outermost.
    for path in sorted(map(Path, paths), key=lambda path: len(Path(os.path.abspath(path)).parts)):
        if not os.path.lexists(path):
            raise FileNotFoundError(f"{path} does not exist.")
        for file in _files(path):
            found.setdefault((os.path.abspath(file.path), file.place), file)
    if not found:
        raise FileNotFoundError(f"There is no .ipynb file in {', '.join(map(str, paths))}.")
    notebooks = list(found.values())
    return _without_other_files(_with_numbers(_sources(notebooks, _other_files(paths, notebooks))))


def shared_numbers(sources: Iterable[Source]) -> list[str]:
    """A sentence for each platform's number that several learners' files have."""
    learners: dict[tuple, set[str]] = defaultdict(set)
    for source in sources:
        if source.number:
            learners[_scope(source), source.number].add(source.learner)
    return [
        f"{' and '.join(sorted(names))} have the same {scope[0].capitalize()} number, {number}: check whose it is."
        for (scope, number), names in sorted(learners.items(), key=str)
        if len(names) > 1
    ]


def _files(path: Path) -> list[_File]:
    if path.is_dir():
        files = [file for found in sorted(_files_in(path)) for file in _in_folder(found, path)]
        alone = len({file.path for file in files}) == 1 and len(files) > 1 and files[0].path.parent == path
        if alone and _is_download(inner := _in_archive(files[0].path, trusted=False)):
            return inner
        return files
    if archives.is_archive(path.name):
        return _in_archive(path, trusted=True)
    return [_File(path, (path.name,), Path(os.path.abspath(path)).parent)]


def _files_in(folder: Path) -> Iterable[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        # A folder with such a name, or a link to one, is not a notebook; reading it will produce a message.
        notebooks = (name for name in (*files, *folders) if is_notebook(name))
        yield from (Path(place, name) for name in notebooks if name[0] != ".")
        yield from (Path(place, name) for name in files if archives.is_archive(name) and name[0] != ".")


def _in_folder(path: Path, folder: Path) -> list[_File]:
    parts, given = path.relative_to(folder).parts, Path(os.path.abspath(folder))
    inside = []
    if archives.is_archive(path.name):
        try:
            inside = archives.find(path, is_notebook, trusted=False)
        except ValueError:
            inside = []  # reading the archive will produce a message for its learner
    return [_File(path, (*parts, *one.parts), given, one.place) for one in inside] or [_File(path, parts, given)]


def _in_archive(path: Path, trusted: bool, wanted=is_notebook) -> list[_File]:
    try:
        inside = archives.find(path, wanted, trusted)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    files = [_File(path, one.parts, Path(os.path.abspath(path)), one.place) for one in inside]
    files.sort(key=lambda file: file.parts)
    # A compressed folder puts its name in front of everything.
    around = {file.parts[0] for file in files if len(file.parts) > 1}
    wrapped = len(around) == 1 and all(len(file.parts) > 1 for file in files)
    below = [replace(file, parts=file.parts[1:]) for file in files] if wrapped else []
    return below if wrapped and (around == {stem(path.name)} or _is_download(below)) else files


def _other_files(paths: Iterable[Path], notebooks: list[_File]) -> list[_File]:
    """A file of each learner's folder in a given folder or archive that contains no notebook.

    Beside the notebooks, only names that a platform gave are a learner's; others may be the teacher's.
    """
    taken = {(file.given, file.naming[0]) for file in notebooks}
    given = {file.given for file in notebooks}
    others = {}
    for path in map(Path, paths):
        files = [file for file in _all_files(path) if not _is_read(file.parts[-1])]
        tops = {file.parts[0] for file in files}
        platforms = by_system(tops)
        for file in files:
            top = file.parts[0]
            if (file.given, top) not in taken and (len(file.parts) > 1 or top in platforms or file.given not in given):
                others.setdefault((file.given, top), file)
    return list(others.values())


def _is_read(name: str) -> bool:
    return is_notebook(name) or archives.is_archive(name)


def _all_files(path: Path) -> list[_File]:
    """The files in a folder or an archive that are not hidden, sorted; the archive's own folder is left out."""
    if path.is_dir():
        given = Path(os.path.abspath(path))
        found = []
        for place, folders, files in os.walk(path):
            folders[:] = [name for name in folders if not name.startswith(".")]
            found += [Path(place, name) for name in files if name[0] != "."]
        return [_File(file, file.relative_to(path).parts, given) for file in sorted(found)]
    return _in_archive(path, trusted=True, wanted=lambda name: True) if archives.is_archive(path.name) else []


def _is_download(files: list[_File]) -> bool:
    """Whether all names are those of a platform's download."""
    tops = {file.parts[0] for file in files}
    return bool(tops) and by_system(tops).keys() == tops


def _sources(notebooks: list[_File], others: list[_File]) -> list[Source]:
    several = len({file.given for file in notebooks}) > 1
    own = _owners(notebooks) if several and not _is_download(notebooks) else {}
    if own:  # each given folder is a learner's, and those without a notebook are, too
        with_notebooks = own.keys()
        others = list({file.given: file for file in others if file.given not in with_notebooks}.values())
        own = _owners(notebooks + others)
    files = notebooks + others
    naming = [_naming(file, own.get(file.given)) for file in files]
    named = by_system(top for top, _ in naming)
    return [
        _source(file, named.get(top) or Named(learner, "", ""))
        for file, (top, learner) in zip(files, naming, strict=True)
    ]


def _owners(files: list[_File]) -> dict[Path, str]:
    """Of several given folders or archives, the names of those that belong to a learner."""
    given = sorted({file.given for file in files})
    if _hold_learners(files, len(given)):
        return {}
    folders = {path: path for path in given}
    while True:  # `handed-in/*/week3` names learners by the folders above
        distinct = set(folders.values())
        above = {path: folder.parent for path, folder in folders.items()}
        if 2 * len({folder.name for folder in distinct}) > len(distinct) or len(set(above.values())) == 1:
            return {path: folder.name for path, folder in folders.items()}
        folders = above


def _hold_learners(files: list[_File], given: int) -> bool:
    """Whether the given folders are groups with a folder per learner, instead of the learners' own folders.

    A learner may hand in one lesson in several inner folders, such as "v1" and "v2", and must not be able to pose as
    others. So it must be true for most of the given folders, and the inner names must not be the same in all of them.
    """
    inner: dict[Path, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    where: dict[tuple[str, str], set[Path]] = defaultdict(set)
    flat = {file.given for file in files if len(file.naming) == 1}
    for file in files:
        if len(file.naming) > 1:
            lesson = lesson_in(file.parts[-1])
            inner[file.given][lesson].add(file.naming[0])
            where[file.naming[0], lesson].add(file.given)
    groups = [path for path, by_lesson in inner.items() if path not in flat and max(map(len, by_lesson.values())) > 1]
    repeated = sum(len(places) > 1 for places in where.values())
    return 2 * len(groups) > given and 2 * repeated < len(where)


def _naming(file: _File, owner: str | None) -> tuple[str, str]:
    """The name that a platform may have given, and the learner if none did."""
    if owner is not None:
        return owner, learner_in(stem(owner)) or stem(owner) if archives.is_archive(owner) else owner
    top = file.naming[0]
    return top, learner_in(stem(top)) or file.given_name if len(file.naming) == 1 else top


def _source(file: _File, found: Named) -> Source:
    name = unicodedata.normalize("NFC", storable(found.learner))
    shown = storable(str(Path(*file.parts)))
    return Source(file.path, shown, name, found.system, found.number, found.late, file.place)


def _with_numbers(sources: list[Source]) -> list[Source]:
    """Distinguish learners of one platform with the same name by their numbers."""
    numbers: dict[tuple, set[str]] = defaultdict(set)
    for source in sources:
        if source.number:
            numbers[_scope(source), source.learner].add(source.number)
    return [
        replace(source, learner=f"{source.learner} ({source.number})")
        if len(numbers[_scope(source), source.learner]) > 1
        else source
        for source in sources
    ]


def _scope(source: Source) -> tuple:
    """The scope in which a number identifies one learner; Moodle's numbers are per assignment, and so per download."""
    if source.system != "moodle":
        return (source.system,)
    return source.system, source.path if source.place else source.path.parents[len(Path(source.name).parts) - 1]


def _without_other_files(sources: list[Source]) -> list[Source]:
    """Drop archives without notebooks and other files whose learner has also handed in a notebook."""
    with_notebooks = {source.learner for source in sources if is_notebook(source.name)}
    return [s for s in sources if s.learner not in with_notebooks or is_notebook(s.name)]
