"""Exercises and questions of lesson 08: what threads, workers and processes gain, and what each of them holds."""

import torch

from nnopt_lab.course.draws import randint
from nnopt_lab.course.exercises import Property, exercise, question


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
        "That is the share of the time that is left. Part of it is the divided work: take 1/threads into account.": lambda one, many, threads: (
            many / one
        ),
        "That is the distance to the ideal time. With s = 1 it would be 1 − 1/threads, not 1: divide by that.": lambda one, many, threads: (
            many / one - 1 / threads
        ),
        "That is the efficiency: the gain as a share of the ideal one. The serial share is in Amdahl's law.": lambda one, many, threads: (
            one / many / threads
        ),
        "That is what efficiency lacks to 1. It grows with the threads; the serial share belongs to the program.": lambda one, many, threads: (
            1 - one / many / threads
        ),
        "That is the share that *can* be divided; the other one is wanted.": lambda one, many, threads: (
            1 - serial_share(one, many, threads)
        ),
        "You put in the gain, one/many. The formula needs the share of the time that is left, many/one.": lambda one, many, threads: (
            (one / many - 1 / threads) / (1 - 1 / threads)
        ),
        "That is the serial time in milliseconds. As a share it must be divided by the time with one thread.": lambda one, many, threads: (
            (many - one / threads) / (1 - 1 / threads)
        ),
        "That is the gain. The serial share is what keeps it below the number of threads.": lambda one, many, threads: (
            one / many
        ),
        "That is the time saved, as a share. The serial share is in Amdahl's law.": lambda one, many, threads: (
            1 - many / one
        ),
        "Upside down: that is the most that any number of threads can gain, 1/s.": lambda one, many, threads: (
            1 / serial_share(one, many, threads)
        ),
        "That holds for two threads. There may be more: 1/2 becomes 1/threads.": lambda one, many, threads: (
            2 * many / one - 1
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
        "The workers' start is missing: each of them is a new Python that imports torch first.": lambda batches, read, compute, workers, start: (
            batches * (read + compute) if workers == 0 else batches * max(read / workers, compute)
        ),
        "With 0 workers nothing is started, so nothing is paid for it.": lambda batches, read, compute, workers, start: (
            start + batches * (read + compute if workers == 0 else max(read / workers, compute))
        ),
        "You added reading and computing. With workers they happen at the same time: the slower one sets the pace.": lambda batches, read, compute, workers, start: (
            batches * (read + compute) if workers == 0 else start + batches * (read / workers + compute)
        ),
        "Several workers read different batches at the same time: together they deliver one every read/workers.": lambda batches, read, compute, workers, start: (
            batches * (read + compute) if workers == 0 else start + batches * max(read, compute)
        ),
        "The network may have to wait for the workers: where read/workers is more than compute, they set the pace.": lambda batches, read, compute, workers, start: (
            batches * (read + compute) if workers == 0 else start + batches * compute
        ),
        "The *slower* of the two sets the pace: max, not min.": lambda batches, read, compute, workers, start: (
            batches * (read + compute) if workers == 0 else start + batches * min(read / workers, compute)
        ),
        "With 0 workers the same process reads and computes, one after the other: the times add up.": lambda batches, read, compute, workers, start: (
            batches * max(read, compute) if workers == 0 else start + batches * max(read / workers, compute)
        ),
        "The workers only read. The network computes in this process, as fast as without them.": lambda batches, read, compute, workers, start: (
            batches * (read + compute) if workers == 0 else start + batches * max(read / workers, compute / workers)
        ),
        "The workers start at the same time: `start` counts once.": lambda batches, read, compute, workers, start: (
            batches * (read + compute) if workers == 0 else start * workers + batches * max(read / workers, compute)
        ),
        "That is an epoch without workers. With them reading and computing happen at the same time.": lambda batches, read, compute, workers, start: (
            batches * (read + compute)
        ),
        "The workers start once an epoch, not once a batch.": lambda batches, read, compute, workers, start: (
            batches * (read + compute) if workers == 0 else batches * (start + max(read / workers, compute))
        ),
        "The workers only read: computing is not divided among them. And the two happen at the same time.": lambda batches, read, compute, workers, start: (
            batches * (read + compute) if workers == 0 else start + batches * (read + compute) / workers
        ),
        "With workers this process reads no more: what is read is divided by `workers`.": lambda batches, read, compute, workers, start: (
            batches * (read + compute) if workers == 0 else start + batches * max(read / (workers + 1), compute)
        ),
    },
)
def epoch_seconds(batches, read, compute, workers, start):
    """An epoch with workers that read.

    It assumes a core for each worker besides the network's own. With fewer, what one gains the other loses. And it
    shows the two ends: where reading is cheap, workers only cost their start; where it is dear, nothing else helps.
    """
    return batches * (read + compute) if workers == 0 else start + batches * max(read / workers, compute)


def _padded(length, processes, rank, place):
    own = list(range(rank, length, processes))
    return own + [place] * (-(-length // processes) - len(own))


def _a_sampler(g: torch.Generator):
    # It comes out even, or the last process pads (and not with 0), or it is one that doesn't pad while others do.
    kind, processes = randint(g, 0, 2), randint(g, 3, 5)
    rest = (0, randint(g, 1, processes - 2), randint(g, 1, processes - 1))[kind]
    rank = (randint(g, 0, processes - 1), processes - 1, randint(g, 0, max(rest - 1, 0)))[kind]
    return processes * randint(g, 2, 4) + rest, processes, rank


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
        "for ever. Begin again at 0.": lambda length, processes, rank: list(range(rank, length, processes)),
        "You dropped the rest (`drop_last=True`). Here every picture is to be read: pad, begin again at 0.": lambda length, processes, rank: (
            list(range(rank, length - length % processes, processes))
        ),
        "You cut the list into blocks. DistributedSampler deals like cards: process 0 gets 0, processes, "
        "2·processes, …": lambda length, processes, rank: [
            p % length for p in range(rank * -(-length // processes), (rank + 1) * -(-length // processes))
        ],
        "You repeated the last picture. The padding begins again at the first.": lambda length, processes, rank: [
            min(p, length - 1) for p in range(rank, -(-length // processes) * processes, processes)
        ],
        "Where the pictures can be divided no padding is needed: round up, don't add one.": lambda length, processes, rank: [
            p % length for p in range(rank, (length // processes + 1) * processes, processes)
        ],
        "Some of these positions lie beyond the end; the padding begins again at 0 (% length).": lambda length, processes, rank: (
            list(range(rank, -(-length // processes) * processes, processes))
        ),
        "You cut the list into blocks, and not all are equally long. Deal like cards: rank, rank + processes, …": lambda length, processes, rank: (
            list(range(rank * length // processes, (rank + 1) * length // processes))
        ),
        "You padded with position 0 in every process. All of them together begin again at 0: the first that lacks a "
        "picture takes 0, the next one 1.": lambda length, processes, rank: _padded(length, processes, rank, 0),
        "You padded with the process's own first position. The dealing goes on where it was and begins again at 0.": lambda length, processes, rank: (
            _padded(length, processes, rank, rank)
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
    each = -(-length // processes)
    return [place % length for place in range(rank, each * processes, processes)]


def _counts(g: torch.Generator):
    counts = [randint(g, 2, 9) for _ in range(randint(g, 3, 4))]
    counts[randint(g, 0, len(counts) - 1)] = randint(g, 10, 16)  # never all equal
    return (counts,)


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
        "These are the shares. DDP also divides by the number of processes: multiply by it.": lambda counts: [
            count / sum(counts) for count in counts
        ],
        "Equal weights: then a picture of a small share counts more than one of a large share.": lambda counts: (
            [1.0] * len(counts)
        ),
        "The other way round: the process with more pictures stands for more, so it weighs more.": lambda counts: [
            sum(counts) / len(counts) / count for count in counts
        ],
        "With these the gradient is that of the *sum* of losses, divided by P. The mean is wanted: times P / N.": lambda counts: [
            float(count) for count in counts
        ],
        "The weights must be P on the sum, so that equal shares weigh 1 each: divide by the mean count, "
        "not by the largest.": lambda counts: [count / max(counts) for count in counts],
        "DDP divides by the number of processes already; and unequal shares need unequal weights.": lambda counts: (
            [1 / len(counts)] * len(counts)
        ),
        "That is N/n_r. It must be P · n_r/N: a process weighs as much as its share of the pictures.": lambda counts: [
            sum(counts) / count for count in counts
        ],
        "You divided by the number of processes. DDP does that already: multiply by it, and divide by N.": lambda counts: [
            count / len(counts) for count in counts
        ],
        "Each gradient is a mean already. The process with more pictures stands for more, so it weighs more.": lambda counts: [
            1 / count for count in counts
        ],
        "That is the share of the *other* processes. A process weighs as much as its own share, times P.": lambda counts: [
            1 - count / sum(counts) for count in counts
        ],
        "The weights must be P on the sum: divide by the mean count, not by the smallest.": lambda counts: [
            count / min(counts) for count in counts
        ],
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
    return [len(counts) * count / sum(counts) for count in counts]


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
        "That is all-reduce: everybody has the whole sum. Each shall keep its piece only.": lambda vectors: [
            sum(vectors) for _ in vectors
        ],
        "Each kept its piece of its *own* vector: the sum over the processes is missing.": lambda vectors: [
            v.chunk(len(vectors))[r].clone() for r, v in enumerate(vectors)
        ],
        "That is the mean. Reduce here means the sum; DDP and FSDP divide by the processes themselves.": lambda vectors: (
            list((sum(vectors) / len(vectors)).chunk(len(vectors)))
        ),
        "You dealt the numbers like cards; the pieces are cut in blocks: the first n/P numbers to process 0.": lambda vectors: [
            sum(vectors)[r :: len(vectors)] for r in range(len(vectors))
        ],
        "You added the pieces of each vector to each other. Add the vectors of different processes.": lambda vectors: [
            sum(v.chunk(len(vectors))) for v in vectors
        ],
        "Every process got the first piece. Process r gets piece r.": lambda vectors: (
            [sum(vectors).chunk(len(vectors))[0]] * len(vectors)
        ),
        "The pieces are in reverse order: process r gets piece r.": lambda vectors: list(
            reversed(sum(vectors).chunk(len(vectors)))
        ),
        "Each kept the first piece of its own vector. Process r gets piece r, and of the sum.": lambda vectors: [
            v.chunk(len(vectors))[0].clone() for v in vectors
        ],
        "Those are the largest numbers. Reduce here means the sum.": lambda vectors: list(
            torch.stack(vectors).amax(0).chunk(len(vectors))
        ),
        "You laid the vectors one after the other. They are added up, number by number.": lambda vectors: list(
            torch.cat(vectors).chunk(len(vectors))
        ),
        "`split(P)` makes pieces of P numbers; P pieces are wanted: `chunk(P)`.": lambda vectors: list(
            sum(vectors).split(len(vectors))
        ),
        "You added the numbers within each vector. Add the vectors to each other.": lambda vectors: [
            v.sum() for v in vectors
        ],
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
    # Half of the draws split the moments alone: only there the three costs can be told apart.
    options = ([], ["moments", "gradients"], ["moments", "gradients", "weights"], *[["moments"]] * 3)
    return 1000 * randint(g, 1, 99), randint(g, 2, 8), list(options[randint(g, 0, 5)])


_COSTS = {"weights": 4, "gradients": 4, "moments": 8}


def _with_costs(parameters, processes, split, weights=4, gradients=4, moments=8):
    costs = {"weights": weights, "gradients": gradients, "moments": moments}
    return sum(cost * parameters / (processes if what in split else 1) for what, cost in costs.items())


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
        "Adam keeps two moments for each parameter: 8 bytes.": lambda parameters, processes, split: _with_costs(
            parameters, processes, split, moments=4
        ),
        "You divided everything. What does not stand in `split` every process holds whole.": lambda parameters, processes, split: (
            16 * parameters / processes
        ),
        "You divided nothing. What stands in `split` is held in pieces, one a process.": lambda parameters, processes, split: (
            16 * parameters
        ),
        "The gradients are missing: they are as large as the weights.": lambda parameters, processes, split: (
            _with_costs(parameters, processes, split, gradients=0)
        ),
        "These are numbers. A float32 takes 4 bytes.": lambda parameters, processes, split: _with_costs(
            parameters, processes, split, 1, 1, 2
        ),
        "The optimizer's moments are missing, half of it all.": lambda parameters, processes, split: _with_costs(
            parameters, processes, split, moments=0
        ),
        "That is what all processes hold together; wanted is one.": lambda parameters, processes, split: (
            processes * bytes_each(parameters, processes, split)
        ),
        "You divided what does not stand in `split`.": lambda parameters, processes, split: _with_costs(
            parameters, processes, [what for what in ("weights", "gradients", "moments") if what not in split]
        ),
        "You counted only what stands in `split`. The rest is held too, and whole.": lambda parameters, processes, split: (
            sum(_COSTS[what] * parameters / processes for what in split)
        ),
        "What stands in `split` is missing: of that a process still holds one piece.": lambda parameters, processes, split: (
            sum(cost * parameters for what, cost in _COSTS.items() if what not in split)
        ),
        "You took 8 bytes a number. A float32 takes 4; Adam's 8 are two of them.": lambda parameters, processes, split: (
            _with_costs(parameters, processes, split, 8, 8, 16)
        ),
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
    costs = {"weights": 4, "gradients": 4, "moments": 8}
    return sum(cost * parameters / (processes if what in split else 1) for what, cost in costs.items())


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
