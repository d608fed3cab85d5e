"""Exercises and questions of lesson 10: what threads, workers and processes gain, and what each process holds."""

import torch

from nnopt_lab.course.draws import choice, randint
from nnopt_lab.course.exercises import Property, exercise, question
from nnopt_lab.course.wrong_answers import called_with, changed, scaled, swapped


def _two_times(g: torch.Generator):
    threads, serial, one = randint(g, 3, 8), randint(g, 5, 60) / 100, float(randint(g, 20, 90))
    # Sometimes threads made it slower, sometimes they brought more than themselves: the share is outside of [0, 1].
    serial = choice(g, (serial, serial, 1 + serial / 4, -serial / 12))
    return one, round(one * (serial + (1 - serial) / threads), 2), threads


@exercise(
    "parallel.serial_share",
    points=3,
    inputs=_two_times,
    hints=(
        "Write Amdahl's law for the time: `many = one · (s + (1 − s)/threads)`. Solve it for s.",
        "Divide by `one` and move all terms with s to one side: `many/one − 1/threads = s · (1 − 1/threads)`.",
        "`(many / one - 1 / threads) / (1 - 1 / threads)`",
    ),
    wrong={
        "You returned the remaining share of the time. Part of it is divided work: take `1/threads` into account.": (
            lambda one, many, n: many / one
        ),
        "You returned the distance to the ideal time. For s = 1 it is `1 − 1/threads`: divide by that.": (
            lambda one, many, n: many / one - 1 / n
        ),
        "You returned the efficiency, the speed-up divided by the ideal one. Solve Amdahl's law for s instead.": (
            lambda one, many, n: one / many / n
        ),
        "You returned 1 − efficiency, which grows with the number of threads. Solve Amdahl's law for s instead.": (
            lambda one, many, n: 1 - one / many / n
        ),
        "You returned the parallel share. The serial share is 1 minus that.": changed(lambda share: 1 - share),
        "You used the speed-up, `one/many`. The formula needs the remaining share of the time, `many/one`.": (
            called_with(lambda one, many, n: (many, one, n))
        ),
        "You returned the serial time. Divide it by the time with one thread to get a share.": (
            lambda one, many, n: (many - one / n) / (1 - 1 / n)
        ),
        "You returned the speed-up. Solve Amdahl's law for s.": (lambda one, many, n: one / many),
        "You returned the share of the time saved. Solve Amdahl's law for s.": lambda one, many, n: 1 - many / one,
        "You returned 1/s, the largest speed-up with any number of threads. Return s.": changed(
            lambda share: 1 / share
        ),
        "You limited the share to the range from 0 to 1. Return it as it is: above 1, threads made it slower, and below 0 "
        "they brought something else, such as cache.": changed(lambda share: min(1.0, max(0.0, share))),
        "You assumed two threads. Use `1/threads` instead of 1/2.": called_with(lambda one, many, n: (one, many, 2)),
    },
    properties=(
        Property(
            "With this share, Amdahl's law gives the measured time.",
            lambda s, one, many, threads: abs(one * (s + (1 - s) / threads) - many) < 1e-3 * one,
        ),
    ),
)
def serial_share(one, many, threads):
    """The serial share from two times.

    Karp and Flatt (1990) proposed this number because it says more than the speed-up. If it stays the same with more
    threads, part of the program is serial. If it grows, the threads get in each other's way. Above 1, threads made the
    program slower; below 0, they brought something else, such as more cache.
    """
    return (many / one - 1 / threads) / (1 - 1 / threads)


def _reading(g: torch.Generator):
    # A third has no workers; a third reads faster than it computes; a third reads more slowly, even with all workers.
    kind, batches, start = randint(g, 0, 2), randint(g, 20, 90), float(randint(g, 2, 6))
    compute, workers = randint(g, 5, 20) / 1000, randint(g, 2, 4)
    read = compute * (randint(g, 2, 8) / 10 if kind == 1 else randint(g, 6, 12))
    return batches, round(read, 4), compute, workers * (kind > 0), start


def _epoch(
    pace=lambda read, compute, workers: max(read / workers, compute), without=sum, starts=lambda batches, workers: 1
):
    """The reference, or with a mistake in the seconds per batch, with or without workers, or in how often `start` counts."""

    def seconds(batches, read, compute, workers, start):
        if workers == 0:
            return batches * without((read, compute))
        return starts(batches, workers) * start + batches * pace(read, compute, workers)

    return seconds


@exercise(
    "parallel.epoch_seconds",
    points=4,
    inputs=_reading,
    hints=(
        "Without workers, each batch is read first and then computed. With workers, both happen at the same time. Which of "
        "the two waits for the other?",
        "w workers deliver a batch every `read/w` seconds, and the network takes one every `compute` seconds. The "
        "slower of the two sets the pace. The start counts once.",
        "`batches * (read + compute) if workers == 0 else start + batches * max(read / workers, compute)`",
    ),
    wrong={
        "You left out the workers' start. Each of them is a new Python process that imports torch first.": (
            _epoch(starts=lambda batches, workers: 0)
        ),
        "You added `start` with 0 workers. Nothing is started then.": (
            lambda n, read, compute, workers, start: (
                epoch_seconds(n, read, compute, workers, start) + start * (workers == 0)
            )
        ),
        "You added reading and computing. With workers they happen at the same time, and the slower one sets the pace.": (
            _epoch(lambda read, compute, workers: read / workers + compute)
        ),
        "You counted one worker. Several read different batches at once: together they deliver one every "
        "`read/workers`.": _epoch(lambda read, compute, workers: max(read, compute)),
        "You ignored reading. If `read/workers` is larger than `compute`, the workers set the pace.": (
            _epoch(lambda read, compute, workers: compute)
        ),
        "You took the faster of the two. The *slower* one sets the pace: max, not min.": (
            _epoch(lambda read, compute, workers: min(read / workers, compute))
        ),
        "You took the maximum with 0 workers. The same process reads and computes then, so the times add up.": (
            _epoch(without=max)
        ),
        "You divided computing by the workers, too. They only read, and the network computes in this process.": (
            _epoch(lambda read, compute, workers: max(read, compute) / workers)
        ),
        "You counted `start` once per worker. They start at the same time, so it counts once.": _epoch(
            starts=lambda batches, workers: workers
        ),
        "You computed an epoch without workers. With workers, reading and computing happen at the same time.": (
            called_with(lambda n, read, compute, workers, start: (n, read, compute, 0, start))
        ),
        "You counted `start` once per batch. The workers start once per epoch.": _epoch(
            starts=lambda batches, workers: batches
        ),
        "You added both times and divided by the workers. They only read, and both happen at the same time.": (
            _epoch(lambda read, compute, workers: (read + compute) / workers)
        ),
        "You gave 0 workers the formula for workers. Without any, this process reads and computes in turn, so the times "
        "add up.": lambda n, read, compute, workers, start: (
            start * (workers > 0) + n * max(read / max(workers, 1), compute)
            if workers
            else start + n * max(read, compute)
        ),
        "You ignored computing. If it is slower than `read/workers`, the network sets the pace.": (
            _epoch(lambda read, compute, workers: read / workers)
        ),
        "You took the larger of the start and the rest. The rest begins after the start: add them.": (
            lambda n, read, compute, workers, start: max(
                start * (workers > 0), _epoch(starts=lambda b, w: 0)(n, read, compute, workers, start)
            )
        ),
        "You also waited for the first batch. The exercise leaves that out: the start, then `batches` times the slower "
        "of the two.": lambda n, read, compute, workers, start: (
            epoch_seconds(n, read, compute, workers, start) + read * (workers > 0)
        ),
        "You computed one batch. An epoch has `batches` of them.": (
            lambda n, read, compute, workers, start: epoch_seconds(1, read, compute, workers, start)
        ),
        "You counted this process among the readers. With workers it only computes: divide by `workers`.": (
            _epoch(lambda read, compute, workers: max(read / (workers + 1), compute))
        ),
    },
)
def epoch_seconds(batches, read, compute, workers, start):
    """An epoch with workers.

    The formula assumes one core per worker besides the network's own. With fewer cores, one side loses what the other
    gains. It shows both extremes: if reading is cheap, workers only cost their start; if it is expensive, they divide it.
    """
    return _epoch()(batches, read, compute, workers, start)


def _a_sampler(g: torch.Generator):
    # Length is divisible, or the last process pads (and not with 0), or this process doesn't pad while others do.
    kind, processes = randint(g, 0, 2), randint(g, 3, 5)
    rest = (0, randint(g, 1, processes - 2), randint(g, 1, processes - 1))[kind]
    rank = (randint(g, 0, processes - 1), processes - 1, randint(g, 0, max(rest - 1, 0)))[kind]
    return processes * randint(g, 2, 4) + rest, processes, rank


def _dealt(
    position=lambda at, length, rank: at % length, end=lambda length, processes: -(-length // processes) * processes
):
    """The reference, or with a mistake in the picture at a position, or in where the positions end."""
    return lambda length, processes, rank: [
        position(at, length, rank) for at in range(rank, end(length, processes), processes)
    ]


@exercise(
    "parallel.sampler_positions",
    points=3,
    inputs=_a_sampler,
    hints=(
        "How many pictures does each process read if all must read equally many and none may be left out?",
        "`ceil(length / processes)` each. Process `rank` takes `rank`, `rank + processes`, and so on. Positions beyond "
        "the end start again at 0.",
        "`each = -(-length // processes); return [p % length for p in range(rank, each * processes, processes)]`",
    ),
    wrong={
        "You did not pad, so some processes read one picture less, take one step less, and the others wait for them "
        "forever. Start again at 0.": _dealt(end=lambda n, p: n),
        "You dropped the rest, as `drop_last=True` does. Here every picture must be read: pad from position 0.": (
            _dealt(end=lambda n, p: n - n % p)
        ),
        "You cut the list into blocks. `DistributedSampler` deals positions like cards: process 0 gets 0, `processes`, "
        "`2·processes`, and so on.": lambda n, p, r: [at % n for at in range(r * -(-n // p), (r + 1) * -(-n // p))],
        "You padded with the last picture. Padding starts again at the first.": (
            _dealt(lambda at, n, r: min(at, n - 1))
        ),
        "You padded although the pictures divide evenly. Round up instead of adding one.": (
            _dealt(end=lambda n, p: (n // p + 1) * p)
        ),
        "Some of your positions are beyond the end. Padding starts again at 0: use `% length`.": (
            _dealt(lambda at, n, r: at)
        ),
        "You cut the list into blocks, and not all are equally long. Deal positions like cards: `rank`, `rank + "
        "processes`, and so on.": lambda n, p, r: list(range(r * n // p, (r + 1) * n // p)),
        "You cut the list into blocks of `ceil(length / processes)`, so the last process gets too few. Deal positions "
        "like cards: `rank`, `rank + processes`, and so on.": lambda n, p, r: list(
            range(r * -(-n // p), min((r + 1) * -(-n // p), n))
        ),
        "You padded with position 0 in every process. All processes together start again at 0: the first that needs a "
        "picture takes 0, the next one 1.": _dealt(lambda at, n, r: at if at < n else 0),
        "You padded with the process's own last position. Dealing continues and starts again at 0.": lambda n, p, r: [
            at if at < n else at - p for at in range(r, -(-n // p) * p, p)
        ],
        "You started at `rank + 1`. Ranks count from 0: start at `rank`.": lambda n, p, r: [
            at % n for at in range(r + 1, -(-n // p) * p + 1, p)
        ],
        "You padded with the process's own first position. Dealing continues and starts again at 0.": (
            _dealt(lambda at, n, r: at if at < n else r)
        ),
    },
    properties=(
        Property(
            "All processes read equally many pictures: `ceil(length / processes)`.",
            lambda places, length, processes, rank: len(places) == -(-length // processes),
        ),
    ),
)
def sampler_positions(length, processes, rank):
    """How DistributedSampler divides a data set.

    In most epochs a few pictures count twice. In training this does not matter, but in evaluation it changes the accuracy.
    With `shuffle=True`, call `set_epoch(epoch)`, or every epoch has the same order.
    """
    return _dealt()(length, processes, rank)


def _counts(g: torch.Generator):
    counts = [randint(g, 2, 9) for _ in range(randint(g, 3, 4))]
    counts[randint(g, 0, len(counts) - 1)] = randint(g, 10, 16)  # never all equal
    return (counts,)


def _weighed(weight=lambda count, counts: len(counts) * count / sum(counts)):
    """The reference, or the same with another weight per count."""
    return lambda counts: [weight(count, counts) for count in counts]


@exercise(
    "parallel.loss_weights",
    points=4,
    inputs=_counts,
    hints=(
        "The mean over all N pictures is `Σ (n_r/N) · mean_r`, and DDP computes `Σ (1/P) · weight_r · mean_r`.",
        "Set the two equal, term by term: `weight_r / P = n_r / N`.",
        "`[len(counts) * n / sum(counts) for n in counts]`",
    ),
    wrong={
        "You returned the shares. DDP also divides by the number of processes: multiply by it.": (
            _weighed(lambda n, counts: n / sum(counts))
        ),
        "Your weights are all 1, so a picture counts more in a process that has few of them. Weight by the counts.": (
            _weighed(lambda n, counts: 1.0)
        ),
        "Your weights are inverted. A process with more pictures needs a larger weight.": (
            _weighed(lambda n, counts: sum(counts) / len(counts) / n)
        ),
        "You used the counts, which give the gradient of the *sum* of losses, divided by P. Multiply by P/N.": (
            _weighed(lambda n, counts: float(n))
        ),
        "You divided by the largest count. Divide by the mean count, so that the weights sum to the number of "
        "processes.": _weighed(lambda n, counts: n / max(counts)),
        "You returned 1/P. DDP already divides by P, and unequal shares need unequal weights.": (
            _weighed(lambda n, counts: 1 / len(counts))
        ),
        "You returned `N/n_r`. Return `P · n_r/N`: the weight is proportional to the share of the pictures.": (
            _weighed(lambda n, counts: sum(counts) / n)
        ),
        "You divided by the number of processes. DDP already does that: multiply by it, and divide by N.": (
            _weighed(lambda n, counts: n / len(counts))
        ),
        "You divided by the count. Each gradient is already a mean, and more pictures need a larger weight.": (
            _weighed(lambda n, counts: 1 / n)
        ),
        "You returned the share of the *other* processes. Use the process's own share, times P.": (
            _weighed(lambda n, counts: 1 - n / sum(counts))
        ),
        "You rounded the weights. Keep them as floats, with `/` instead of `//`.": (
            _weighed(lambda n, counts: float(len(counts) * n // sum(counts)))
        ),
        "You divided by the smallest count. Divide by the mean count, so that the weights sum to the number of processes.": (
            _weighed(lambda n, counts: n / min(counts))
        ),
    },
    properties=(
        Property(
            "The weights sum to the number of processes.",
            lambda weights, counts: abs(sum(weights) - len(counts)) < 1e-6 * len(counts),
        ),
    ),
)
def loss_weights(counts):
    """Weights for unequal shares.

    Most programs ignore this: they drop the last batch, or accept a small error. It matters if shares differ a lot, as
    with texts of unequal length, which should be weighted by tokens.
    """
    return _weighed()(counts)


def _vectors(g: torch.Generator):
    processes = randint(g, 2, 4)
    return ([torch.randint(-9, 10, (2 * processes,), generator=g).float() for _ in range(processes)],)


@exercise(
    "parallel.reduce_scatter",
    points=3,
    inputs=_vectors,
    hints=(
        "There are two steps: *reduce* adds the vectors of all processes, and *scatter* gives each process its piece of the "
        "sum.",
        "Process r gets piece r of `len(vectors)` equal pieces. `Tensor.chunk` makes the pieces.",
        "`list(sum(vectors).chunk(len(vectors)))`",
    ),
    wrong={
        "You computed an all-reduce: every process has the whole sum. Each should only get its piece.": (
            lambda v: [sum(v) for _ in v]
        ),
        "You gave each process a piece of its *own* vector. Sum over the processes first.": (
            lambda v: [own.chunk(len(v))[r].clone() for r, own in enumerate(v)]
        ),
        "You computed the mean. Reduce means the sum here; DDP and FSDP divide by the number of processes later.": (
            changed(lambda pieces: [piece / len(pieces) for piece in pieces])
        ),
        "You dealt the elements like cards. Pieces are contiguous: process 0 gets the first n/P elements.": (
            lambda v: [sum(v)[r :: len(v)] for r in range(len(v))]
        ),
        "You added the pieces within each vector. Add the vectors of different processes.": (
            lambda v: [sum(own.chunk(len(v))) for own in v]
        ),
        "You gave every process the first piece. Process r gets piece r.": changed(
            lambda pieces: [pieces[0]] * len(pieces)
        ),
        "Your pieces are in reverse order. Process r gets piece r.": swapped(),
        "You gave each process the first piece of its own vector. Process r gets piece r of the sum.": (
            lambda v: [own.chunk(len(v))[0].clone() for own in v]
        ),
        "You took the maximum. Reduce means the sum here.": (lambda v: list(torch.stack(v).amax(0).chunk(len(v)))),
        "You concatenated the vectors. Add them element by element.": (lambda v: list(torch.cat(v).chunk(len(v)))),
        "You used `split(P)`, which makes pieces of P elements. `chunk(P)` makes P pieces.": lambda v: list(
            sum(v).split(len(v))
        ),
        "You added the elements within each vector. Add the vectors to each other.": lambda v: [own.sum() for own in v],
    },
    properties=(
        Property(
            "Together, the pieces are as long as one vector.",
            lambda pieces, vectors: sum(len(p) for p in pieces) == len(vectors[0]),
        ),
    ),
)
def reduce_scatter(vectors):
    """Reduce-scatter.

    An all-reduce is computed as a reduce-scatter followed by an all-gather. Each half moves (P − 1)/P of the vector. FSDP
    uses the halves separately: all-gather for weights before a layer, and reduce-scatter for gradients.
    """
    total = sum(vectors)
    return list(total.chunk(len(vectors)))


def _a_network(g: torch.Generator):
    # Half of the draws split only the moments, since no others distinguish the three costs.
    options = ([], ["moments", "gradients"], ["moments", "gradients", "weights"], *[["moments"]] * 3)
    return 1000 * randint(g, 1, 99), randint(g, 2, 8), list(choice(g, options))


_COSTS = {"weights": 4, "gradients": 4, "moments": 8}


def _held(pieces=lambda split, processes: processes if split else 1, **costs):
    """The reference, or with a mistake in the number of pieces of a kind of values, or in its bytes per parameter."""
    return lambda parameters, processes, split: sum(
        cost * parameters / pieces(kind in split, processes) for kind, cost in (_COSTS | costs).items()
    )


@exercise(
    "parallel.bytes_each",
    points=3,
    inputs=_a_network,
    hints=(
        "A float32 has four bytes. Which values belong to one parameter: itself, its gradient, and what does Adam keep?",
        "4 + 4 + 8 bytes per parameter. Each of the three is divided by `processes` if it is in `split`.",
        '`costs = {"weights": 4, "gradients": 4, "moments": 8}; return sum(c * parameters / (processes if what in '
        "split else 1) for what, c in costs.items())`",
    ),
    wrong={
        "You counted one moment. Adam keeps two per parameter: 8 bytes.": _held(moments=4),
        "You divided everything. Only what `split` names is held in pieces, and each process holds the rest as a whole.": (
            _held(lambda split, processes: processes)
        ),
        "You divided nothing. What is in `split` is held in pieces, one per process.": (
            lambda n, processes, split: 16 * n
        ),
        "You left out the gradients. They are as large as the weights.": _held(gradients=0),
        "You counted values. A float32 takes 4 bytes.": scaled(1 / 4),
        "You left out the optimizer's moments, half of the total.": _held(moments=0),
        "You counted all processes. Return the bytes of one.": (
            lambda n, processes, split: processes * bytes_each(n, processes, split)
        ),
        "You divided what is *not* in `split`.": _held(lambda split, processes: 1 if split else processes),
        "You counted only what is in `split`. The rest is held, too, as a whole.": (
            lambda n, processes, split: sum(_COSTS[kind] * n / processes for kind in split)
        ),
        "You left out what is in `split`. A process still holds one piece of that.": (
            lambda n, processes, split: sum(cost * n for kind, cost in _COSTS.items() if kind not in split)
        ),
        "You used 8 bytes per value. A float32 takes 4, and Adam's 8 bytes are two values.": scaled(2),
        "You took 2 bytes for weights and gradients, as in fp16. Here they are float32: 4 bytes.": (
            _held(weights=2, gradients=2)
        ),
    },
    properties=(
        Property(
            "A process holds between 16 bytes per parameter and that divided by the processes.",
            lambda held, parameters, processes, split: 15.9 * parameters / processes <= held <= 16 * parameters,
        ),
    ),
)
def bytes_each(parameters, processes, split):
    """Bytes that one process holds.

    Splitting moments, then gradients, then weights gives ZeRO's stages 1, 2 and 3 (Rajbhandari et al. 2020); FSDP is the
    third. In mixed precision the sum is 16 bytes, too: 2 + 2 for weights and gradients, and 4 + 8 for a float32 copy and
    the moments. Activations come on top and depend on the batch of each process.
    """
    return _held()(parameters, processes, split)


question(
    "parallel.two_requests",
    points=1,
    text="A server with 8 cores classifies single pictures with a network that becomes 1.3 times as fast with 8 threads. "
    "Hundreds of requests are waiting. What gives the most requests per second?",
    choices={
        "a": "8 requests at a time with 8 threads each: all cores are always busy.",
        "b": "One request at a time with 8 threads: every answer comes as early as possible.",
        "c": "8 requests at a time with one thread each.",
    },
    answer="c",
    comments={
        "a": "64 threads on 8 cores take turns, and each operator only ends when its last thread has had its turn.",
        "b": "Each answer comes 1.3 times as early, but seven cores are hardly used: you get 1.3 times the throughput of "
        "one core out of 8.",
    },
    explanation="Requests are independent, so there is no serial share, and with one thread each nothing is wasted. "
    "(A batch of the waiting requests would be even better.)",
)
question(
    "parallel.ring_bytes",
    points=1,
    text="In a ring all-reduce, each process only sends to its neighbour. It is a reduce-scatter and an all-gather, and in "
    "each of them every process sends (P − 1)/P of the vector. The gradients have 100 MB, and P = 4. How many MB does each process send?",
    answer=150.0,
    tolerance=0.5,
    explanation="2 · 3/4 · 100 = 150 MB. With any number of processes it stays below 200 MB, and that is why the ring scales. "
    "What grows with P is the number of messages, 2 · (P − 1).",
)
question(
    "parallel.bubble",
    points=1,
    text="A pipeline has 4 stages on 4 devices. Each batch is cut into 8 parts that go through it one after the other, and "
    "each stage takes equally long for a part. What percentage of the time is a device idle (forward only)?",
    answer=100 * 3 / 11,
    tolerance=0.5,
    explanation="The last part leaves after 8 + 3 steps, and each device works in 8 of them. So it is idle for "
    "(p − 1)/(m + p − 1) = 3/11 = 27 % (GPipe, Huang et al. 2019). More parts shrink the bubble, but make the matrix "
    "products too small to be fast.",
)
question(
    "parallel.checkpoint",
    points=1,
    text="After a crash, a run continues from a checkpoint that contains the weights and the number of the epoch. Its "
    "optimizer is SGD with momentum 0.9. What differs from an undisturbed run?",
    choices={
        "a": "Momentum starts again at zero, so the next steps are smaller and the weights differ.",
        "b": "Nothing: the gradients depend only on the weights.",
        "c": "The interrupted epoch is lost.",
    },
    answer="a",
    comments={
        "b": "The gradients do. What else does a step of this optimizer depend on?",
        "c": "It is repeated from its start. If everything random in it depends only on its number, it is the same epoch.",
    },
    explanation="Everything that a step depends on must be in the checkpoint: weights, the state of the optimizer and of "
    "the scheduler, and the state of random generators. In this lesson the order depends only on the number of the epoch, "
    "which avoids the last.",
)
