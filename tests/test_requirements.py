"""Requirements are compared with what this interpreter has, by the standard library alone."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet

from nnopt_lab import requirements as req
from nnopt_lab.workbench.paths import PACKAGE

PYPROJECT = PACKAGE.parent / "pyproject.toml"
RELEASES = st.lists(st.integers(0, 12), min_size=1, max_size=3).map(lambda numbers: ".".join(map(str, numbers)))
BOUNDS = st.lists(st.tuples(st.sampled_from([">=", ">", "<=", "<", "==", "!="]), RELEASES), max_size=3)


def names(lines):
    return {req.distribution(line) for line in lines}


def test_the_requirements_are_those_of_the_project():
    found = names(req.requirements(PYPROJECT))
    assert {"torch", "jupyterlab", "typer", "filelock"} <= found and "pytest" not in found
    assert names(req.requirements(PYPROJECT, "test")) - found >= {"pytest", "ruff", "nbval"}
    assert req.requirements(PYPROJECT, "an extra that there is not") == req.requirements(PYPROJECT)
    assert names(["a-b_c.d[extra]>=1,<2; python_version > '3'", "simple", "spaced >= 3"]) == {
        "a-b_c.d",
        "simple",
        "spaced",
    }


def test_what_is_missing_or_too_old_is_unsatisfied():
    lines = ["no-such-package-for-tests>=1", "pytest", "Hypothesis>=6", "pytest>=999", "pytest[x] < 2"]
    assert req.unsatisfied(lines) == [lines[0], *lines[3:]]


@given(BOUNDS, RELEASES, st.sampled_from(["", "+cpu"]), st.sampled_from(["", "[extra]"]))
def test_bounds_are_judged_as_packaging_judges_them(bounds, version, local, extra):
    line = f"torch{extra}" + ", ".join(f"{sign} {bound}" for sign, bound in bounds) + "; python_version > '3'"
    assert req.is_met(line, version + local) == SpecifierSet(",".join(s + b for s, b in bounds)).contains(version)


@pytest.mark.parametrize("line", ["a~=1.2", "a==1.*", "a===1.0", "a!=2.*"])
def test_other_bounds_are_left_to_pip(line):
    assert req.is_met(line, "2.0") and not req.is_met(line, None)


def test_a_folder_hides_a_package_only_with_another_version(tmp_path):
    def put(folder: Path, text: str) -> str:
        (folder / "torch").mkdir(parents=True)
        (folder / "torch" / "__init__.py").write_text("from .version import __version__\n")
        (folder / "torch" / "version.py").write_text(text)
        return str(folder)

    old, new = put(tmp_path / "old", "__version__ = '1.8.0'\n"), put(tmp_path / "new", "__version__: str = '2.12'\n")
    unknown = put(tmp_path / "unknown", "__version__ = compute()\n")
    line = "torch>=2.11,<3"
    assert req.shadows([line, "numpy"], [str(tmp_path / "none"), old]) == [(line, "1.8.0", old)]
    assert req.shadows([line], [new, old]) == req.shadows([line], [unknown]) == req.shadows([line], []) == []
