"""Folders of the course's files: beside the package in a clone, inside it in an installed wheel. And Colab's drive."""

import os
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent
KIT = PACKAGE / "kit.json"  # in a learner's kit: its lessons and due date
COLAB_DRIVE = Path("/content/drive/MyDrive")  # where Colab mounts the user's Google Drive


def root() -> Path:
    """The folder that contains `data/`, `notebooks/` and `solutions/`."""
    clone = PACKAGE.parent
    return clone if (clone / "pyproject.toml").is_file() else PACKAGE / "_files"


def data_dir() -> Path:
    """The folder of shipped data, trained weights and recorded results."""
    return root() / "data"


def in_kit() -> bool:
    """Whether this package is in a learner's kit, written by `nnopt release`."""
    return KIT.is_file()


def how_to_restore(name: str, command: str) -> str:
    """Say how to get back a shipped file, such as "data/fashion.npz", which a maintainer's command recreates."""
    if in_kit():
        return f"take {name} from the kit again"
    return f"restore it with `git checkout -- {name}`, or recreate it with `{command}`"


def in_colab() -> bool:
    """Whether this process is a notebook in Google Colab, or a command started by one."""
    return "google.colab" in sys.modules or "COLAB_RELEASE_TAG" in os.environ


def colab_drive() -> Path | None:
    """The user's mounted Google Drive in Colab; None elsewhere, or if it is not mounted."""
    return COLAB_DRIVE if in_colab() and COLAB_DRIVE.is_dir() else None
