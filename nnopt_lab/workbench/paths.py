"""Folders of the course's own files: in a clone beside the package, in an installed wheel inside it."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent


def root() -> Path:
    """The folder that holds `data/`, `notebooks/` and `solutions/`."""
    clone = PACKAGE.parent
    return clone if (clone / "pyproject.toml").is_file() else PACKAGE / "_files"


def data_dir() -> Path:
    """The folder of shipped data, trained weights and recorded results."""
    return root() / "data"
