"""A newer text of a lesson and a learner's copy become one notebook; nothing that the learner wrote is lost."""

import json
from collections import Counter

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnopt_lab.course.cell_prints import prints_of, text_of
from nnopt_lab.course.exercises import cell_id, exercises, questions
from nnopt_lab.course.lesson_files import paths
from nnopt_lab.course.merging import merge

LESSON = "01_pruning"
L1, LEVELS = "pruning.l1_importance", "pruning.cubic_sparsity"
QUESTION = "pruning.masks_and_time"
ITEMS = {cell_id("exercise", id): e for id, e in exercises(LESSON).items()}
ITEMS |= {cell_id("question", id): q for id, q in questions(LESSON).items()}

KEPT, GONE = "which you had changed too. Your version was:", "This is no longer part of the lesson."
STARTER = "had another starting point when you answered it"


def code(source, id, **metadata):
    return {
        "cell_type": "code",
        "id": id,
        "source": source,
        "metadata": metadata,
        "outputs": [],
        "execution_count": None,
    }


def prose(source, id):
    return {"cell_type": "markdown", "id": id, "source": source, "metadata": {}}


def stub(id, arguments="weight"):
    text = f"def {exercises()[id].name}({arguments}):\n    # Your answer here.\n    raise NotImplementedError"
    return code(text, cell_id("exercise", id), exercise=id)


def asked(id):
    return code(f'choice = None\nquestion("{id}", choice)', cell_id("question", id), question=id)


def lesson(*cells):
    """A lesson's text: strings are prose, whose ids are numbers as the builder gives them."""
    return [prose(c, f"{LESSON}-{n:03d}") if isinstance(c, str) else c for n, c in enumerate(cells)]


OLD = lesson("# Title", "Why.", stub(L1), "Between.", asked(QUESTION), "The end.")
NEW = lesson("# Title", "What for.", "Also new.", stub(L1), "Between.", asked(QUESTION), "The end.", "Sources.")
ANSWER = "def l1_importance(weight):\n    return weight.abs().sum((1, 2, 3))"


def with_text(cells, place, text, **changes):
    return [cell | {"source": text} | changes if n == place else cell for n, cell in enumerate(cells)]


def insert(cells, place, *new):
    return [*cells[:place], *new, *cells[place:]]


def merged(mine, base=OLD, latest=NEW):
    return merge(mine, prints_of(base) if base is not None else None, latest, ITEMS, LESSON)


def texts(cells):
    return [text_of(cell) for cell in cells]


def test_an_untouched_copy_becomes_the_latest_text():
    found = merged(OLD)
    assert found.cells == NEW and not found.conflicts and (found.answers, found.own, found.changed) == (0, 0, 3)


def test_an_answer_and_its_output_stay_in_the_new_text():
    output = [{"output_type": "stream", "name": "stdout", "text": "hello"}]
    mine = with_text(OLD, 2, ANSWER, outputs=output, execution_count=7)
    mine = with_text(mine, 4, f'choice = "b"\nquestion("{QUESTION}", choice)')
    found = merged(mine)
    assert texts(found.cells) == texts(with_text(with_text(NEW, 3, ANSWER), 5, text_of(mine[4])))
    kept = found.cells[3]
    assert kept["outputs"] == output and kept["execution_count"] == 7 and kept["id"] == NEW[3]["id"]
    assert found.answers == 2 and not found.conflicts


def test_own_cells_stay_after_the_neighbour_that_they_followed():
    own = [code(f"mine_{n} = {n}", f"own{n}") for n in range(4)]
    mine = insert(insert(insert(OLD, 6, own[3]), 3, own[1], own[2]), 0, own[0])
    found = merged(mine)
    said = texts(found.cells)
    assert said[0] == "mine_0 = 0" and said[-2:] == ["mine_3 = 3", "Sources."] and found.own == 4
    at = said.index(text_of(stub(L1)))
    assert said[at + 1 : at + 3] == ["mine_1 = 1", "mine_2 = 2"]


def test_an_own_cell_after_a_text_that_changed_follows_the_new_text():
    found = merged(insert(OLD, 2, prose("my thought", "own")))
    said = texts(found.cells)
    assert said.index("my thought") == said.index("What for.") + 1


def test_a_cell_of_ours_that_only_the_learner_changed_stays_changed():
    found = merged(with_text(OLD, 3, "Between, as I see it."))
    assert "Between, as I see it." in texts(found.cells) and "Between." not in texts(found.cells)
    assert not found.conflicts


@pytest.mark.parametrize("latest", [NEW, lesson("# Title", stub(L1), "Between.")])
def test_a_cell_of_ours_that_both_changed_or_that_is_gone_is_kept_in_a_note(latest):
    found = merged(with_text(OLD, 1, "Why, and my remark."), latest=latest)
    (note,) = [text for text in texts(found.cells) if KEPT in text]
    assert note.endswith("Why, and my remark.") and "Why, and my remark." in " ".join(found.conflicts)
    assert set(texts(latest)) <= set(texts(found.cells))


def test_a_code_cell_that_both_changed_is_kept_as_text_so_that_it_does_not_run():
    old, new = ([*OLD[:3], code(f"x = {n}", f"{LESSON}-003"), *OLD[4:]] for n in (1, 2))
    found = merged(with_text(old, 3, "x = 1\ny = '```'"), old, new)
    (note,) = [cell for cell in found.cells if KEPT in text_of(cell)]
    assert note["cell_type"] == "markdown" and "````python\nx = 1\ny = '```'\n````" in text_of(note)


def test_a_new_starting_point_leaves_the_answer_and_is_shown_in_a_note():
    latest = [stub(L1, "weight, norm") if cell == stub(L1) else cell for cell in NEW]
    found = merged(with_text(OLD, 2, ANSWER), latest=latest)
    said = texts(found.cells)
    at = said.index(ANSWER)
    assert STARTER in said[at + 1] and "def l1_importance(weight, norm):" in said[at + 1]
    assert L1 in found.conflicts[0]
    assert texts(merged(OLD, latest=latest).cells) == texts(latest), "who had not answered gets the new one"


def test_a_new_example_comes_into_a_blank_and_leaves_an_answer_without_a_note():
    def described(cells, docstring):
        text = f"def l1_importance(weight):\n    {docstring}\n    raise NotImplementedError"
        return [cell | {"source": text} if cell == stub(L1) else cell for cell in cells]

    old = described(OLD, '"""Norms."""')
    latest = described(NEW, '"""Norms.\n\n    >>> l1_importance(ones)\n    4\n    """')
    assert merged(old, old, latest).cells == latest
    answer = 'def l1_importance(weight):\n    """Norms."""\n    return weight.abs().sum((1, 2, 3))'
    found = merged(with_text(old, 2, answer), old, latest)
    assert answer in texts(found.cells) and found.answers == 1 and not found.conflicts
    other = described(NEW, '"""Squared norms."""')
    assert merged(with_text(old, 2, answer), old, other).conflicts, "another task, so a note"


def test_an_exercise_that_went_away_leaves_its_answer_with_a_sentence():
    latest = [cell for cell in NEW if cell != stub(L1)]
    said = texts(merged(with_text(OLD, 2, ANSWER), latest=latest).cells)
    at = said.index(ANSWER)
    assert GONE in said[at - 1] and L1 in merged(with_text(OLD, 2, ANSWER), latest=latest).conflicts[0]
    assert texts(merged(OLD, latest=latest).cells) == texts(latest)


def test_a_cell_that_the_learner_deleted_comes_back_where_the_text_is_new():
    assert merged(OLD[:2] + OLD[4:]).cells == NEW


@pytest.mark.parametrize("base", [OLD, None])
@pytest.mark.parametrize("with_metadata", [True, False])
def test_without_ids_answers_are_found_by_their_marks_or_else_by_name(base, with_metadata):
    bare = [{key: value for key, value in cell.items() if key != "id"} for cell in with_text(OLD, 2, ANSWER)]
    bare = with_text(bare, 4, f'choice = "b"\nquestion("{QUESTION}", choice)')
    if not with_metadata:
        bare = [cell | {"metadata": {}} for cell in bare]
    bare = insert(bare, 3, {"cell_type": "code", "source": ["a = 1\n", "a"], "metadata": {}, "outputs": []})
    found = merged(bare, base)
    said = texts(found.cells)
    assert said.count(ANSWER) == 1 and said.index("a = 1\na") == said.index(ANSWER) + 1
    assert found.by_name == ([] if with_metadata else sorted([L1, QUESTION])) and found.answers == 2
    assert all(cell["id"] for cell in found.cells) and not found.conflicts


def test_where_nothing_is_known_of_the_copied_text_what_differs_is_kept_in_notes():
    found = merged(with_text(OLD, 2, ANSWER), None)
    notes = [text for text in texts(found.cells) if KEPT in text]
    assert [note.endswith("Why.") for note in notes] == [True]
    assert merged(NEW, None).cells == NEW


def test_a_copied_answer_cell_is_the_learner_s_own_cell():
    copy = stub(L1) | {"id": "copy", "source": "def l1_importance(weight):\n    return 1"}
    found = merged(insert(with_text(OLD, 2, ANSWER), 3, copy))
    assert found.answers == 1 and found.own == 1 and len({cell["id"] for cell in found.cells}) == len(found.cells)
    assert text_of(copy) in texts(found.cells) and ANSWER in texts(found.cells)


def test_every_text_of_a_real_lesson_merges_with_itself():
    cells = json.loads(paths(LESSON)[False].read_text(encoding="utf-8"))["cells"]
    for base in (prints_of(cells), None):
        found = merge(cells, base, cells, ITEMS, LESSON)
        assert found.cells == cells and not found.conflicts and not found.changed


# Learners' edits and maintainers' edits, at random. Every text that the learner writes has a mark of its own.
PARTS = ("# Title", "Why.", "Between.", "The end.", "More.", "x = 1", "print(x)")
pieces = st.lists(st.sampled_from([*PARTS, L1, LEVELS, QUESTION]), max_size=9, unique=True)
edits = st.lists(
    st.tuples(
        st.sampled_from(["write", "append", "insert", "delete", "copy", "swap", "forget ids", "retype"]),
        st.integers(0, 20),
    ),
    max_size=12,
)


def made(parts, version):
    cells = []
    for part in parts:
        if part in (L1, LEVELS):
            cells.append(stub(part, "weight" if version == 1 else "weight, more"))
        elif part == QUESTION:
            cells.append(asked(part))
        else:
            cells.append(f"{part} {version}" if part in PARTS[1:3] else part)
    return lesson(*cells)


def edited(cells, steps):
    """The learner's copy, and the marks in it."""
    cells = [dict(cell) for cell in cells]
    for number, (what, where) in enumerate(steps):
        mark = f"§{number}§"
        if what == "insert":
            cells.insert(where % (len(cells) + 1), code(f"own = '{mark}'", f"own-{number}"))
        elif what == "forget ids":
            cells = [{key: value for key, value in cell.items() if key != "id"} for cell in cells]
        elif cells:
            n, m = where % len(cells), (where * 7 + 3) % len(cells)
            if what == "write":
                cells[n]["source"] = f"{mark} = 0"
            elif what == "append":
                cells[n]["source"] = [text_of(cells[n]), f"\n# {mark}"]
            elif what == "delete":
                del cells[n]
            elif what == "copy":
                cells.insert(m, dict(cells[n]))
            elif what == "swap":
                cells[n], cells[m] = cells[m], cells[n]
            else:
                cells[n]["cell_type"] = "raw" if cells[n]["cell_type"] == "markdown" else "markdown"
    return cells


def marks(cells):
    return Counter(part for cell in cells for part in text_of(cell).split("§")[1::2])


def checked(cells):
    """The cells in a notebook that nbformat accepts."""
    plain = [
        {k: v for k, v in c.items() if c["cell_type"] == "code" or k in ("cell_type", "id", "source", "metadata")}
        for c in cells
    ]
    plain = [{"outputs": [], "execution_count": None} | c if c["cell_type"] == "code" else c for c in plain]
    nbformat.validate({"cells": plain, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


@given(pieces, pieces, edits, st.booleans(), st.booleans())
@settings(max_examples=300, deadline=None)
def test_nothing_that_a_learner_wrote_is_lost_and_a_second_update_changes_nothing(old, new, steps, known, same):
    base, latest = made(old, 1), made(old if same else new, 2)
    mine = edited(base, steps)
    found = merge(mine, prints_of(base) if known else None, latest, ITEMS, LESSON)
    before, after = marks(mine), marks(found.cells)
    assert before.keys() <= after.keys() and all(after[mark] >= count for mark, count in before.items())
    for cell in mine:
        if "§" in text_of(cell):
            assert any(text_of(cell).strip() in text for text in texts(found.cells))
    checked(found.cells)
    assert len({cell["id"] for cell in found.cells}) == len(found.cells)
    for base_now in (prints_of(latest),) if known else (prints_of(latest), None):
        again = merge(found.cells, base_now, latest, ITEMS, LESSON)
        assert again.cells == found.cells
    here = [cell["id"] for cell in found.cells]
    assert [id for id in here if id in {cell["id"] for cell in latest}] == [cell["id"] for cell in latest]


def in_chinese(cells):
    """A lesson's text with its blanks in Chinese."""
    return [c | {"source": text_of(c).replace("# Your answer here.", "# 在这里写答案。")} for c in cells]


@pytest.mark.parametrize("is_base_known", [True, False])
def test_a_blank_in_another_language_becomes_the_latest_one(is_base_known):
    base = prints_of(OLD) if is_base_known else None
    found = merge(OLD, base, in_chinese(OLD), ITEMS, LESSON, [OLD])
    assert texts(found.cells) == texts(in_chinese(OLD)) and not found.conflicts and not found.answers


def test_an_answer_to_a_blank_that_was_translated_is_kept_without_a_note():
    mine = with_text(OLD, 2, ANSWER)
    found = merge(mine, prints_of(OLD), in_chinese(OLD), ITEMS, LESSON, [OLD])
    assert texts(found.cells) == texts(with_text(in_chinese(OLD), 2, ANSWER))
    assert found.answers == 1 and not found.conflicts
    other = with_text(in_chinese(OLD), 2, text_of(stub(L1, "weight, p")))
    assert STARTER in str(merge(mine, prints_of(OLD), other, ITEMS, LESSON, [OLD]).cells)


def test_a_comment_in_a_blank_is_kept():
    noted = text_of(OLD[2]).replace("    raise", "    # my idea\n    raise")
    found = merge(with_text(OLD, 2, noted), prints_of(OLD), in_chinese(OLD), ITEMS, LESSON, [OLD])
    assert noted in texts(found.cells)


def test_a_blank_without_marks_is_no_answer_that_is_found_by_name():
    stripped = [code(text_of(OLD[2]), "x1"), *OLD[3:]]
    found = merge(stripped, None, in_chinese(OLD), ITEMS, LESSON, [OLD])
    assert not found.by_name and not found.answers
