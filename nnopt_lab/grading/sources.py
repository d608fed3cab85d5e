"""Finds submitted files, in folders and in archives, and tells whose they are by their names."""

import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from nnopt_lab.grading import archives
from nnopt_lab.grading.learners import Named, by_system, is_notebook, learner_in, stem
from nnopt_lab.workbench.text import storable


@dataclass(frozen=True)
class Source:
    """A submitted file and its learner.

    Attributes:
        path: of the file, or of the archive that it is in.
        name: the path relative to the given folder, as it is shown; like `learner`, text that UTF-8 can hold.
        learner: from the folder's or the file's name; one letter is one character in it, however a system writes it.
        system: "canvas", "moodle" or "": the system that names its downloads like this.
        number: the learner's number in that system, or "".
        late: whether the system marked it as late.
        place: where it is in its archive; see `archives.Found`.
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
    """A file that was found: `parts` lead to it from `given`, the folder or archive that the teacher named."""

    path: Path
    parts: tuple[str, ...]
    given: Path
    place: tuple[int, ...] = ()

    @property
    def naming(self) -> tuple[str, ...]:
        """The parts that may name its learner: not those in an archive that a learner made."""
        end = next((n for n, part in enumerate(self.parts) if archives.is_archive(part)), len(self.parts))
        return self.parts[: end + 1]

    @property
    def given_name(self) -> str:
        return stem(self.given.name) if archives.is_archive(self.given.name) else self.given.name


def find(paths: Iterable[Path]) -> list[Source]:
    """The submitted files in files, folders and archives, in the order of their names; one given twice counts once.

    A file in a folder of the given one is that folder's learner's, whatever the file is called: learners choose the
    names of files. The same holds for an archive in a folder, and where several folders are given (`handed-in/*`),
    unless all that lies in them bears the names of a system's download. An archive that is given itself is read like a
    folder. Where learners of one system have the same name, their numbers are added to it.

    Raises:
        FileNotFoundError: a path does not exist, or no notebook is in any of them.
        ValueError: a given archive can't be read.
    """
    found: dict[tuple[str, tuple[int, ...]], _File] = {}
    # The outermost first: a file that lies in several of them is read as part of that one.
    for path in sorted(map(Path, paths), key=lambda path: len(Path(os.path.abspath(path)).parts)):
        if not os.path.lexists(path):
            raise FileNotFoundError(f"{path} does not exist.")
        for file in _files(path):
            found.setdefault((os.path.abspath(file.path), file.place), file)
    if not found:
        raise FileNotFoundError(f"There is no .ipynb file in {', '.join(map(str, paths))}.")
    return _without_empty_archives(_with_numbers(_sources(list(found.values()))))


def shared_numbers(sources: Iterable[Source]) -> list[str]:
    """A sentence for each number of a system that several learners' files bear."""
    learners: dict[tuple, set[str]] = defaultdict(set)
    for source in sources:
        if source.number:
            learners[_scope(source), source.number].add(source.learner)
    return [
        f"{' and '.join(sorted(names))} have the same {scope[0].capitalize()} number, {number}: look whose it is."
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
        # A folder with such a name, or a link to one, is no notebook; reading it tells its learner so.
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
            inside = []  # reading the archive tells its learner what is wrong
    return [_File(path, (*parts, *one.parts), given, one.place) for one in inside] or [_File(path, parts, given)]


def _in_archive(path: Path, trusted: bool) -> list[_File]:
    try:
        inside = archives.find(path, is_notebook, trusted)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    files = [_File(path, one.parts, Path(os.path.abspath(path)), one.place) for one in inside]
    files.sort(key=lambda file: file.parts)
    # Whoever compresses a folder has its name around everything.
    around = {file.parts[0] for file in files if len(file.parts) > 1}
    wrapped = len(around) == 1 and all(len(file.parts) > 1 for file in files)
    below = [replace(file, parts=file.parts[1:]) for file in files] if wrapped else []
    return below if wrapped and (around == {stem(path.name)} or _is_download(below)) else files


def _is_download(files: list[_File]) -> bool:
    """Whether everything bears the names that a system gives."""
    tops = {file.parts[0] for file in files}
    return bool(tops) and by_system(tops).keys() == tops


def _sources(files: list[_File]) -> list[Source]:
    given = {file.given for file in files}
    own = len(given) > 1 and not _is_download(files)  # what was given is the learners' own
    naming = [_naming(file, own) for file in files]
    named = by_system(top for top, _ in naming)
    return [
        _source(file, named.get(top) or Named(learner, "", ""))
        for file, (top, learner) in zip(files, naming, strict=True)
    ]


def _naming(file: _File, own: bool) -> tuple[str, str]:
    """The name that a platform may have given, and whose the file is if none did."""
    alone = len(file.naming) == 1
    if own and (alone or archives.is_archive(file.given.name)):
        name = file.given.name
        return name, learner_in(stem(name)) or stem(name) if archives.is_archive(name) else name
    top = file.naming[0]
    return top, learner_in(stem(top)) or file.given_name if alone else top


def _source(file: _File, found: Named) -> Source:
    name = unicodedata.normalize("NFC", storable(found.learner))
    shown = storable(str(Path(*file.parts)))
    return Source(file.path, shown, name, found.system, found.number, found.late, file.place)


def _with_numbers(sources: list[Source]) -> list[Source]:
    """Learners of one system and one name told apart by their numbers."""
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
    """Within which a number stands for one learner: Moodle's are an assignment's, and so a download's."""
    if source.system != "moodle":
        return (source.system,)
    return source.system, source.path if source.place else source.path.parents[len(Path(source.name).parts) - 1]


def _without_empty_archives(sources: list[Source]) -> list[Source]:
    """Without archives that hold no notebook, where their learner has handed in something else, too."""
    with_notebooks = {source.learner for source in sources if is_notebook(source.name)}
    return [s for s in sources if s.learner not in with_notebooks or not archives.is_archive(s.name)]
