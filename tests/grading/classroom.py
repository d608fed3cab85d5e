"""Submissions for the tests of grading: notebooks of lesson 01 with some answers filled in."""

import copy
import json
from functools import cache

from nnopt_lab.course.exercises import cell_id
from nnopt_lab.course.lesson_files import paths

LESSON = "01_pruning"
ATTACKED, QUIET = "pruning.l1_importance", "pruning.cubic_sparsity"
RIGHT = "def l1_importance(weight):\n    return weight.abs().sum(dim=(1, 2, 3))"
RIGHT_QUIET = "def cubic_sparsity(step, steps, final):\n    return final * (1 - (1 - step / steps) ** 3)"
HONEST_POINTS = 4.0  # two for each of these two


@cache
def _blank() -> dict:
    notebook = json.loads(paths(LESSON)[False].read_text(encoding="utf-8"))
    notebook["cells"] = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for cell in notebook["cells"]:
        cell["outputs"] = []
    return notebook


def notebook(answers: dict[str, str]) -> dict:
    """The learner's notebook with answers, by the id of their exercise or question."""
    filled = copy.deepcopy(_blank())
    ids = {cell_id(kind, id): source for id, source in answers.items() for kind in ("exercise", "question")}
    for cell in filled["cells"]:
        cell["source"] = ids.get(cell["id"], cell["source"])
    return filled


def honest() -> dict:
    """Two right answers, the others blank."""
    return notebook({ATTACKED: RIGHT, QUIET: RIGHT_QUIET})


def solved() -> dict:
    """Every answer right."""
    return json.loads(paths(LESSON)[True].read_text(encoding="utf-8"))


def hand_in(folder, learner: str, content) -> None:
    """Write a learner's notebook: a dict, or the bytes of the file."""
    place = folder / learner
    place.mkdir(parents=True)
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    (place / f"{LESSON}.ipynb").write_bytes(data)
