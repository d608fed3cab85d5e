"""The pages for learners and teacher, and the search for similar answers."""

import re

import pytest

from nnopt_lab.grading import pages
from nnopt_lab.grading.exports import safe_name
from nnopt_lab.grading.gradebook import Entry
from nnopt_lab.grading.grades import final
from nnopt_lab.grading.judge import Graded, Result
from nnopt_lab.grading.lateness import Policy, policy
from nnopt_lab.grading.marks import Mark
from nnopt_lab.grading.similarity import runs, similar
from tests.grading.classroom import LESSON
from tests.grading.test_grades import DUE, LATE, entry

EVIL = "<script>alert(1)</script>"


def hostile() -> Entry:
    result = Result(
        "pruning.levels", "failed", 0, 3, f"`{EVIL}` {EVIL}", None, {EVIL: EVIL}, EVIL, EVIL, EVIL, f"# {EVIL}\ud800"
    )
    return Entry(EVIL, f"../{EVIL}.ipynb", LATE, "", "", False, Graded(LESSON, "partly graded", EVIL, (result,)))


@pytest.fixture
def written(tmp_path):
    grades = final(
        [hostile(), entry("alice", submitted_at=LATE), entry("bob", state="malformed")],
        {("alice", "pruning.levels"): Mark(3, f"fine {EVIL}"), ("alice", LESSON): Mark(1, "a bonus")},
        policy("10%", DUE),
    )
    return pages.write(grades, tmp_path, seed=42).parent


def test_nothing_that_a_learner_wrote_becomes_html(written):
    found = [*written.glob("feedback/*.html"), written / "class.html"]
    assert len(found) == 4
    for page in found:
        assert "<script" not in page.read_text(encoding="utf-8")
    assert "&lt;script&gt;" in (written / "feedback" / f"{safe_name(EVIL)}.html").read_text()


def test_a_learner_reads_points_comments_and_what_is_wrong(written):
    page = (written / "feedback" / "alice.html").read_text()
    assert "4.5 of 24 points" not in page and "5.5 of 24 points" in page  # 3 + 2, less a tenth, and one more
    for text in ("by hand", "a bonus", "36 hours late", "0.5 points less", "fine "):
        assert text in page.lower()


def test_the_class_is_shown_hardest_answer_first_with_a_link_to_everyone(written):
    page = (written / "class.html").read_text()
    assert "3 learners, 3 submissions" in page and "seed 42" in page
    links = re.findall(r'href="(feedback/[^"]+)"', page)
    assert links and all((written / link).is_file() for link in links)
    items = re.findall(r"<td>(pruning\.\w+)</td>", page)
    assert items.index("pruning.levels") < items.index("pruning.l1_importance")


OWN = """
def levels(scores, count):
    place = torch.empty(len(scores), dtype=torch.long)
    for rank, index in enumerate(sorted(range(len(scores)), key=lambda i: (scores[i].item(), i))):
        place[index] = rank * count // len(scores)
    return place
"""
RENAMED = """
def levels(scores, count):  # all mine
    out = torch.empty(len(scores), dtype=torch.long)
    # ranks
    for a, b in enumerate(sorted(range(len(scores)), key=lambda k: (scores[k].item(), k))):
        out[b] = a * count // len(scores)
    return out
"""
OTHER = """
def levels(scores, count):
    order = torch.sort(scores, stable=True).indices
    level = torch.zeros_like(order)
    level[order] = torch.arange(len(scores)) * count // len(scores)
    return level
"""
COMMON = (
    "def levels(scores, count):\n    return scores.argsort(stable=True).argsort(stable=True) * count // len(scores)"
)


def test_names_and_comments_do_not_count():
    assert runs(OWN) == runs(RENAMED) != runs(OTHER)


def test_code_that_can_t_be_read_counts_as_far_as_it_can_be():
    assert runs("def f(x):\n    return ((x + 1) * 2") and runs("'''") == set() and runs("") == set()


def test_the_copied_pair_is_found_and_what_all_write_is_not():
    everyone = [(f"learner{n}", "pruning.levels", COMMON) for n in range(20)]
    answers = [
        *everyone,
        ("ann", "pruning.levels", OWN),
        ("ben", "pruning.levels", RENAMED),
        ("cyd", "pruning.levels", OTHER),
    ]
    (pair,) = similar(answers, {})
    assert {pair.first, pair.second} == {"ann", "ben"} and pair.share > 0.9 and pair.items == ("pruning.levels",)


def test_what_everyone_has_seen_is_no_copy():
    answers = [("ann", "pruning.levels", OWN), ("ben", "pruning.levels", RENAMED)]
    assert similar(answers, {})
    assert not similar(answers, {"pruning.levels": [OWN]})


def test_an_empty_class_has_a_page(tmp_path):
    assert "0 learners" in pages.write(final([], {}, Policy()), tmp_path, 1).read_text()
