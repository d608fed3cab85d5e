"""JupyterLab's folders: its own where they can be written, the workspace's where they can't."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nnopt_lab.course.lab_language import missing_pack
from nnopt_lab.course.server_environment import is_writable, server_environment
from nnopt_lab.workbench.language import set_language

NAMES = ("JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR", "MPLCONFIGDIR")


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name in (*NAMES, "XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "home"
    monkeypatch.setenv("HOME", str(folder))
    return folder


def test_a_home_that_can_be_written_is_used(home, tmp_path):
    home.mkdir()
    variables = server_environment(tmp_path / "work")
    assert not set(NAMES) & set(variables) and not (tmp_path / "work").exists() and not any(home.iterdir())
    assert variables["NNOPT_WORKSPACE"] == str(tmp_path / "work") and variables["PYTHONUTF8"] == "1"


@pytest.mark.parametrize("kind", ["a file", "no folder of the system"])
def test_another_home_gives_folders_in_the_workspace(home, tmp_path, monkeypatch, kind):
    if kind == "a file":
        home.write_text("")
    else:
        monkeypatch.setenv("HOME", "/proc/no-home-here")
    variables = server_environment(tmp_path / "work")
    for name in NAMES:
        folder = Path(variables[name])
        assert folder.is_dir() and tmp_path / "work" in folder.parents


@pytest.mark.skipif(sys.platform != "linux", reason="/proc stands in for a read-only home")
def test_jupyter_really_writes_there(home, tmp_path, monkeypatch):
    """For real: without the variables, Jupyter ends in a traceback."""
    monkeypatch.setenv("HOME", "/proc/no-home-here")
    code = (
        "from jupyter_client.connect import write_connection_file; from jupyter_core.paths import jupyter_runtime_dir\n"
        "import os; os.makedirs(jupyter_runtime_dir(), 0o700, exist_ok=True); import matplotlib\n"
        "print(write_connection_file(os.path.join(jupyter_runtime_dir(), 'kernel.json'))[0], matplotlib.get_cachedir())"
    )
    usual = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert usual.returncode
    variables = server_environment(tmp_path / "work")
    answer = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True)
    assert answer.returncode == 0 and all(str(tmp_path / "work") in path for path in answer.stdout.split())


def test_no_trace_is_left_where_it_is_tried(tmp_path):
    assert is_writable(tmp_path / "a" / "b") and not os.listdir(tmp_path)


def test_jupyterlab_s_menus_are_chinese_if_their_pack_is_installed(home, tmp_path, chinese, monkeypatch):
    chinese({})
    assert missing_pack() == "jupyterlab-language-pack-zh-CN"
    assert "JUPYTER_CONFIG_PATH" not in server_environment(tmp_path / "work")
    pack = tmp_path / "packs" / "jupyterlab_language_pack_zh_CN"
    pack.mkdir(parents=True)
    (pack / "__init__.py").touch()
    monkeypatch.syspath_prepend(pack.parent)
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", str(tmp_path))
    usual, folder = server_environment(tmp_path / "work")["JUPYTER_CONFIG_PATH"].split(os.pathsep)
    assert usual == str(tmp_path) and missing_pack() == ""
    [settings] = (Path(folder) / "labconfig").iterdir()
    assert settings.name == "default_setting_overrides.json"
    assert json.loads(settings.read_text()) == {"@jupyterlab/translation-extension:plugin": {"locale": "zh_CN"}}
    set_language("en")
    assert server_environment(tmp_path / "work")["JUPYTER_CONFIG_PATH"] == str(tmp_path)
