"""Find notebooks without a source, and files whose names break the pairs of sources and notebooks."""

import difflib
import re
from pathlib import Path

from nnopt_lab.workbench.paths import root

NAME = re.compile(r"[0-9]{2}_\w+")
OTHER_SOURCES = ("conftest.py",)


def strays() -> list[str]:
    """A sentence for each file in `solutions/` and `notebooks/` that belongs to no lesson, or has a broken name.

    Notebooks in the subfolders of languages count too; JupyterLab's checkpoints don't.
    """
    home = root() / "solutions"
    sources = {path.stem for path in home.glob("*.py") if NAME.fullmatch(path.stem)}
    misnamed = sorted(
        path.name for path in home.glob("*.py") if path.stem not in sources and path.name not in OTHER_SOURCES
    )
    found = [f"solutions/{name} is not named as a lesson, such as 01_pruning.py: rename it." for name in misnamed]
    for folder in (home, root() / "notebooks"):
        for path in sorted(folder.rglob("*.ipynb")):
            if path.stem not in sources and ".ipynb_checkpoints" not in path.parts:
                found.append(_sentence(path, sources))
    return found


def _sentence(path: Path, sources: set[str]) -> str:
    shown = path.relative_to(root()).as_posix()
    unpaired = [name for name in sorted(sources) if not path.with_name(f"{name}.ipynb").exists()]
    close = [name for name in unpaired if name[:3] == path.stem[:3]] or difflib.get_close_matches(
        path.stem, unpaired, 1
    )
    if close:
        return f"{shown} is not named as its source, solutions/{close[0]}.py: rename it to {close[0]}.ipynb."
    return f"{shown} has no source, solutions/{path.stem}.py: delete it or move it elsewhere."
