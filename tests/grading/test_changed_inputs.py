"""An answer that changes its inputs earns half of its points, whatever it patches in its own process to hide it."""

import json
import textwrap

import pytest

from nnopt_lab.course.exercises import cell_id
from nnopt_lab.course.lesson_files import paths
from nnopt_lab.grading.judge import grade
from nnopt_lab.grading.results import Result
from nnopt_lab.grading.sources import find
from nnopt_lab.grading.submissions import read
from tests.grading.classroom import ATTACKED, LESSON, hand_in, linux

pytestmark = linux
SMOOTHED = "rates.smoothed"
KEEPING = "def l1_importance(weight):\n    KEPT.append(weight.clone())\n    return weight.abs_().sum(dim=(1, 2, 3))"
# What an answer may patch before it is called; KEPT holds the inputs as they were.
PATCHES = {
    "nothing": "",
    "the packing of the reply": """
        real = codec.pack
        codec.pack = lambda header, pairs: real(header, [[p[0], [k]] for p, k in zip(pairs, KEPT)])""",
    "the packing of one value": """
        real = codec._tree
        def tree(value, tensors, depth):
            return real(KEPT.pop(0) if depth == 3 and KEPT and value.ndim == 4 else value, tensors, depth)
        codec._tree = tree""",
    "the storing of tensors": """
        real = codec.save
        def save(tensors):
            kept = iter(KEPT)
            return real({n: next(kept) if t.ndim == 4 else t for n, t in tensors.items()})
        codec.save = save""",
    "copies": """
        real = torch.Tensor.clone
        torch.Tensor.clone = lambda self, **options: real(KEPT.pop(0) if self.ndim == 4 and options else self)""",
    "comparisons": """
        torch.equal = torch.allclose = torch.Tensor.equal = torch.Tensor.allclose = lambda *a, **k: True
        torch.Tensor.__eq__ = lambda a, b: torch.ones(a.shape, dtype=torch.bool)""",
    "the call": """
        def call(names, header, cases):
            pairs = [[names["l1_importance"](*case), [KEPT[-1]]] for case in cases]
            return {"outcomes": [{} for _ in cases]}, pairs
        sys.modules["answer"]._call = call""",
    "thawing": """
        frozen = sys.modules["frozen"]
        frozen.thawed = lambda pair: [pair[0], [KEPT[-1]]]""",
    "freezing": """
        frozen = sys.modules["frozen"]
        frozen.frozen = frozen._protected = lambda value: value""",
}
LISTS = {
    "append": "losses.append(0.0)",
    "sort": "losses.sort()",
    "one item": "losses[0] = 0.0",
    "all": "losses[:] = []",
    "longer": "losses += [1.0]",
    "shorter": "del losses[0]",
}


@pytest.fixture
def result(sandbox, tmp_path):
    def of(lesson: str, id: str, change) -> Result:
        content = json.loads(paths(lesson)[True].read_text(encoding="utf-8"))
        cell = next(cell for cell in content["cells"] if cell.get("id") == cell_id("exercise", id))
        cell["source"] = change("".join(cell["source"]))
        hand_in(tmp_path, "alice", content)
        return next(r for r in grade(read(find([tmp_path])[0]), sandbox, 1).results if r.id == id)

    return of


@pytest.mark.parametrize("patched", PATCHES)
def test_a_change_of_a_tensor_can_t_be_hidden(result, patched):
    source = f"import sys\ncodec, KEPT = sys.modules['codec'], []\n{textwrap.dedent(PATCHES[patched])}\n{KEEPING}"
    found = result(LESSON, ATTACKED, lambda _: source)
    assert (found.state, found.points) == ("partly right", 1), found
    assert "changed the weights themselves" in found.mistake


@pytest.mark.parametrize("how", LISTS)
def test_a_change_of_a_list_can_t_be_hidden(result, how):
    def change(right: str) -> str:
        return (
            f"import sys\ncodec = sys.modules['codec']\nreal, KEPT = codec.pack, []\n{right}\nright = smoothed\n"
            "codec.pack = lambda header, pairs: real(header, [[p[0], k] for p, k in zip(pairs, KEPT)])\n"
            "def smoothed(losses, beta):\n    KEPT.append([list(losses), beta])\n    found = right(losses, beta)\n"
            f"    {LISTS[how]}\n    return found"
        )

    found = result("03_learning_rates", SMOOTHED, change)
    assert found.state == "partly right" and found.points == found.possible / 2, found
    assert "changed its input `losses` in place" in found.mistake


@pytest.mark.parametrize(
    "use",
    [
        "assert type(losses) is list",
        "mine = type(losses)(losses); mine.append(1.0); mine.sort()",
        "mine = copy.deepcopy(losses); mine.append(1.0)",
        "mine = losses.copy(); mine += [1.0]",
        "mine = losses + [1.0]; mine[0] = 0.0",
        "assert torch.tensor(losses).sum() == torch.stack([torch.tensor(x) for x in losses]).sum()",
        "assert json.loads(json.dumps(losses)) == losses and sorted(losses) == sorted(losses.copy())",
    ],
)
def test_whatever_reads_a_list_earns_everything(result, use):
    def change(right: str) -> str:
        return (
            f"import copy, json\nimport torch\n{right}\nright = smoothed\n"
            f"def smoothed(losses, beta):\n    {use}\n    return right(losses, beta)"
        )

    found = result("03_learning_rates", SMOOTHED, change)
    assert (found.state, found.points) == ("passed", found.possible), found


@pytest.mark.parametrize(
    "use",
    [
        "mine = weight.clone().abs_()",
        "mine = weight.numpy().copy(); mine[:] = 0",
        "mine = nn.Parameter(weight); mine.sum().backward(); mine.grad.zero_()",
        "mine = weight.requires_grad_().square().sum(); mine.backward(); weight = weight.detach()",
        "mine = weight.reshape(-1).sort().values.mul_(2)",
        "mine = nn.functional.relu(weight * 1, inplace=True)",
    ],
)
def test_whatever_reads_a_tensor_earns_everything(result, use):
    source = f"def l1_importance(weight):\n    {use}\n    return weight.abs().sum(dim=(1, 2, 3))"
    found = result(LESSON, ATTACKED, lambda _: source)
    assert (found.state, found.points) == ("passed", 2), found


def test_an_answer_whose_process_ends_by_itself_has_crashed(result):
    source = "def l1_importance(weight):\n    import os\n    os._exit(3)"
    found = result(LESSON, ATTACKED, lambda _: source)
    assert (found.state, found.points) == ("crashed", 0)
