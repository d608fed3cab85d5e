"""Exercises and questions of lesson 12: the limits of a machine, and how close software gets to them."""

from functools import partial
from itertools import pairwise
from math import prod

import torch

from nnopt_lab.course.draws import choice, randint, randints, signs
from nnopt_lab.course.exercises import Property, exercise, question
from nnopt_lab.course.wrong_answers import called_with, changed


def _intensity(per_mac=2, read=1, weights=1, bias=1, write=1, window=2, dimensions=2, free_bias=True, left_out=None):
    """`conv_intensity` with a mistake.

    Args:
        per_mac: operations per multiply-accumulate.
        read, weights, write: how often the input, the weights and the output are moved; "pictures" or "filters" is once
            per picture or filter.
        bias: values per filter beside its weights.
        window, dimensions: exponents of a window's and a picture's side.
        free_bias: whether adding the bias costs nothing.
        left_out: the size that the operations are not multiplied by, or None.
    """

    def intensity(channels, filters, kernel, side, pictures, width):
        sizes = {"channels": channels, "filters": filters, "pictures": pictures}
        places, products = pictures * side**dimensions, channels * kernel**window
        operations = places * filters * (per_mac * products + (not free_bias)) / sizes.get(left_out, 1)
        of_weights = sizes.get(weights, weights) * filters * (products + bias)
        of_input = sizes.get(read, read) * places * channels
        return operations / (width * (of_input + of_weights + write * places * filters))

    return intensity


@exercise(
    "hardware.conv_intensity",
    points=3,
    inputs=lambda g: (*randints(g, (2, 8), (3, 9)), choice(g, (3, 5)), *randints(g, (4, 9), (2, 6)), choice(g, (2, 4))),
    hints=(
        "Count the operations (two per multiply-accumulate) and the values moved: the input, the weights with their "
        "biases, and the output.",
        "Each output value needs `in_channels · kernel²` products, and there are `pictures · filters · side²` output "
        "values. The weights are read once, however many pictures there are.",
        "`places = pictures * side**2; operations = 2 * places * filters * in_channels * kernel**2; numbers = places * "
        "in_channels + filters * (in_channels * kernel**2 + 1) + places * filters; operations / (bytes_each * numbers)`",
    ),
    wrong={
        "You counted one operation per multiply-accumulate. The multiplication and the addition are two.": _intensity(
            per_mac=1
        ),
        "You read the weights once per picture. They are read once for the whole batch, and that is the advantage of "
        "batches.": _intensity(weights="pictures"),
        "You left out the weights. They must be read, too.": _intensity(weights=0),
        "You left out the biases: each filter has one more value.": _intensity(bias=0),
        "You left out the input. It must be read, too.": _intensity(read=0),
        "You left out the output. It must be written, too.": _intensity(write=0),
        "You counted `kernel` positions in a window. It has `kernel · kernel`.": _intensity(window=1),
        "You computed operations per *value*. Each value has `bytes_each` bytes.": called_with(
            lambda *inputs: (*inputs[:-1], 1)
        ),
        "You assumed four bytes per value. Use `bytes_each`.": called_with(lambda *inputs: (*inputs[:-1], 4)),
        "You computed bytes per operation. Divide the operations by the bytes.": changed(
            lambda intensity: 1 / intensity
        ),
        "You multiplied by `bytes_each`. The bytes belong in the denominator.": lambda *inputs: (
            inputs[-1] ** 2 * conv_intensity(*inputs)
        ),
        "You counted the operations of one picture but the bytes of all. Count the whole batch in both.": _intensity(
            left_out="pictures"
        ),
        "You counted the bytes of one picture but the operations of all. Count the whole batch in both.": (
            lambda *inputs: inputs[4] * conv_intensity(*inputs[:4], 1, inputs[5])
        ),
        "You left out `in_channels`: each output value needs `in_channels · kernel²` products, since a filter spans "
        "all input channels.": _intensity(left_out="channels"),
        "You counted the operations of one filter. There are `filters` of them.": _intensity(left_out="filters"),
        "You used `side` as the number of pixels. A picture has `side · side`.": _intensity(dimensions=1),
        "You counted the addition of the bias as an operation. It is free here.": _intensity(free_bias=False),
        "You read the input once per filter. It is read once for all filters.": _intensity(read="filters"),
        "You read each input value once per position of the window. It is read once.": (
            lambda c, f, kernel, *rest: _intensity(read=kernel**2)(c, f, kernel, *rest)
        ),
    },
    properties=(
        Property(
            "The more bytes per value, the lower the intensity.",
            lambda result, *inputs: 0 < result < conv_intensity(*inputs[:-1], 1) or (result > 0 and inputs[-1] == 1),
        ),
    ),
)
def conv_intensity(in_channels, filters, kernel, side, pictures, bytes_each):
    """Operations per byte of a convolution.

    A higher intensity brings a layer closer to the arithmetic peak. What raises it: larger batches, more filters, fewer
    bytes per value, and fusion, which saves reads and writes between operators.
    """
    return _intensity()(in_channels, filters, kernel, side, pictures, bytes_each)


def _borders(kernels):
    """Positions in the chain where one kernel ends and the next begins, including both ends of the chain."""
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
        "Go through the chain kernel by kernel, and keep track of your position among the tensors.",
        "A kernel of k operators reads the tensor at which it begins and writes the one k positions further on. The "
        "tensors in between never go to memory.",
        "`at = 0`; for each k of `kernels`: `total += numbers[at] + numbers[at + k]; at += k`; `return bytes_each * "
        "total`",
    ),
    wrong={
        "You counted the chain without fusion. A tensor inside a kernel is neither "
        "written nor read.": lambda n, kernels, width: moved_bytes(n, [1] * (len(n) - 1), width),
        "You counted one kernel for the whole chain. At the end of each kernel its result is written, and the next "
        "one reads it.": lambda n, kernels, width: width * (n[0] + n[-1]),
        "You counted tensors between two kernels once. They move twice: one kernel writes them, the next reads them.": lambda n, kernels, width: (
            width * sum(n[i] for i in _borders(kernels))
        ),
        "You counted only what is written. Each kernel also reads its input.": lambda n, kernels, width: (
            width * sum(n[i] for i in _borders(kernels)[1:])
        ),
        "You counted only what is read. Each kernel also writes its output.": lambda n, kernels, width: (
            width * sum(n[i] for i in _borders(kernels)[:-1])
        ),
        "You counted values. Multiply by `bytes_each`.": called_with(lambda n, kernels, width: (n, kernels, 1)),
        "You counted every tensor once. Those inside a kernel do not move, and those between two kernels move twice.": lambda n, kernels, width: (
            width * sum(n)
        ),
        "You computed the bytes that fusion saves. Return those that still move.": lambda n, kernels, width: (
            moved_bytes(n, [1] * (len(n) - 1), width) - moved_bytes(n, kernels, width)
        ),
        "You moved one step per kernel. A kernel of k operators moves k steps along the chain.": lambda n, kernels, width: (
            width * sum(n[i] + n[i + 1] for i in range(len(kernels)))
        ),
        "You started every kernel at the chain's input. Each starts where the previous one ended.": lambda n, kernels, width: (
            width * sum(n[0] + n[k] for k in kernels)
        ),
        "You are off by one: `numbers[0]` is the input, so k operators that start at `at` write `numbers[at + k]`.": lambda n, kernels, width: (
            width * sum(n[i] + n[j - 1] for i, j in pairwise(_borders(kernels)))
        ),
        "You left out the chain's input. It is read, too.": lambda n, kernels, width: (
            moved_bytes(n, kernels, width) - width * n[0]
        ),
        "You left out the chain's last output. It is written, too.": lambda n, kernels, width: (
            moved_bytes(n, kernels, width) - width * n[-1]
        ),
    },
)
def moved_bytes(numbers, kernels, bytes_each):
    """Bytes that fused operators move.

    For operators that compute little per value (ReLU, pooling, batch norm, sums), the bytes moved determine the time.
    That is why compilers fuse, and why networks of a few large kernels run closer to the peak.
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
        "The last dimension of `order` is the innermost: neighbours along it are adjacent in memory, so its stride is 1.",
        "Going outwards, each dimension's stride is the product of the sizes of all dimensions inside it.",
        "`steps, step = [0] * len(shape), 1; for d in reversed(order): steps[d] = step; step *= shape[d]`",
    ),
    wrong={
        "You computed the strides of torch's default order. Use `order`, which lists the dimensions from the outermost to the innermost.": called_with(
            lambda shape, order: (shape, range(len(shape)))
        ),
        "Your strides are right, but listed in the order of memory. List them in the "
        "order of `shape`.": lambda shape, order: [strides(shape, order)[d] for d in order],
        "You read `order` backwards. It goes from the outermost to the innermost dimension.": called_with(
            lambda shape, order: (shape, order[::-1])
        ),
        "You included a dimension's own size in its stride. Multiply only the sizes of the dimensions "
        "inside it.": _including_own,
        "You computed strides in bytes. torch counts in elements.": changed(lambda steps: [4 * step for step in steps]),
        "You read `order[d]` as the position of dimension d. It is the dimension at position d.": called_with(
            lambda shape, order: (shape, [order.index(d) for d in range(len(shape))])
        ),
        "You computed the strides of `permute(order)`, which moves nothing in memory. Here the elements are stored "
        "in that order.": lambda shape, order: [strides(shape, range(len(shape)))[d] for d in order],
        "Your strides are right, but the list is reversed. The first belongs to the first "
        "dimension of `shape`.": changed(lambda steps: steps[::-1]),
        "You multiplied the last sizes of `shape`. The inner dimensions are the last "
        "ones of `order`.": lambda shape, order: [prod(shape[order.index(d) + 1 :]) for d in range(len(shape))],
        "You used only the size of the next dimension. A stride is the product of all sizes further inside.": (
            lambda shape, order: [prod(shape[e] for e in order[order.index(d) + 1 :][:1]) for d in range(len(shape))]
        ),
    },
    properties=(
        Property("The innermost dimension has a stride of 1.", lambda result, shape, order: result[order[-1]] == 1),
    ),
)
def strides(shape, order):
    """Strides of a memory layout.

    Channels last is order [0, 2, 3, 1]. The shape stays [N, C, H, W], and so does your program. Only the strides change,
    and with them the elements that a vector register can load at once.
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
    """`batch_for`: of the sizes that are in time and keep up, the one with the lowest score."""
    fit = [
        (score(size, time), size)
        for size, time in zip(sizes, ms, strict=True)
        if in_time(size, time, interval_ms, limit_ms) and keeps_up(size, time, interval_ms)
    ]
    return min(fit)[1] if fit else 0


def _server(g: torch.Generator):
    # A batch of 1 never keeps up, and one of 32 is always late. Either 8 takes the least time per picture, or 8 and 16
    # just keep up. The limit admits 8 just so, or 16 too, or only sizes that do not keep up.
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
        "Two conditions exclude sizes. How long does the first picture of a batch wait in all? And can the server "
        "compute a batch before the next one is complete?",
        "The first picture waits for `size − 1` others, then for the computation. A size keeps up if its time is at "
        "most `size · interval_ms`. Of the remaining sizes, take the one with the least time per picture.",
        "`fit = [(t / b, b) for b, t in zip(sizes, ms) if (b - 1) * interval_ms + t <= limit_ms and t <= b * "
        "interval_ms]; return min(fit)[1] if fit else 0`",
    ),
    wrong={
        "You ignored the limit. Your size is the cheapest per picture, but the first picture of its batch waits too long.": partial(
            _best_batch, in_time=lambda size, time, interval, limit: True
        ),
        "Your size does not keep up: a new batch is complete before the last one is computed, so the "
        "queue grows.": partial(_best_batch, keeps_up=lambda size, time, interval: True),
        "You counted only the computation. The first picture of a batch also waits until the last "
        "one has arrived.": partial(_best_batch, in_time=lambda size, time, interval, limit: time <= limit),
        "You let the first picture wait for `size` others. It waits for `size − 1`: it has arrived itself.": partial(
            _best_batch, in_time=lambda size, time, interval, limit: size * interval + time <= limit
        ),
        "You took the largest allowed size. Take the one with the least time per picture.": partial(
            _best_batch, score=lambda size, time: -size
        ),
        "You took the least time per batch. Divide it by the size of the batch.": partial(
            _best_batch, score=lambda size, time: time
        ),
        "A server that computes a batch in exactly the time in which the next one arrives keeps up: compare with ≤.": partial(
            _best_batch, keeps_up=lambda size, time, interval: time < size * interval
        ),
        "You took the longer of waiting and computing. The first picture waits first and is computed then: add the two.": partial(
            _best_batch, in_time=lambda size, time, interval, limit: max((size - 1) * interval, time) <= limit
        ),
        "You compared with the next *picture*. A batch must be done before the next *batch* has arrived, after `size · "
        "interval_ms`.": partial(_best_batch, keeps_up=lambda size, time, interval: time <= interval),
        "You returned the time per picture. Return the size of the batch.": lambda sizes, ms, interval_ms, limit_ms: (
            min(
                (t / b for b, t in zip(sizes, ms, strict=True) if b == batch_for(sizes, ms, interval_ms, limit_ms)),
                default=0,
            )
        ),
        "You returned the position in the list. Return the size itself.": lambda sizes, *rest: (
            sizes.index(found) if (found := batch_for(sizes, *rest)) else 0
        ),
        "If no size is allowed, return 0, not `None`.": changed(lambda size: size or None),
        "You took the most time per picture. Take the least.": partial(
            _best_batch, score=lambda size, time: -time / size
        ),
    },
)
def batch_for(sizes, ms, interval_ms, limit_ms):
    """Batch size for a latency limit.

    Latency and throughput are conflicting goals. Servers with *dynamic batching* set a limit on latency and maximise
    throughput within it. If arrivals vary, they also stop waiting after a set time.
    """
    return _best_batch(sizes, ms, interval_ms, limit_ms)


def _lowest(total=lambda build, ms, batches: build + batches * ms / 1000):
    """`cheapest`: the first name with the lowest total."""

    def lowest(names, build_s, batch_ms, batches):
        totals = [total(build, ms, batches) for build, ms in zip(build_s, batch_ms, strict=True)]
        return names[totals.index(min(totals))]

    return lowest


def _engines_and_batches(g: torch.Generator):
    # Four engines, each the cheapest for some number of batches: the longer the build, the faster a batch. The fifth
    # needs no build either, and is slower.
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
        "An engine's total time is its build time plus the time of all batches.",
        "`build_s` is in seconds and `batch_ms` in milliseconds: convert to one unit before you add.",
        "`totals = [b + batches * t / 1000 for b, t in zip(build_s, batch_ms)]; return "
        "names[totals.index(min(totals))]`",
    ),
    wrong={
        "You took the engine with the fastest batches. Add the time to build it.": _lowest(lambda build, ms, n: ms),
        "You took the engine with the shortest build. Add the time of its batches.": _lowest(
            lambda build, ms, n: build
        ),
        "You added milliseconds to seconds. Divide the time of the batches by 1000.": _lowest(
            lambda build, ms, n: build + n * ms
        ),
        "You counted one batch, or the build once per batch. An engine is built once and computes `batches` batches.": _lowest(
            lambda build, ms, n: build + ms / 1000
        ),
        "You took the engine that finishes last. Take the minimum.": _lowest(
            lambda build, ms, n: -(build + n * ms / 1000)
        ),
        "You divided by 100. A second has 1000 milliseconds.": _lowest(lambda build, ms, n: build + n * ms / 100),
        "You returned the total time. Return the name of the engine.": lambda names, build, ms, n: min(
            b + n * t / 1000 for b, t in zip(build, ms, strict=True)
        ),
        "You returned its position in the list. Return its name.": lambda names, *times: names.index(
            cheapest(names, *times)
        ),
    },
)
def cheapest(names, build_s, batch_ms, batches):
    """Build time and time per batch.

    Plotted over the number of batches, each engine is a straight line that starts at its build time and rises with its
    time per batch. The lowest line wins, so the best engine depends on how long it will run.
    """
    return _lowest()(names, build_s, batch_ms, batches)


def _kept(weight, *, count=2, of=4, score=torch.abs):
    """`two_of_four`, but keeping the `count` highest scores of each `of` neighbours."""
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
        "Reshape to rows of four neighbours, work on each row, and reshape back.",
        "`abs().topk(2, dim=1).indices` gives the two entries of a row that stay.",
        "`groups = weight.reshape(-1, 4); kept = groups.abs().topk(2, dim=1).indices; "
        "torch.zeros_like(groups).scatter(1, kept, groups.gather(1, kept)).reshape(weight.shape)`",
    ),
    wrong={
        "You kept the two smallest of each four. Keep the two largest in absolute value.": partial(
            _kept, score=lambda w: -w.abs()
        ),
        "You compared signed values, but a weight of −3 matters more than one of 0.1. Compare absolute values.": partial(
            _kept, score=lambda w: w
        ),
        "You zeroed half of all weights, but not two of *each* four: some groups keep three, others one.": _half_of,
        "You grouped neighbours of a column. The four are neighbours in a row, along the inputs.": lambda weight: (
            two_of_four(weight.T.contiguous()).T.contiguous()
        ),
        "You kept one of each four. Keep two.": partial(_kept, count=1),
        "You kept three of each four. Keep two.": partial(_kept, count=3),
        "You kept one of each two. 2:4 allows more: any two of four, also adjacent ones.": partial(
            _kept, count=1, of=2
        ),
        "You dropped the two largest signed values. Drop the two smallest in absolute value.": partial(
            _kept, score=lambda w: -w
        ),
        "You zeroed half of each row, but not two of *each* four.": lambda weight: _kept(
            weight, count=weight.shape[1] // 2, of=weight.shape[1]
        ),
        "You returned only the values that stay. Put them back into the shape of the weight, with zeros between "
        "them.": lambda weight: two_of_four(weight)[two_of_four(weight) != 0].reshape(len(weight), -1),
        "You returned the mask. Return the weights, with zeros.": changed(lambda kept: (kept != 0).float()),
        "You lost the signs. Compare absolute values, but return the weights themselves.": changed(torch.abs),
    },
    properties=(
        Property(
            "Each four neighbours of a row keep two values.",
            lambda result, weight: bool(
                ((result.reshape(-1, 4).abs() > 0).sum(1) == 2).all() and result.isfinite().all()
            ),
        ),
    ),
)
def two_of_four(weight):
    """2:4 sparsity.

    `torch.sparse.to_sparse_semi_structured` stores the two values and their positions, and the tensor cores of NVIDIA
    GPUs since Ampere (2020) process them at twice the rate. A processor without such an instruction gains nothing.
    """
    return _kept(weight)


question(
    "hardware.relu_limit",
    points=1,
    text="A machine computes at most 100·10⁹ operations per second and moves at most 20·10⁹ bytes per second. ReLU on "
    "float32 reads a value, compares it (one operation) and writes it. How many GFLOP/s (10⁹ operations per second) can "
    "ReLU reach at most?",
    answer=2.5,
    tolerance=0.01,
    explanation="One operation per 8 bytes gives 20 / 8 = 2.5, a fortieth of the arithmetic peak. A faster processor would "
    "not help. What helps is to save the reads and writes between operators.",
)
question(
    "hardware.too_many_threads",
    points=1,
    text="A container may use one core of a server with 32 cores. The program inside asks how many cores the server has, "
    "and starts 32 threads. How does its latency change?",
    choices={
        "a": "It gets worse: the threads take turns on one core, and at the end of each operator all wait for the last one.",
        "b": "It stays that of one thread: the work is the same.",
        "c": "It gets better: while one thread waits for memory, another computes.",
    },
    answer="a",
    comments={
        "b": "The work is the same, but one core has to do it for 32 threads in turn.",
        "c": "Two hardware threads of one core (SMT) can do that. Here the operating system switches threads every few "
        "milliseconds, and that is longer than a whole operator takes.",
    },
    explanation="Give each engine as many threads as its process has cores: `len(os.sched_getaffinity(0))` counts the "
    "cores it may run on. A limit on processor time (a container's quota) does not show there; `measure.machine().cores` "
    "reads it too.",
)
question(
    "hardware.zeros_at_random",
    points=1,
    text="In another layer, each weight is zero with a probability of one half, whatever its neighbours are. In what "
    "percentage of its groups of four do at most two weights stay, as 2:4 sparsity requires?",
    answer=68.75,
    tolerance=0.1,
    comments={
        31.25: "You counted the groups in which three or four weights stay.",
        37.5: "You counted the groups in which exactly two stay. Fewer are no problem.",
        50.0: "You took the share of the zeros. Count the patterns of four with at most two weights.",
    },
    explanation="A group has 16 patterns of zeros, all equally likely. In 1 of them no weight stays, in 4 one, and in 6 "
    "two: 11 / 16 = 68.75 %. A kernel for 2:4 needs all groups, so zeros anywhere are no use to it: choose them group by "
    "group.",
)
question(
    "hardware.static_shapes",
    points=1,
    text="On a TPU, the compiler XLA builds a program for fixed shapes. 18,000 pictures in batches of 128 leave a last batch "
    "of 80. What does that cost, and what do you do about it?",
    choices={
        "a": "Nothing: a program for 128 pictures can also compute 80.",
        "b": "Accuracy: the 80 are computed in bf16, so you train for longer.",
        "c": "A second compilation: drop the last batch, or pad it to 128 and leave the padding out of the loss.",
    },
    answer="c",
    comments={
        "a": "The shape is part of the program: that is why the compiler can plan everything ahead.",
        "b": "The number format does not depend on the batch size.",
    },
    explanation="Every new shape is a new program, and compilation takes seconds to minutes. So use one batch size and "
    "pictures of one size, pad texts to a few lengths, and avoid branches that depend on values.",
)
