"""Write a new lesson's files: a source, a package with an exercise and a question, and a test; they build and pass."""

import json
import keyword
import re
from pathlib import Path
from string import Template

from nnopt_lab.course.workspace import write_atomically
from nnopt_lab.workbench.files import make_folder
from nnopt_lab.workbench.paths import root

SOURCE = Template('''\
# %% [markdown]
# # $title
#
# Say in one sentence what this lesson is about, then what you will do in it:
#
# - first this;
# - then that.
#
# It takes about $minutes minutes. You only need to know …

# %% tags=["fold"]
# Imports: where the names of this lesson come from
import torch

from nnopt_lab.course.calls import check, claim, lesson, question, yours_or_ours
from nnopt_lab.course.predictions import predict, reveal
from nnopt_lab.workbench import models

# %%
lesson("$lesson")

# %% [markdown]
# ## 1. Zeros
#
# A weight that is zero need not be stored. How many of a trained network's weights are? Guess before you measure:

# %%
predict("share of zeros among the weights of MyNet", unit="%")

# %% [markdown]
# **Exercise (1 point).** Compute the share of zeros. The example in the function shows what goes in and comes out.


# %% exercise="$name.zero_share"
def zero_share(values):
    """The share of zeros among values, float32 [n]: a number from 0 to 1.

    >>> zero_share(torch.tensor([0.0, 2.0, -3.0, 0.0]))
    0.5
    """
    ### BEGIN SOLUTION
    return float((values == 0).float().mean())
    ### END SOLUTION


# %%
check("$name.zero_share", zero_share)

# %%
zero_share = yours_or_ours("$name.zero_share")
weights = torch.cat([p.detach().flatten() for p in models.trained("mynet").parameters()])
share = zero_share(weights)
claim("No weight of the trained network is exactly zero.", share == 0)

# %%
# Answer: share of zeros among the weights
reveal(
    "share of zeros among the weights of MyNet",
    100 * share,
    because="Training moves weights close to zero, but nothing makes one exactly zero.",
)

# %% question="$name.why_zeros"
choice = None
### BEGIN SOLUTION
choice = "b"
### END SOLUTION
question("$name.why_zeros", choice)

# %% [markdown]
# ## What to remember
#
# - Training alone leaves hardly any weight at exactly zero.
''')

PACKAGE = Template('''\
"""Lesson $number: $name."""

from nnopt_lab.course.lesson import Lesson

# A draft is tested like any lesson, but is left out of the course map, `nnopt lab` and kits. Delete `draft=True` when
# the lesson is done.
LESSON = Lesson($plain_number, $quoted_title, minutes=$minutes, draft=True)
''')

EXERCISES = Template('''\
"""Exercises and questions of lesson $number."""

import torch

from nnopt_lab.course.draws import randint
from nnopt_lab.course.exercises import exercise, question
from nnopt_lab.course.wrong_answers import changed, scaled


@exercise(
    "$name.zero_share",
    points=1,
    inputs=lambda g: (torch.randint(-1, 2, (randint(g, 4, 8),), generator=g).float(),),
    hints=(
        "Find the zeros first: a tensor of booleans.",
        "The mean of booleans, as numbers, is the share of True.",
        "`float((values == 0).float().mean())`",
    ),
    wrong={
        "This is the number of zeros. Divide it by the number of values.": lambda values: float((values == 0).sum()),
        "This is the share of the values that are *not* zero.": changed(lambda share: 1 - share),
        "This is the share in percent: leave out the factor 100.": scaled(100),
    },
)
def zero_share(values):
    """Share of zeros.

    Networks with many zeros are called sparse; the share of zeros is their sparsity.
    """
    return float((values == 0).float().mean())


question(
    "$name.why_zeros",
    points=1,
    text="Why are so few weights of a trained network exactly zero?",
    choices={
        "a": "Because zero is not a float32 number.",
        "b": "Because a gradient step rarely ends exactly there.",
        "c": "Because the loss is smallest if no weight is zero.",
    },
    answer="b",
    comments={
        "a": "It is one, with all bits zero.",
        "c": "The loss hardly depends on whether a small weight is zero.",
    },
    explanation="Nothing in the training rounds weights to zero, so they come close and miss.",
)
''')

TEST = Template('''\
"""Lesson $number: its exercise agrees with numpy. (`nnopt test $name` also runs the tests that all lessons share.)"""

import numpy as np

from nnopt_lab.course.checking import examine
from nnopt_lab.course.exercises import exercises


def test_the_share_of_zeros_agrees_with_numpy():
    def by_numpy(values):
        return 1 - np.count_nonzero(values.numpy()) / values.numel()

    assert examine(exercises()["$name.zero_share"], by_numpy, seeds=range(200)).passed
''')


def new_lesson(
    name: str, title: str | None = None, minutes: int = 45, number: int | None = None, clone: Path | None = None
) -> list[Path]:
    """Write the skeleton of a lesson into a clone of the project.

    Args:
        name: of its package, such as "pruning".
        title: shown on the course map; default the name.
        minutes: for reading and solving.
        number: its position in the course, 0 to 99; default the one after the last lesson.
        clone: the project's folder; default the one that contains this package.

    Returns:
        The files written.

    Raises:
        ValueError: the name is not an identifier or is taken, the title has several lines, or the number is taken or
            out of its range.
        FileNotFoundError: there is no clone, only an installed package.
    """
    clone = clone or root()
    if not (clone / "pyproject.toml").is_file():
        raise FileNotFoundError("A new lesson needs a clone of the project; this is an installed package.")
    if not re.fullmatch("[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise ValueError(f"name={name!r} must be lower-case letters, digits and _, and begin with a letter.")
    title = title or name.replace("_", " ").capitalize()
    if not title.isprintable():
        raise ValueError(f"title={title!r} must be one line.")
    home = clone / "nnopt_lab" / "lessons"
    taken = {path.stem[3:]: int(path.stem[:2]) for path in (clone / "solutions").glob("[0-9][0-9]_*.py")}
    test = clone / "tests" / "lessons" / f"test_{name}.py"
    if name in taken or test.exists() or any((home / entry).exists() for entry in (name, f"{name}.py")):
        raise ValueError(f"name={name!r} is taken.")
    number = max(taken.values(), default=-1) + 1 if number is None else number
    if number in taken.values() or not 0 <= number <= 99:
        raise ValueError(f"number={number} must be 0 to 99 and not taken by another lesson.")
    lesson = f"{number:02d}_{name}"
    values = {
        **{"name": name, "title": title, "lesson": lesson, "minutes": minutes},
        **{"number": f"{number:02d}", "plain_number": number, "quoted_title": json.dumps(title, ensure_ascii=False)},
    }
    files = {
        clone / "solutions" / f"{lesson}.py": SOURCE,
        home / name / "__init__.py": PACKAGE,
        home / name / "exercises.py": EXERCISES,
        test: TEST,
    }
    make_folder(home / name)
    try:
        for path, template in files.items():
            write_atomically(path, template.substitute(values))
    except BaseException:  # otherwise a partial lesson would take the name
        for path in files:
            path.unlink(missing_ok=True)
        (home / name).rmdir()
        raise
    return list(files)
