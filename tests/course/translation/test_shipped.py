"""The translations that ship are in step with the English, and no notebook is without a source."""

import pytest

from nnopt_lab.course.lesson_files import lesson_names
from nnopt_lab.course.strays import strays
from nnopt_lab.course.translation import catalogs, editions
from nnopt_lab.course.translation.library import LIBRARY
from nnopt_lab.course.translation.readme import readme_names


@pytest.mark.parametrize("language", catalogs.translated_languages())
def test_all_texts_are_translated_and_the_notebooks_have_them(language):
    assert editions.out_of_step(language, [*lesson_names(), LIBRARY, *readme_names()]) == []


def test_every_notebook_has_a_source():
    assert strays() == []
