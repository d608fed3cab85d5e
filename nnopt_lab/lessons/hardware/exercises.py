"""Exercises and questions of lesson 12: what a machine can do with a network, and what software makes of it."""

from functools import partial
from itertools import pairwise
from math import prod

import torch

from nnopt_lab.course.draws import choice, randint, randints, signs
from nnopt_lab.course.exercises import Property, exercise, question
from nnopt_lab.course.wrong_answers import called_with, changed


def _intensity(per_mac=2, read=1, weights=1, bias=1, write=1, window=2, left_out=None):
    """`conv_intensity`; `weights` may be "pictures", one reading each, `left_out` names a factor of the operations."""

    def intensity(channels, filters, kernel, side, pictures, width):
        sizes = {"channels": channels, "filters": filters, "pictures": pictures}
        places, products = pictures * side**2, channels * kernel**window
        operations = per_mac * places * filters * products / sizes.get(left_out, 1)
        of_weights = sizes.get(weights, weights) * filters * (products + bias)
        return operations / (width * (read * places * channels + of_weights + write * places * filters))

    return intensity


@exercise(
    "hardware.conv_intensity",
    points=3,
    inputs=lambda g: (*randints(g, (2, 8), (3, 9)), choice(g, (3, 5)), *randints(g, (4, 9), (2, 6)), choice(g, (2, 4))),
    hints=(
        "Count the operations (two a product that is added) and the numbers: what is read, the weights with their "
        "biases, what is written.",
        "An output number needs in_channels · kernel² products, and there are pictures · filters · side² of them. The "
        "weights are read once, however many pictures there are.",
        "places = pictures * side**2; operations = 2 * places * filters * in_channels * kernel**2; numbers = places * "
        "in_channels + filters * (in_channels * kernel**2 + 1) + places * filters; operations / (bytes_each * numbers)",
    ),
    wrong={
        "A product and the sum that it goes into are two operations.": _intensity(per_mac=1),
        "The weights are read once for the whole batch, not once a picture: that is what a batch "
        "is good for.": _intensity(weights="pictures"),
        "The weights must be read too.": _intensity(weights=0),
        "Each filter has a bias, one number more.": _intensity(bias=0),
        "The input must be read too.": _intensity(read=0),
        "The output must be written too.": _intensity(write=0),
        "A filter's window has kernel · kernel places.": _intensity(window=1),
        "That is operations per *number*. A number has bytes_each bytes.": called_with(
            lambda *inputs: (*inputs[:-1], 1)
        ),
        "Not every number has four bytes: use bytes_each.": called_with(lambda *inputs: (*inputs[:-1], 4)),
        "That is bytes per operation; turn it over.": changed(lambda intensity: 1 / intensity),
        "You multiplied by bytes_each; the bytes stand below the line.": lambda *inputs: (
            inputs[-1] ** 2 * conv_intensity(*inputs)
        ),
        "The operations are those of one picture, the bytes those of all: count the whole batch in both.": _intensity(
            left_out="pictures"
        ),
        "The bytes are those of one picture, the operations those of all: count the whole batch in both.": (
            lambda *inputs: inputs[4] * conv_intensity(*inputs[:4], 1, inputs[5])
        ),
        "A filter looks at all input channels: in_channels · kernel² products for each number "
        "that comes out.": _intensity(left_out="channels"),
        "Those are the operations of one filter; there are `filters` of them.": _intensity(left_out="filters"),
    },
    properties=(
        Property(
            "The more bytes a number takes, the lower the intensity.",
            lambda result, *inputs: 0 < result < conv_intensity(*inputs[:-1], 1) or (result > 0 and inputs[-1] == 1),
        ),
    ),
)
def conv_intensity(in_channels, filters, kernel, side, pictures, bytes_each):
    """Operations per byte of a convolution.

    Everything that raises the intensity brings a layer nearer to the arithmetic peak: larger batches, more filters,
    fewer bytes a number, and fusion, which leaves out reads and writes between operators.
    """
    return _intensity()(in_channels, filters, kernel, side, pictures, bytes_each)


def _borders(kernels):
    """Places in the chain where one kernel ends and the next begins, both ends of the chain included."""
    places = [0]
    for operators in kernels:
        places.append(places[-1] + operators)
    return places


def _chain(g: torch.Generator):
    kernels = [randint(g, 1, 3) for _ in range(randint(g, 2, 4))]
    kernels[randint(g, 0, len(kernels) - 1)] = randint(g, 2, 3)
    numbers = (torch.randperm(60, generator=g)[: sum(kernels) + 1] + 11).tolist()
    return numbers, kernels, choice(g, (1, 2, 4))


@exercise(
    "hardware.moved_bytes",
    points=3,
    inputs=_chain,
    hints=(
        "Walk along the chain kernel by kernel and remember at which tensor you are.",
        "A kernel of k operators reads the tensor at which it begins and writes the one k places further on; those "
        "between never reach the memory.",
        "at = 0; for each k of kernels: total += numbers[at] + numbers[at + k]; at += k; return bytes_each * total",
    ),
    wrong={
        "That is the chain without any fusion: a tensor inside a kernel is neither "
        "written nor read.": lambda n, kernels, width: moved_bytes(n, [1] * (len(n) - 1), width),
        "That would be one kernel for all. Where a kernel ends, its result is written and the next "
        "one reads it.": lambda n, kernels, width: width * (n[0] + n[-1]),
        "A tensor between two kernels moves twice: one writes it, the next reads it.": lambda n, kernels, width: (
            width * sum(n[i] for i in _borders(kernels))
        ),
        "You counted what is written. Each kernel also reads its input.": lambda n, kernels, width: (
            width * sum(n[i] for i in _borders(kernels)[1:])
        ),
        "You counted what is read. Each kernel also writes its output.": lambda n, kernels, width: (
            width * sum(n[i] for i in _borders(kernels)[:-1])
        ),
        "Those are numbers; each has bytes_each bytes.": called_with(lambda n, kernels, width: (n, kernels, 1)),
        "Not every tensor moves, and those between two kernels move twice.": lambda n, kernels, width: width * sum(n),
        "Those are the bytes that fusion saves; wanted are those that still move.": lambda n, kernels, width: (
            moved_bytes(n, [1] * (len(n) - 1), width) - moved_bytes(n, kernels, width)
        ),
        "A kernel of k operators takes k steps along the chain, not one.": lambda n, kernels, width: (
            width * sum(n[i] + n[i + 1] for i in range(len(kernels)))
        ),
        "Every kernel begins where the one before it ended, not at the chain's input.": lambda n, kernels, width: (
            width * sum(n[0] + n[k] for k in kernels)
        ),
        "numbers[0] is the input, so the output of k operators that begin at `at` is numbers[at "
        "+ k].": lambda n, kernels, width: width * sum(n[i] + n[j - 1] for i, j in pairwise(_borders(kernels))),
        "The chain's input is read too.": lambda n, kernels, width: moved_bytes(n, kernels, width) - width * n[0],
        "The chain's last result is written too.": lambda n, kernels, width: (
            moved_bytes(n, kernels, width) - width * n[-1]
        ),
    },
)
def moved_bytes(numbers, kernels, bytes_each):
    """What fused operators move.

    For operators that compute little for each number (ReLU, pooling, batch norm, sums) the bytes are the time. That is
    why compilers fuse, and why a network with few large kernels runs nearer to the peak.
    """
    total, at = 0, 0
    for operators in kernels:
        total += numbers[at] + numbers[at + operators]
        at += operators
    return bytes_each * total


def _including_own(shape, order):
    steps, step = [0] * len(shape), 1
    for dimension in reversed(order):
        step *= shape[dimension]
        steps[dimension] = step
    return steps


def _shape_and_order(g: torch.Generator):
    shape = (torch.randperm(7, generator=g)[:4] + 2).tolist()
    order = torch.randperm(4, generator=g).tolist()
    return shape, order if order != sorted(order) else [0, 2, 3, 1]


@exercise(
    "hardware.strides",
    points=2,
    inputs=_shape_and_order,
    hints=(
        "The last dimension of `order` is the innermost: its neighbours lie side by side, a step of 1.",
        "Going outwards, each dimension's step is the product of the sizes of all dimensions inside of it.",
        "steps, step = [0] * len(shape), 1; for d in reversed(order): steps[d] = step; step *= shape[d]",
    ),
    wrong={
        "Those are the steps of torch's usual order; `order` says which dimension lies inside of which.": called_with(
            lambda shape, order: (shape, range(len(shape)))
        ),
        "The steps are right, but listed in the order of memory; list them in the "
        "order of `shape`.": lambda shape, order: [strides(shape, order)[d] for d in order],
        "`order` goes from the outermost to the innermost dimension; you read it the other way round.": called_with(
            lambda shape, order: (shape, order[::-1])
        ),
        "A dimension's own size does not count for its step, only those of the dimensions "
        "inside of it.": _including_own,
        "Those are steps in bytes; torch counts in numbers.": changed(lambda steps: [4 * step for step in steps]),
        "You took order[d] for the place of dimension d; it is the dimension at place d.": called_with(
            lambda shape, order: (shape, [order.index(d) for d in range(len(shape))])
        ),
        "Those are the steps of `permute(order)`, which moves nothing in memory; here the numbers lie "
        "in that order.": lambda shape, order: [strides(shape, range(len(shape)))[d] for d in order],
        "The steps are right, but the list is turned round; the first one belongs to the first "
        "dimension of `shape`.": changed(lambda steps: steps[::-1]),
        "You multiplied the last sizes of `shape`; the dimensions that lie inside are the last "
        "ones of `order`.": lambda shape, order: [prod(shape[order.index(d) + 1 :]) for d in range(len(shape))],
        "A step is the product of all sizes further inside, not only that of the next one.": (
            lambda shape, order: [prod(shape[e] for e in order[order.index(d) + 1 :][:1]) for d in range(len(shape))]
        ),
    },
    properties=(
        Property("The innermost dimension has a step of 1.", lambda result, shape, order: result[order[-1]] == 1),
    ),
)
def strides(shape, order):
    """Where a number lies in memory.

    Channels last is order [0, 2, 3, 1]. The shape stays [N, C, H, W] and so does your program; only the steps change,
    and with them which numbers a vector register can load at once.
    """
    steps, step = [0] * len(shape), 1
    for dimension in reversed(order):
        steps[dimension] = step
        step *= shape[dimension]
    return steps


def _best_batch(
    sizes,
    ms,
    interval_ms,
    limit_ms,
    *,
    in_time=lambda size, time, interval, limit: (size - 1) * interval + time <= limit,
    keeps_up=lambda size, time, interval: time <= size * interval,
    score=lambda size, time: time / size,
):
    """`batch_for`; of the sizes that are in time and keep up, the one with the lowest score."""
    fit = [
        (score(size, time), size)
        for size, time in zip(sizes, ms, strict=True)
        if in_time(size, time, interval_ms, limit_ms) and keeps_up(size, time, interval_ms)
    ]
    return min(fit)[1] if fit else 0


def _server(g: torch.Generator):
    # A batch of 1 never keeps up, one of 32 is always late. 8 takes the least time a picture, or 8 and 16 just keep up.
    # The limit lets 8 just pass, or 16 too, or only what does not keep up.
    sizes, interval, kind = [1, 2, 4, 8, 16, 32], randint(g, 4, 6), randint(g, 0, 2)
    ms = [interval + randint(g, 1, 3), 2 * interval - 1, 4 * interval - 1, 8 * interval - randint(g, 20, 24)]
    ms += [16 * interval - randint(g, 6, 9), 32 * interval - randint(g, 108, 112)]
    if randint(g, 0, 1):
        ms[1:5] = [2 * interval + 2, 4 * interval + 3, 8 * interval, 16 * interval]
    late = [(size - 1) * interval + time for size, time in zip(sizes, ms, strict=True)]
    limits = late[3] + max(0, randint(g, -2, 2)), late[4] + randint(g, 1, 3), max(ms[0], late[1] - randint(g, 1, 2))
    return sizes, ms, interval, limits[kind]


@exercise(
    "hardware.batch_for",
    points=4,
    inputs=_server,
    hints=(
        "Two conditions throw sizes out. How long does the first picture of a batch wait, all in all? And can the "
        "server compute a batch before the next one is complete?",
        "The first picture waits for size − 1 others, then for the computation. A size keeps up where its time is at "
        "most size · interval_ms. Of those left take the least time a picture.",
        "fit = [(t / b, b) for b, t in zip(sizes, ms) if (b - 1) * interval_ms + t <= limit_ms and t <= b * interval_ms]; "
        "return min(fit)[1] if fit else 0",
    ),
    wrong={
        "That one is the cheapest a picture, but the first picture of its batch waits longer than the limit.": partial(
            _best_batch, in_time=lambda size, time, interval, limit: True
        ),
        "That one does not keep up: a new batch is complete before the last one is computed, and the "
        "queue grows.": partial(_best_batch, keeps_up=lambda size, time, interval: True),
        "You counted the computation only. The first picture of a batch also waits until the last "
        "one has come.": partial(_best_batch, in_time=lambda size, time, interval, limit: time <= limit),
        "The first picture waits for size − 1 others, not for size: it is there itself.": partial(
            _best_batch, in_time=lambda size, time, interval, limit: size * interval + time <= limit
        ),
        "You took the largest size that is allowed. The one with the least time a picture is wanted.": partial(
            _best_batch, score=lambda size, time: -size
        ),
        "You took the shortest time a batch; divide it by the pictures that it computes.": partial(
            _best_batch, score=lambda size, time: time
        ),
        "A server that takes exactly as long as the next batch needs to come does keep up: compare with ≤.": partial(
            _best_batch, keeps_up=lambda size, time, interval: time < size * interval
        ),
        "Waiting and computing come one after the other for the first picture: add them.": partial(
            _best_batch, in_time=lambda size, time, interval, limit: max((size - 1) * interval, time) <= limit
        ),
        "A batch of `size` must be done before the next *batch* has come, size · interval_ms, not the "
        "next picture.": partial(_best_batch, keeps_up=lambda size, time, interval: time <= interval),
        "Where no size will do the answer is 0, not None.": changed(lambda size: size or None),
        "You took the most time a picture; the least is wanted.": partial(
            _best_batch, score=lambda size, time: -time / size
        ),
    },
)
def batch_for(sizes, ms, interval_ms, limit_ms):
    """The batch size of a server with a time limit.

    Latency and throughput are two wishes. A limit of latency, then the best throughput within it: that is how servers
    with *dynamic batching* choose. Where the arrivals vary, they also stop waiting after a set time.
    """
    return _best_batch(sizes, ms, interval_ms, limit_ms)


def _lowest(total=lambda build, ms, batches: build + batches * ms / 1000):
    """`cheapest`: the first name with the lowest total."""

    def lowest(names, build_s, batch_ms, batches):
        totals = [total(build, ms, batches) for build, ms in zip(build_s, batch_ms, strict=True)]
        return names[totals.index(min(totals))]

    return lowest


def _engines_and_batches(g: torch.Generator):
    # Four engines, each the cheapest for some number of batches: the longer it takes to build, the faster a batch. The
    # fifth needs no building either and is slower.
    build = [0, randint(g, 4, 6), randint(g, 50, 70), randint(g, 400, 500), 0]
    ms = [randint(g, 80, 90), randint(g, 45, 55), randint(g, 24, 28), randint(g, 9, 12), randint(g, 95, 120)]
    batches = choice(g, (randint(g, 3, 20), randint(g, 300, 900), randint(g, 5_000, 9_000), randint(g, 60_000, 90_000)))
    order = torch.randperm(5, generator=g).tolist()
    return list("ABCDE"), [build[i] for i in order], [ms[i] for i in order], batches


@exercise(
    "hardware.cheapest",
    points=2,
    inputs=_engines_and_batches,
    hints=(
        "An engine's whole time is that of building it and that of all its batches.",
        "build_s is in seconds and batch_ms in milliseconds: bring both to one unit before you add.",
        "totals = [b + batches * t / 1000 for b, t in zip(build_s, batch_ms)]; return names[totals.index(min(totals))]",
    ),
    wrong={
        "That is the fastest once it runs; it must be built first.": _lowest(lambda build, ms, n: ms),
        "That is the one that is built first; its batches take their time too.": _lowest(lambda build, ms, n: build),
        "You added milliseconds to seconds: divide the batches' time by 1000.": _lowest(
            lambda build, ms, n: build + n * ms
        ),
        "That is the time for one batch. There are `batches` of them.": _lowest(lambda build, ms, n: build + ms / 1000),
        "That is the one that is done last.": _lowest(lambda build, ms, n: -(build + n * ms / 1000)),
        "That is the time; wanted is the name of the engine.": lambda names, build, ms, n: min(
            b + n * t / 1000 for b, t in zip(build, ms, strict=True)
        ),
        "That is its place in the list; wanted is its name.": lambda names, *times: names.index(
            cheapest(names, *times)
        ),
    },
)
def cheapest(names, build_s, batch_ms, batches):
    """The engine that is done first.

    Drawn over the number of batches, each engine is a straight line: it starts at its building time and rises with the
    time of a batch. The cheapest is the lowest line, so which engine is best depends on how long it will run.
    """
    return _lowest()(names, build_s, batch_ms, batches)


def _kept(weight, *, count=2, of=4, score=torch.abs):
    """`two_of_four`; of each `of` neighbours, the `count` with the highest score."""
    groups = weight.reshape(-1, of)
    kept = score(groups).topk(count, dim=1).indices
    return torch.zeros_like(groups).scatter(1, kept, groups.gather(1, kept)).reshape(weight.shape)


def _half_of(weight):
    middle = weight.abs().flatten().sort().values[weight.numel() // 2]
    return torch.where(weight.abs() >= middle, weight, 0.0)


def _distinct_weights(g: torch.Generator):
    rows, columns = choice(g, (4, 8)), 8
    count = rows * columns
    sign = -signs(g, count)
    return (((torch.randperm(count, generator=g) + 1.0) * sign / 10).reshape(rows, columns),)


@exercise(
    "hardware.two_of_four",
    points=3,
    inputs=_distinct_weights,
    hints=(
        "Reshape to rows of four neighbours; work on each row; reshape back.",
        "`abs().topk(2, dim=1).indices` says which two of a row stay.",
        "groups = weight.reshape(-1, 4); kept = groups.abs().topk(2, dim=1).indices; torch.zeros_like(groups).scatter(1, "
        "kept, groups.gather(1, kept)).reshape(weight.shape)",
    ),
    wrong={
        "You kept the two smallest of each four; the largest by absolute value stay.": partial(
            _kept, score=lambda w: -w.abs()
        ),
        "A weight of −3 matters more than one of 0.1: compare absolute values.": partial(_kept, score=lambda w: w),
        "Half of all weights are zero, but not two of *each* four: a group may have kept three, another one.": _half_of,
        "The four are neighbours in a row (along the inputs); yours lie in a column.": lambda weight: two_of_four(
            weight.T.contiguous()
        ).T.contiguous(),
        "You kept one of each four; two may stay.": partial(_kept, count=1),
        "You kept three of each four; only two may stay.": partial(_kept, count=3),
        "You kept one of each two. 2:4 leaves more choice: two of four, which may lie side by side.": partial(
            _kept, count=1, of=2
        ),
        "You dropped the two largest; the two smallest in absolute value go.": partial(_kept, score=lambda w: -w),
        "Half of each row is zero, but not two of *each* four: they may all lie together.": lambda weight: _kept(
            weight, count=weight.shape[1] // 2, of=weight.shape[1]
        ),
        "That is the mask; wanted are the weights themselves, with zeros.": changed(lambda kept: (kept != 0).float()),
        "The signs are gone: compare absolute values, but keep the weights as they are.": changed(torch.abs),
    },
    properties=(
        Property(
            "Each four neighbours of a row keep two numbers.",
            lambda result, weight: bool(
                ((result.reshape(-1, 4).abs() > 0).sum(1) == 2).all() and result.isfinite().all()
            ),
        ),
    ),
)
def two_of_four(weight):
    """Two of every four.

    `torch.sparse.to_sparse_semi_structured` stores the two and their places, and NVIDIA's tensor cores (since Ampere,
    2020) read them at twice the rate. A processor without such an instruction gains nothing from the pattern.
    """
    return _kept(weight)


question(
    "hardware.relu_limit",
    points=1,
    text="A machine computes at most 100·10⁹ operations a second and moves at most 20·10⁹ bytes. ReLU on float32 reads a "
    "number, compares it (one operation) and writes it. How many 10⁹ operations a second can ReLU reach at most?",
    answer=2.5,
    tolerance=0.01,
    explanation="One operation for 8 bytes: 20 / 8 = 2.5, a fortieth of what the arithmetic could do. A faster processor "
    "would not help; not reading and writing between two operators does.",
)
question(
    "hardware.too_many_threads",
    points=1,
    text="A container may use one core of a server with 32. The program in it asks how many cores the server has and "
    "starts 32 threads. What becomes of its latency?",
    choices={
        "a": "It gets worse: the threads take turns on one core, and at the end of every operator all wait for the last.",
        "b": "It is as with one thread: the work is the same.",
        "c": "It gets better: while one thread waits for memory, another computes.",
    },
    answer="a",
    comments={
        "b": "The work is the same, but it is cut into 32 parts, and the operator is done when the last of them is.",
        "c": "That is what two threads of one core with hyper-threading do. Here the system switches them by turns of "
        "milliseconds, which is longer than a whole operator takes.",
    },
    explanation="Give every engine as many threads as the process has cores: `len(os.sched_getaffinity(0))` tells which "
    "cores it may run on. A limit of time (a container's quota) is not seen there; read it where it was set.",
)
question(
    "hardware.two_four_bytes",
    points=1,
    text="Of every four weights of 16 bits, 2:4 sparsity stores the two that stay and, for each of these, its place among "
    "the four in 2 bits. How many per cent of the dense size is that?",
    answer=56.25,
    tolerance=0.1,
    explanation="2 · 16 + 2 · 2 = 36 bits in the place of 64: 56.25 %. Half of the weights are gone, not half of the bytes.",
)
question(
    "hardware.static_shapes",
    points=1,
    text="On a TPU the compiler XLA makes a program for fixed shapes. 18,000 pictures in batches of 128 leave a last batch "
    "of 80. What does it cost, and what does one do?",
    choices={
        "a": "Nothing: a program for 128 pictures computes 80 as well.",
        "b": "Accuracy: the 80 are computed in bf16, so one trains longer.",
        "c": "A second compilation: one drops the last batch, or pads it to 128 and leaves the padding out of the loss.",
    },
    answer="c",
    comments={
        "a": "A fixed shape is part of the program: that is what lets the compiler lay out everything ahead.",
        "b": "The format does not depend on the batch's size.",
    },
    explanation="Every new shape is a new program, and compiling takes from seconds to minutes. So: one batch size, "
    "pictures of one size, texts padded to a few lengths, no branches that depend on the numbers.",
)
