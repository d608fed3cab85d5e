"""A course of one lesson, with its own folders of translations and compiled texts."""

import pytest

from nnopt_lab.course.translation import catalogs, editions, glossary, readme
from nnopt_lab.workbench import language

LESSON = "97_tiny"
SOURCE = """
# %% [markdown]
# # Tiny
#
# The network has 3 layers,
# and `MyNet` is its name.
#
# - one $x$
# - two
#
# | name | size |
# |---|---|
# | small | 3 |

# %%
claim("It has 3 layers.", True)
for bits in (2, 3):
    print(f"{bits} bits lose {bits / 2:.1f} points")
"""


@pytest.fixture
def tiny(course, tmp_path, monkeypatch):
    """The folder of a course with the lesson 97_tiny; `course` can write it anew."""
    course(LESSON, SOURCE)
    for module in (catalogs, editions, glossary, readme):
        monkeypatch.setattr(module, "root", lambda: tmp_path)
    monkeypatch.setattr("nnopt_lab.workbench.language.catalogs._locale_folder", lambda: tmp_path / "locale")
    language.forget_catalogs()
    yield tmp_path
    language.set_language(None)
    language.forget_catalogs()
