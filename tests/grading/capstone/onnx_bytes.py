"""ONNX files for the tests of the capstone: a valid classifier, and everything that is none."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from nnopt_lab.grading.capstone import judging

PICTURE = ["N", 3, 32, 32]


def tensor(name, values):
    return numpy_helper.from_array(np.asarray(values), name)


MATRIX = [tensor("w", np.ones((3072, 10), np.float32))]


def network(nodes, tensors=(), x=PICTURE, y=("N", 10), x_type=1, y_type=1, domains=(), **more):
    """The bytes of an ONNX file with input x and output y."""
    ends = helper.make_tensor_value_info("x", x_type, x), helper.make_tensor_value_info("y", y_type, y)
    graph = helper.make_graph(nodes, "g", [ends[0]], [ends[1]], list(tensors))
    opsets = [helper.make_opsetid("", 17), *(helper.make_opsetid(name, 1) for name in domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8, **more).SerializeToString()


def node(kind, inputs, output, **attributes):
    return helper.make_node(kind, inputs.split(), [output], **attributes)


def linear(scale=1.0, **more):
    """Flatten and one matrix: a valid classifier, though not a good one."""
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
    """A loop of 2⁶² iterations."""
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


def zeros_for_one():
    """Good answers for a batch, and zeros for a single picture: it would be fast where one picture is timed."""
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


def in_training(mode):
    """Dropout; `mode` is a tensor "t", or None where the file computes it."""
    nodes = [node("Flatten", "x", "f"), node("MatMul", "f w", "m"), node("Dropout", "m ratio t", "y")]
    tensors = [*MATRIX, tensor("ratio", np.float32(0.01))]
    if mode is None:
        return network([node("Not", "no", "t"), *nodes], [*tensors, tensor("no", False)])
    return network(nodes, [*tensors, mode])


def batch_norm():
    nodes = [
        helper.make_node("BatchNormalization", list("xgbmv"), ["n", "m2", "v2"], training_mode=1),
        node("Flatten", "n", "f"),
        node("MatMul", "f w", "y"),
    ]
    return network(nodes, [*MATRIX, *(tensor(name, np.ones(3, np.float32)) for name in "gbmv")])


def with_function():
    function = helper.make_function(
        "own", "F", ["a"], ["b"], [node("Relu", "a", "b")], [helper.make_opsetid("", 17)], []
    )
    return linear(functions=[function], domains=["own"])


TO_TEN = [node("Flatten", "x", "f"), node("MatMul", "f w", "y")]
SUM = [node("Add", "m r", "y")]
HOSTILE = {
    "empty": (b"", "not an ONNX file"),
    "garbage": (bytes(range(256)) * 40, "not an ONNX file"),
    "text": (b"an ONNX file, honestly\n", "not an ONNX file"),
    "half": (linear()[: len(linear()) // 2], "not an ONNX file|can't load it"),
    "huge": (bytes(judging.MAX_BYTES + 1), "larger than 4,194,304 bytes"),
    "nothing": (network([], []), "no operator"),
    "custom": (
        network([helper.make_node("Best", ["x"], ["y"], domain="my.own")], domains=["my.own"]),
        "operator my.own.Best: only ONNX's own",
    ),
    "vendor": (
        network([helper.make_node("Gelu", ["x"], ["y"], domain="com.microsoft")], domains=["com.microsoft"]),
        "operator com.microsoft.Gelu",
    ),
    "function": (with_function(), "custom function, 'F'"),
    "external": (external(), "tensor 'w' is in another file"),
    "hidden external": (hidden_external(), "tensor 'v' is in another file"),
    "unknown operator": (network([node("Magic", "x", "y")]), "can't load it"),
    "other input": (network(TO_TEN, MATRIX, x=["N", 3072]), r"input has the shape \['N', 3072\]"),
    "one channel": (
        network(TO_TEN, [tensor("w", np.ones((1024, 10), np.float32))], x=["N", 1, 32, 32]),
        r"shape \['N', 1, 32, 32\]; it must be \[N, 3, 32, 32\]",
    ),
    "fixed batch": (network(TO_TEN, MATRIX, x=[256, 3, 32, 32], y=(256, 10)), "only accepts batches of 256"),
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
    "NaN": (linear(float("nan")), "NaN or infinity"),
    "infinite": (linear(1e37), "NaN or infinity"),
    "by chance": (
        network(
            [node("Flatten", "x", "f"), node("MatMul", "f w", "m"), node("RandomNormalLike", "m", "r"), *SUM], MATRIX
        ),
        "operator RandomNormalLike: a picture must get the same answer in every call",
    ),
    "dropout in training": (in_training(tensor("t", True)), "Dropout in training mode"),
    "dropout that may train": (in_training(None), "Dropout in training mode"),
    "batch norm in training": (batch_norm(), "BatchNormalization in training mode"),
    "zeros for one": (zeros_for_one(), "classifies a single picture differently"),
    "greedy": (greedy([1 << 18, 1 << 14]), "needs more memory than allowed"),
    "greedy later": (greedy_later(), "needs more memory than allowed"),
    "overflow": (greedy([1 << 40, 1 << 40]), "can't load it|can't run it|more memory"),
}
