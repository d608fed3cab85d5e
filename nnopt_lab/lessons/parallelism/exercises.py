"""Exercises and questions of lesson 10: what threads, workers and processes gain, and what each of them holds."""

import torch

from nnopt_lab.course.draws import choice, randint
from nnopt_lab.course.exercises import Property, exercise, question
from nnopt_lab.course.wrong_answers import called_with, changed, scaled, swapped


def _two_times(g: torch.Generator):
    threads, serial, one = randint(g, 3, 8), randint(g, 5, 60) / 100, float(randint(g, 20, 90))
    return one, round(one * (serial + (1 - serial) / threads), 2), threads


@exercise(
    "parallel.serial_share",
    points=3,
    inputs=_two_times,
    hints=(
        "Write Amdahl's law for the time: many = one · (s + (1 − s)/threads). Which letter is unknown?",
        "Divide by `one` and bring all terms with s to one side: many/one − 1/threads = s · (1 − 1/threads).",
        "`(many / one - 1 / threads) / (1 - 1 / threads)`",
    ),
    wrong={
        "That is the share of the time that is left. Part of it is the divided work: take 1/threads into account.": (
            lambda one, many, n: many / one
        ),
        "That is the distance to the ideal time. With s = 1 it would be 1 − 1/threads, not 1: divide by that.": (
            lambda one, many, n: many / one - 1 / n
        ),
        "That is the efficiency: the gain as a share of the ideal one. The serial share is in Amdahl's law.": (
            lambda one, many, n: one / many / n
        ),
        "That is what efficiency lacks to 1. It grows with the threads; the serial share belongs to the program.": (
            lambda one, many, n: 1 - one / many / n
        ),
        "That is the share that *can* be divided; the other one is wanted.": changed(lambda share: 1 - share),
        "You put in the gain, one/many. The formula needs the share of the time that is left, many/one.": (
            called_with(lambda one, many, n: (many, one, n))
        ),
        "That is the serial time in milliseconds. As a share it must be divided by the time with one thread.": (
            lambda one, many, n: (many - one / n) / (1 - 1 / n)
        ),
        "That is the gain. The serial share is what keeps it below the number of threads.": (
            lambda one, many, n: one / many
        ),
        "That is the time saved, as a share. The serial share is in Amdahl's law.": lambda one, many, n: 1 - many / one,
        "Upside down: that is the most that any number of threads can gain, 1/s.": changed(lambda share: 1 / share),
        "That holds for two threads. There may be more: 1/2 becomes 1/threads.": (
            called_with(lambda one, many, n: (one, many, 2))
        ),
    },
    properties=(
        Property(
            "With this share, Amdahl's law must give back the measured time.",
            lambda s, one, many, threads: abs(one * (s + (1 - s) / threads) - many) < 1e-3 * one,
        ),
    ),
)
def serial_share(one, many, threads):
    """The serial share, from two times.

    Karp and Flatt (1990) proposed this number because it says more than the gain: if it stays the same with more
    threads, part of the program is serial; if it grows, threads are in each other's way. Below 0 it says that more
    threads came with something else, more cache for example.
    """
    return (many / one - 1 / threads) / (1 - 1 / threads)


def _reading(g: torch.Generator):
    # One kind in three has no workers, one reads faster than it computes, one more slowly even with all its workers.
    kind, batches, start = randint(g, 0, 2), randint(g, 20, 90), float(randint(g, 2, 6))
    compute, workers = randint(g, 5, 20) / 1000, randint(g, 2, 4)
    read = compute * (randint(g, 2, 8) / 10 if kind == 1 else randint(g, 6, 12))
    return batches, round(read, 4), compute, workers * (kind > 0), start


def _epoch(
    pace=lambda read, compute, workers: max(read / workers, compute), without=sum, starts=lambda batches, workers: 1
):
    """The reference, or with one thing wrong: seconds per batch with and without workers, how often `start` counts."""

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
        "Without workers each batch is first read and then computed. With workers the two happen at the same time: "
        "which of them does the other wait for?",
        "w workers deliver a batch every read/w seconds, the network takes one every `compute` seconds; the slower of "
        "the two sets the pace. Starting them comes once.",
        "`batches * (read + compute) if workers == 0 else start + batches * max(read / workers, compute)`",
    ),
    wrong={
        "The workers' start is missing: each of them is a new Python that imports torch first.": (
            _epoch(starts=lambda batches, workers: 0)
        ),
        "With 0 workers nothing is started, so nothing is paid for it.": (
            lambda n, read, compute, workers, start: (
                epoch_seconds(n, read, compute, workers, start) + start * (workers == 0)
            )
        ),
        "You added reading and computing. With workers they happen at the same time: the slower one sets the pace.": (
            _epoch(lambda read, compute, workers: read / workers + compute)
        ),
        "Several workers read different batches at the same time: together they deliver one every read/workers.": (
            _epoch(lambda read, compute, workers: max(read, compute))
        ),
        "The network may have to wait for the workers: where read/workers is more than compute, they set the pace.": (
            _epoch(lambda read, compute, workers: compute)
        ),
        "The *slower* of the two sets the pace: max, not min.": (
            _epoch(lambda read, compute, workers: min(read / workers, compute))
        ),
        "With 0 workers the same process reads and computes, one after the other: the times add up.": (
            _epoch(without=max)
        ),
        "The workers only read. The network computes in this process, as fast as without them.": (
            _epoch(lambda read, compute, workers: max(read, compute) / workers)
        ),
        "The workers start at the same time: `start` counts once.": _epoch(starts=lambda batches, workers: workers),
        "That is an epoch without workers. With them reading and computing happen at the same time.": (
            called_with(lambda n, read, compute, workers, start: (n, read, compute, 0, start))
        ),
        "The workers start once an epoch, not once a batch.": _epoch(starts=lambda batches, workers: batches),
        "The workers only read: computing is not divided among them. And the two happen at the same time.": (
            _epoch(lambda read, compute, workers: (read + compute) / workers)
        ),
        "With workers this process reads no more: what is read is divided by `workers`.": (
            _epoch(lambda read, compute, workers: max(read / (workers + 1), compute))
        ),
    },
)
def epoch_seconds(batches, read, compute, workers, start):
    """An epoch with workers that read.

    It assumes a core for each worker besides the network's own. With fewer, what one gains the other loses. And it
    shows the two ends: where reading is cheap, workers only cost their start; where it is dear, nothing else helps.
    """
    return _epoch()(batches, read, compute, workers, start)


def _a_sampler(g: torch.Generator):
    # It comes out even, or the last process pads (and not with 0), or it is one that doesn't pad while others do.
    kind, processes = randint(g, 0, 2), randint(g, 3, 5)
    rest = (0, randint(g, 1, processes - 2), randint(g, 1, processes - 1))[kind]
    rank = (randint(g, 0, processes - 1), processes - 1, randint(g, 0, max(rest - 1, 0)))[kind]
    return processes * randint(g, 2, 4) + rest, processes, rank


def _dealt(
    position=lambda at, length, rank: at % length, end=lambda length, processes: -(-length // processes) * processes
):
    """The reference, or with one thing wrong: which picture a place reads, or where the places end."""
    return lambda length, processes, rank: [
        position(at, length, rank) for at in range(rank, end(length, processes), processes)
    ]


@exercise(
    "parallel.sampler_positions",
    points=3,
    inputs=_a_sampler,
    hints=(
        "First: how many pictures does each process read, if all must read equally many and none may be left out?",
        "ceil(length / processes) each. Process `rank` takes rank, rank + processes, …; what lies beyond the end "
        "begins again at 0.",
        "each = -(-length // processes); return [p % length for p in range(rank, each * processes, processes)]",
    ),
    wrong={
        "Without padding some processes read one picture less, take one step less, and the others wait for them "
        "for ever. Begin again at 0.": _dealt(end=lambda n, p: n),
        "You dropped the rest (`drop_last=True`). Here every picture is to be read: pad, begin again at 0.": (
            _dealt(end=lambda n, p: n - n % p)
        ),
        "You cut the list into blocks. DistributedSampler deals like cards: process 0 gets 0, processes, "
        "2·processes, …": lambda n, p, r: [at % n for at in range(r * -(-n // p), (r + 1) * -(-n // p))],
        "You repeated the last picture. The padding begins again at the first.": (
            _dealt(lambda at, n, r: min(at, n - 1))
        ),
        "Where the pictures can be divided no padding is needed: round up, don't add one.": (
            _dealt(end=lambda n, p: (n // p + 1) * p)
        ),
        "Some of these positions lie beyond the end; the padding begins again at 0 (% length).": (
            _dealt(lambda at, n, r: at)
        ),
        "You cut the list into blocks, and not all are equally long. Deal like cards: rank, rank + processes, …": (
            lambda n, p, r: list(range(r * n // p, (r + 1) * n // p))
        ),
        "You padded with position 0 in every process. All of them together begin again at 0: the first that lacks a "
        "picture takes 0, the next one 1.": _dealt(lambda at, n, r: at if at < n else 0),
        "You padded with the process's own first position. The dealing goes on where it was and begins again at 0.": (
            _dealt(lambda at, n, r: at if at < n else r)
        ),
    },
    properties=(
        Property(
            "All processes must read equally many pictures: ceil(length / processes).",
            lambda places, length, processes, rank: len(places) == -(-length // processes),
        ),
    ),
)
def sampler_positions(length, processes, rank):
    """Who reads which picture.

    So in most epochs a few pictures count twice. In training nobody minds; in an evaluation the accuracy is wrong by
    them. And with `shuffle=True` don't forget `set_epoch(epoch)`, or every epoch has the same order.
    """
    return _dealt()(length, processes, rank)


def _counts(g: torch.Generator):
    counts = [randint(g, 2, 9) for _ in range(randint(g, 3, 4))]
    counts[randint(g, 0, len(counts) - 1)] = randint(g, 10, 16)  # never all equal
    return (counts,)


def _weighed(weight=lambda count, counts: len(counts) * count / sum(counts)):
    """The reference, or with another weight for each count."""
    return lambda counts: [weight(count, counts) for count in counts]


@exercise(
    "parallel.loss_weights",
    points=4,
    inputs=_counts,
    hints=(
        "The mean over all N pictures is Σ (n_r/N) · mean_r. DDP computes Σ (1/P) · weight_r · mean_r.",
        "Set the two equal, term by term: weight_r / P = n_r / N.",
        "`[len(counts) * n / sum(counts) for n in counts]`",
    ),
    wrong={
        "These are the shares. DDP also divides by the number of processes: multiply by it.": (
            _weighed(lambda n, counts: n / sum(counts))
        ),
        "Equal weights: then a picture of a small share counts more than one of a large share.": (
            _weighed(lambda n, counts: 1.0)
        ),
        "The other way round: the process with more pictures stands for more, so it weighs more.": (
            _weighed(lambda n, counts: sum(counts) / len(counts) / n)
        ),
        "With these the gradient is that of the *sum* of losses, divided by P. The mean is wanted: times P / N.": (
            _weighed(lambda n, counts: float(n))
        ),
        "The weights must be P on the sum, so that equal shares weigh 1 each: divide by the mean count, "
        "not by the largest.": _weighed(lambda n, counts: n / max(counts)),
        "DDP divides by the number of processes already; and unequal shares need unequal weights.": (
            _weighed(lambda n, counts: 1 / len(counts))
        ),
        "That is N/n_r. It must be P · n_r/N: a process weighs as much as its share of the pictures.": (
            _weighed(lambda n, counts: sum(counts) / n)
        ),
        "You divided by the number of processes. DDP does that already: multiply by it, and divide by N.": (
            _weighed(lambda n, counts: n / len(counts))
        ),
        "Each gradient is a mean already. The process with more pictures stands for more, so it weighs more.": (
            _weighed(lambda n, counts: 1 / n)
        ),
        "That is the share of the *other* processes. A process weighs as much as its own share, times P.": (
            _weighed(lambda n, counts: 1 - n / sum(counts))
        ),
        "The weights must be P on the sum: divide by the mean count, not by the smallest.": (
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

    Most programs ignore this: they drop the last batch, or let it be a little wrong. It matters where shares differ
    much, as with texts of unequal length, where one should weigh by tokens.
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
        "Two words, two steps: *reduce* adds up the vectors of all processes, *scatter* gives each its piece of the sum.",
        "Process r gets piece r of `len(vectors)` equal pieces; `Tensor.chunk` cuts.",
        "`list(sum(vectors).chunk(len(vectors)))`",
    ),
    wrong={
        "That is all-reduce: everybody has the whole sum. Each shall keep its piece only.": (
            lambda v: [sum(v) for _ in v]
        ),
        "Each kept its piece of its *own* vector: the sum over the processes is missing.": (
            lambda v: [own.chunk(len(v))[r].clone() for r, own in enumerate(v)]
        ),
        "That is the mean. Reduce here means the sum; DDP and FSDP divide by the processes themselves.": (
            changed(lambda pieces: [piece / len(pieces) for piece in pieces])
        ),
        "You dealt the numbers like cards; the pieces are cut in blocks: the first n/P numbers to process 0.": (
            lambda v: [sum(v)[r :: len(v)] for r in range(len(v))]
        ),
        "You added the pieces of each vector to each other. Add the vectors of different processes.": (
            lambda v: [sum(own.chunk(len(v))) for own in v]
        ),
        "Every process got the first piece. Process r gets piece r.": changed(lambda pieces: [pieces[0]] * len(pieces)),
        "The pieces are in reverse order: process r gets piece r.": swapped(),
        "Each kept the first piece of its own vector. Process r gets piece r, and of the sum.": (
            lambda v: [own.chunk(len(v))[0].clone() for own in v]
        ),
        "Those are the largest numbers. Reduce here means the sum.": (
            lambda v: list(torch.stack(v).amax(0).chunk(len(v)))
        ),
        "You laid the vectors one after the other. They are added up, number by number.": (
            lambda v: list(torch.cat(v).chunk(len(v)))
        ),
        "`split(P)` makes pieces of P numbers; P pieces are wanted: `chunk(P)`.": lambda v: list(sum(v).split(len(v))),
        "You added the numbers within each vector. Add the vectors to each other.": lambda v: [own.sum() for own in v],
    },
    properties=(
        Property(
            "The pieces together are as long as one vector.",
            lambda pieces, vectors: sum(len(p) for p in pieces) == len(vectors[0]),
        ),
    ),
)
def reduce_scatter(vectors):
    """Reduce-scatter.

    All-reduce is a reduce-scatter and then an all-gather, and is computed so: each half moves (P − 1)/P of the vector.
    FSDP uses the halves by themselves: all-gather for weights before a layer, reduce-scatter for gradients.
    """
    total = sum(vectors)
    return list(total.chunk(len(vectors)))


def _a_network(g: torch.Generator):
    # Half of the draws split only the moments: no others distinguish the three costs.
    options = ([], ["moments", "gradients"], ["moments", "gradients", "weights"], *[["moments"]] * 3)
    return 1000 * randint(g, 1, 99), randint(g, 2, 8), list(choice(g, options))


_COSTS = {"weights": 4, "gradients": 4, "moments": 8}


def _held(pieces=lambda split, processes: processes if split else 1, **costs):
    """The reference, or with one thing wrong: in how many pieces a kind of numbers lies, or its bytes per parameter."""
    return lambda parameters, processes, split: sum(
        cost * parameters / pieces(kind in split, processes) for kind, cost in (_COSTS | costs).items()
    )


@exercise(
    "parallel.bytes_each",
    points=3,
    inputs=_a_network,
    hints=(
        "Four bytes a float32. How many numbers belong to one parameter: itself, its gradient, and what does Adam keep?",
        "4 + 4 + 8 bytes a parameter; each of the three is divided by `processes` if it stands in `split`.",
        'costs = {"weights": 4, "gradients": 4, "moments": 8}; return sum(c * parameters / (processes if what in split '
        "else 1) for what, c in costs.items())",
    ),
    wrong={
        "Adam keeps two moments for each parameter: 8 bytes.": _held(moments=4),
        "You divided everything. What does not stand in `split` every process holds whole.": (
            _held(lambda split, processes: processes)
        ),
        "You divided nothing. What stands in `split` is held in pieces, one a process.": (
            lambda n, processes, split: 16 * n
        ),
        "The gradients are missing: they are as large as the weights.": _held(gradients=0),
        "These are numbers. A float32 takes 4 bytes.": scaled(1 / 4),
        "The optimizer's moments are missing, half of it all.": _held(moments=0),
        "That is what all processes hold together; wanted is one.": (
            lambda n, processes, split: processes * bytes_each(n, processes, split)
        ),
        "You divided what does not stand in `split`.": _held(lambda split, processes: 1 if split else processes),
        "You counted only what stands in `split`. The rest is held too, and whole.": (
            lambda n, processes, split: sum(_COSTS[kind] * n / processes for kind in split)
        ),
        "What stands in `split` is missing: of that a process still holds one piece.": (
            lambda n, processes, split: sum(cost * n for kind, cost in _COSTS.items() if kind not in split)
        ),
        "You took 8 bytes a number. A float32 takes 4; Adam's 8 are two of them.": scaled(2),
    },
    properties=(
        Property(
            "Between 16 bytes a parameter and that divided by the processes.",
            lambda held, parameters, processes, split: 15.9 * parameters / processes <= held <= 16 * parameters,
        ),
    ),
)
def bytes_each(parameters, processes, split):
    """What one process holds.

    The three steps are ZeRO's stages 1, 2 and 3 (Rajbhandari et al. 2020); FSDP is the third. In mixed precision it is
    16 bytes too: 2 + 2 for weights and gradients, and 4 + 8 for a float32 copy and the moments. Activations come on
    top, and these are divided by the batch.
    """
    return _held()(parameters, processes, split)


question(
    "parallel.two_requests",
    points=1,
    text="A server with 8 cores answers single pictures with a network that gains 1.3× from 8 threads. Hundreds of "
    "requests wait. What answers most requests a second?",
    choices={
        "a": "8 requests at a time, 8 threads each: all cores are always busy.",
        "b": "One request at a time, 8 threads each: every answer comes as early as possible.",
        "c": "8 requests at a time, one thread each.",
    },
    answer="c",
    comments={
        "a": "64 threads on 8 cores take turns, and every operator ends only when its last thread has had its turn.",
        "b": "Each answer is 1.3 times as early, but seven cores are hardly used: 1.3 times the throughput of one core "
        "where 8 are there.",
    },
    explanation="Requests are independent of each other: a division without a serial share. One thread each wastes "
    "nothing. (With a batch of waiting requests it would be better still.)",
)
question(
    "parallel.ring_bytes",
    points=1,
    text="A ring all-reduce is a reduce-scatter and an all-gather; in each, every process sends (P − 1)/P of the vector. "
    "The gradients are 100 MB, P = 4. How many MB does each process send?",
    answer=150.0,
    tolerance=0.5,
    explanation="2 · 3/4 · 100 = 150 MB. However many processes there are it stays below 200: that is why the ring "
    "scales. What grows with P is the number of messages, 2 · (P − 1).",
)
question(
    "parallel.bubble",
    points=1,
    text="A pipeline has 4 stages on 4 devices, and each batch is cut into 8 parts that follow each other through it. "
    "Each stage takes equally long for a part. During what percentage of the time is a device idle (forward only)?",
    answer=100 * 3 / 11,
    tolerance=0.5,
    explanation="The last part leaves after 8 + 3 steps, and each device works in 8 of them: (p − 1)/(m + p − 1) = 3/11 = "
    "27 % (GPipe, Huang et al. 2019). More parts make the bubble smaller, and the products too small to be fast.",
)
question(
    "parallel.checkpoint",
    points=1,
    text="After a crash a run goes on from a checkpoint that holds the weights and the number of the epoch. Its optimizer "
    "is SGD with momentum 0.9. What differs from an undisturbed run?",
    choices={
        "a": "Momentum begins again at zero: the next steps are smaller, and the weights become others.",
        "b": "Nothing: the gradients depend on the weights alone.",
        "c": "The epoch that was under way is lost.",
    },
    answer="a",
    comments={
        "b": "The steps do not: a step of momentum also depends on the gradients before it.",
        "c": "It is repeated from its beginning. If all that is random in it depends on its number, it is the same epoch.",
    },
    explanation="What a step depends on must be in the checkpoint: weights, the optimizer's state, the scheduler's, and "
    "the state of whatever is random. Here the last is avoided: the order depends on the number of the epoch alone.",
)
