"""The settings with which Jupyter's server opens a workspace, by `nnopt lab` or under a JupyterHub."""

from pathlib import Path

from nnopt_lab.course.lab_layout import layout_folder
from nnopt_lab.workbench.paths import PACKAGE

# Settings that disable JupyterLab's prompts and its news check, and the course's own extensions.
LAB_SETTINGS = PACKAGE / "course" / "jupyterlab"
LAB_EXTENSIONS = LAB_SETTINGS / "extensions"


def server_settings(workspace: Path, first: str) -> dict[str, dict[str, str]]:
    """Traits by class and name; addresses have no base URL, which the server adds.

    Args:
        workspace: the learner's folder; made if it is missing.
        first: the file in it that JupyterLab opens.

    Raises:
        OSError: the workspace can't be written.
    """
    return {
        "ServerApp": {"root_dir": str(workspace)},
        "LabApp": {
            "app_settings_dir": str(LAB_SETTINGS),
            "workspaces_dir": str(layout_folder(workspace)),
            "default_url": f"/lab/tree/{first}",
        },
        "LabServerApp": {"extra_labextensions_path": str(LAB_EXTENSIONS)},
        "ContentsManager": {"pre_save_hook": "nnopt_lab.course.static_outputs.before_save"},
    }
