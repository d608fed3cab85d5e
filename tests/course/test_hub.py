"""A learner's server under a JupyterHub."""

import http.server
import threading

import pytest
from traitlets.config import Config

from nnopt_lab.course import hub
from nnopt_lab.course.lesson_files import paths
from nnopt_lab.workbench.paths import root


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))  # Windows's
    monkeypatch.delenv("NNOPT_WORKSPACE", raising=False)
    return tmp_path


def test_the_workspace_is_in_the_home_and_the_server_opens_its_start_page(home, monkeypatch):
    monkeypatch.setattr(hub.os, "environ", dict(hub.os.environ))
    config = Config()
    hub.configure(config)
    folder = home / "nnopt-lab"
    assert (folder / "01_pruning.ipynb").read_bytes() == paths("01_pruning")[False].read_bytes()
    assert config.ServerApp.root_dir == str(folder)
    assert (
        config.ServerApp.default_url == config.LabApp.default_url == "/lab/tree/course.md"
    )  # the server adds the base
    assert (folder / "course.md").is_file() and hub.os.environ["NNOPT_WORKSPACE"] == str(folder)
    assert not folder.is_relative_to(root())
    # The learner's work survives the next start.
    (folder / "01_pruning.ipynb").write_text("mine")
    hub.configure(Config())
    assert (folder / "01_pruning.ipynb").read_text() == "mine"


def test_a_hub_may_choose_the_folder(home, monkeypatch):
    monkeypatch.setattr(hub.os, "environ", dict(hub.os.environ) | {"NNOPT_WORKSPACE": str(home / "course")})
    config = Config()
    hub.configure(config)
    assert config.ServerApp.root_dir == str(home / "course") and not (home / "nnopt-lab").exists()


def test_a_home_that_can_not_be_written_does_not_stop_the_server(home, capfd):
    (home / "nnopt-lab").write_text("a file")
    config = Config()
    hub.configure(config)
    assert "default_url" not in config.ServerApp
    said = capfd.readouterr().err
    assert said.startswith("The lessons could not be copied to ") and said.count("\n") == 1


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({}, "http://127.0.0.1:8888/api"),
        ({"JUPYTERHUB_SERVICE_PREFIX": "/"}, "http://127.0.0.1:8888/api"),
        (
            {"JUPYTERHUB_SERVICE_PREFIX": "/user/ann/", "JUPYTERHUB_SERVICE_URL": "http://0.0.0.0:8888/user/ann/"},
            "http://127.0.0.1:8888/user/ann/api",
        ),
        (
            {"JUPYTERHUB_SERVICE_URL": "http://127.0.0.1:4711/base/user/a%40b/"},
            "http://127.0.0.1:4711/base/user/a%40b/api",
        ),
    ],
)
def test_the_health_check_asks_under_the_hub_s_base_url(monkeypatch, variables, address):
    for name in ("JUPYTERHUB_SERVICE_PREFIX", "JUPYTERHUB_SERVICE_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert hub.address() == address


@pytest.mark.parametrize("status", [200, 500])
def test_a_server_is_healthy_if_it_answers(monkeypatch, status):
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status if self.path == "/user/ann/api" else 404)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("JUPYTERHUB_SERVICE_URL", f"http://0.0.0.0:{server.server_port}/user/ann/")
        monkeypatch.delenv("JUPYTERHUB_SERVICE_PREFIX", raising=False)
        assert hub.is_healthy() == (status == 200)
        server.shutdown()
    assert not hub.is_healthy()
