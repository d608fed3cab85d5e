"""The search for similar answers."""

from nnopt_lab.grading.similarity import runs, similar

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
