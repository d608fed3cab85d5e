"""Folders of the course's files: beside the package in a clone, inside it in an installed wheel."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent


def root() -> Path:
    """The folder that contains `data/`, `notebooks/` and `solutions/`."""
    clone = PACKAGE.parent
    return clone if (clone / "pyproject.toml").is_file() else PACKAGE / "_files"


def data_dir() -> Path:
    """The folder of shipped data, trained weights and recorded results."""
    return root() / "data"
