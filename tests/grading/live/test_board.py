"""The rows of a workshop: one per learner, whose name nobody else takes, and the sums over them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnopt_lab.course.exercises import exercises, questions
from nnopt_lab.grading.live import board as module
from nnopt_lab.grading.live.board import AWAY_SECONDS, STUCK_TRIES, Board, Full, Removed
from nnopt_lab.grading.live.message import read
from tests.grading.live.classes import EXERCISE, LESSON, MISTAKE, sent

ITEMS = [*exercises(LESSON), *questions(LESSON)]
SECOND = ITEMS[1]


def filled(*messages, now=1000.0) -> Board:
    board = Board()
    for number, message in enumerate(messages):
        board.receive(f"token {number}", read(message), now)
    return board


def rows(board, now=1000.0) -> dict:
    return {row["name"]: row for row in board.view(now)["learners"]}


def test_a_learner_has_one_row_which_the_latest_message_fills():
    board = filled(sent())
    assert board.receive("token 0", read(sent(results={EXERCISE.id: [2, 3]}, mistakes=[])), 1010) == "Anna"
    (row,) = board.view(1010)["learners"]
    assert (row["points"], row["lesson"], row["state"], row["stuck"]) == (2, "01 Pruning", "here", 0)
    assert row["strip"][0] == [2, 3, EXERCISE.points] and len(row["strip"]) == len(ITEMS)
    assert board.view(1010)["mistakes"] == []


@pytest.mark.parametrize("other", ["Anna", "anna", "ＡＮＮＡ"])
def test_a_name_that_is_taken_gets_a_number_and_keeps_it(other):
    board = filled(sent(), sent(other), sent("Anna"))
    assert list(rows(board)) == ["Anna", f"{other} (2)", "Anna (3)"]
    assert board.receive("token 2", read(sent()), 1100) == "Anna (3)"
    board.receive("token 3", read(sent("Anna (4)")), 1100)
    assert board.receive("token 4", read(sent()), 1100) == "Anna (5)"


@given(st.lists(st.sampled_from(["Anna", "anna", "Anna (2)", "Bo", "bo (2)", "Anna (2) (2)"]), max_size=12))
def test_shown_names_are_all_different(names):
    shown = [name.casefold() for name in rows(filled(*map(sent, names)))]
    assert len(set(shown)) == len(names)


def test_another_learner_can_not_overwrite_a_row():
    board = filled(sent(results={EXERCISE.id: [2, 1]}))
    board.receive("another token", read(sent(results={})), 1000)
    assert rows(board)["Anna"]["points"] == 2 and rows(board)["Anna (2)"]["points"] == 0


def test_who_sends_too_often_is_not_read_but_may_leave():
    board = filled(sent())
    board.receive("token 0", read(sent(results={EXERCISE.id: [2, 3]})), 1000.1)
    assert rows(board)["Anna"]["points"] == 0
    board.receive("token 0", read(sent(left=True)), 1000.1)
    assert rows(board)["Anna"]["state"] == "left"
    board.receive("token 0", read(sent()), 1001)
    assert rows(board, 1001)["Anna"]["state"] == "here"


def test_who_says_nothing_is_away_and_no_longer_stuck():
    board = filled(sent(idle=30, results={EXERCISE.id: [0, STUCK_TRIES]}))
    assert rows(board)["Anna"]["stuck"] == STUCK_TRIES and rows(board)["Anna"]["idle"] == 30
    row = rows(board, 1000 + AWAY_SECONDS + 1)["Anna"]
    assert (row["state"], row["stuck"], row["idle"]) == ("away", 0, 30 + AWAY_SECONDS + 1)
    assert board.view(1000)["here"] == 1 and board.view(2000)["here"] == 0


@pytest.mark.parametrize(
    ("result", "stuck"), [([0, STUCK_TRIES - 1], 0), ([0, STUCK_TRIES], 4), ([2, 50], 0), ([0, 50], 50)]
)
def test_stuck_are_those_with_many_tries_at_the_latest_item(result, stuck):
    assert rows(filled(sent(results={EXERCISE.id: result})))["Anna"]["stuck"] == stuck
    assert rows(filled(sent(item=SECOND, results={EXERCISE.id: result})))["Anna"]["stuck"] == 0


def test_the_most_frequent_mistakes_are_those_of_most_learners():
    other = "raised-TypeError"
    board = filled(
        sent("a", mistakes=[[EXERCISE.id, other, 1]] * 9),
        sent("b", mistakes=[[EXERCISE.id, MISTAKE, 500]]),
        sent("c", mistakes=[[EXERCISE.id, MISTAKE, 1], [EXERCISE.id, MISTAKE, 1], [SECOND, "other", 1]]),
    )
    found = board.view(1000)["mistakes"]
    assert [(one["learners"], one["tries"]) for one in found] == [(2, 3), (1, 9), (1, 1)]
    assert found[0]["text"] == EXERCISE.wrong_answers[0].sentence and found[0]["lesson"] == "01 Pruning"
    later = board.view(1000 + 150)["mistakes"]
    assert [(one["learners"], one["tries"]) for one in later] == [(1, 9), (1, 2), (1, 1)]
    assert board.view(1601)["mistakes"] == []


def test_the_bars_count_every_learner_of_the_lesson_once():
    board = filled(
        sent("a", results={EXERCISE.id: [2, 1], SECOND: [0, 3]}),
        sent("b"),
        sent("c", results={}),
        sent("d", lesson="03_learning_rates", results={SECOND: [3, 1]}),
        sent("e", lesson="", results={}),
    )
    first, second = board.view(1000)["lessons"]
    assert (first["name"], first["here"], second["name"], second["here"]) == (LESSON, 3, "03_learning_rates", 1)
    bars = {one["id"]: (one["passed"], one["tried"], one["learners"]) for one in first["items"]}
    assert bars[EXERCISE.id] == (1, 1, 4) and bars[SECOND] == (1, 1, 4) and bars[ITEMS[-1]] == (0, 0, 4)


def test_a_removed_learner_stays_away():
    board = filled(sent(), sent("Bo"))
    board.remove(1)
    board.remove(99)
    assert list(rows(board)) == ["Bo"]
    with pytest.raises(Removed):
        board.receive("token 0", read(sent()), 2000)


def test_a_full_page_gives_up_only_rows_that_are_empty_and_silent(monkeypatch):
    monkeypatch.setattr(module, "MOST_ROWS", 3)
    board = filled(sent("a"), sent("b", results={}), sent("c", results={}))
    with pytest.raises(Full):
        board.receive("token 3", read(sent("d")), 1001)
    board.receive("token 2", read(sent("c", results={})), 1900)
    board.receive("token 3", read(sent("d")), 2000)
    assert list(rows(board)) == ["a", "c", "d"]
    with pytest.raises(Full):
        board.receive("token 4", read(sent("e")), 1901)


def test_one_machine_can_not_take_the_places_of_the_others(monkeypatch):
    monkeypatch.setattr(module, "MOST_ROWS", 5)
    board = Board()
    for number in range(5):
        board.receive(f"flood {number}", read(sent(f"x{number}")), 1000 + number, "10.0.0.66")
    for number in range(3):
        board.receive(f"token {number}", read(sent(f"a{number}")), 1010, f"10.0.0.{number}")
    assert list(rows(board, 1010)) == ["x3", "x4", "a0", "a1", "a2"]
    with pytest.raises(Full):
        board.receive("flood 9", read(sent("x9")), 1011, "10.0.0.66")
    assert "10.0.0" not in json.dumps([board.view(1011), board.stored()])


def test_a_stored_board_is_restored_and_contains_no_token():
    board = filled(sent(), sent("Anna"), sent("Bo", left=True))
    board.remove(3)
    text = json.dumps(board.stored())
    assert "token" not in text
    again = Board()
    again.restore(json.loads(text))
    assert again.view(1005) == board.view(1005) and again.stored() == board.stored()
    assert again.receive("token 1", read(sent("Anna")), 1010) == "Anna (2)"
    with pytest.raises(Removed):
        again.receive("token 2", read(sent("Bo")), 1010)
    assert again.receive("token 9", read(sent("Cy")), 1010) == "Cy" and rows(again)["Cy"]["number"] == 4
