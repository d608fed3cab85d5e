"""Exercises and questions of lesson 04: how many pictures a step, and when to change it."""

import torch

from nnopt_lab.course.draws import decimals, randint, uniform
from nnopt_lab.course.exercises import Property, exercise, question
from nnopt_lab.course.wrong_answers import called_with, changed
from nnopt_lab.techniques.training import cropping, noise_scale


def _training_run(g: torch.Generator):
    batch_size = randint(g, 3, 8)
    whole, rest = batch_size * randint(g, 3, 9), randint(g, 1, batch_size - 1)
    # A third each: no rest, a rest that is kept, a rest that is dropped.
    kind, epochs = randint(g, 0, 2), randint(g, 2, 5)
    return whole + (rest if kind else 0), batch_size, epochs, kind == 2


@exercise(
    "batches.updates",
    points=2,
    inputs=_training_run,
    hints=(
        "Count the batches of one epoch first. Each is one update.",
        "Whole batches: count // batch_size. If a rest is left over, it makes one more, unless drop_last.",
        "`epochs * (count // batch_size if drop_last else -(-count // batch_size))`: −(−a // b) rounds up.",
    ),
    wrong={
        "You always round down, as if drop_last were True. Where it is False, the rest is a smaller batch of its "
        "own, and an update too.": called_with(lambda count, size, epochs, drop_last: (count, size, epochs, True)),
        "You always round up. With drop_last=True the smaller batch at the end of each epoch is left out.": called_with(
            lambda count, size, epochs, drop_last: (count, size, epochs, False)
        ),
        "You let one epoch run on into the next. Each epoch ends with its own rest; round per epoch, then "
        "multiply.": called_with(lambda count, size, epochs, drop_last: (epochs * count, size, 1, drop_last)),
        "That is one epoch; multiply by how many there are.": called_with(
            lambda count, size, epochs, drop_last: (count, size, 1, drop_last)
        ),
        "There are no fractions of an update: the rest of an epoch is a batch of its own, or it is "
        "dropped.": lambda count, size, epochs, drop_last: epochs * count / size,
        "You always add a batch unless drop_last. Where count is a multiple of batch_size there is no rest, and nothing "
        "to add.": lambda count, size, epochs, drop_last: epochs * (count // size + (not drop_last)),
        "drop_last is turned round: where it is True the smaller batch is left out, and you round down.": called_with(
            lambda count, size, epochs, drop_last: (count, size, epochs, not drop_last)
        ),
    },
)
def updates(count, batch_size, epochs, drop_last):
    """How many updates.

    In torch it is `len(loader)` times the epochs, and a schedule such as OneCycleLR must be told it as `total_steps`:
    an error by one raises at the last step of the training.
    """
    return epochs * (count // batch_size if drop_last else -(-count // batch_size))


def _two_measurements(g: torch.Generator):
    each, fixed = randint(g, 40, 90), randint(g, 500, 900)
    size1 = randint(g, 2, 6)
    size2 = 2 * size1
    limit = fixed + each * randint(g, 30, 90) + each * randint(g, 2, 7) // 10
    return size1, fixed + each * size1, size2, fixed + each * size2, limit


def _largest_with(fit=lambda limit, fixed, each: (limit - fixed) // each):
    """`largest_batch` with one thing wrong behind the straight line."""

    def largest(size1, bytes1, size2, bytes2, limit):
        each = (bytes2 - bytes1) // (size2 - size1)
        return fit(limit, bytes1 - each * size1, each)

    return largest


@exercise(
    "batches.largest_batch",
    points=2,
    inputs=_two_measurements,
    hints=(
        "Two points lie on one line: bytes = fixed + each · size. Gradients and weights are fixed, activations are "
        "for each picture.",
        "each = (bytes2 − bytes1) / (size2 − size1); fixed = bytes1 − each · size1.",
        "each = (bytes2 - bytes1) // (size2 - size1); return (limit - (bytes1 - each * size1)) // each",
    ),
    wrong={
        "You took all memory to grow with the batch. A part of it does not: what gradients take is there once. "
        "Find the straight line through both measurements.": lambda s1, b1, s2, b2, limit: limit * s2 // b2,
        "The memory for each picture is right, but the fixed part is forgotten: subtract it from the limit "
        "first. Your batch does not fit.": _largest_with(lambda limit, fixed, each: limit // each),
        "Rounded up, the batch needs more than the limit by a fraction of a picture. Round down.": _largest_with(
            lambda limit, fixed, each: -(-(limit - fixed) // each)
        ),
        "That is how many pictures fit *besides* the first size1: you subtracted the whole first measurement in "
        "place of its fixed part.": lambda s1, b1, s2, b2, limit: (limit - b1) * (s2 - s1) // (b2 - b1),
        "The line is right, but a batch has no fractions of a picture: round down.": _largest_with(
            lambda limit, fixed, each: (limit - fixed) / each
        ),
        "You divided the limit by what a picture took in the first measurement, its fixed part included. That part does "
        "not grow: find the straight line through both measurements.": lambda s1, b1, s2, b2, limit: limit * s1 // b1,
    },
)
def largest_batch(size1, bytes1, size2, bytes2, limit):
    """The largest batch that fits.

    Two small measurements foretell what a large batch needs. `batch_size_sweep.sweep` does not try a size that might not fit:
    on a CPU the system may end a program where it should refuse it memory.
    """
    return _largest_with()(size1, bytes1, size2, bytes2, limit)


def _norms(g: torch.Generator):
    small = randint(g, 2, 8)
    big = small * randint(g, 4, 10)
    signal, noise = uniform(g, 1, 4), uniform(g, 20, 220)
    return small, big, round((signal + noise / small) ** 0.5, 4), round((signal + noise / big) ** 0.5, 4)


def _noise(small, big, small_norm, big_norm):
    return noise_scale.from_norms(small, big, small_norm**2, big_norm**2).noise


@exercise(
    "batches.simple_noise_scale",
    points=3,
    inputs=_norms,
    hints=(
        "Two equations, |G_small|² = |G|² + trΣ/small and |G_big|² = |G|² + trΣ/big, and two unknowns.",
        "Subtract them: trΣ = (|G_small|² − |G_big|²) / (1/small − 1/big). Then |G|² = |G_big|² − trΣ/big.",
        "noise = (small_norm**2 - big_norm**2) / (1 / small - 1 / big); return noise / (big_norm**2 - noise / big)",
    ),
    wrong={
        "You forgot the squares: what adds up is |G|² and the variance, not the norms.": called_with(
            lambda small, big, a, b: (small, big, a**0.5, b**0.5)
        ),
        "trΣ is right, but you divided it by |G_big|², which still holds noise: |G_big|² = |G|² + trΣ/big. "
        "Take that off.": lambda small, big, a, b: _noise(small, big, a, b) / b**2,
        "The batch sizes of |G|² are exchanged: each squared norm goes with its own size.": lambda small, big, a, b: (
            _noise(small, big, a, b) * (big - small) / (big * a**2 - small * b**2)
        ),
        "That is trΣ, the noise of one picture's gradient. The noise scale is its ratio to |G|².": _noise,
        "Upside down: the noise scale is noise over signal, a number of pictures.": changed(lambda scale: 1 / scale),
    },
)
def simple_noise_scale(small, big, small_norm, big_norm):
    """The noise scale from two norms.

    Average the squared norms over several draws *before* you divide: both parts are unbiased, their ratio is not. With
    several GPUs both norms come for free: before and after the gradients are averaged.
    """
    return noise_scale.from_norms(small, big, small_norm**2, big_norm**2).simple


def _micro_batches(g: torch.Generator):
    count = randint(g, 2, 3)
    sizes = (torch.randperm(8, generator=g)[:count] + 2).tolist()
    return [decimals(g, 3) for _ in sizes], sizes


@exercise(
    "batches.accumulate",
    points=2,
    inputs=_micro_batches,
    hints=(
        "gradients[i] is already a mean over sizes[i] pictures. You want the mean over all pictures.",
        "Undo the means: size · gradient is a sum over pictures. Add the sums, and divide once by all pictures.",
        "`sum(s * g for g, s in zip(gradients, sizes)) / sum(sizes)`",
    ),
    wrong={
        "A mean of means: a picture in a small micro-batch counts more than one in a large one. Weight each "
        "gradient by its size.": lambda gradients, sizes: sum(gradients) / len(gradients),
        "A plain sum of means is what `backward()` leaves behind: as many times too long as there are "
        "micro-batches. Weight by size, and divide by all pictures.": lambda gradients, sizes: sum(gradients),
        "That is the gradient of the *sum* of the losses; it grows with the batch. Divide by the number of "
        "pictures.": lambda gradients, sizes: accumulate(gradients, sizes) * sum(sizes),
        "The weights are right, but you divided by the number of micro-batches: divide by the number of pictures.": lambda gradients, sizes: (
            accumulate(gradients, sizes) * sum(sizes) / len(sizes)
        ),
    },
)
def accumulate(gradients, sizes):
    """One gradient from unequal micro-batches.

    The mean of means stood in large libraries for years: in 2024 Hugging Face's trainer was mended (transformers, pull
    request 34191). With equal sizes it is right, so tests with equal sizes never see it.
    """
    return sum(size * gradient for gradient, size in zip(gradients, sizes, strict=True)) / sum(sizes)


def _drawn_sizes(g: torch.Generator):
    low = randint(g, 2, 4)
    high, batches = low + randint(g, 3, 5), randint(g, 4, 6)
    drawn = torch.randint(low, high + 1, (batches,), generator=g).tolist()
    return randint(g, batches * low + 1, batches * high - 1), drawn, low, high


def _fitted_with(fit=lambda size, least, most, left: min(max(size, least), most), itself=False):
    """`fit_sizes` with one thing wrong: what a drawn size becomes, or whether a batch counts among those to come."""

    def fitted(count, drawn, low, high):
        sizes, left = [], count
        for place, size in enumerate(drawn):
            after = len(drawn) - 1 - place + itself
            sizes.append(fit(size, left - after * high, left - after * low, left))
            left -= sizes[-1]
        return sizes

    return fitted


def _equal_shares(count, drawn, low, high):
    return [count * (i + 1) // len(drawn) - count * i // len(drawn) for i in range(len(drawn))]


@exercise(
    "batches.fit_sizes",
    points=3,
    inputs=_drawn_sizes,
    hints=(
        "Before each batch ask: what is left, and how many batches come after this one?",
        "The batches after this one hold between after · low and after · high pictures. So this one must take at "
        "least left − after · high and at most left − after · low.",
        "for each size: size = min(max(size, left - after * high), left - after * low); append it; left -= size. "
        "`after` counts down to 0.",
    ),
    wrong={
        "The sizes as drawn do not add up to the number of pictures: some are lost, or come twice.": _fitted_with(
            lambda size, least, most, left: size
        ),
        "The last batch takes whatever is left, and leaves the bounds: it may even be negative. Look ahead at "
        "every batch, not at the last one only.": lambda count, drawn, *bounds: [*drawn[:-1], count - sum(drawn[:-1])],
        "Your batches never take too much, but where the draws are small, pictures are left over at the end: a "
        "batch must also take at least left − after · high.": _fitted_with(
            lambda size, least, most, left: min(size, most)
        ),
        "Your batches take enough, but where the draws are large, nothing is left for the last ones: a batch may "
        "take at most left − after · low.": _fitted_with(lambda size, least, most, left: max(size, least)),
        "You take the draws until the pictures run out: the last batches are too small or empty, or pictures "
        "are left over.": _fitted_with(lambda size, least, most, left: min(size, left)),
        "Equal shares add up, but they are not random any more: keep each drawn size wherever the rest allows "
        "it.": _equal_shares,
        "Your count of the batches to come includes the present one. `after` is 0 for the last batch, which takes all "
        "that is left.": _fitted_with(itself=True),
    },
    properties=(
        Property(
            "The sizes must add up to count, each between low and high, as many as were drawn.",
            lambda sizes, count, drawn, low, high: (
                len(sizes) == len(drawn) and sum(sizes) == count and all(low <= size <= high for size in sizes)
            ),
            credit=1 / 3,
        ),
    ),
)
def fit_sizes(count, drawn, low, high):
    """Random sizes that lose no picture.

    The library's `RandomBatchSizes` draws exactly so, and then mixes the sizes, since the last ones are the least
    random. As the number of batches is fixed, `len` is right and a schedule can be planned.
    """
    return _fitted_with()(count, drawn, low, high)


def _images_and_places(g: torch.Generator):
    height, size = randint(g, 5, 6), randint(g, 2, 3)
    images = torch.randint(0, 100, (2, 1, height, height), generator=g)
    top = torch.randperm(height - size + 1, generator=g)[:2]
    left = (top + 1 + torch.randint(0, height - size, (2,), generator=g)) % (height - size + 1)
    return images, top, left, size


def _masked_outside(images, top, left, size):
    kept = torch.zeros_like(images)
    for i in range(len(images)):
        square = (i, slice(None), slice(top[i], top[i] + size), slice(left[i], left[i] + size))
        kept[square] = images[square]
    return kept


@exercise(
    "batches.crop_batch",
    points=3,
    inputs=_images_and_places,
    hints=(
        "Each picture has its own corner, so one slice does not do for all. Crop them one by one, then stack.",
        "Picture i: rows top[i] to top[i] + size, columns left[i] to left[i] + size, all channels.",
        "`torch.stack([image[:, t : t + size, l : l + size] for image, t, l in zip(images, top, left)])`",
    ),
    wrong={
        "Rows and columns are exchanged: `top` counts rows, the second axis from the end.": called_with(
            lambda images, top, left, size: (images, left, top, size)
        ),
        "Every picture is cropped at the first one's place. Each has its own top[i] and left[i].": called_with(
            lambda images, top, left, size: (images, top[:1], left[:1], size)
        ),
        "You blackened what lies outside the square: the pictures are as large, and as slow, as before. Cut it "
        "out.": _masked_outside,
        "You always cut the upper left corner; start at top[i] and left[i].": called_with(
            lambda images, top, left, size: (images, 0 * top, 0 * left, size)
        ),
        "One row and one column are missing: a slice ends *before* its end, so write top[i] + size.": called_with(
            lambda images, top, left, size: (images, top, left, size - 1)
        ),
    },
)
def crop_batch(images, top, left, size):
    """Crop every picture at its own place.

    `cropping.crop` does it without a loop, by indexing with rows [B, 1, size, 1] and columns [B, 1, 1, size].
    torchvision's `v2.RandomCrop` takes one place for the whole batch that it is given.
    """
    return cropping.crop(images, top, left, size)


question(
    "batches.how_to_choose",
    points=1,
    text="The article asks how to choose a batch size. You train a network of your own on your own machine. Which "
    "size do you try first?",
    choices={
        "a": "The largest that fits into the memory: it uses the machine fully.",
        "b": "The smallest size at which the throughput is flat, if it lies below the critical batch size; then the "
        "learning rate that suits it.",
        "c": "The one with the lowest loss after one epoch at a fixed learning rate.",
    },
    answer="b",
    comments={
        "a": "Memory says what is possible. Beyond the flat part a larger batch does not raise the throughput, and "
        "beyond the critical size it only needs more pictures.",
        "c": "At one fixed rate that always favours small batches, which make more steps. Each size needs its own rate.",
    },
    explanation="Hardware sets the lower end (below it the machine idles), the critical size the upper end (above it "
    "pictures are wasted; section 4 estimates it without a race), memory a wall. In between the time is nearly flat, so tune the rate and not the size.",
)
question(
    "batches.mean_of_means",
    points=1,
    text="A batch of 80 pictures is cut into micro-batches of 64 and 16, and the two mean gradients are averaged. How "
    "many times as much does a picture of the second one count as a picture of the first?",
    answer=4,
    tolerance=0.01,
    explanation="A picture of the first counts ½ · 1/64, one of the second ½ · 1/16: 4 times as much. Weighted by size "
    "each counts 1/80.",
)
question(
    "batches.batch_norm",
    points=1,
    text="You train a network with batch norms (the course's teacher, say) with 4 micro-batches of 16 in place of one "
    "batch of 64, each weighted by its size. Do you get the same step?",
    choices={
        "a": "Yes, but for rounding.",
        "b": "No: each micro-batch is normalised by its own mean and deviation.",
        "c": "No: the gradients of batch norms are not added up.",
    },
    answer="b",
    comments={
        "a": "For a network whose outputs depend on one picture each, yes. A batch norm mixes the pictures of a batch.",
        "c": "Their gradients add up like all others; it is the forward pass that differs.",
    },
    explanation="In training mode a batch norm takes mean and deviation from the pictures it is given, and 16 pictures "
    "have others than 64. Layer norm and group norm look at one picture at a time and have no such trouble.",
)
