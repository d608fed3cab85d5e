"""The start page of a workspace: every lesson with its points, where to go on, and what is new."""

import html
import os
import re

import nbformat
import pytest

from nnopt_lab.course import last_work, session, start_page
from nnopt_lab.course.calls import check, question
from nnopt_lab.course.exercises import cell_id, exercises, lesson_points, questions
from nnopt_lab.course.ledger import ENOUGH
from nnopt_lab.course.lesson import lessons
from nnopt_lab.course.predictions import predict, reveal
from nnopt_lab.course.record import note_attempt
from nnopt_lab.course.start_page import follow, rows, write
from nnopt_lab.course.workspace import START_PAGE, fill
from tests.course.answers import own

SHIPPED = [name for name, lesson in lessons().items() if not lesson.draft]


@pytest.fixture
def mine(own_workspace):
    """A workspace with copies of all lessons and its start page."""
    write(own_workspace, fill(own_workspace))
    return own_workspace


def page(folder) -> str:
    return (folder / START_PAGE).read_text(encoding="utf-8")


def table(folder) -> list[list[str]]:
    lines = [line for line in page(folder).splitlines() if line.startswith("|")]
    rows = [[re.sub("<[^>]*>", "", cell).strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in rows if row[1].startswith("[")]


def pass_all(folder, lesson: str, *, but: str = "") -> None:
    for section, items in (("exercises", exercises(lesson)), ("questions", questions(lesson))):
        for id, item in items.items():
            if id != but:
                note_attempt(section, id, True, item.points)


def work_on(folder, lesson: str, when: int) -> None:
    path = folder / f"{lesson}.ipynb"
    path.write_text(path.read_text() + " ")
    os.utime(path, (when, when))


def test_a_new_workspace_says_where_to_begin_and_has_no_news(mine):
    for row, name in zip(table(mine), SHIPPED, strict=True):
        assert row[1] == f"[{name[:2]} {lessons()[name].title}]({name}.ipynb){html.escape(lessons()[name].summary)}"
    assert [row[3] for row in table(mine)] == [f"0 of {lesson_points(name)}" for name in SHIPPED]
    assert [row[4] for row in table(mine)] == [f"about {lessons()[name].minutes}\xa0min" for name in SHIPPED]
    assert f"**Begin here: [00 {lessons()[SHIPPED[0]].title}](00_start_here.ipynb)**" in page(mine)
    assert "What is new" not in page(mine) and "predictions" not in page(mine) and "complete" not in page(mine)
    points = sum(map(lesson_points, SHIPPED))
    assert f"{len(SHIPPED)} lessons · {points} points · about " in page(mine)


def test_how_it_works_comes_first_until_a_lesson_is_started_and_then_last(mine):
    def headings() -> list[str]:
        return re.findall(r"^## (.+)$", page(mine), re.MULTILINE)

    assert headings()[0] == "How it works" and headings().count("How it works") == 1
    assert "Shift+Enter" in page(mine) and "Coming back later?" not in page(mine)
    work_on(mine, "03_learning_rates", 2_000_000_000)
    write(mine)
    assert headings()[-1] == "How it works" and headings().count("How it works") == 1
    assert "Shift+Enter" in page(mine) and "Coming back later?" in page(mine)


def test_points_before_the_first_complete_lesson_count_no_complete_ones(mine):
    pass_all(mine, "00_start_here", but=next(iter(exercises("00_start_here"))))
    write(mine)
    (summary,) = (line for line in page(mine).splitlines() if " points · " in line)
    assert " complete" not in summary and re.fullmatch(r"\d+ of \d+ points · about [\d.]+ hours left", summary)


def test_the_time_that_is_left_follows_the_points_in_each_lesson_and_in_all(mine):
    def hours() -> float:
        return float(re.search(r"about ([\d.]+) hours", page(mine))[1])

    def minutes(lesson: str) -> str:
        return table(mine)[SHIPPED.index(lesson)][4]

    before, whole = hours(), lessons()["01_pruning"].minutes
    for id, item in exercises("01_pruning").items():
        note_attempt("exercises", id, True, item.points)
    write(mine)
    left = int(re.fullmatch(r"about (\d+)\xa0min left", minutes("01_pruning"))[1])
    assert 0 < left < whole / 2 and before - 1.5 < hours() < before
    pass_all(mine, "01_pruning")
    write(mine)
    assert minutes("01_pruning") == "" and abs(hours() - (before - whole / 60)) <= 0.5
    assert minutes("02_convolutions") == f"about {lessons()['02_convolutions'].minutes}\xa0min"


def test_the_lessons_are_in_groups_by_the_articles_chapters(mine):
    found, here = {}, ""
    for line in page(mine).splitlines():
        here = line.removeprefix("## ") if line.startswith("## ") else here
        found.setdefault(here, []).extend(re.findall(r"\]\((\d\d_\w+)\.ipynb\)<", line))
    groups = {chapter: names for chapter, names in found.items() if names}
    assert groups["Structure"] == ["01_pruning", "02_convolutions"] and "" not in groups
    assert [name for names in groups.values() for name in names] == SHIPPED


def test_every_link_leads_to_a_lesson_of_the_workspace(mine):
    for target in re.findall(r"\]\(([^)#]+)", page(mine)):
        assert (mine / target).is_file()


def test_points_check_marks_and_the_place_follow_the_progress(mine):
    work_on(mine, "01_pruning", 2_000_000_000)
    pass_all(mine, "00_start_here")
    write(mine)
    first, second, *others = table(mine)
    assert first[0] == "✔" and first[2].count("▰") == start_page.BAR and second[0] == "▶"
    assert not any(row[0] or "▰" in row[2] for row in others)
    assert f" · 1 of {len(SHIPPED)} lessons complete · about " in page(mine)
    assert f"\n{lesson_points('00_start_here')} of " in page(mine)


def test_it_goes_on_in_the_lesson_that_was_saved_last_and_after_a_complete_one_in_the_next(mine):
    work_on(mine, "03_learning_rates", 1_900_000_000)
    work_on(mine, "01_pruning", 2_000_000_000)
    write(mine)
    assert "(01_pruning.ipynb" in page(mine).split("Continue with")[1].splitlines()[0]
    pass_all(mine, "01_pruning")
    write(mine)
    assert "(02_convolutions.ipynb" in page(mine).split("Continue with")[1].splitlines()[0]
    assert "Begin here" not in page(mine)
    for name in SHIPPED:
        pass_all(mine, name)
    write(mine)
    assert "You have completed every lesson." in page(mine) and "▶" not in page(mine)
    assert page(mine).count("✔") == len(SHIPPED)
    assert f" · {len(SHIPPED)} of {len(SHIPPED)} lessons complete\n" in page(mine)


def test_it_goes_on_where_the_last_check_answer_or_guess_was_even_if_it_is_not_saved_yet(mine, monkeypatch):
    monkeypatch.setattr(session, "_lesson", "04_batch_sizes")
    work_on(mine, "03_learning_rates", 1_600_000_000)

    def goes_on() -> str:
        (line,) = (line for line in page(mine).splitlines() if line.startswith("> **"))
        return re.search(r"\]\(([^.]+)\.ipynb", line)[1]

    check(next(iter(exercises("01_pruning"))), lambda *arguments: 0)
    assert goes_on() == "01_pruning"
    question(next(iter(questions("02_convolutions"))), "no answer")
    assert goes_on() == "01_pruning", "what is refused is no work"
    predict("a speed-up", 2)
    assert goes_on() == "04_batch_sizes"
    asked = next(iter(questions("02_convolutions").values()))
    question(asked.id, "a" if asked.choices else -1)
    assert goes_on() == "02_convolutions"
    work_on(mine, "03_learning_rates", 2_000_000_000)
    write(mine)
    assert goes_on() == "02_convolutions", "a save may come long after the lesson was left"


def test_a_lesson_with_answers_comes_before_one_whose_cells_all_ran_at_once(mine):
    def goes_on() -> str:
        (line,) = (line for line in page(mine).splitlines() if line.startswith("> **"))
        return re.search(r"\]\(([^.]+)\.ipynb", line)[1]

    last_work.note(mine, "02_convolutions", "")
    follow(mine, "01_pruning", "")  # such a run has no place
    assert goes_on() == "01_pruning"
    note_attempt("questions", next(iter(questions("02_convolutions"))), False, 1)
    follow(mine, "01_pruning", "")
    assert goes_on() == "02_convolutions"
    follow(mine, "01_pruning", nbformat.read(mine / "01_pruning.ipynb", 4).cells[-1].id)
    assert goes_on() == "01_pruning", "a cell was run by itself"


@pytest.mark.parametrize("damage", ["{", "[]", '{"01_pruning": []}', '{"01_pruning": NaN}', "\x00", '{"gone": 9e9}'])
def test_a_damaged_note_of_the_last_work_is_as_good_as_none(mine, damage):
    before = page(mine)
    (mine / last_work.FILE).write_text(damage)
    follow(mine)
    assert page(mine) == before
    follow(mine, "01_pruning")
    assert "[01 Pruning]" in next(line for line in page(mine).splitlines() if line.startswith("> **"))


def test_it_names_the_section_of_the_first_open_exercise_and_links_to_its_cell(mine):
    items = [*exercises("01_pruning"), *questions("01_pruning")]
    notebook, sections, here = nbformat.read(mine / "01_pruning.ipynb", 4), {}, None
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and (found := re.findall(r"^## (.+)$", cell.source, re.MULTILINE)):
            here = (found[-1], cell.id)
        for kind in ("exercise", "question"):
            if cell.get("id") in [cell_id(kind, id) for id in items]:
                sections[cell.metadata[kind]] = here
    work_on(mine, "01_pruning", 2_000_000_000)
    pass_all(mine, "01_pruning", but=items[0])
    write(mine)
    heading, id = sections[items[0]]
    assert f"section {heading}](01_pruning.ipynb#cell-id={id})**" in page(mine)


def test_it_leads_to_the_cell_worked_in_last_and_tells_the_first_open_section_besides(mine, monkeypatch):
    work_on(mine, "01_pruning", 2_000_000_000)
    cells = nbformat.read(mine / "01_pruning.ipynb", 4).cells
    place = next(cell.id for cell in cells[::-1] if cell.cell_type == "code")
    monkeypatch.setattr(last_work, "running_cell", lambda: place)
    follow(mine, "01_pruning")
    monkeypatch.setattr(last_work, "running_cell", lambda: "")  # a press in a box
    follow(mine, "01_pruning")
    (line,) = (line for line in page(mine).splitlines() if line.startswith("> **"))
    last, first = line.split("<br>")
    assert last.endswith(f"](01_pruning.ipynb#cell-id={place})**") and "section 2. Importance" not in last
    assert first.startswith("You were there last. First unfinished: [section 2. Importance](01_pruning.ipynb#cell-id=")
    assert start_page.next_step(mine)[1] in last


def test_work_in_a_check_leads_to_the_answer_that_it_checks(mine, monkeypatch):
    work_on(mine, "01_pruning", 2_000_000_000)
    cells = nbformat.read(mine / "01_pruning.ipynb", 4).cells
    exercise = list(exercises("01_pruning"))[-1]
    check = next(cell.id for cell in cells if cell.source.startswith(f'check("{exercise}"'))
    monkeypatch.setattr(last_work, "running_cell", lambda: check)
    follow(mine, "01_pruning")
    assert f"](01_pruning.ipynb#cell-id={cell_id('exercise', exercise)})**" in page(mine)


def test_a_notebook_without_ids_of_cells_has_a_link_without_a_place(mine):
    path = mine / "01_pruning.ipynb"
    held = nbformat.read(path, 4)
    for cell in held.cells:
        cell.pop("id", None)
    held.nbformat_minor = 4
    nbformat.write(held, path)
    work_on(mine, "01_pruning", 2_000_000_000)
    write(mine)
    assert re.search(r"section 2\. Importance\]\(01_pruning\.ipynb\)\*\*", page(mine))


def test_a_damaged_notebook_has_no_section_and_a_missing_one_no_row(mine):
    (mine / "01_pruning.ipynb").write_text("{")
    os.utime(mine / "01_pruning.ipynb", (2_000_000_000, 2_000_000_000))
    (mine / "02_convolutions.ipynb").unlink()
    write(mine)
    assert "**Continue with [01 Pruning](01_pruning.ipynb)**" in page(mine)
    assert [row.name for row in rows(mine)] == [name for name in SHIPPED if name != "02_convolutions"]
    for name in SHIPPED:
        (mine / f"{name}.ipynb").unlink(missing_ok=True)
    write(mine)
    assert table(mine) == []


def test_news_stay_until_the_next_start(mine):
    write(mine, [("00_start_here", "updated"), ("01_pruning", "newer")])
    for _ in range(2):
        news = page(mine).split("## What is new")[1].split("## ")[0]
        assert "[00 Start here](00_start_here.ipynb): updated." in news
        assert "your copy was kept" in news and "`nnopt update 01_pruning`." in news
        follow(mine)
    write(mine, [("02_convolutions", "new")])
    assert "[02 Convolutions](02_convolutions.ipynb): new." in page(mine)
    write(mine, [])
    assert "What is new" not in page(mine)


def test_a_pass_is_on_the_page_at_once_and_a_failure_changes_nothing(mine, monkeypatch):
    exercise, number = exercises()["start.conv_parameters"], questions()["start.where_the_work_is"]
    before = page(mine)
    check(exercise.id, lambda *arguments: 0)
    question(number.id, -1)
    assert page(mine) == before
    check(exercise.id, own(exercise.reference))
    assert table(mine)[0][3] == f"{exercise.points} of {lesson_points('00_start_here')}"
    question(number.id, number.answer)
    assert table(mine)[0][3] == f"{exercise.points + number.points} of {lesson_points('00_start_here')}"


def test_predictions_are_summed_up(mine):
    for count, name in enumerate("abc", start=1):
        predict(name, 2)
        reveal(name, 2, 1.9, 2.1)
        write(mine)
        assert ("Your predictions: " in page(mine)) == (count >= ENOUGH), "one guess proves nothing"
    assert "Your predictions: 3 of 3 guesses inside the measured interval" in page(mine)


def test_the_bar_of_a_lesson_has_its_points_and_is_text_where_a_page_draws_none(mine):
    note_attempt("exercises", next(iter(exercises("01_pruning"))), True, 2)
    pass_all(mine, "00_start_here")
    write(mine)
    bars = re.findall(r"<progress([^>]*)>([▰▱]*)</progress>", page(mine))
    assert len(bars) == len(SHIPPED) and all(len(text) == start_page.BAR for _, text in bars)
    assert f'max="{lesson_points("01_pruning")}" value="2"' in bars[1][0]
    assert ["nnopt-done" in attributes for attributes, _ in bars] == [True] + [False] * (len(SHIPPED) - 1)


def test_a_workspace_without_a_page_gets_none_from_a_pass_and_no_failure_is_seen(own_workspace, monkeypatch):
    follow(own_workspace)
    assert not (own_workspace / START_PAGE).exists()
    (own_workspace / START_PAGE).write_bytes(b"\xff")
    follow(own_workspace)
    write(own_workspace, [])
    monkeypatch.setattr(start_page, "write_atomically", lambda *_: (_ for _ in ()).throw(PermissionError()))
    follow(own_workspace)
    with pytest.raises(PermissionError):
        write(own_workspace)


def test_the_page_is_in_the_language_in_use_beside_its_copies(own_workspace, chinese):
    write(own_workspace, fill(own_workspace))
    before = page(own_workspace)
    chinese(
        {
            "lesson": "课程",
            "What is new": "新内容",
            "updated.": "已更新。",
            "{earned} of {points}": "{points} 分中的 {earned} 分",
            "**Begin here: [{title}]({file})**": "**从这里开始：[{title}]({file})**",
            lessons()["01_pruning"].title: "剪枝",
        }
    )
    fill(own_workspace)
    path = write(own_workspace, [("01_pruning", "updated")])
    assert path == own_workspace / "zh" / START_PAGE and page(own_workspace) == before
    said = page(path.parent)
    assert "| | 课程 |" in said and "[01 剪枝](01_pruning.ipynb)" in said and "**从这里开始：[00 " in said
    assert f"| {lesson_points('01_pruning')} 分中的 0 分 |" in said
    follow(own_workspace)
    assert page(path.parent).count("## 新内容\n\n- [01 剪枝](01_pruning.ipynb)：已更新。\n") == 1
