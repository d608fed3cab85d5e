"""The pages for learners and teacher."""

import base64
import hashlib
import re
import time
from datetime import datetime

import pytest

from nnopt_lab.course.exercises import exercises, questions
from nnopt_lab.course.translation.library import library_messages
from nnopt_lab.grading import pages
from nnopt_lab.grading.exports import safe_name
from nnopt_lab.grading.gradebook import Entry
from nnopt_lab.grading.grades import final, missing
from nnopt_lab.grading.lateness import Policy, policy
from nnopt_lab.grading.marks import Mark
from nnopt_lab.grading.results import Graded, Result
from nnopt_lab.grading.roster import Roster
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
        text = page.read_text(encoding="utf-8")
        own = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
        assert text.count("<script") == len(own) == (page.name == "class.html")
        for script in own:  # the browser runs no other
            assert "alert" not in script and f"'sha256-{digest(script)}'" in text
    assert "&lt;script&gt;" in (written / "feedback" / f"{safe_name(EVIL)}.html").read_text()


def digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


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
    items = re.findall(r'<div class="soft id">(pruning\.\w+)</div>', page)
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
    for line in ("v3 = torch.full([3], 9).sum()", "other3 = torch.full([3], 9).sum()"):
        assert f"<mark>    {line}</mark>" in page


def answer(source: str) -> Result:
    return Result("pruning.levels", "failed", 0, 3, "wrong", source=source)


def answered(learner: str, **given: str) -> Entry:
    """Answers to questions by the end of their ids: "a" wrong, "=a" right."""
    results = tuple(
        Result(
            f"pruning.{id}", "passed" if got[0] == "=" else "failed", 0, 1, "" if got[0] == "=" else "no", got=got[-1]
        )
        for id, got in given.items()
    )
    return Entry(learner, f"{learner}.ipynb", DUE, "", "", False, Graded(LESSON, "graded", "", results))


def test_it_counts_who_gave_which_answer_to_a_question(tmp_path):
    given = ["a", "a", "=b", "=b", "=b", "c"]
    entries = [answered(f"l{n}", masks_and_time=got, bits_of_2_4=str(n % 2)) for n, got in enumerate(given)]
    page = pages.write(final(entries, {}, Policy()), tmp_path, 1).read_text()
    question = questions()["pruning.masks_and_time"]
    assert question.text.replace("'", "&#x27;") in page and exercises()["pruning.levels"].title in page
    rows = re.findall(r'<tr><td>(?:<b>)?(\w)(?:</b> ✓)?</td><td class="n">(\d+)</td>', page)
    assert {("a", "2"), ("b", "3"), ("c", "1")} <= set(rows) and {("0", "3"), ("1", "3")} <= set(rows)
    assert '<b>b</b> ✓</td><td class="n">3</td>' in page


def test_it_says_who_is_late_and_who_is_missing(tmp_path):
    grades = final([entry("alice", submitted_at=LATE), entry("bob")], {}, policy("10%", DUE))
    grades += missing(grades, Roster("name\nalice\nbob\nzoe\n").people)
    page = pages.write(grades, tmp_path, 1, datetime.fromisoformat(DUE)).read_text()
    assert "Handed in: 2. Not handed in: 1. Late: 1, 0.4 points lost in total." in page
    assert "36 hours late, 0.4 points less" in page and (tmp_path / "feedback" / "zoe.html").is_file()
    assert "3 learners, 2 submissions" in page


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="Windows has no tzset")
@pytest.mark.parametrize(("zone", "shown"), [("UTC", "18:00 UTC"), ("CET-1", "19:00 CET"), ("<+03>-3", "21:00 UTC+03")])
def test_pages_show_local_times_with_their_zone(tmp_path, monkeypatch, zone, shown):
    with monkeypatch.context() as patched:
        patched.setenv("TZ", zone)
        time.tzset()
        grades = final([entry("alice", submitted_at=DUE)], {}, Policy())
        pages.write(grades, tmp_path, 1, datetime.fromisoformat(DUE))
    time.tzset()
    assert f"Due 2026-12-01 {shown}." in (tmp_path / "class.html").read_text()
    assert (tmp_path / "class.html").read_text().count(shown) == 2
    assert shown in (tmp_path / "feedback" / "alice.html").read_text()


def test_an_empty_class_has_a_page(tmp_path):
    assert "0 learners" in pages.write(final([], {}, Policy()), tmp_path, 1).read_text()


def test_pages_are_written_in_the_language_in_use(tmp_path, chinese):
    grades = final([entry("alice", submitted_at=LATE), entry("bob")], {}, policy("10%", DUE))
    pages.write(grades, tmp_path / "en", 1)
    chinese({text: f"【{text}】" for text in library_messages()})
    page = pages.write(grades, tmp_path / "zh", 1).read_text()
    learner = (tmp_path / "zh" / "feedback" / "alice.html").read_text()
    for found in (page, learner):
        assert '<html lang="zh">' in found and "【" in found
        shown = re.sub(r"<(style|script|pre|title)>.*?</\1>|<[^>]*>", " ", found, flags=re.DOTALL)
        for _depth in range(6):  # they may stand in each other
            shown = re.sub("【[^【】]*】", "", shown)
        assert not re.search(r"\b(?:learners?|points?|passed|late|wrong|expected|answers?)\b", shown.lower())
    english = (tmp_path / "en" / "class.html").read_text()
    assert re.sub("[【】]", "", page).replace('lang="zh"', 'lang="en"') == english


def test_a_grade_is_the_same_in_every_language(chinese):
    grades = final([entry("alice", submitted_at=LATE)], {}, policy("10%", DUE))
    chinese({text: f"【{text}】" for text in library_messages()})
    assert final([entry("alice", submitted_at=LATE)], {}, policy("10%", DUE)) == grades
