"""The capstone's judge: honest files are measured, all others get a sentence; and the points are right."""

import re
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner

from nnopt_lab.cli import app
from nnopt_lab.grading import capstone
from nnopt_lab.grading.capstone import BYTES, DIVISIONS, FLOOR, Entry, Leaderboard, judge
from nnopt_lab.grading.sandbox import Limits, SandboxError
from nnopt_lab.grading.sandboxed import classifier
from nnopt_lab.workbench import data, measure, models

pytestmark = pytest.mark.serial

LIMITS, SHORT = Limits(seconds=60, megabytes=700), Limits(seconds=4, megabytes=700)
PICTURE = ["N", 3, 32, 32]


def tensor(name, values):
    return numpy_helper.from_array(np.asarray(values), name)


def network(nodes, tensors=(), x=PICTURE, y=("N", 10), x_type=1, y_type=1, domains=(), **more):
    """The bytes of an ONNX file with input x and output y."""
    ends = helper.make_tensor_value_info("x", x_type, x), helper.make_tensor_value_info("y", y_type, y)
    graph = helper.make_graph(nodes, "g", [ends[0]], [ends[1]], list(tensors))
    opsets = [helper.make_opsetid("", 17), *(helper.make_opsetid(name, 1) for name in domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8, **more).SerializeToString()


def node(kind, inputs, output, **attributes):
    return helper.make_node(kind, inputs.split(), [output], **attributes)


def linear(scale=1.0, **more):
    """Flatten and one matrix: a valid classifier, if no good one."""
    matrix = (scale * np.random.default_rng(0).standard_normal((3072, 10))).astype(np.float32)
    return network([node("Flatten", "x", "f"), node("MatMul", "f w", "y")], [tensor("w", matrix)], **more)


def external():
    model = onnx.load_model_from_string(linear())
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="/etc/passwd")
    return model.SerializeToString()


def hidden_external():
    """External data in a constant inside the branch of an If."""
    constant = helper.make_node("Constant", [], ["c"], value=tensor("v", np.zeros(1, np.float32)))
    constant.attribute[0].t.ClearField("raw_data")
    constant.attribute[0].t.data_location = TensorProto.EXTERNAL
    constant.attribute[0].t.external_data.add(key="location", value="other.bin")
    branch = helper.make_graph([constant], "b", [], [helper.make_tensor_value_info("c", 1, [1])])
    nodes = [helper.make_node("If", ["t"], ["i"], then_branch=branch, else_branch=branch)]
    return network([*nodes, *flat_tail("i")], [tensor("t", True), *tail_tensors()])


def flat_tail(extra):
    return [node("Flatten", "x", "f"), node("MatMul", "f w", "m"), node("Add", f"m {extra}", "y")]


def tail_tensors():
    return [tensor("w", np.ones((3072, 10), np.float32))]


def endless():
    """A loop of 2⁶² turns."""
    body = helper.make_graph(
        [node("Identity", "on", "on2"), node("Add", "v one", "v2")],
        "body",
        [helper.make_tensor_value_info(n, t, s) for n, t, s in (("n", 7, []), ("on", 9, []), ("v", 1, [1]))],
        [helper.make_tensor_value_info(n, t, s) for n, t, s in (("on2", 9, []), ("v2", 1, [1]))],
    )
    loop = helper.make_node("Loop", ["many", "true", "zero"], ["i"], body=body)
    numbers = {"many": np.int64(2**62), "true": True, "zero": np.zeros(1, np.float32), "one": np.ones(1, np.float32)}
    return network([loop, *flat_tail("i")], [*(tensor(n, v) for n, v in numbers.items()), *tail_tensors()])


def greedy(shape):
    """A tensor of many gigabytes, added up."""
    nodes = [node("ConstantOfShape", "s", "c"), helper.make_node("ReduceSum", ["c"], ["i"], keepdims=0)]
    return network([*nodes, *flat_tail("i")], [tensor("s", np.asarray(shape, np.int64)), *tail_tensors()])


def greedy_later():
    """The same, but only once there are pictures: each is repeated 900 times."""
    nodes = [node("Tile", "x t", "c"), helper.make_node("ReduceSum", ["c"], ["i"], keepdims=0)]
    return network([*nodes, *flat_tail("i")], [tensor("t", np.array([1, 1, 30, 30], np.int64)), *tail_tensors()])


def alone_otherwise():
    """Good answers for a batch, and zeros for a picture alone: it would be fast where time is taken with one."""
    nodes = [
        node("Flatten", "x", "f"),
        node("MatMul", "f w", "m"),
        node("Shape", "x", "s", start=0, end=1),
        node("Greater", "s one", "many"),
        node("Cast", "many", "factor", to=1),
        node("Mul", "m factor", "y"),
    ]
    matrix = np.random.default_rng(0).standard_normal((3072, 10)).astype(np.float32)
    return network(nodes, [tensor("w", matrix), tensor("one", np.array([1], np.int64))])


def with_function():
    function = helper.make_function(
        "own", "F", ["a"], ["b"], [node("Relu", "a", "b")], [helper.make_opsetid("", 17)], []
    )
    return linear(functions=[function], domains=["own"])


MATRIX = [tensor("w", np.ones((3072, 10), np.float32))]
TO_TEN = [node("Flatten", "x", "f"), node("MatMul", "f w", "y")]
SUM = [node("Add", "m r", "y")]
HOSTILE = {
    "empty": (b"", "not an ONNX file"),
    "garbage": (bytes(range(256)) * 40, "not an ONNX file"),
    "text": (b"an ONNX file, honestly\n", "not an ONNX file"),
    "half": (linear()[: len(linear()) // 2], "not an ONNX file|can't load it"),
    "huge": (bytes(capstone.MOST_BYTES + 1), "larger than 4,194,304 bytes"),
    "nothing": (network([], []), "no operator"),
    "custom": (
        network([helper.make_node("Best", ["x"], ["y"], domain="my.own")], domains=["my.own"]),
        "operator my.own.Best: only ONNX's own",
    ),
    "vendor": (
        network([helper.make_node("Gelu", ["x"], ["y"], domain="com.microsoft")], domains=["com.microsoft"]),
        "operator com.microsoft.Gelu",
    ),
    "function": (with_function(), "function of its own, 'F'"),
    "external": (external(), "tensor 'w' is in another file"),
    "hidden external": (hidden_external(), "tensor 'v' is in another file"),
    "unknown operator": (network([node("Magic", "x", "y")]), "can't load it"),
    "other input": (network(TO_TEN, MATRIX, x=["N", 3072]), r"input has the shape \['N', 3072\]"),
    "one channel": (
        network(TO_TEN, [tensor("w", np.ones((1024, 10), np.float32))], x=["N", 1, 32, 32]),
        r"shape \['N', 1, 32, 32\]; it must be \[N, 3, 32, 32\]",
    ),
    "fixed batch": (network(TO_TEN, MATRIX, x=[256, 3, 32, 32], y=(256, 10)), "takes batches of 256 and no others"),
    "double": (
        network(TO_TEN, [tensor("w", np.ones((3072, 10)))], x_type=11, y_type=11),
        r"input is tensor\(double\); it must be float32",
    ),
    "labels": (
        network([node("Flatten", "x", "f"), node("ArgMax", "f", "y")], y=("N", 1), y_type=7),
        r"output is tensor\(int64\)",
    ),
    "nine classes": (
        network(TO_TEN, [tensor("w", np.ones((3072, 9), np.float32))], y=("N", 9)),
        r"shape \[256, 9\]; it must be \[N, 10\]",
    ),
    "a lie": (network([node("Flatten", "x", "y")]), "can't load it|the shape"),
    "two outputs": (
        onnx.helper.make_model(
            helper.make_graph(
                [node("Relu", "x", "y"), node("Abs", "x", "z")],
                "g",
                [helper.make_tensor_value_info("x", 1, PICTURE)],
                [helper.make_tensor_value_info(name, 1, PICTURE) for name in "yz"],
            ),
            opset_imports=[helper.make_opsetid("", 17)],
            ir_version=8,
        ).SerializeToString(),
        "2 outputs; it must have one",
    ),
    "NaN": (linear(float("nan")), "NaN or infinite"),
    "infinite": (linear(1e37), "NaN or infinite"),
    "by chance": (
        network(
            [node("Flatten", "x", "f"), node("MatMul", "f w", "m"), node("RandomNormalLike", "m", "r"), *SUM], MATRIX
        ),
        "operator RandomNormalLike: a picture must get the same answer on each call",
    ),
    "alone otherwise": (alone_otherwise(), "alone otherwise than in a batch"),
    "greedy": (greedy([1 << 18, 1 << 14]), "more memory than it may have"),
    "greedy later": (greedy_later(), "more memory than it may have"),
    "overflow": (greedy([1 << 40, 1 << 40]), "can't load it|can't run it|more memory"),
}


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """The judge with 600 test pictures."""
    whole = data.load("fashion")
    short = data.Pictures("fashion", whole.train, whole.validation, whole.test[:600], whole.classes, (0.286,), (0.353,))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(capstone, "data", SimpleNamespace(load=lambda name: short))
        yield short


def judged(paths, **options):
    return judge(
        paths, **{"ours": False, "isolation": "own files", "limits": LIMITS, "rounds": 6, "seconds": 0.1} | options
    )


@pytest.fixture(scope="module")
def board(few, tmp_path_factory):
    folder = tmp_path_factory.mktemp("handed in")
    for name, (raw, _) in HOSTILE.items():
        (folder / f"{name}.onnx").write_bytes(raw)
    (folder / "honest.onnx").write_bytes(linear())
    return judged([folder / f"{name}.onnx" for name in [*HOSTILE, "honest"]])


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_classifier_gets_its_sentence(board, name):
    entry, (raw, wanted) = board[name], HOSTILE[name]
    assert entry.bytes == len(raw)
    assert re.search(wanted, entry.refused), entry.refused
    assert entry.refused.endswith(".") and "\n" not in entry.refused
    assert all(board.points(name, division) == 0 for division in DIVISIONS)


def test_after_all_of_them_an_honest_file_is_still_judged(board):
    honest, baseline = board["honest"], board.baseline
    assert honest.refused == baseline.refused == ""
    assert len(honest.correct) == 600 and 2 < honest.accuracy < 30
    assert set(honest.timings) == {1, 256}
    assert "only ONNX's own operators" in repr(board) and "<table" in board._repr_html_()


def test_accuracy_and_input_are_the_courses_own(board, few):
    x = classifier.to_input(few.test.images, few.mean[0], few.std[0])
    assert torch.equal(x, few.to_input(few.test.images))
    model = models.trained("mynet")
    with torch.no_grad():
        right = model(x).argmax(1) == few.test.labels
    assert (right == board.baseline.correct).float().mean() > 0.998  # another engine rounds otherwise


@pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")
@pytest.mark.parametrize("kind", ["bubblewrap", "unshare", "none"])
def test_each_kind_of_isolation_holds_the_limits(board, tmp_path, kind):
    if not shutil.which({"bubblewrap": "bwrap"}.get(kind, "unshare")):
        pytest.skip(f"{kind} is not installed")
    raws = {"endless": endless(), "greedy": HOSTILE["greedy"][0], "garbage": b"garbage"}
    for name, raw in raws.items():
        (tmp_path / f"{name}.onnx").write_bytes(raw)
    only = Leaderboard(board.entries[:1])
    found = judged([tmp_path / f"{name}.onnx" for name in raws], board=only, isolation=kind, limits=SHORT)
    assert [entry.name for entry in found.entries] == ["baseline", *raws]
    assert re.search("did not end within 4 s|processor time", found["endless"].refused)
    assert "more memory than it may have" in found["greedy"].refused
    assert "not an ONNX file" in found["garbage"].refused


def test_without_a_fence_strangers_files_are_not_judged_and_own_ones_are(board, tmp_path, monkeypatch):
    def none(wanted):
        raise SandboxError("There is no fence.")

    monkeypatch.setattr(capstone.fence, "available", none)
    (tmp_path / "honest.onnx").write_bytes(linear())
    with pytest.raises(SandboxError):
        judged([tmp_path / "honest.onnx"], isolation="auto")
    found = judged([tmp_path / "honest.onnx"], board=board)
    assert found.entries[-1].name == f"{tmp_path.name}/honest" and found.entries[-1].refused == ""
    assert torch.equal(found.entries[-1].correct, board["honest"].correct)
    (tmp_path / "honest.onnx").write_bytes(linear(2.0, y=("N", "classes")))
    again = judged([tmp_path / "honest.onnx"], board=found)
    assert [entry.name for entry in again.entries] == [entry.name for entry in found.entries]  # judged anew
    assert again.entries[-1].bytes != found.entries[-1].bytes


def test_no_file_can_know_the_pictures_whose_time_is_taken(few, tmp_path, monkeypatch):
    (tmp_path / "honest.onnx").write_bytes(linear())
    orders, pack = [], capstone.codec.pack
    monkeypatch.setattr(capstone.codec, "pack", lambda job, cases: orders.append(cases[0][2]) or pack(job, cases))
    found = judged([tmp_path / "honest.onnx"], isolation="none")
    assert not torch.equal(orders[0], orders[1]) and not torch.equal(orders[0], few.test.images)
    x = classifier.to_input(few.test.images, few.mean[0], few.std[0])
    said = classifier.answers(classifier.open_session(linear()), x).argmax(1)
    assert torch.equal(found["honest"].correct, said == few.test.labels)


def test_time_is_that_of_the_fastest_burst(monkeypatch):
    taken = iter([0.0, 1.0, 0.0, 1.0, *[9.0, 2.0, 3.0, 8.0, 7.0, 4.0] * 6])
    monkeypatch.setattr(classifier, "timed", lambda session, feed, repeats: next(taken))

    class Session:
        def get_inputs(self):
            return [helper.make_tensor_value_info("x", 1, PICTURE)]

    samples = classifier.in_turns((Session(), Session()), torch.zeros(1, 3, 32, 32), 6, 1.0)
    assert samples == [[2.0, 4.0], [4.0, 2.0]] * 3


def test_a_worker_that_was_broken_open_is_not_believed(few):
    logits = torch.zeros(600, 10)
    for told in (
        ("measured", logits[:5], [[1.0, 1.0]] * 6, [[1.0, 1.0]] * 6),
        ("measured", logits.long(), [[1.0, 1.0]] * 6, [[1.0, 1.0]] * 6),
        ("measured", logits, [[1.0, -1.0]] * 6, [[1.0, 1.0]] * 6),
        ("measured", logits, [[1.0, float("nan")]] * 6, [[1.0, 1.0]] * 6),
        ("measured", logits, [[1.0, 1.0]] * 5, [[1.0, 1.0]] * 6),
        ("measured", logits, [["a", 1.0]] * 6, [[1.0, 1.0]] * 6),
        ("measured", logits),
        (),
        5,
        None,
    ):
        reply = capstone.codec.pack({"outcomes": [{}]}, [[told, []]])
        with pytest.raises((ValueError, TypeError, IndexError)):
            capstone._read(capstone.JobResult("replied", reply), 600)
    reply = capstone.codec.pack({"outcomes": [{}]}, [[("refused", "\x1b[31mred\n"), []]])
    assert capstone._read(capstone.JobResult("replied", reply), 600)[0] == "�[31mred�"


def entry(name, size, right, speed=1.0, ours=False):
    """An entry of so many bytes that has so many of 1,000 pictures right and is so many times as fast."""
    timings = {
        batch: (measure.Timing((speed,) * 6, batch), measure.Timing((1.0,) * 6, batch)) for batch in capstone.BATCHES
    }
    return Entry(name, size, "", torch.arange(1000) < right, timings, ours)


BOARD = Leaderboard(
    (
        entry("baseline", 1_000_000, 889, ours=True),
        entry("our small one", 10_001, 890, 0.5, ours=True),
        entry("our fast one", 100_000, 889, 16.0, ours=True),
        entry("our exact one", 9_999, 909, 0.5, ours=True),
        entry("half way", 100_000, 899, 4.0),
        entry("smaller", 1_000, 885, 0.1),
        entry("wrong", 500, 600, 100.0),
    )
)


def test_points_lie_between_the_naive_program_and_the_best():
    smallest = [BOARD.points(e.name, "smallest") for e in BOARD.entries]
    assert smallest[0] == 0 and smallest[3] == 10 and smallest[5] == 10 and smallest[6] == 0
    assert smallest[4] == pytest.approx(10 * np.log(10) / np.log(1e6 / 9_999))
    fastest = [BOARD.points(e.name, "fastest") for e in BOARD.entries]
    assert fastest == pytest.approx([0, 0, 10, 0, 5, 0, 0])
    accurate = [BOARD.points(e.name, "most accurate") for e in BOARD.entries]
    assert accurate == pytest.approx([0, 0, 0, 10, 0, 0, 0])


def test_divisions_have_their_conditions_and_order():
    assert [e.name for e in BOARD.ranking("smallest")][:2] == ["smaller", "our exact one"]
    assert [e.name for e in BOARD.ranking("fastest")][:2] == ["our fast one", "half way"]
    assert [e.name for e in BOARD.ranking("most accurate")] == ["our exact one", "smaller", "wrong"]
    with pytest.raises(ValueError, match="division='largest' is none of smallest, fastest, most accurate"):
        BOARD.ranking("largest")
    assert FLOOR == 88.4 and BYTES == 10_000


def test_a_board_is_shown_as_table_and_figure():
    assert "half way" in repr(BOARD) and "100.0× smaller" in repr(BOARD)
    fig = BOARD.plot()
    assert len(fig.axes) == 2 and fig.axes[0].get_xscale() == "log"
    front = next(line for line in fig.axes[1].lines if line.get_label() == "not beaten in both").get_xdata()
    assert list(front) == sorted(front, reverse=True) and 0.1 not in front


def test_paths_and_rounds_are_checked():
    with pytest.raises(ValueError, match=r"nowhere\.onnx is not a file"):
        judge(["nowhere.onnx"])
    with pytest.raises(ValueError, match="rounds=5 must be at least 6"):
        judge(rounds=5)


def test_the_command_shows_the_board_and_writes_the_figure(board, tmp_path, monkeypatch):
    (tmp_path / "mine.onnx").write_bytes(linear())
    monkeypatch.setattr(capstone, "judge", lambda paths, **options: judged(paths, board=board))
    result = CliRunner().invoke(app, ["capstone", str(tmp_path / "mine.onnx"), "--plot", str(tmp_path / "b.png")])
    assert result.exit_code == 0 and "mine" in result.output and (tmp_path / "b.png").stat().st_size > 10_000
