"""The search for similar answers."""

import pytest

from nnopt_lab.grading import similarity
from nnopt_lab.grading.similarity import MAX_WORDS, runs, similar
from nnopt_lab.grading.submissions import MAX_SOURCE

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


HOSTILE = [
    "'\\",
    '"\\',
    "f'{",
    "a ",
    "'",
    '"" ',
    "'''\n",
    "\\\n",
    "(",
    " ",
    "1_",
    "é",
    "\ud800",
    "x = 1 + 2\n",
    "$",
    "#\n",
]


@pytest.mark.parametrize("piece", HOSTILE, ids=repr)
def test_of_the_longest_sources_only_the_beginning_is_read(piece):
    found = runs((piece * MAX_SOURCE)[:MAX_SOURCE])
    assert len(found) <= MAX_WORDS


def test_what_is_hidden_behind_comments_and_empty_lines_is_found():
    hidden = "# nothing\n" * 5_000 + "\n" * 20_000 + "   # more\n" * 1_000 + RENAMED
    assert runs(hidden) == runs(OWN)
    (pair,) = similar([("ann", "pruning.levels", OWN), ("ben", "pruning.levels", hidden)], {})
    assert pair.share > 0.9


def test_pairs_of_a_group_are_all_found_and_a_large_group_is_none(monkeypatch):
    answers = [(name, "pruning.levels", OWN) for name in ("ann", "ben", "cyd")]
    answers += [(f"learner{n}", "pruning.levels", COMMON) for n in range(30)]
    assert [(p.first, p.second, p.share) for p in similar(answers, {})] == [
        *(("ann", "ben", 1.0), ("ann", "cyd", 1.0), ("ben", "cyd", 1.0))
    ]
    monkeypatch.setattr(similarity, "MAX_HOLDERS", 2)
    assert not similar(answers, {})
