"""The pages for learners and teacher."""

import re

import pytest

from nnopt_lab.grading import pages
from nnopt_lab.grading.exports import safe_name
from nnopt_lab.grading.gradebook import Entry
from nnopt_lab.grading.grades import final
from nnopt_lab.grading.lateness import Policy, policy
from nnopt_lab.grading.marks import Mark
from nnopt_lab.grading.results import Graded, Result
from tests.grading.classroom import DUE, LATE, LESSON, entry

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
    for text in ("(manual)", "a bonus", "36 hours late", "0.5 points less", "fine "):
        assert text in page.lower()


def test_the_class_is_shown_hardest_answer_first_with_a_link_to_everyone(written):
    page = (written / "class.html").read_text()
    assert "3 learners, 3 submissions" in page and "seed 42" in page
    links = re.findall(r'href="(feedback/[^"]+)"', page)
    assert links and all((written / link).is_file() for link in links)
    items = re.findall(r"<td>(pruning\.\w+)</td>", page)
    assert items.index("pruning.levels") < items.index("pruning.l1_importance")


def test_similar_answers_stand_side_by_side(tmp_path):
    odd = "def levels(scores, count):\n" + "\n".join(f"    v{n} = torch.full([{n}], {n * n}).sum()" for n in range(9))
    sources = {"alice": odd, "bob": odd.replace("v", "other"), "cyd": "def levels(scores, count):\n    return scores"}
    graded = [
        Entry(name, f"{name}.ipynb", DUE, "", "", False, Graded(LESSON, "graded", "", (answer(source),)))
        for name, source in sources.items()
    ]
    page = pages.write(final(graded, {}, Policy()), tmp_path, 1).read_text()
    assert page.count("<figure>") == 2 and "<figcaption>cyd" not in page
    assert "v3 = torch.full([3], 9)" in page and "other3 = torch.full([3], 9)" in page


def answer(source: str) -> Result:
    return Result("pruning.levels", "failed", 0, 3, "wrong", source=source)


def test_an_empty_class_has_a_page(tmp_path):
    assert "0 learners" in pages.write(final([], {}, Policy()), tmp_path, 1).read_text()
