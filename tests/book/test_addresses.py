"""Links to Colab and Binder are there where the project's address is."""

import re

import pytest

from nnopt_lab.book import addresses


@pytest.mark.parametrize(
    ("urls", "name"),
    [
        ({}, None),
        ({"Home": "https://example.org/some/page"}, None),
        ({"Source": "https://github.com/someone/nnopt-lab"}, "someone/nnopt-lab"),
        ({"Home": "https://example.org", "Source": "https://github.com/a/b.c.git"}, "a/b.c"),
        ({"Repository": "https://github.com/a/b/"}, "a/b"),
        ({"Issues": "https://github.com/a/b/issues"}, None),
        ({"Trick": "https://github.com.example.org/a/b"}, None),
    ],
)
def test_the_repository_is_the_address_on_github(urls, name):
    assert addresses.repository(urls) == name


def test_a_lesson_is_opened_in_both_places_as_the_learner_gets_it():
    text = addresses.lesson_links("01_pruning", {"Source": "https://github.com/a/b"})
    assert re.findall(r"\((https://[^)]*)\)", text) == [
        "https://colab.research.google.com/github/a/b/blob/main/notebooks/01_pruning.ipynb",
        "https://mybinder.org/v2/gh/a/b/main?labpath=notebooks/01_pruning.ipynb",
    ]
    assert "`%pip install git+https://github.com/a/b`" in text, "Colab has no course"
    assert addresses.lesson_links("01_pruning", {}) == ""


def test_addresses_are_read_from_pyproject_or_from_the_installed_package(tmp_path, monkeypatch):
    monkeypatch.setattr(addresses, "root", lambda: tmp_path)
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "x"\n[project.urls]\nSource = "https://github.com/a/b"\n'
    )
    assert addresses.project_urls() == {"Source": "https://github.com/a/b"}
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\n')
    assert addresses.project_urls() == {}
    (tmp_path / "pyproject.toml").unlink()
    monkeypatch.setattr(
        addresses.metadata,
        "metadata",
        lambda name: type("Meta", (), {"get_all": lambda self, key: ["Source, https://github.com/a/b"]})(),
    )
    assert addresses.project_urls() == {"Source": "https://github.com/a/b"}
