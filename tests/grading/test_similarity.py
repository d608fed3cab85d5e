"""The search for similar answers."""

import random

import pytest

from nnopt_lab.grading import similarity
from nnopt_lab.grading.similarity import MAX_WORDS, runs, shared_lines, similar
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
    (group,) = similar(answers, {})
    assert group.learners == ("ann", "ben") and group.share > 0.9 and group.items == ("pruning.levels",)


def test_what_everyone_has_seen_is_no_copy():
    answers = [("ann", "pruning.levels", OWN), ("ben", "pruning.levels", RENAMED)]
    assert similar(answers, {})
    assert not similar(answers, {"pruning.levels": [OWN]})


def honest(learner: str, rng: random.Random) -> list[tuple[str, str, str]]:
    """One-line answers to several exercises, in the few ways in which everybody writes them."""
    ways = {
        "pruning.levels": [COMMON, COMMON.replace("scores.argsort", "torch.argsort(scores)", 1)],
        "pruning.l1_importance": [
            "def f(weight):\n    return weight.abs().sum(dim=(1, 2, 3))",
            "def f(weight):\n    return weight.flatten(1).abs().sum(1)",
            "def f(weight):\n    return torch.linalg.vector_norm(weight, ord=1, dim=(1, 2, 3))",
            "def f(weight):\n    return torch.tensor([row.abs().sum() for row in weight])",
            "def f(weight):\n    return weight.abs().sum(3).sum(2).sum(1)",
        ],
        "pruning.cubic_sparsity": [
            "def f(step, steps, final):\n    return final * (1 - (1 - step / steps) ** 3)",
            "def f(step, steps, final):\n    return final - final * (1 - step / steps) ** 3",
            "def f(step, steps, final):\n    left = 1 - step / steps\n    return final * (1 - left**3)",
        ],
    }
    return [(learner, item, rng.choice(sources)) for item, sources in ways.items()]


ODD = """
def cubic_sparsity(step, steps, final):
    left = steps - step
    whole = steps * steps * steps
    cubed = math.prod([left] * 3)
    kept = (whole - cubed) / whole
    return max(0.0, min(kept, 1.0)) * final
"""
DISGUISED = """
def cubic_sparsity(step, steps, final):
    # my own idea
    n3 = steps * steps * steps; rest = steps - step

    c = math.prod([rest] * 3)  # cube
    share = (n3 - c) / n3
    return max(0.0, min(share, 1.0)) * final
"""


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("first", "second", "item"), [
    (OWN, RENAMED, "pruning.levels"),
    (ODD, DISGUISED, "pruning.cubic_sparsity"),
])  # fmt: skip
def test_an_odd_copied_pair_ranks_above_honest_one_line_answers(seed, first, second, item):
    rng = random.Random(seed)
    answers = [answer for n in range(50) for answer in honest(f"learner{n:02}", rng)]
    for learner, copy in (("ann", first), ("zoe", second)):
        theirs = honest(learner, rng)
        answers += [(learner, other, copy if other == item else source) for _, other, source in theirs]
    found = similar(answers, {})
    assert found[0].learners == ("ann", "zoe") and item in found[0].items
    assert similar(answers[::-1], {}) == found


def test_one_line_answers_that_several_write_are_no_copies():
    rng = random.Random(0)
    assert not similar([answer for n in range(52) for answer in honest(f"learner{n:02}", rng)], {})


def test_the_order_of_statements_does_not_count():
    assert runs(ODD) == runs(DISGUISED)


def test_lines_that_another_text_contains_are_marked():
    own = "def f(x):\n    a = x * 3 + x // 2\n    return torch.exp(a) - a * a\n"
    other = "def f(x):\n    # mine\n    return torch.exp(x) - x * x\n"
    marked = shared_lines([own, other], ["def f(x):\n    ..."])
    assert [[shared for _, shared in lines] for lines in marked] == [[False, False, True], [False, False, True]]
    assert ["\n".join(line for line, _ in lines) + "\n" for lines in marked] == [own, other]


def test_more_shared_exercises_are_more_suspicious():
    answers = [(name, "pruning.levels", OWN) for name in ("ann", "ben")]
    answers += [(name, item, OWN) for name in ("cyd", "dan") for item in ("pruning.prune", "rates.ramp")]
    first, second = similar(answers, {})
    assert first.learners == ("cyd", "dan") and first.items == ("pruning.prune", "rates.ramp")
    assert first.bits > second.bits


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
    (group,) = similar([("ann", "pruning.levels", OWN), ("ben", "pruning.levels", hidden)], {})
    assert group.share > 0.9


def test_learners_with_one_text_are_one_group_and_a_very_large_group_is_none(monkeypatch):
    answers = [(name, "pruning.levels", OWN) for name in ("dan", "ann", "ben", "cyd")]
    answers += [(f"learner{n}", "pruning.levels", COMMON) for n in range(30)]
    (group,) = similar(answers, {})
    assert group.learners == ("ann", "ben", "cyd", "dan") and group.share == 1
    monkeypatch.setattr(similarity, "MAX_HOLDERS", 2)
    assert not similar(answers, {})


def test_who_copied_one_answer_from_each_of_two_is_in_two_groups():
    answers = [("ann", "pruning.levels", OWN), ("ben", "pruning.levels", RENAMED)]
    answers += [("ben", "pruning.cubic_sparsity", ODD), ("cyd", "pruning.cubic_sparsity", DISGUISED)]
    assert {group.learners for group in similar(answers, {})} == {("ann", "ben"), ("ben", "cyd")}


def test_docstrings_and_comments_in_chinese_don_t_count():
    code = "def f(x):{}\n    total = x.abs().sum((1, 2, 3))\n    return total / len(x)"
    assert runs(code.format('\n    """求每个滤波器的范数。\n\n    x：float [N]。\n    """\n    # 先求和')) == runs(
        code.format("")
    )
