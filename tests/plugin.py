"""A pytest plugin with what every test needs: a workspace of its own, for each notebook too, English, no progress bars.

pyproject.toml loads it, because a conftest.py in this folder would miss `pytest solutions/01_pruning.ipynb`.
"""

import os
import sys

import matplotlib
import pytest
from hypothesis import settings

import nnopt_lab  # noqa: F401 - sets the threads' waiting policy, which kernels inherit, before torch is imported

# isort: split
from nnopt_lab.course.figure_checks import figure_changes
from nnopt_lab.workbench.cores import usable_cores
from tests import own_process
from tests.timing_summary import TimingClaims
from tests.units import pytest_xdist_make_scheduler  # noqa: F401 - a hook of this plugin

matplotlib.use("agg")
sys.modules.setdefault("rfc3987_syntax", None)  # as `nnopt` does: nbval reads notebooks, and it takes a second
os.environ["TQDM_DISABLE"] = "1"
os.environ["NNOPT_LANGUAGE"] = "en"  # whatever the locale; processes and kernels inherit it
# No test is timed, and a red one is the fault of the change at hand. To look for more: --hypothesis-profile=explore
# The examples are the same in every run, so more of them would find nothing new in the next one.
settings.register_profile("course", deadline=None, derandomize=True, max_examples=40)
settings.register_profile("explore", deadline=None, max_examples=500)
settings.load_profile("course")


class Notebooks:
    """Each notebook's workspace, and whether others may run beside it."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item):
        """A new notebook starts in an empty workspace; its kernel, started after this, inherits the variable."""
        notebook = getattr(item, "parent", None)
        if hasattr(notebook, "nb") and notebook.kernel is None:
            factory = item.config._tmp_path_factory
            os.environ["NNOPT_WORKSPACE"] = str(factory.mktemp("workspace"))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item):
        """nbval compares no pictures, so the figures of each cell are compared by their summaries."""
        done = yield
        if getattr(item, "test_outputs", None) is not None:  # a notebook's cell that ran
            changes = figure_changes(item.cell.outputs, item.test_outputs)
            if changes:
                lesson = item.path.stem
                advice = f"If that is right, run nnopt build {lesson[:2]}."
                item.raise_cell_error(" ".join([f"{lesson}, {item.cell.get('id')}:", *changes, advice]))
        return done

    def pytest_itemcollected(self, item):
        """Nothing runs beside a notebook unless a cell has the tag `side-by-side`.

        It says that the lesson's claims hold with one thread on a machine that is busy with other work, too, except for
        those on measured times, which are not compared.
        """
        if item.path.suffix == ".ipynb" and not any(
            "side-by-side" in cell.metadata.get("tags", ()) for cell in item.parent.nb.cells
        ):
            item.add_marker(pytest.mark.serial)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    return min(usable_cores(), 4)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    config.addinivalue_line("markers", "serial: nothing may run beside this notebook (`nnopt test` sees to that).")
    config.addinivalue_line("markers", "accelerator: skipped where torch finds no accelerator.")
    config.addinivalue_line("markers", "browser: in a real browser; skipped where there is none.")
    if workers := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
        os.environ["OMP_NUM_THREADS"] = str(max(1, usable_cores() // int(workers)))
    config.pluginmanager.register(Notebooks())
    config.pluginmanager.register(TimingClaims())
    if rules := getattr(config.option, "nbval_sanitize_with", None):  # from any folder that pytest is called in
        config.option.nbval_sanitize_with = str(config.rootpath / rules)
    own_process.register(config)


def pytest_runtest_setup(item):
    if item.get_closest_marker("accelerator"):
        import torch

        if not torch.accelerator.is_available():
            pytest.skip("needs an accelerator")


@pytest.fixture
def chinese(tmp_path_factory, monkeypatch):
    """A function of messages, English → Chinese, after which the course speaks Chinese, but for the rest of the test.

    `printed` are what lessons print.
    """
    import polib

    from nnopt_lab.workbench import language

    folder = tmp_path_factory.mktemp("locale")

    def speak(messages: dict[str, str], printed: dict[str, str] | None = None) -> None:
        catalog = polib.POFile()
        catalog.metadata = {"Content-Type": "text/plain; charset=UTF-8"}
        for context, texts in ((None, messages), (language.MESSAGE, messages), (language.PRINTED, printed or {})):
            catalog.extend(polib.POEntry(msgctxt=context, msgid=text, msgstr=said) for text, said in texts.items())
        language.catalog_file("zh").parent.mkdir(parents=True, exist_ok=True)
        catalog.save_as_mofile(str(language.catalog_file("zh")))
        language.forget_catalogs()
        language.set_language("zh")

    monkeypatch.setattr("nnopt_lab.workbench.language.catalogs._locale_folder", lambda: folder)
    yield speak
    language.set_language(None)
    monkeypatch.undo()
    language.forget_catalogs()


@pytest.fixture(scope="module")
def chinese_of_today(tmp_path_factory):
    """The Chinese texts of today, which need not be compiled in the package; the test chooses the language."""
    from nnopt_lab.course.translation import catalogs
    from nnopt_lab.workbench import language

    folder = tmp_path_factory.mktemp("locale")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nnopt_lab.workbench.language.catalogs._locale_folder", lambda: folder)
        catalogs.compile_catalog("zh")
        language.forget_catalogs()
        yield
    language.forget_catalogs()


@pytest.fixture(autouse=True)
def own_workspace(request, tmp_path, monkeypatch):
    if hasattr(request.node.parent, "nb"):
        return None
    monkeypatch.setenv("NNOPT_WORKSPACE", str(tmp_path))
    return tmp_path
