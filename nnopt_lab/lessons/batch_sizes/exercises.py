"""Exercises and questions of lesson 04: how many pictures per step, and when to change that."""

import torch

from nnopt_lab.course.draws import choice, decimals, randint, randints, uniform
from nnopt_lab.course.exercises import Property, exercise, question
from nnopt_lab.course.wrong_answers import called_with, changed
from nnopt_lab.techniques.training import cropping, noise_scale


def _training_run(g: torch.Generator):
    # A quarter each: with a remainder or without one, kept or dropped.
    keep, has_rest = (torch.rand(2, generator=g) < 0.5).tolist()
    batch_size, whole, epochs = randints(g, (4, 8), (3, 9), (2, 5))
    rest = choice(g, (1, batch_size - 1)) if has_rest else 0
    return batch_size * whole + rest, batch_size, epochs, not keep


@exercise(
    "batches.updates",
    points=2,
    inputs=_training_run,
    hints=(
        "Count the batches of one epoch first. Each batch is one update.",
        "There are `count // batch_size` whole batches. A remainder makes one more, unless `drop_last` is `True`.",
        "`epochs * (count // batch_size if drop_last else -(-count // batch_size))`: `−(−a // b)` rounds up.",
    ),
    wrong={
        "You always rounded down, as if `drop_last` were `True`. If it is `False`, the remainder is a smaller batch "
        "and another update.": called_with(lambda count, size, epochs, drop_last: (count, size, epochs, True)),
        "You always rounded up. With `drop_last=True`, the smaller batch at the end of each epoch is left out.": called_with(
            lambda count, size, epochs, drop_last: (count, size, epochs, False)
        ),
        "You let each epoch run on into the next. Each has a remainder of its own: round per epoch, then "
        "multiply.": called_with(lambda count, size, epochs, drop_last: (epochs * count, size, 1, drop_last)),
        "You counted one epoch. Multiply by the number of epochs.": called_with(
            lambda count, size, epochs, drop_last: (count, size, 1, drop_last)
        ),
        "You returned a fraction of an update. The remainder of an epoch is one more batch, or it is "
        "dropped.": lambda count, size, epochs, drop_last: epochs * count / size,
        "You added a batch even if there is no remainder. If `count` is a multiple of `batch_size`, there is nothing "
        "to add.": lambda count, size, epochs, drop_last: epochs * (count // size + (not drop_last)),
        "You inverted `drop_last`. If it is `True`, the smaller batch is left out: round down.": called_with(
            lambda count, size, epochs, drop_last: (count, size, epochs, not drop_last)
        ),
        "With `drop_last=True`, you removed a batch even if there is no remainder. If `count` is a multiple of "
        "`batch_size`, the last batch is whole and stays.": lambda count, size, epochs, drop_last: (
            epochs * (-(-count // size) - drop_last)
        ),
        "You left out the smaller batch of only one epoch. With `drop_last=True`, every epoch leaves out its own: "
        "round down per epoch, then multiply.": lambda count, size, epochs, drop_last: (
            epochs * -(-count // size) - (drop_last and count % size > 0)
        ),
        "You always added one batch. Add one only for a remainder, and only if `drop_last` is `False`: round up or "
        "down.": lambda count, size, epochs, drop_last: epochs * (count // size + 1),
        "You returned the number of pictures. Each update takes `batch_size` of them.": lambda count, size, epochs, drop_last: (
            epochs * (count - drop_last * (count % size))
        ),
    },
)
def updates(count, batch_size, epochs, drop_last):
    """Number of updates.

    In torch it is `len(loader)` times the number of epochs. Schedules such as `OneCycleLR` need it as `total_steps`,
    and if it is one too small, they raise an error at the last step of the training.
    """
    return epochs * (count // batch_size if drop_last else -(-count // batch_size))


def _two_measurements(g: torch.Generator):
    each, fixed = randint(g, 40, 90), randint(g, 500, 900)
    size1 = randint(g, 2, 6)
    size2 = size1 + randint(g, 1, 9)
    # Tenths of a further picture that fit: often none, so that the batch needs the limit exactly.
    limit = fixed + each * randint(g, 30, 90) + each * choice(g, (0, 0, 3, 3, 7, 7)) // 10
    return size1, fixed + each * size1, size2, fixed + each * size2, limit


def _largest_with(fit=lambda limit, fixed, each: (limit - fixed) // each):
    """`largest_batch` with a mistake after the straight line."""

    def largest(size1, bytes1, size2, bytes2, limit):
        each = (bytes2 - bytes1) // (size2 - size1)
        return fit(limit, bytes1 - each * size1, each)

    return largest


@exercise(
    "batches.largest_batch",
    points=2,
    inputs=_two_measurements,
    hints=(
        "Two points determine a line: `bytes = fixed + each · size`. Gradients and weights are fixed; activations are "
        "needed per picture.",
        "`each = (bytes2 − bytes1) / (size2 − size1)`; `fixed = bytes1 − each · size1`.",
        "`each = (bytes2 - bytes1) // (size2 - size1); return (limit - (bytes1 - each * size1)) // each`",
    ),
    wrong={
        "You assumed that all memory grows with the batch. Part of it is fixed, such as the gradients. Find the "
        "straight line through both measurements.": lambda s1, b1, s2, b2, limit: limit * s2 // b2,
        "You left out the fixed part, so your batch does not fit. Subtract it from the limit first; your memory per "
        "picture is right.": _largest_with(lambda limit, fixed, each: limit // each),
        "You rounded up, so the batch exceeds the limit by a fraction of a picture. Round down.": _largest_with(
            lambda limit, fixed, each: -(-(limit - fixed) // each)
        ),
        "You counted the pictures that fit *besides* the first `size1`. Subtract only the fixed part, not the whole "
        "first measurement.": lambda s1, b1, s2, b2, limit: (limit - b1) * (s2 - s1) // (b2 - b1),
        "You returned a fraction of a picture. Your line is right, but round down.": _largest_with(
            lambda limit, fixed, each: (limit - fixed) / each
        ),
        "You divided the limit by the bytes per picture of the first measurement, which include the fixed part. Find the "
        "straight line through both measurements.": lambda s1, b1, s2, b2, limit: limit * s1 // b1,
        "Your batch stays below the limit. It may need exactly `limit` bytes: round `(limit − fixed) / each` down, "
        "without subtracting 1.": _largest_with(lambda limit, fixed, each: (limit - 1 - fixed) // each),
        "You rounded to the nearest integer, so some batches exceed the limit. Round down.": _largest_with(
            lambda limit, fixed, each: (2 * (limit - fixed) + each) // (2 * each)
        ),
        "You added the fixed part to the limit. Subtract it: the pictures share what it leaves.": _largest_with(
            lambda limit, fixed, each: (limit + fixed) // each
        ),
        "You returned the bytes that are left for pictures. Divide them by the bytes per picture.": _largest_with(
            lambda limit, fixed, each: limit - fixed
        ),
        "Your fixed part is `bytes2 − each · size1`, from two different measurements. Take bytes and size of the same "
        "one.": lambda s1, b1, s2, b2, limit: (limit - b2) * (s2 - s1) // (b2 - b1) + s1,
        "Your fixed part is `bytes1 − each · size2`, from two different measurements. Take bytes and size of the same "
        "one.": lambda s1, b1, s2, b2, limit: (limit - b1) * (s2 - s1) // (b2 - b1) + s2,
        "You counted the pictures that fit *besides* the first `size2`. Subtract only the fixed part, not the whole "
        "second measurement.": lambda s1, b1, s2, b2, limit: (limit - b2) * (s2 - s1) // (b2 - b1),
        "You took `bytes2 − bytes1` as the bytes per picture. It belongs to `size2 − size1` pictures: divide by their "
        "number.": lambda s1, b1, s2, b2, limit: (limit - (b1 - (b2 - b1) * s1)) // (b2 - b1),
    },
)
def largest_batch(size1, bytes1, size2, bytes2, limit):
    """The largest batch that fits.

    Two small measurements predict what a large batch needs. `batch_size_sweep.sweep` never tries a size that might not
    fit, since on a CPU the system may end the program instead of refusing memory.
    """
    return _largest_with()(size1, bytes1, size2, bytes2, limit)


def _norms(g: torch.Generator):
    small = randint(g, 2, 8)
    big = small * randint(g, 4, 10)
    signal, noise = uniform(g, 1, 4), uniform(g, 20, 220)
    return small, big, round((signal + noise / small) ** 0.5, 4), round((signal + noise / big) ** 0.5, 4)


def _noise(small, big, small_norm, big_norm):
    return noise_scale.from_norms(small, big, small_norm**2, big_norm**2).noise


def _with_noise(size, big_norm, noise):
    """The noise scale where `noise` is taken for trΣ, and `size` for the size of the large batch."""
    return noise / (big_norm**2 - noise / size)


@exercise(
    "batches.simple_noise_scale",
    points=3,
    inputs=_norms,
    hints=(
        "You have two equations, `|G_small|² = |G|² + trΣ/small` and `|G_big|² = |G|² + trΣ/big`, with two unknowns.",
        "Subtract them: `trΣ = (|G_small|² − |G_big|²) / (1/small − 1/big)`. Then `|G|² = |G_big|² − trΣ/big`.",
        "`noise = (small_norm**2 - big_norm**2) / (1 / small - 1 / big); return noise / (big_norm**2 - noise / big)`",
    ),
    wrong={
        "You left out the squares. |G|² and the variance add up, but the norms do not: square both.": called_with(
            lambda small, big, a, b: (small, big, a**0.5, b**0.5)
        ),
        "You divided by `|G_big|²`, which still contains noise. Subtract `trΣ/big` from it; your trΣ is right.": lambda small, big, a, b: (
            _noise(small, big, a, b) / b**2
        ),
        "You swapped the batch sizes in |G|². Multiply each squared norm by its own size.": lambda small, big, a, b: (
            _noise(small, big, a, b) * (big - small) / (big * a**2 - small * b**2)
        ),
        "You returned trΣ, the noise of one picture's gradient. Divide it by |G|².": _noise,
        "You divided signal by noise. The noise scale is noise over signal, a number of pictures.": changed(
            lambda scale: 1 / scale
        ),
        "You divided by `|G_small|²`, which still contains noise. Subtract `trΣ/small` from it; your trΣ is right.": lambda small, big, a, b: (
            _noise(small, big, a, b) / a**2
        ),
        "Your trΣ has the wrong sign. The small batch has the larger norm and the larger 1/B, so subtract in the same "
        "order above and below the line: `(|G_small|² − |G_big|²) / (1/small − 1/big)`.": lambda small, big, a, b: (
            -_noise(small, big, a, b) / (b**2 + _noise(small, big, a, b) / big)
        ),
        "Your |G|² is right, but your trΣ has the wrong sign, so the result is negative. Subtract in the same order above "
        "and below the line.": changed(lambda scale: -scale),
        "You divided by `big − small` to find trΣ. The noise is divided by the batch size, so divide by `1/small − "
        "1/big`.": lambda small, big, a, b: _with_noise(big, b, (a**2 - b**2) / (big - small)),
        "You subtracted the whole trΣ from `|G_big|²`. A batch of `big` pictures contains only `trΣ/big`.": lambda small, big, a, b: (
            _with_noise(1, b, _noise(small, big, a, b))
        ),
        "You subtracted `trΣ/small` from `|G_big|²`. Subtract the noise of the same batch, `trΣ/big`.": lambda small, big, a, b: (
            _with_noise(small, b, _noise(small, big, a, b))
        ),
        "You divided by |G|, the root of |G|². Leave the signal squared; your trΣ is right.": lambda small, big, a, b: (
            _noise(small, big, a, b) / noise_scale.from_norms(small, big, a**2, b**2).signal ** 0.5
        ),
        "You returned |G|², the signal. Divide trΣ by it.": lambda small, big, a, b: (
            noise_scale.from_norms(small, big, a**2, b**2).signal
        ),
    },
)
def simple_noise_scale(small, big, small_norm, big_norm):
    """The noise scale from two norms.

    Average the squared norms over several draws *before* you divide, since both parts are unbiased, but their ratio is
    not. With several GPUs, both norms come for free: before and after the gradients are averaged.
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
        "`gradients[i]` is a mean over `sizes[i]` pictures. You want the mean over all pictures.",
        "Undo the means: size · gradient is a sum over pictures. Add the sums, and divide by the number of all pictures.",
        "`sum(s * g for g, s in zip(gradients, sizes)) / sum(sizes)`",
    ),
    wrong={
        "You took the mean of the means, so a picture in a small micro-batch counts more than one in a large one. "
        "Weight each gradient by its size.": lambda gradients, sizes: sum(gradients) / len(gradients),
        "You added the means, as repeated `backward()` does. Weight each by its size, and divide by the number of "
        "all pictures.": lambda gradients, sizes: sum(gradients),
        "You returned the gradient of the *sum* of the losses, which grows with the batch. Divide by the number of "
        "pictures.": lambda gradients, sizes: accumulate(gradients, sizes) * sum(sizes),
        "You divided by the number of micro-batches. Divide by the number of pictures.": lambda gradients, sizes: (
            accumulate(gradients, sizes) * sum(sizes) / len(sizes)
        ),
        "You divided by the number of pictures but did not weight the gradients. Each is a mean: multiply it by its size "
        "first.": lambda gradients, sizes: sum(gradients) / sum(sizes),
        "You divided each gradient by its size. It is a mean already: multiply by the size to get the sum over its "
        "pictures.": lambda gradients, sizes: sum(g / size for g, size in zip(gradients, sizes, strict=True)),
        "You weighted each gradient by the *inverse* of its size, so small micro-batches count more. Weight it by its "
        "size.": lambda gradients, sizes: (
            sum(g / size for g, size in zip(gradients, sizes, strict=True)) / sum(1 / size for size in sizes)
        ),
        "You kept only the last micro-batch's gradient, as `zero_grad` before every `backward` does. Add all "
        "gradients.": lambda gradients, sizes: gradients[-1],
    },
)
def accumulate(gradients, sizes):
    """One gradient from unequal micro-batches.

    The mean of means was in large libraries for years: Hugging Face's trainer was fixed in 2024 (transformers, pull request
    34191). With equal sizes it is right, so tests with equal sizes never find the bug.
    """
    return sum(size * gradient for gradient, size in zip(gradients, sizes, strict=True)) / sum(sizes)


def _drawn_sizes(g: torch.Generator):
    low = randint(g, 2, 4)
    high, batches = low + randint(g, 3, 5), randint(g, 4, 6)
    drawn = torch.randint(low, high + 1, (batches,), generator=g).tolist()
    return randint(g, batches * low + 1, batches * high - 1), drawn, low, high


def _fitted_with(fit=lambda size, least, most, left: min(max(size, least), most), itself=False):
    """`fit_sizes` with a mistake: what a drawn size becomes, or whether a batch counts among those to come."""

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


def _forgetful(count, drawn, low, high):
    afters = range(len(drawn) - 1, -1, -1)
    return [
        min(max(size, count - after * high), count - after * low) for size, after in zip(drawn, afters, strict=True)
    ]


def _subtracts_drawn(count, drawn, low, high):
    sizes, left = [], count
    for after, size in zip(range(len(drawn) - 1, -1, -1), drawn, strict=True):
        sizes.append(min(max(size, left - after * high), left - after * low))
        left -= size
    return sizes


def _scaled_sizes(count, drawn, low, high):
    return [round(size * count / sum(drawn)) for size in drawn]


@exercise(
    "batches.fit_sizes",
    points=3,
    inputs=_drawn_sizes,
    hints=(
        "Before each batch, compute how many pictures are left, and how many batches come after this one.",
        "The batches after this one hold between `after · low` and `after · high` pictures. So this one must take at "
        "least `left − after · high` and at most `left − after · low`.",
        "for each size: `size = min(max(size, left - after * high), left - after * low)`; append it; `left -= size`. "
        "`after` counts down to 0.",
    ),
    wrong={
        "Your sizes are the drawn ones. All of these lie between `low` and `high`, so limiting them to `low` and "
        "`high` changes nothing, and they do not add up to `count`. Limit each to what the batches after it can still "
        "take.": _fitted_with(lambda size, least, most, left: size),
        "You let the last batch take whatever is left, even beyond the bounds or below zero. Look ahead at every "
        "batch, not only at the last.": lambda count, drawn, *bounds: [*drawn[:-1], count - sum(drawn[:-1])],
        "You left out the lower bound, so pictures remain at the end if the draws are small. A batch must also take at "
        "least `left − after · high`.": _fitted_with(lambda size, least, most, left: min(size, most)),
        "You left out the upper bound, so nothing remains for the last batches if the draws are large. A batch may "
        "take at most `left − after · low`.": _fitted_with(lambda size, least, most, left: max(size, least)),
        "You took the draws until the pictures ran out. The last batches are too small or empty, or pictures are left "
        "over: look ahead.": _fitted_with(lambda size, least, most, left: min(size, left)),
        "You returned equal shares. They add up but are not random: keep each drawn size if the rest allows "
        "it.": _equal_shares,
        "You counted the current batch among those to come. `after` is 0 for the last batch, which takes all that is "
        "left.": _fitted_with(itself=True),
        "Each of your sizes is `left − after · high`, as if the bounds were swapped. That is the least that a batch "
        "may take, and `left − after · low` is the most. A drawn size between them stays.": _fitted_with(
            lambda size, least, most, left: min(max(size, most), least)
        ),
        "You did not reduce `left`, so every batch sees all pictures. Subtract each size that you return.": _forgetful,
        "You subtracted the drawn size from `left`. Subtract the size that the batch really takes.": _subtracts_drawn,
        "You changed the first sizes although the rest allowed the drawn ones, as if you went from right to left. Begin with "
        "the first, and move a size only if the batches after it could not take what is left.": lambda count, drawn, *bounds: (
            _fitted_with()(count, drawn[::-1], *bounds)[::-1]
        ),
        "You scaled all sizes by the same factor. Keep each drawn size if the rest allows it.": _scaled_sizes,
    },
    properties=(
        Property(
            "As many sizes as were drawn, each between `low` and `high`, add up to `count`.",
            lambda sizes, count, drawn, low, high: (
                len(sizes) == len(drawn) and sum(sizes) == count and all(low <= size <= high for size in sizes)
            ),
            credit=1 / 3,
        ),
    ),
)
def fit_sizes(count, drawn, low, high):
    """Random sizes that lose no picture.

    The library's `RandomBatchSizes` does the same and then shuffles the sizes, since the last ones are the least random.
    The number of batches is fixed, so `len` is right and schedules can be planned.
    """
    return _fitted_with()(count, drawn, low, high)


def _images_and_places(g: torch.Generator):
    channels, height, width, size = randints(g, (1, 2), (5, 6), (5, 5), (2, 3))
    images = torch.randint(1, 10, (2, channels, height, width), generator=g)  # a card shows all side by side
    # One row and column stay free at the end, so that a square that is one too large lies inside the picture, too.
    corners = min(height, width) - size
    top = torch.randperm(corners, generator=g)[:2]
    left = (top + 1 + torch.randint(0, corners - 1, (2,), generator=g)) % corners
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
        "Each picture has its own corner, so one slice does not suit all. Crop them one by one, then stack them.",
        "Picture i: rows `top[i]` to `top[i] + size`, columns `left[i]` to `left[i] + size`, all channels.",
        "`torch.stack([image[:, t : t + size, l : l + size] for image, t, l in zip(images, top, left)])`",
    ),
    wrong={
        "You swapped rows and columns. `top` counts rows, the second axis from the end.": called_with(
            lambda images, top, left, size: (images, left, top, size)
        ),
        "You cropped every picture at the first one's position. Each has its own `top[i]` and `left[i]`.": called_with(
            lambda images, top, left, size: (images, top[:1], left[:1], size)
        ),
        "You set everything outside the square to 0, so the pictures are as large and as slow as before. Cut the square "
        "out.": _masked_outside,
        "You always cropped the upper left corner. Start at `top[i]` and `left[i]`.": called_with(
            lambda images, top, left, size: (images, 0 * top, 0 * left, size)
        ),
        "You lost one row and one column. A slice stops *before* its end: write `top[i] + size`.": called_with(
            lambda images, top, left, size: (images, top, left, size - 1)
        ),
        "Your squares have one row and one column too many. A slice ends *before* its second number, so `top[i] + "
        "size` is right: do not add 1.": called_with(lambda images, top, left, size: (images, top, left, size + 1)),
        "You joined the crops with `torch.cat`, which merges pictures and channels. `torch.stack` makes an axis for the "
        "pictures.": changed(lambda crops: crops.flatten(0, 1)),
        "You dropped the axis of the channels by taking only the first one. Slice rows and columns, and keep all "
        "channels.": changed(lambda crops: crops[:, 0]),
        "You kept only the first channel. Slice rows and columns, and keep all channels.": changed(
            lambda crops: crops[:, :1]
        ),
        "You returned the first picture's square only. Return one square per picture.": changed(
            lambda crops: crops[:1]
        ),
    },
)
def crop_batch(images, top, left, size):
    """Crop each picture at its own position.

    `cropping.crop` does this without a loop, by indexing with rows [B, 1, size, 1] and columns [B, 1, 1, size].
    torchvision's `v2.RandomCrop` uses one position for the whole batch.
    """
    return cropping.crop(images, top, left, size)


question(
    "batches.how_to_choose",
    points=1,
    text="You train a network of your own on your own machine. Which batch size do you try first?",
    choices={
        "a": "The largest that fits into memory: it uses the machine fully.",
        "b": "The smallest size at which the throughput is flat, if it is below the critical batch size; then a "
        "learning rate that suits it.",
        "c": "The size with the lowest loss after one epoch at a fixed learning rate.",
    },
    answer="b",
    comments={
        "a": "Memory only limits what is possible. On the flat part a larger batch does not increase the throughput, and "
        "above the critical size it only needs more pictures.",
        "c": "A fixed rate always favours small batches, which make more steps. Each size needs its own rate.",
    },
    explanation="Hardware sets the lower limit (below it, the machine idles). The critical size sets the upper one (above it, "
    "pictures are wasted; section 4 estimates it without a race), and memory is a wall. In between, the time is nearly "
    "constant, so tune the learning rate instead of the size.",
)
question(
    "batches.mean_of_means",
    points=1,
    text="A batch of 80 pictures is divided into micro-batches of 64 and 16, and the two mean gradients are averaged. How "
    "many times as much does a picture of the second count as one of the first?",
    answer=4,
    tolerance=0.01,
    comments={
        1: "That would hold if each mean were weighted by its size. Here both means count one half.",
        2: "Both *means* count one half. How many pictures share each half?",
        5: "You compared the second micro-batch with the whole batch of 80. Compare it with the first.",
    },
    explanation="A picture of the first counts ½ · 1/64, and one of the second ½ · 1/16: 4 times as much. Weighted by "
    "size, each counts 1/80.",
)
question(
    "batches.batch_norm",
    points=1,
    text="You train a network with batch norms on 4 micro-batches of 16 instead of one batch of 64, each weighted by its "
    "size. Do you get the same step?",
    choices={
        "a": "Yes, apart from rounding.",
        "b": "No: each micro-batch is normalised by its own mean and standard deviation.",
        "c": "No: the gradients of batch norms are not accumulated.",
    },
    answer="b",
    comments={
        "a": "That holds if each output depends on one picture only. A batch norm mixes the pictures of a batch.",
        "c": "Their gradients accumulate like all others. It is the forward pass that differs.",
    },
    explanation="In training mode, a batch norm computes mean and standard deviation over the batch, and those of 16 pictures "
    "differ from those of 64. Layer norm and group norm only look at one picture at a time, so they are not affected.",
)
