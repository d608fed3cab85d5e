"""The language of JupyterLab's own menus: the course's, if the learner has installed JupyterLab's pack for it."""

import importlib.util

from nnopt_lab.course.server_settings import LAB_SETTINGS
from nnopt_lab.workbench.language import spoken_language

_PACKS = {"zh": "jupyterlab-language-pack-zh-CN"}


def config_folders() -> list[str]:
    """Folders for `JUPYTER_CONFIG_PATH`, with the setting that chooses the pack; a learner's own choice goes first."""
    language = spoken_language()
    return [str(LAB_SETTINGS / "languages" / language)] if language in _PACKS and not missing_pack() else []


def missing_pack() -> str:
    """The distribution of the pack of the language in use; "" if it is installed, or if there is none."""
    pack = _PACKS.get(spoken_language(), "")
    return pack if pack and importlib.util.find_spec(pack.replace("-", "_")) is None else ""
