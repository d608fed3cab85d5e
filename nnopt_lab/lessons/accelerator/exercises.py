"""Exercises and questions of lesson 13: what limits a network on an accelerator, computed from a few timings."""

from functools import partial
from math import ceil, prod

import torch

from nnopt_lab.course.draws import choice, randint, randints
from nnopt_lab.course.exercises import Property, exercise, question
from nnopt_lab.course.wrong_answers import called_with, changed, scaled, swapped


def _finish(launch_us, kernels_us, *, first=1, own=lambda launch, kernel: kernel):
    """When the last kernel ends; the first launch is complete after `first` times launch_us."""
    free = 0
    for number, kernel in enumerate(kernels_us, first):
        free = max(number * launch_us, free) + own(launch_us, kernel)
    return free


def _end_compared(launch_us, kernels_us):
    free = 0
    for number, kernel in enumerate(kernels_us, 1):
        free = max(number * launch_us, free + kernel)
    return free


def _clocks(true):
    """`two_clocks`, where `true` computes the second number."""
    return lambda launch, kernels: [len(kernels) * launch, true(launch, kernels)]


def _queue(g: torch.Generator):
    # Short kernels first, so that the device waits for launches; then, mostly, a long one, behind which a queue forms.
    launch = randint(g, 5, 8)
    if randint(g, 0, 3) == 0:
        return launch, [randint(g, 1, launch - 2) for _ in range(randint(g, 3, 5))]
    short = [randint(g, 1, launch - 2) for _ in range(randint(g, 1, 2))]
    long = [randint(g, 2 * launch + 1, 4 * launch) for _ in range(randint(g, 1, 2))]
    last = [randint(g, 1, launch - 1) for _ in range(randint(g, 0, 2))]
    return launch, short + long + last


@exercise(
    "accelerator.two_clocks",
    points=3,
    inputs=_queue,
    hints=(
        "Keep one number while you go through the kernels: the time at which the device becomes free.",
        "Kernel number i (from 1) has been launched at `i · launch_us`. It starts at that time or when the device "
        "becomes free, whichever is later.",
        "`free = 0; for i, kernel in enumerate(kernels_us, 1): free = max(i * launch_us, free) + kernel; return "
        "[len(kernels_us) * launch_us, free]`",
    ),
    wrong={
        "You swapped the two clocks. The first is read right after the last launch.": swapped(),
        "You added launches and kernels. They overlap: while the device computes, the host launches the next kernel.": _clocks(
            lambda launch, kernels: launch * len(kernels) + sum(kernels)
        ),
        "You added up the kernels only. The device can't start a kernel before it is launched.": _clocks(
            lambda launch, kernels: sum(kernels)
        ),
        "You launched the first kernel at time 0. A launch takes `launch_us`, so kernel i is there at `i · launch_us`, "
        "with i from 1.": _clocks(partial(_finish, first=0)),
        "You counted one launch and then all kernels without a gap. The device waits again whenever the next kernel "
        "isn't launched yet.": _clocks(lambda launch, kernels: launch + sum(kernels)),
        "You took the larger of all launches and all kernels. The two sums overlap only in part: follow the device "
        "kernel by kernel.": _clocks(lambda launch, kernels: max(launch * len(kernels), sum(kernels))),
        "You started every kernel as soon as it was launched. The device runs them one after another, so it may still "
        "be busy.": _clocks(lambda launch, kernels: max(i * launch + k for i, k in enumerate(kernels, 1))),
        "You added the last kernel to the time of the launches. Kernels before it may still be running.": _clocks(
            lambda launch, kernels: launch * len(kernels) + kernels[-1]
        ),
        "You took the longer of launch and kernel for each step. A queue that has formed behind a long kernel hides "
        "later launches.": _clocks(lambda launch, kernels: sum(max(launch, k) for k in kernels)),
        "Both clocks show the end of the last kernel. The first is read when all launches have returned.": (
            lambda launch, kernels: [_finish(launch, kernels)] * 2
        ),
        "Both clocks show the end of the last launch. The second is read when the last kernel has ended.": (
            lambda launch, kernels: [len(kernels) * launch] * 2
        ),
        "You compared the launch with the end of the kernel. Compare it with the time at which the device becomes free, "
        "and add the kernel to the later of the two.": _clocks(_end_compared),
        "You let the host wait for each kernel. A launch returns at once, so the next one begins while the device "
        "computes.": (
            lambda launch, kernels: [launch * len(kernels) + sum(kernels[:-1]), launch * len(kernels) + sum(kernels)]
        ),
        "You returned only the true time. Return both, as a list.": _finish,
    },
    properties=(
        Property(
            "The device finishes after the last launch.",
            lambda result, *inputs: len(result) == 2 and result[1] > result[0] > 0,
        ),
    ),
)
def two_clocks(launch_us, kernels_us):
    """An asynchronous clock and a true one.

    A clock that is read when the launches have returned measures the host. A fair measurement waits for the device
    (`torch.accelerator.synchronize()`), or lets the device take the time itself, with two events in its queue.
    `measure.latency` does this for you.
    """
    return [len(kernels_us) * launch_us, _finish(launch_us, kernels_us)]


def _sizes_and_times(g: torch.Generator):
    small = choice(g, (1, 2, 4, 8))
    large = small * choice(g, (2, 4, 8))
    per_picture, fixed = randint(g, 1, 9), randint(g, 20, 90)
    kind = randint(g, 0, 2)
    fixed, per_picture = ((fixed, 0), (0, per_picture), (fixed, per_picture))[kind]
    return [small, large], [(fixed + size * per_picture) / 10 for size in (small, large)]


def _share(sizes, ms, *, rise=lambda sizes, ms: (ms[1] - ms[0]) / (sizes[1] - sizes[0]), at=0):
    return rise(sizes, ms) * sizes[at] / ms[at]


@exercise(
    "accelerator.growing_share",
    points=2,
    inputs=_sizes_and_times,
    hints=(
        "How much time does each further picture add? Divide the difference of the times by that of the sizes.",
        "The smaller batch has `sizes[0]` pictures: multiply, and divide by the time of the smaller batch.",
        "`per_picture = (ms[1] - ms[0]) / (sizes[1] - sizes[0]); return per_picture * sizes[0] / ms[0]`",
    ),
    wrong={
        "You computed the share that doesn't grow. Subtract it from 1.": changed(lambda share: 1 - share),
        "You divided by the time of the larger batch. The question is about the smaller one.": partial(_share, at=1),
        "You took all the time of the larger batch as growing. A part of it is the same for every size: use the "
        "difference of the two times.": partial(_share, rise=lambda sizes, ms: ms[1] / sizes[1]),
        "You divided the difference by the larger size. Divide it by the difference of the sizes.": partial(
            _share, rise=lambda sizes, ms: (ms[1] - ms[0]) / sizes[1]
        ),
        "You divided the difference by the smaller size, so it cancelled. Divide it by the difference of the "
        "sizes.": partial(_share, rise=lambda sizes, ms: (ms[1] - ms[0]) / sizes[0]),
        "You returned the time per further picture. Multiply it by `sizes[0]`, and divide by the time.": (
            lambda sizes, ms: (ms[1] - ms[0]) / (sizes[1] - sizes[0])
        ),
        "You returned milliseconds. Divide by the time of the smaller batch.": lambda sizes, ms: (
            (ms[1] - ms[0]) / (sizes[1] - sizes[0]) * sizes[0]
        ),
        "You returned the ratio of the two times. A share lies between 0 and 1.": lambda sizes, ms: ms[1] / ms[0],
        "You returned the share of the larger batch's time that its further pictures take. Find the time per further "
        "picture first.": lambda sizes, ms: (ms[1] - ms[0]) / ms[1],
        "You compared the times per picture. Part of each time is the same for every size: use the difference of the "
        "two times.": lambda sizes, ms: ms[0] / sizes[0] / (ms[1] / sizes[1]),
        "You returned percent. The share is a number from 0 to 1.": scaled(100),
    },
    properties=(Property("The share lies between 0 and 1.", lambda result, *inputs: -1e-6 <= result <= 1 + 1e-6),),
)
def growing_share(sizes, ms):
    """The share of a batch's time that grows with the batch.

    Near 0, the batch is launch-bound: more pictures cost nothing, so enlarge the batch or remove launches. Near 1, it is
    limited by arithmetic or memory, and only fewer operations, fewer bytes or faster units help.
    """
    return _share(sizes, ms)


def _eager(kernels, launch_us, busy_us):
    return max(kernels * launch_us, busy_us)


def _payback(kernels, launch_us, busy_us, capture_ms, *, eager=_eager, replayed=max, thousand=1000, whole=ceil):
    """`graph_pays`, with the two times of a call and the rounding exchangeable."""
    saved = eager(kernels, launch_us, busy_us) - replayed(launch_us, busy_us)
    return [kernels - 1, whole(capture_ms * thousand / saved) if saved > 0 else 0]


def _graph(g: torch.Generator):
    kernels, launch = randint(g, 20, 40), randint(g, 4, 7)
    busy = choice(g, (randint(g, 8, 15), randint(g, 60, 75), kernels * launch + randint(g, 0, 50)))
    return kernels, launch, busy, randint(g, 11, 30)


@exercise(
    "accelerator.graph_pays",
    points=3,
    inputs=_graph,
    hints=(
        "How long does an eager call take, if the host needs `kernels · launch_us` to launch and the device `busy_us` "
        "to compute, both at the same time? And how long does a replay take, with a single launch?",
        "Eager: `max(kernels · launch_us, busy_us)`. Replay: `max(launch_us, busy_us)`. If the difference is 0, a "
        "graph never pays. Otherwise, divide the capture by it and round up; `capture_ms` is in milliseconds.",
        "`saved = max(kernels * launch_us, busy_us) - max(launch_us, busy_us); return [kernels - 1, "
        "math.ceil(capture_ms * 1000 / saved) if saved > 0 else 0]`",
    ),
    wrong={
        "You saved all launches. Replaying a graph takes one launch.": changed(lambda both: [both[0] + 1, both[1]]),
        "You counted the time of every saved launch as saved. Launching and computing overlap, so the longer one counts in "
        "each call.": partial(
            _payback, eager=lambda n, launch, busy: n * launch + busy, replayed=lambda launch, busy: launch + busy
        ),
        "You compared the launches alone. When the device is busy for longer than one launch, a replay still takes as "
        "long as the device computes.": partial(_payback, replayed=lambda launch, busy: launch),
        "You took milliseconds for microseconds. One millisecond is 1000 µs.": partial(_payback, thousand=1),
        "You rounded down. After that many calls the capture isn't paid for yet.": partial(_payback, whole=int),
        "You didn't round up. Calls are counted in whole numbers.": partial(_payback, whole=float),
        "You returned a single number. Return a list: launches saved per call, and calls.": changed(
            lambda both: both[1]
        ),
        "You swapped the two numbers. The launches saved per call come first.": swapped(),
    },
)
def graph_pays(kernels, launch_us, busy_us, capture_ms):
    """Launches that a CUDA graph saves.

    A graph only removes launches. It gains nothing where the device is busy all the time. Where the device waits for the
    host, the capture soon pays off. The price is rigidity: fixed shapes, fixed addresses, no decisions on the host.
    """
    return _payback(kernels, launch_us, busy_us, capture_ms)


def _padded(size, tile):
    return ceil(size / tile) * tile


def _tiles(g: torch.Generator):
    tile = [choice(g, (64, 128)), choice(g, (64, 128, 256)), choice(g, (16, 32))]
    sizes = [choice(g, (randint(g, 3, 3 * t), t * randint(g, 1, 3))) for t in tile]
    sizes[randint(g, 0, 2)] = randint(g, 10, 15)  # at least one size is padded
    return sizes, tile


@exercise(
    "accelerator.useful_share",
    points=2,
    inputs=_tiles,
    hints=(
        "Each size is rounded up to a multiple of its tile.",
        "The useful share is the product of the sizes, divided by the product of the padded sizes.",
        "`math.prod(s / (math.ceil(s / t) * t) for s, t in zip(sizes, tile))`",
    ),
    wrong={
        "You rounded down to whole tiles. The rest needs a tile, too, even if most of it is empty.": lambda sizes, tile: (
            prod(s / (max(1, s // t) * t) for s, t in zip(sizes, tile, strict=True))
        ),
        "You returned the wasted share. Subtract it from 1.": changed(lambda share: 1 - share),
        "You averaged the three shares. They multiply: a half-empty tile along two sizes is three quarters "
        "empty.": lambda sizes, tile: sum(s / _padded(s, t) for s, t in zip(sizes, tile, strict=True)) / 3,
        "You took the worst of the three shares. They multiply.": lambda sizes, tile: min(
            s / _padded(s, t) for s, t in zip(sizes, tile, strict=True)
        ),
        "You left out the third size. It is cut into tiles, too.": lambda sizes, tile: prod(
            s / _padded(s, t) for s, t in zip(sizes[:2], tile[:2], strict=True)
        ),
        "You added one tile even where the size is a multiple. A size of 128 fills one tile of 128.": (
            lambda sizes, tile: prod(s / ((s // t + 1) * t) for s, t in zip(sizes, tile, strict=True))
        ),
        "You divided the padded sizes by the sizes. Turn the fraction over.": changed(lambda share: 1 / share),
        "You divided each size by its tile. Divide it by the *multiple* of the tile that holds it.": lambda sizes, tile: (
            prod(s / t for s, t in zip(sizes, tile, strict=True))
        ),
        "You counted only the part that the full tiles leave over, so a size that fills its tiles has the share 0. Divide "
        "the whole size by the *multiple* of the tile that holds it.": lambda sizes, tile: prod(
            s % t / t for s, t in zip(sizes, tile, strict=True)
        ),
        "You looked at the last tile only. The full tiles before it are computed, too: divide the whole size by the "
        "*multiple* of the tile that holds it.": lambda sizes, tile: prod(
            (s % t or t) / t for s, t in zip(sizes, tile, strict=True)
        ),
        "You took every size above its tile as full. Its last tile may be partly empty: divide by the *multiple* of the "
        "tile that holds the size.": lambda sizes, tile: prod(min(s / t, 1) for s, t in zip(sizes, tile, strict=True)),
        "You counted the tiles. Return the share of their multiplications that is useful.": lambda sizes, tile: prod(
            ceil(s / t) for s, t in zip(sizes, tile, strict=True)
        ),
        "You added up the sizes. A product of three sizes counts the multiplications.": lambda sizes, tile: (
            sum(sizes) / sum(_padded(s, t) for s, t in zip(sizes, tile, strict=True))
        ),
        "You took one tile size for all three. Each size has its own.": lambda sizes, tile: prod(
            s / _padded(s, tile[0]) for s in sizes
        ),
        "You returned percent. The share is a number from 0 to 1.": scaled(100),
    },
    properties=(Property("The share lies above 0 and at most at 1.", lambda result, *inputs: 0 < result <= 1 + 1e-6),),
)
def useful_share(sizes, tile):
    """Tiles that are only partly filled.

    Tensor cores multiply whole tiles. Channels in multiples of 8 (better 64) and large batches use them well. A first
    layer with three input channels and few filters wastes most of them. Libraries pad for you, at the same price.
    """
    return prod(s / _padded(s, t) for s, t in zip(sizes, tile, strict=True))


def _limits(per_fma=2, tera=1000, compute=1, memory=1, together=max):
    """`card_limits` with a mistake."""

    def limits(multiprocessors, fma_per_clock, ghz, bandwidth_gbs, operations, moved_bytes):
        tflops = per_fma * multiprocessors * fma_per_clock * ghz / tera
        microseconds = compute * operations / (tflops * 1e6), memory * moved_bytes / (bandwidth_gbs * 1e3)
        return [tflops, together(microseconds)]

    return limits


def _card(g: torch.Generator):
    multiprocessors, fma = choice(g, (20, 40, 80, 108)), choice(g, (64, 128, 1024))
    ghz, bandwidth = randint(g, 12, 20) / 10, 100 * randint(g, 3, 30)
    ridge = 2 * multiprocessors * fma * ghz / bandwidth  # operations per byte
    moved = 10_000 * randint(g, 3, 90)
    intensity = ridge * choice(g, (randint(g, 2, 6) / 10, randint(g, 15, 40) / 10))
    return multiprocessors, fma, ghz, bandwidth, int(moved * intensity), moved


@exercise(
    "accelerator.card_limits",
    points=3,
    inputs=_card,
    hints=(
        "The peak: every multiprocessor completes `fma_per_clock` multiply-adds per clock, and a multiply-add is two "
        "operations. With GHz, the product is in 10⁹ operations per second.",
        "The time is at least operations ÷ peak, and at least `moved_bytes` ÷ bandwidth. Both happen at the same time, "
        "so the longer one counts.",
        "`tflops = 2 * multiprocessors * fma_per_clock * ghz / 1000; return [tflops, max(operations / (tflops * 1e6), "
        "moved_bytes / (bandwidth_gbs * 1e3))]`",
    ),
    wrong={
        "You counted a multiply-add as one operation. It is two.": _limits(per_fma=1),
        "You added computing and moving. They happen at the same time: the longer one counts.": _limits(together=sum),
        "You took the shorter of the two times. Both must be over, so take the longer one.": _limits(together=min),
        "You left out memory. The bytes must be moved, too.": _limits(memory=0),
        "You left out arithmetic. The operations must be computed, too.": _limits(compute=0),
        "You returned GFLOP/s. A TFLOP/s is 1000 GFLOP/s.": changed(lambda both: [1000 * both[0], both[1]]),
        "Your time is in seconds. Return microseconds.": changed(lambda both: [both[0], both[1] / 1e6]),
        "Your time is in milliseconds. Return microseconds.": changed(lambda both: [both[0], both[1] / 1e3]),
        "You swapped the two numbers. The peak comes first.": swapped(),
        "You returned only the time. Return both numbers, as a list.": changed(lambda both: both[1]),
        "Your time for moving is too long by a factor of 1000. A bandwidth of 1 GB/s is 1000 bytes per microsecond.": (
            _limits(memory=1000)
        ),
        "Your time for computing is too long by a factor of a million. A peak of 1 TFLOP/s is a million operations per "
        "microsecond.": _limits(compute=1e6),
        "You took one multiprocessor. The card has `multiprocessors` of them.": called_with(
            lambda multiprocessors, *rest: (1, *rest)
        ),
    },
)
def card_limits(multiprocessors, fma_per_clock, ghz, bandwidth_gbs, operations, moved_bytes):
    """A card's roofline from its data sheet.

    The limits meet at peak ÷ bandwidth operations per byte. Tensor cores raise the peak many times but not the bandwidth,
    so a network that memory limits gains only from narrower numbers and from fusing.
    """
    return _limits()(multiprocessors, fma_per_clock, ghz, bandwidth_gbs, operations, moved_bytes)


def _pipeline(g: torch.Generator):
    copy, compute = randints(g, (2, 9), (2, 9))
    return randint(g, 3, 8), copy, compute if compute != copy else compute + 1


@exercise(
    "accelerator.overlapped_ms",
    points=2,
    inputs=_pipeline,
    hints=(
        "Draw it for three batches: one row for copies, one for computing.",
        "The first copy and the last computation have nothing to overlap with. In between, the slower of the two sets "
        "the pace.",
        "`copy_ms + (batches - 1) * max(copy_ms, compute_ms) + compute_ms`",
    ),
    wrong={
        "You did one after the other. While one batch is computed, the next can be copied.": (
            lambda batches, copy, compute: batches * (copy + compute)
        ),
        "You left out the ends: nothing is computed during the first copy, and nothing copied during the last "
        "computation.": lambda batches, copy, compute: batches * max(copy, compute),
        "You left out the last computation.": lambda batches, copy, compute: copy + (batches - 1) * max(copy, compute),
        "You left out the first copy.": lambda batches, copy, compute: compute + (batches - 1) * max(copy, compute),
        "You counted one batch too many in between: `batches − 1` steps overlap.": lambda batches, copy, compute: (
            copy + batches * max(copy, compute) + compute
        ),
        "You took the faster of the two as the pace. The slower one holds the other up.": (
            lambda batches, copy, compute: copy + (batches - 1) * min(copy, compute) + compute
        ),
        "You hid all copies but the first, which is right only while computing takes longer.": (
            lambda batches, copy, compute: copy + batches * compute
        ),
        "You hid all computing but the last, which is right only while copying takes longer.": (
            lambda batches, copy, compute: batches * copy + compute
        ),
        "You computed the time that overlapping saves. Return the time that remains.": lambda batches, copy, compute: (
            (batches - 1) * min(copy, compute)
        ),
        "You computed the time of one batch. There are `batches`.": lambda batches, copy, compute: max(copy, compute),
    },
)
def overlapped_ms(batches, copy_ms, compute_ms):
    """Copies that overlap with computing.

    It takes pinned memory, `non_blocking=True` and a second stream for the copies. The slower of copying and computing
    sets the pace. When copies are slower, send fewer bytes: one per value, converted on the device.
    """
    return copy_ms + (batches - 1) * max(copy_ms, compute_ms) + compute_ms


def _cost(pictures_per_second, watts, euros_per_kwh, euros_per_hour, *, hours=3600, pictures=1e6, kilo=1000):
    return pictures / pictures_per_second / hours * (watts / kilo * euros_per_kwh + euros_per_hour)


def _machine(g: torch.Generator):
    return (
        10_000 * randint(g, 1, 90),
        50 * randint(g, 1, 14),
        randint(g, 20, 40) / 100,
        randint(g, 2, 60) / 10,
    )


@exercise(
    "accelerator.price",
    points=2,
    inputs=_machine,
    tolerance=1e-7,
    hints=(
        "How many hours do a million pictures take?",
        "An hour costs `euros_per_hour` for the machine, and `watts / 1000` kilowatt-hours of energy.",
        "`hours = 1e6 / pictures_per_second / 3600; return hours * (euros_per_hour + watts / 1000 * euros_per_kwh)`",
    ),
    wrong={
        "You left out the energy.": called_with(lambda speed, watts, kwh, hour: (speed, 0, kwh, hour)),
        "You left out the machine's price per hour.": called_with(
            lambda speed, watts, kwh, hour: (speed, watts, kwh, 0)
        ),
        "You took watts for kilowatts: divide by 1000.": partial(_cost, kilo=1),
        "You took seconds for hours: divide by 3600.": partial(_cost, hours=1),
        "You divided seconds by 60. An hour has 3600 of them.": partial(_cost, hours=60),
        "You computed the price of one picture. Return that of a million.": partial(_cost, pictures=1),
        "You computed the price of a thousand pictures. Return that of a million.": partial(_cost, pictures=1e3),
        "You computed the pictures per euro. Turn the fraction over.": changed(lambda euros: 1e6 / euros),
        "You computed the price of an hour. How many hours do a million pictures take?": (
            lambda speed, watts, kwh, hour: watts / 1000 * kwh + hour
        ),
    },
)
def price(pictures_per_second, watts, euros_per_kwh, euros_per_hour):
    """The price of a million pictures.

    Speed alone doesn't decide. A card that stands idle costs as much per hour as a busy one, so a small service is
    cheaper on a CPU, and a large one on a card that is kept full.
    """
    return _cost(pictures_per_second, watts, euros_per_kwh, euros_per_hour)


question(
    "accelerator.double_the_batch",
    points=1,
    text="A batch of 64 pictures takes 0.30 ms on a card, and one of 128 takes 0.31 ms. Which change makes the batch of 64 "
    "faster?",
    choices={
        "a": "bf16 instead of float32, so that tensor cores multiply.",
        "b": "Fewer launches: a CUDA graph, or a compiler that fuses operators.",
        "c": "Half of the channels, so that there is less to compute.",
    },
    answer="b",
    comments={
        "a": "Twice the arithmetic took hardly any longer, so arithmetic isn't what the time is spent on.",
        "c": "The same kernels are launched for narrower layers. Twice the arithmetic took hardly any longer, so half of it "
        "saves hardly anything.",
    },
    explanation="Twice the work in the same time means that the device waits for launches. Only fewer or cheaper launches "
    "help, or a larger batch, which costs nothing here.",
)
question(
    "accelerator.graph_rules",
    points=1,
    text="Which line can't be captured in a CUDA graph?",
    choices={
        "a": "`loss = loss / 4`",
        "b": "`if loss.item() > 10: lr = lr / 2`",
        "c": "`optimizer.step()`, with `capturable=True`",
    },
    answer="b",
    comments={
        "a": "This is a kernel like any other.",
        "c": "With `capturable=True` the optimizer keeps its step count on the device, so that every replay advances it.",
    },
    explanation="`.item()` waits for a value on the host, and the decision depends on it. A graph replays the same kernels "
    "on the same addresses, without asking the host. Compute such a decision on the device (`torch.where`), or between "
    "replays.",
)
question(
    "accelerator.three_channels",
    points=1,
    text="A network's first convolution has 3 input channels, and a library pads them to a multiple of 8. What "
    "percentage of its multiplications is useful at most?",
    answer=37.5,
    tolerance=0.1,
    comments={62.5: "This is the wasted share.", 12.5: "This is one channel of eight. Three of them are real."},
    explanation="3 of 8 channels are real: 37.5 %. The others are zeros, which are multiplied like any number.",
)
question(
    "accelerator.bytes_per_pixel",
    points=1,
    text="Copying float32 pictures to a card takes 10 ms per batch, computing 4 ms, and the two overlap. The next version "
    "sends one byte per value instead of four and converts on the device, which is so fast that you can leave it out. How "
    "many times as many pictures per second does the pipeline then process, in the long run?",
    answer=2.5,
    tolerance=0.01,
    comments={
        4: "The copies are four times as fast: 2.5 ms. But then computing sets the pace.",
        1.6: "This is the new rate of copies relative to that of computing. Compare the paces of both versions.",
        1.0: "Before, the slower of 10 and 4 ms set the pace. After, the slower of 2.5 and 4 ms does.",
    },
    explanation="Before, copies set the pace: 10 ms. A byte instead of four takes 2.5 ms, so now computing does: 4 ms. "
    "10 / 4 = 2.5.",
)
