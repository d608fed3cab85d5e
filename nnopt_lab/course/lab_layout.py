"""The layout in which JupyterLab opens: the contents of the lesson on the left, and the sidebar wide enough for names.

A workspace keeps its own layout, so that other projects' tabs don't appear in the course, nor the course's in them.
"""

import json
from pathlib import Path

FOLDER = ".layout"
NAME = "default"  # of the layout that JupyterLab loads
CONTENTS = "@jupyterlab/toc:plugin"
_LEFT = {
    "collapsed": False,
    "visible": True,
    "current": CONTENTS,
    "widgets": ["filebrowser", "running-sessions", CONTENTS, "extensionmanager.main-view"],
}
_LAYOUT = {"left": _LEFT, "relativeSizes": [0.24, 0.76, 0]}


def layout_folder(workspace: Path) -> Path:
    """The folder with a workspace's layout, which is made on first use; afterwards JupyterLab writes it.

    Raises:
        OSError: it can't be written.
    """
    from jupyterlab_server.workspaces_handler import WorkspacesManager

    folder = workspace / FOLDER
    if not (folder.is_dir() and any(folder.iterdir())):
        layout = {"data": {"layout-restorer:data": _LAYOUT}, "metadata": {"id": NAME}}
        WorkspacesManager(str(folder)).save(NAME, json.dumps(layout))
    return folder
