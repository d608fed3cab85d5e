"""Which strings of a cell's code a learner reads."""

import pytest

from nnopt_lab.course.translation.code_strings import code_strings


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ('claim("It is fast.", x["key here"] > 2)', [("claim", "It is fast.")]),
        ('claim(f"{n} layers lose {a:.1f} %.", n == 3)', [("claim", "{0} layers lose {1} %.")]),
        ('predict("time of a batch", unit="points")', [("prediction", "time of a batch"), ("label", "points")]),
        (
            'reveal("time of a batch", t, because="It " "waits.")',
            [("prediction", "time of a batch"), ("explanation", "It waits.")],
        ),
        ('plots.legend(fig, "right", title="level")', [("label", "level")]),
        ('plots.finish(fig, "A line that falls.")', [("description", "A line that falls.")]),
        ('print("weights   ", w)', [("printed", "weights")]),
        ('ax.set(title="one layer", yscale="log", color="red")', [("label", "one layer")]),
        ('Table(rows, ["layer", "MACs per picture"])', [("label", "layer"), ("label", "MACs per picture")]),
        ('runs = {"in levels": 3, "features.0": 4, "test_accuracy": 5}', [("label", "in levels")]),
        ('x = f"{len(names)} of {", ".join(names)}"', []),
        ("x = f\"{'with' if a else 'w/o'} scale\"", [("label", "{0} scale"), ("label", "with")]),
        ('check("start.speedup", speedup); question("start.a", "words here")', []),
        ('data.load("fashion"); torch.load("some file"); getattr(x, "some name")', []),
        ('if mode == "in levels": pass', []),
        ('def f():\n    """A docstring of words."""\n    return "some text"', [("label", "some text")]),
        ('"""A text of its own."""', []),
        ('ax.annotate("words", p, xytext=(0, 3), textcoords="offset points")', [("label", "words")]),
        ('look = {**base, "xytext": (0, 3), "textcoords": "offset points", "a name": 3}', [("label", "a name")]),
        ('ax.plot(x, markerfacecolor="some grey"); plots.figure(2, sharex="col", sharey="row")', []),
        ("%timeit f()", []),
        ("x = 3", []),
    ],
)  # fmt: skip
def test_what_is_shown_is_found_and_names_are_not(code, found):
    assert list(code_strings(code)) == found


def test_the_reason_why_a_claim_does_not_apply_is_found():
    assert ("label", "torch has no such kernels") in list(
        code_strings('claim("It is fast.", fast, where=(bool(kernels), "torch has no such kernels"))')
    )
