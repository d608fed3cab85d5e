"""What the course requires, and which distributions of this interpreter are missing or have another version.

Only the standard library is imported, because nothing else is there before the set-up.
"""

import contextlib
import importlib.metadata
import os
import re
from pathlib import Path


def requirements(pyproject: Path, extra: str = "") -> list[str]:
    """The lines of pyproject.toml that require distributions, including those of an extra."""
    import tomllib

    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    return project["dependencies"] + project.get("optional-dependencies", {}).get(extra, [])


def of_installed_package() -> list[str]:
    """The lines that an installed package of the course requires, without extras; empty if there is none."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return [line for line in importlib.metadata.requires("nnopt-lab") or () if "extra ==" not in line]
    return []


def unsatisfied(lines: list[str]) -> list[str]:
    """The requirements that this interpreter's distributions do not meet."""
    return [line for line in lines if not is_met(line, installed_version(distribution(line)))]


def distribution(line: str) -> str:
    """The name in a requirement such as "torch>=2.11,<2.14"."""
    return re.match(r"[\w.-]+", line).group()


def installed_version(name: str) -> str | None:
    """The version of an installed distribution; None if it is not installed."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(name)
    return None


def is_met(line: str, version: str | None) -> bool:
    """Whether a version meets the bounds `>=`, `>`, `<=`, `<`, `==` and `!=` of a requirement; None meets no line.

    Only release numbers are compared, and a version or bound that has none (`===`, `~=`, wildcards) is left to pip.
    """
    release = None if version is None else _release(version)
    if version is None or release is None:
        return version is not None
    bounds = line.partition(";")[0].partition("]")[2] or line.partition(";")[0][len(distribution(line)) :]
    for sign, text in re.findall(r"(===|~=|>=|<=|==|!=|<|>)\s*([\w.*+!-]+)", bounds):
        if sign in ("===", "~=") or not re.fullmatch(r"\d+(\.\d+)*", text):
            continue
        bound = _release(text)
        length = max(len(bound), len(release))
        here, wanted = (numbers + (0,) * (length - len(numbers)) for numbers in (release, bound))
        meets = {">=": here >= wanted, "<=": here <= wanted, ">": here > wanted, "<": here < wanted}
        if not (meets | {"==": here == wanted, "!=": here != wanted})[sign]:
            return False
    return True


def shadows(lines: list[str], folders: list[str]) -> list[tuple[str, str, str]]:
    """The requirements that other folders, such as PYTHONPATH's, hide behind a version which does not meet them.

    Returns:
        (requirement, version, folder) for each package that would be imported from one of `folders`.
    """
    found = []
    for line in lines:
        module = distribution(line).replace("-", "_")
        for folder in filter(os.path.isdir, folders):
            package = Path(folder) / module
            if (package / "__init__.py").is_file() or package.with_suffix(".py").is_file():
                version = _version_in(Path(folder), distribution(line), package)
                if version and not is_met(line, version):
                    found.append((line, version, folder))
                break  # the first folder wins, as in an import
    return found


def _release(version: str) -> tuple[int, ...] | None:
    match = re.match(r"v?(\d+(?:\.\d+)*)", version)
    return match and tuple(map(int, match[1].split(".")))


def _version_in(folder: Path, name: str, package: Path) -> str | None:
    """A package's version: from its metadata in the folder, else as its source assigns it."""
    for found in importlib.metadata.distributions(name=name, path=[str(folder)]):
        return found.version
    for file in (package / "version.py", package / "_version.py", package / "__init__.py", package.with_suffix(".py")):
        with contextlib.suppress(OSError):
            if match := re.search(
                r"^_*version_*\s*(?::[^=\n]*)?=\s*['\"]([^'\"]+)",
                file.read_text(encoding="utf-8", errors="replace"),
                re.M,
            ):
                return match[1]
    return None
