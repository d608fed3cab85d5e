"""The lessons' sources: their code fits a notebook's cell."""

import pytest

from nnopt_lab.course.lesson_files import lesson_names
from nnopt_lab.course.statistics import WIDTH, statistics

# Lines that are still too long, mostly texts, which no formatter breaks. Delete an entry when its lesson has none.
ALLOWED = {
    "05_integers_by_hand": 15,
    "06_few_bits": 18,
    "07_small_files": 9,
}


@pytest.mark.parametrize("lesson", lesson_names())
def test_code_is_not_wider_than_a_cell(lesson):
    wide = statistics(lesson).too_wide
    assert len(wide) <= ALLOWED.get(lesson, 0), f"longer than {WIDTH} characters:\n" + "\n".join(wide)
