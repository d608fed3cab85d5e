"""Inside the sandbox: check that an ONNX file is a classifier for the capstone, run it, and time it.

Files are read, checked and run only here. This module imports nothing of the package and never sees a label.
"""

import re
import time
from collections.abc import Iterator

import torch
from torch import Tensor

SHAPE, CLASSES, BATCH, SINGLES = [3, 32, 32], 10, 256, 64
STANDARD = ("", "ai.onnx", "ai.onnx.ml")
RANDOM = ("Random", "Bernoulli", "Multinomial")
PART = 10 * BATCH
BURSTS, BURST_SECONDS = 3, 0.0005
MIN_ROUNDS = 6


class Refused(Exception):
    """The file is not a valid entry; the message is one sentence that says why."""


def classify(model: Tensor, images: Tensor, mean: float, std: float):
    """Check a file, and compute its answers for pictures.

    Args:
        model: the file's bytes, uint8 [n].
        images: uint8 [N, 1, 28, 28], which become float32 [N, 3, 32, 32] as everywhere in the course.
        mean, std: for their normalisation.

    Returns:
        ("refused", sentence), or ("done", classes uint8 [N]).
    """
    try:
        session = open_session(model.numpy().tobytes())
        check_answers(session, to_input(images[:BATCH], mean, std))
        # In parts, because all of them as floats take more than a gigabyte.
        return "done", torch.cat([answers(session, to_input(part, mean, std)) for part in images.split(PART)])
    except Refused as reason:
        return "refused", str(reason)


def measure(model: Tensor, baseline: Tensor, images: Tensor, mean: float, std: float, rounds: int, seconds: float):
    """Time a file in turns with the baseline.

    Args:
        model, images, mean, std: as in `classify`, with 256 pictures.
        baseline: the baseline's bytes, uint8 [n].
        rounds: of timing, at least 6; each round times both files, and the one that starts changes.
        seconds: per batch size; no further round starts after this time, once 6 are done.

    Returns:
        ("refused", sentence), or ("done", rounds at batch 1, rounds at batch 256), where each round is a pair of
        seconds, (baseline's, file's).
    """
    try:
        both = open_session(baseline.numpy().tobytes()), open_session(model.numpy().tobytes())
        x = to_input(images, mean, std)
        return ("done", *(in_turns(both, x[:size], rounds, seconds) for size in (1, BATCH)))
    except Refused as reason:
        return "refused", str(reason)


def to_input(images: Tensor, mean: float, std: float) -> Tensor:
    """Convert uint8 [N, 1, 28, 28] to float32 [N, 3, 32, 32], bit for bit like `data.Pictures.to_input`."""
    padded = torch.nn.functional.pad(images, (2, 2, 2, 2)).float() * (1 / 255)
    return ((padded - torch.tensor(mean)) / torch.tensor(std)).repeat(1, 3, 1, 1)


def open_session(raw: bytes):
    """Open a file that passes all checks in a session of ONNX Runtime with one thread.

    Raises:
        Refused: it does not pass.
    """
    import onnx
    import onnxruntime

    try:
        model = onnx.load_model_from_string(raw)
    except Exception:  # the protobuf parser raises many types of errors
        raise Refused("It is not an ONNX file: its bytes can't be read as one.") from None
    check_contents(model)
    try:
        onnx.checker.check_model(model)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(raw, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise Refused(f"ONNX Runtime can't load it: {in_short(error)}.") from None
    check_ends(session)
    return session


def check_contents(model) -> None:
    """Check that all operators are ONNX's own, not random and not in training mode, and all numbers in the file itself.

    Raises:
        Refused: they are not.
    """
    if not model.graph.node:
        raise Refused("It is not an ONNX file: it contains no operator.")
    if model.functions:
        raise Refused(f"It defines a custom function, {model.functions[0].name!r}: inline its operators.")
    everything = list(messages(model))
    numbers = {m.name: m for m in everything if type(m).__name__ == "TensorProto" and m.name}
    numbers |= {m.output[0]: m.attribute[0].t for m in everything if _is_constant(m)}
    for message in everything:
        kind = type(message).__name__
        if kind == "NodeProto" and message.domain not in STANDARD:
            raise Refused(
                f"It uses the operator {message.domain}.{message.op_type}: only ONNX's own operators are allowed, so "
                "that any engine can run the file."
            )
        if kind == "NodeProto" and message.op_type.startswith(RANDOM):
            raise Refused(f"It uses the operator {message.op_type}: a picture must get the same answer in every call.")
        if kind == "NodeProto" and _trains(message, numbers):
            raise Refused(
                f"It uses {message.op_type} in training mode: a picture must get the same answer in every call and in "
                "any batch. Call eval() before you export."
            )
        if kind == "TensorProto" and (message.data_location == 1 or message.external_data):
            raise Refused(
                f"Its tensor {message.name!r} is in another file: all numbers must be in the entry's own file "
                "(external_data=False)."
            )


def _is_constant(message) -> bool:
    node = type(message).__name__ == "NodeProto" and message.op_type == "Constant" and len(message.output) == 1
    return node and len(message.attribute) == 1 and message.attribute[0].HasField("t")


def _trains(node, numbers: dict) -> bool:
    """Whether a node may be in training mode."""
    if node.op_type == "BatchNormalization":
        return any(attribute.name == "training_mode" and attribute.i for attribute in node.attribute)
    if node.op_type != "Dropout" or len(node.input) < 3 or not node.input[2]:
        return False
    fixed = numbers.get(node.input[2])
    return fixed is None or any(fixed.raw_data) or any(fixed.int32_data)


def messages(message) -> Iterator:
    """Yield a protobuf message and all messages nested in it."""
    yield message
    for _, value in message.ListFields():
        if hasattr(value, "ListFields"):
            yield from messages(value)
        elif not isinstance(value, (str, bytes)) and hasattr(value, "__len__"):
            yield from (m for child in value if hasattr(child, "ListFields") for m in messages(child))


def check_ends(session) -> None:
    """Check that a session has one input float32 [N, 3, 32, 32] with any N, and one output float32.

    Raises:
        Refused: it doesn't.
    """
    for what, ends in (("input", session.get_inputs()), ("output", session.get_outputs())):
        if len(ends) != 1:
            raise Refused(f"It has {len(ends)} {what}s; it must have one.")
        if ends[0].type != "tensor(float)":
            raise Refused(f"Its {what} is {ends[0].type}; it must be float32, tensor(float).")
    shape = session.get_inputs()[0].shape
    if len(shape) != 4 or any(isinstance(n, int) and n != wanted for n, wanted in zip(shape[1:], SHAPE, strict=True)):
        raise Refused(f"Its input has the shape {shape}; it must be [N, 3, 32, 32].")
    if isinstance(shape[0], int):
        raise Refused(f"It only accepts batches of {shape[0]}: export it with dynamic_shapes.")


def check_answers(session, x: Tensor) -> None:
    """Check on a batch that a picture's answer depends only on the picture.

    Raises:
        Refused: it differs between two calls, or between a single picture and the same picture in a batch.
    """
    first, second = run(session, x), run(session, x)
    if not torch.allclose(first, second, rtol=1e-3, atol=1e-4 * first.abs().max().item()):
        raise Refused("It gives different answers in different calls: a picture must always get the same one.")
    single = torch.cat([run(session, picture[None]) for picture in x[:SINGLES]])
    if (single.argmax(1) == first[:SINGLES].argmax(1)).sum() < 0.95 * len(single):
        raise Refused("It classifies a single picture differently than the same picture in a batch.")


def answers(session, x: Tensor) -> Tensor:
    """Compute the classes of pictures, uint8 [N].

    Raises:
        Refused: as `run`.
    """
    return torch.cat([run(session, batch).argmax(1).to(torch.uint8) for batch in x.split(BATCH)])


def run(session, x: Tensor) -> Tensor:
    """Compute the logits of one batch, float32 [N, 10].

    Raises:
        Refused: it fails, or its output has another shape or is not finite.
    """
    try:
        (out,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    except Exception as error:
        raise Refused(f"ONNX Runtime can't run it with a batch of {len(x)}: {in_short(error)}.") from None
    if list(out.shape) != [len(x), CLASSES]:
        raise Refused(f"For {len(x)} pictures, its output has the shape {list(out.shape)}; it must be [N, 10].")
    logits = torch.from_numpy(out)
    if not logits.isfinite().all():
        raise Refused("Its output contains NaN or infinity.")
    return logits


def in_turns(sessions, x: Tensor, rounds: int, seconds: float) -> list[list[float]]:
    """Measure seconds per call of each session in each round, from its fastest burst of calls.

    The first burst refills the caches after the other session, and on a busy machine, at least one of a few short
    bursts usually runs undisturbed.
    """
    fed = [(session, {session.get_inputs()[0].name: x.numpy()}) for session in sessions]
    repeats = [warm_up(*pair) for pair in fed]
    samples: list[list[float]] = []
    started = time.perf_counter()
    while len(samples) < rounds and (len(samples) < MIN_ROUNDS or time.perf_counter() - started < seconds):
        sample = [0.0] * len(fed)
        for place in sorted(range(len(fed)), reverse=bool(len(samples) % 2)):
            sample[place] = min(timed(*fed[place], repeats[place]) for _ in range(BURSTS)) / repeats[place]
        samples.append(sample)
    return samples


def warm_up(session, feed: dict) -> int:
    """Find the number of calls per burst, which warms up the session too."""
    timed(session, feed, 3)
    repeats = 1
    while timed(session, feed, repeats) < BURST_SECONDS:
        repeats *= 2
    return repeats


def timed(session, feed: dict, repeats: int) -> float:
    """Seconds of `repeats` calls."""
    started = time.perf_counter()
    for _ in range(repeats):
        session.run(None, feed)
    return time.perf_counter() - started


def in_short(error: Exception) -> str:
    """The first line of an error's message, or a short sentence if memory ran out."""
    text = str(error) or type(error).__name__
    if isinstance(error, MemoryError) or "bad_alloc" in text or "llocate memory" in text or "requested bytes" in text:
        return "it needs more memory than allowed"
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", text.split("Status Message: ")[-1].strip())
    return next(iter(text.splitlines()), "")[:300].rstrip(". ")
