"""The files that a worker can see, read-only: Python, torch, ONNX Runtime and their requirements, nothing else."""

import importlib.metadata
import importlib.util
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from packaging.requirements import Requirement

from nnopt_lab.workbench.paths import PACKAGE, root

SANDBOXED = Path(__file__).with_name("sandboxed")
PACKAGES = ("torch", "numpy", "safetensors", "onnx", "onnxruntime")  # the last two are for the capstone's judge
_LIBRARIES = ("/usr/lib", "/usr/lib64", "/usr/lib32", "/lib", "/lib64", "/lib32")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/urandom", "/dev/random")
_EXTRA = re.compile(r"(; *|and *\(?)extra *== *['\"][^'\"]+['\"] *\)? *$")  # required by an extra only
# The last one tells the C library whether there are huge pages, which `namespaces` makes it use.
_PROCESSOR = ("/proc/cpuinfo", "/sys/devices/system/cpu", "/sys/kernel/mm/transparent_hugepage")


@dataclass(frozen=True)
class View:
    """A file system for workers.

    Attributes:
        binds: (source, target) of every visible file or folder, in order; later ones cover earlier ones.
        empty: targets among them that are shown empty.
        passing: folders that are emptied before the first worker starts. Until then, they show the features of
            processor and memory, without which torch uses its slowest kernels and has no float16 and no quantised
            engine.
        links: (to, path) of symbolic links.
        paths: folders where Python finds the packages.
        scratch: the folder in which a worker may write: /tmp, unless something in it is visible.
    """

    binds: tuple[tuple[str, str], ...]
    empty: tuple[str, ...]
    passing: tuple[str, ...]
    links: tuple[tuple[str, str], ...]
    paths: tuple[str, ...]

    @property
    def scratch(self) -> str:
        return "/scratch" if any(target.startswith("/tmp/") for _, target in self.binds) else "/tmp"


def python() -> str:
    """The interpreter's path, with every link and virtual environment resolved."""
    return os.path.realpath(sys.executable)


@cache
def view() -> View:
    """The view for this machine's Python.

    Raises:
        ValueError: a package that workers need is not installed.
    """
    links = tuple((os.readlink(path), path) for path in _LIBRARIES if os.path.islink(path))
    folders = [path for path in _LIBRARIES if os.path.isdir(path) and not os.path.islink(path)]
    own = os.path.join(os.path.realpath(sys.base_prefix), "lib")  # Python's own modules and shared objects
    folders += [own] if not _inside(own, folders) else []
    hidden = [path for folder in folders for path in _hidden_in(folder)]
    packages = _package_paths()
    shown = [path for path in packages if not _inside(path, folders) or _inside(path, hidden)]
    files = [path for path in (python(), "/etc/ld.so.cache", *_DEVICES) if os.path.exists(path)]
    processor = [path for path in _PROCESSOR if os.path.exists(path)]
    visible = [*folders, *(path for path in (*files, *processor) if not _inside(path, folders))]
    binds = [(path, path) for path in (*visible, *hidden, *shown)]
    paths = tuple(dict.fromkeys(os.path.dirname(path) for path in packages))
    passing = tuple(dict.fromkeys(f"/{Path(path).parts[1]}" for path in processor))
    return View((*binds, (str(SANDBOXED), "/sandboxed")), tuple(hidden), passing, links, paths)


def _hidden_in(folder: str) -> Iterator[str]:
    """Yield folders of installed packages and of this course that are inside `folder`."""
    for found in (*Path(folder).glob("python3*/site-packages"), *Path(folder).glob("python3*/dist-packages")):
        yield str(found)
    course = {os.path.realpath(PACKAGE), os.path.realpath(root())}
    yield from (path for path in sorted(course) if _inside(path, [folder]))


def _package_paths() -> list[str]:
    """Files and folders of the packages and all their requirements."""
    found, names = {}, list(PACKAGES)
    while names:
        name = names.pop()
        if name in found:
            continue
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            if name in PACKAGES:
                raise ValueError(f"{name} is not installed here, but workers need it.") from None
            continue
        found[name] = _top_level(name, distribution)
        names += _required(distribution)
    return sorted({path for paths in found.values() for path in paths})


def _required(distribution) -> list[str]:
    # The raw lines, because parsing everything takes four times as long and delays every batch.
    head = (distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or "").partition("\n\n")[0]
    texts = re.findall(r"^Requires-Dist: *(.+)", head, re.MULTILINE)
    wanted = (Requirement(text) for text in texts if not _EXTRA.search(text))
    return [r.name for r in wanted if r.marker is None or r.marker.evaluate({"extra": ""})]


def _top_level(name: str, distribution) -> set[str]:
    # The raw list, because `files` makes an object of each of torch's 13,000 lines, which delays every batch.
    record = distribution.read_text("RECORD")
    lines = record.splitlines() if record else map(str, distribution.files or ())
    tops = {line.partition(",")[0].partition("/")[0].strip('"') for line in lines}
    tops = {top for top in tops if top not in ("..", "__pycache__") and not top.endswith((".dist-info", ".pth"))}
    if not tops:
        spec = importlib.util.find_spec(name)
        return {str(Path(spec.origin).parent)} if spec and spec.origin else set()
    return {os.path.realpath(distribution.locate_file(top)) for top in tops}


def _inside(path: str, folders) -> bool:
    return any(Path(path).is_relative_to(folder) for folder in folders)
