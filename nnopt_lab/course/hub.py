"""A learner's server under a JupyterHub, as `.github/hub/Dockerfile` sets it up.

The workspace is in the learner's home, which the hub mounts, and never in the image. `jupyterhub-singleuser` reads the
settings from `jupyter_server_config.py`, so that every hub's way of starting it opens the course.
"""

import os
import sys
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from nnopt_lab.workbench.files import in_words

FOLDER = "nnopt-lab"  # in the home folder
_SECONDS = 5


def configure(config) -> None:
    """Fill the workspace and let the server open it; without a workspace, the server opens as it would without us.

    Args:
        config: Jupyter's configuration object, called `c` in its files.
    """
    from nnopt_lab.course import start_page
    from nnopt_lab.course.carrying import carry_answers
    from nnopt_lab.course.server_environment import server_environment
    from nnopt_lab.course.server_settings import server_settings
    from nnopt_lab.course.workspace import fill

    folder = Path(os.environ.get("NNOPT_WORKSPACE") or Path.home() / FOLDER)
    try:
        news = fill(folder)
        carry_answers(folder)
        first = start_page.write(folder, news).relative_to(folder).as_posix()
        settings = server_settings(folder, first)
        variables = server_environment(folder)
    except OSError as error:  # a home that is full or can't be written; the learner must still reach the files
        print(f"The lessons could not be copied to {folder}: {in_words(error)}", file=sys.stderr, flush=True)
        return
    os.environ.update(variables)  # kernels and terminals inherit them
    for name, traits in settings.items():
        config[name].update(traits)
    config.ServerApp.default_url = settings["LabApp"]["default_url"]  # jupyterhub-singleuser ignores JupyterLab's
    config.LabServerApp.extra_labextensions_path = [settings["LabServerApp"]["extra_labextensions_path"]]


def address() -> str:
    """Where the server on this machine answers without a login, under the hub's base URL."""
    service = urlsplit(os.environ.get("JUPYTERHUB_SERVICE_URL", ""))
    prefix = os.environ.get("JUPYTERHUB_SERVICE_PREFIX") or service.path or "/"
    return f"http://127.0.0.1:{service.port or 8888}/{prefix.strip('/')}".rstrip("/") + "/api"


def is_healthy() -> bool:
    """Whether the server answers."""
    try:
        with urllib.request.urlopen(address(), timeout=_SECONDS) as answer:
            return answer.status == 200
    except (OSError, ValueError):
        return False


if __name__ == "__main__":  # the image's health check
    sys.exit(not is_healthy())
