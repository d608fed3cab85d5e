"""What Jupyter's server does after a notebook was saved: the start page follows.

The page is written by another process, because its points need the course's exercises, and so torch, which the server
should not keep in memory.
"""

import subprocess
import sys
from pathlib import Path
from threading import Thread

from nnopt_lab.course.lesson import lessons

_WRITE = "from nnopt_lab.course import start_page, workspace; start_page.follow(workspace.workspace())"
_last: list[str] = []  # the lesson that was saved last: only another one changes where the page goes on


def after_save(os_path: str, model: dict, **_) -> None:
    """Write the start page again if another lesson was saved than before; called by Jupyter's server."""
    lesson = Path(os_path).stem
    if model.get("type") != "notebook" or lesson not in lessons() or [lesson] == _last:
        return
    _last[:] = [lesson]
    Thread(target=subprocess.run, args=([sys.executable, "-c", _WRITE],), daemon=True).start()
