"""The environment variables of JupyterLab's server and its kernels."""

import contextlib
import os
import tempfile
from pathlib import Path

from nnopt_lab.course.lab_language import config_folders
from nnopt_lab.workbench.language import VARIABLE, spoken_language
from nnopt_lab.workbench.paths import PACKAGE

KERNELS = PACKAGE / "course" / "jupyterlab"  # the folder that contains `kernels`
FOLDER = ".jupyter"  # in the workspace, if the home folder can't be written


def server_environment(workspace: Path) -> dict[str, str]:
    """This process's variables, and those that the server needs.

    Files are read as UTF-8 in every locale, the language is that of this process, also that of JupyterLab's menus if
    its pack is installed, and Jupyter finds the course's kernel before others of that name. Where Jupyter, IPython or
    matplotlib cannot write their own folders, as in a read-only home, they get folders in the workspace.
    """
    variables = os.environ | {"NNOPT_WORKSPACE": str(workspace), "PYTHONUTF8": "1", VARIABLE: spoken_language()}
    variables["JUPYTER_PATH"] = os.pathsep.join(filter(None, (str(KERNELS), os.environ.get("JUPYTER_PATH"))))
    if folders := config_folders():
        usual = os.environ.get("JUPYTER_CONFIG_PATH")
        variables["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, (usual, *folders)))
    for name, usual in _usual_folders().items():
        if not is_writable(usual):
            folder = workspace / FOLDER / name.lower()
            folder.mkdir(parents=True, exist_ok=True)
            variables[name] = str(folder)
    return variables


def is_writable(folder: Path) -> bool:
    """Whether a file can be made in a folder, which is not created; a missing one is judged by its nearest parent."""
    existing = next((path for path in (folder, *folder.parents) if os.path.lexists(path)), None)
    if existing is None or (existing.is_symlink() and not existing.exists()):
        return False
    with contextlib.suppress(OSError), tempfile.TemporaryDirectory(dir=existing):
        return True
    return False


def _usual_folders() -> dict[str, Path]:
    """The folders that the programs would use, by the variable that moves each."""
    from jupyter_core import paths
    from platformdirs import user_cache_dir

    home = Path(os.path.expanduser("~"))
    return {
        "JUPYTER_RUNTIME_DIR": Path(paths.jupyter_runtime_dir()),
        "JUPYTER_DATA_DIR": Path(paths.jupyter_data_dir()),
        "JUPYTER_CONFIG_DIR": Path(paths.jupyter_config_dir()),
        "IPYTHONDIR": Path(os.environ.get("IPYTHONDIR") or home / ".ipython"),
        "MPLCONFIGDIR": Path(os.environ.get("MPLCONFIGDIR") or user_cache_dir("matplotlib")),
    }
