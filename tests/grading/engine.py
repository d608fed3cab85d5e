"""A stand-in for Docker, since no engine runs where these tests do.

It is a `docker` that starts the same command under bubblewrap with only the rights that the real one gives: root
without privileges except for changing users, no network, nothing to write to.
"""

import os
import shutil
import sys
from pathlib import Path

import pytest

from nnopt_lab.grading.view import python, view

DOCKER = """#!{python}
import json, os, sys
if sys.argv[1] in ("version", "image"):
    sys.exit(0)
arguments = sys.argv[2:]
given = dict(zip(arguments, arguments[1:]))
assert given["--network"] == "none" and given["--ipc"] == "none" and given["--cap-drop"] == "ALL"
assert "--read-only" in arguments and "no-new-privileges" in arguments and "--rm" in arguments
rights = [right for flag, right in zip(arguments, arguments[1:]) if flag == "--cap-add"]
assert sorted(rights) == ["KILL", "SETGID", "SETUID"], rights
source, target, mode = given["--volume"].split(":")
assert mode == "ro"
environment = [item for flag, item in zip(arguments, arguments[1:]) if flag == "--env"]
*command, settings = arguments[arguments.index("python") + 1 :]
settings = json.loads(settings) | {{"paths": {paths}}}  # the image's Python finds its packages by itself
settings["readable"] += [sys.prefix, *settings["paths"]]
bwrap = ["bwrap", "--unshare-net", "--unshare-ipc", "--unshare-pid", "--die-with-parent", "--clearenv"]
bwrap += ["--perms", "0755", "--tmpfs", "/", *{view}]
bwrap += ["--ro-bind", source, target, "--proc", "/proc", "--remount-ro", "/", "--cap-drop", "ALL"]
for right in rights:
    bwrap += ["--cap-add", "CAP_" + right]
for item in environment:
    bwrap += ["--setenv", *item.split("=", 1)]
os.execvp("bwrap", [*bwrap, {python!r}, *command, json.dumps(settings)])
"""
as_root = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("bwrap"),
    reason="the stand-in for an engine needs root and bubblewrap",
)


@pytest.fixture
def docker(tmp_path, monkeypatch):
    """A `docker` on the path, in which this machine's Python stands for the image's."""
    seen, shown = view(), []
    for to, path in seen.links:
        shown += ["--symlink", to, path]
    # Parent folders that bubblewrap makes are readable for root only; an image's are for everyone.
    parents = {str(parent) for _, target in seen.binds for parent in Path(target).parents}
    for parent in sorted(parents - {"/"} - {target for _, target in seen.binds}):
        shown += ["--perms", "0755", "--dir", parent]
    for source, target in seen.binds:
        shown += ["--tmpfs", target] if target in seen.empty else ["--dev-bind", source, target]
    (tmp_path / "bin").mkdir()
    file = tmp_path / "bin" / "docker"
    file.write_text(DOCKER.format(python=python(), view=shown, paths=list(seen.paths)))
    file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
