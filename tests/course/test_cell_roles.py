"""Which cells are folded, by what they do."""

import pytest

from nnopt_lab.course.cell_roles import (
    check_hidden,
    check_label,
    claims_in,
    depends_on_the_machine,
    is_folded,
    only_guesses,
    shows_progress,
)


@pytest.mark.parametrize(
    "source",
    [
        'claim("a", True)',
        'import math\nfrom torch import nn\n\nclaim("a", math.pi > 3)\nclaim("b", 1 < 2)',
        'for name in ("a", "b"):\n    claim(f"{name} holds", True)',
        'with torch.no_grad():\n    for x in xs:\n        claim("a", x)\n        claim("b", x)',
    ],
)
def test_a_cell_that_only_claims_is_folded(source):
    assert is_folded(source, {})
    assert not is_folded(source, {"question": "a.b"}) and not is_folded(source, {"exercise": "a.b"})


@pytest.mark.parametrize(
    "source",
    [
        'reveal("a", x, because="b")',
        'worst = max(x)\nprint(worst)\nreveal("a", worst, because="b")',
        'display(reveal("a", x), reveal("b", y))\nclaim("c", True)',
    ],
)
def test_a_cell_that_little_but_reveals_is_folded_so_that_it_gives_no_guess_away(source):
    assert is_folded(source, {})


@pytest.mark.parametrize(
    "source",
    [
        "",
        "import math",
        'a = 1\nb = 2\nc = 3\nreveal("a", a + b + c)',
        'for x in xs:\n    train(x)\nreveal("a", 1)',
        'display(figure, reveal("a", 1))',
        "# a comment",
        'x = 1\nclaim("a", x)',
        'claim("a", True)\nprint(1)',
        "for x in xs:\n    print(x)",
        'claims("a", True)',
        '%time claim("a", True)',
        'check("a.b", f)',
        'if x:\n    claim("a", x)',
    ],
)
def test_any_other_cell_is_folded_only_with_the_tag(source):
    assert not is_folded(source, {}) and not is_folded(source, {"tags": ["nbval-ignore-output"]})
    assert is_folded(source, {"tags": ["nbval-ignore-output", "fold"]})


@pytest.mark.parametrize("kind", ["exercise", "question"])
def test_what_a_learner_writes_is_never_folded(kind):
    with pytest.raises(ValueError, match=r"The cell of prune\.it has the tag `fold`"):
        is_folded("def f(): ...", {kind: "prune.it", "tags": ["fold"]})


def test_claims_are_found_wherever_they_stand():
    source = (
        'x = 1\nclaim("a", x)\nfor i in y:\n    if i:\n        claim("b", i, where=needs("AMX"))\nother.claim("c", 1)'
    )
    assert [call.args[0].value for call in claims_in(source)] == ["a", "b"]
    assert depends_on_the_machine(source)
    assert not depends_on_the_machine('claim("a", x, timing=True)\nf(where=1)')
    assert claims_in("%%time\nclaim('a', 1)") == []


@pytest.mark.parametrize("source", ["progress()", "x = 1\nprogress()", "progress(folder)"])
def test_a_cell_that_ends_with_the_course_map_is_known(source):
    assert shows_progress(source)


@pytest.mark.parametrize("source", ["", "progress", "map = progress()", "progress()\nx", "%progress()", "a.progress()"])
def test_other_cells_show_none(source):
    assert not shows_progress(source)


@pytest.mark.parametrize(
    "label",
    ["# Plot: accuracy over sparsity", "# Claims: 2:4", "# Table and answer: x", "# Answer: " + 72 * "x"],
)
def test_a_label_says_what_a_folded_cell_holds(label):
    check_label(label)
    check_label(f'{label}\nclaim("a", True)')


@pytest.mark.parametrize(
    "first",
    [
        "",
        'claim("a", True)',
        "rungs = []",
        "# No other program is timed again.",
        "# Plot:",
        "# Plot: ",
        "#Plot: a",
        "# plot: a",
        " # Plot: a",
        "# Plot of accuracy",
        "# Answer: " + 73 * "x",
    ],
)
def test_any_other_first_line_is_no_label(first):
    with pytest.raises(ValueError, match="A folded cell begins with a comment that says what it holds"):
        check_label(f"{first}\n# Plot: accuracy")


def test_an_open_cell_that_explains_a_measurement_is_refused():
    with pytest.raises(ValueError, match=r"The cell of 'speed-up' shows its `because` before the guess"):
        check_hidden('for x in xs:\n    run(x)\nreveal("speed-up", 2, because="it does less")')
    check_hidden('for x in xs:\n    run(x)\nreveal("speed-up", 2)')


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ('predict("a", unit="%")', ["a"]),
        ('predict(\n    "a"\n)\npredict("b")', ["a", "b"]),
        ('predict("a", 3)', []),
        ("predict(name)", []),
        ('x = 1\npredict("a")', []),
        ("", []),
        ("%time predict('a')", []),
    ],
)
def test_the_names_of_the_guesses_of_a_cell_that_asks_for_nothing_else(source, names):
    assert only_guesses(source) == names
