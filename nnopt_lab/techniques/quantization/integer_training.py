"""Training in integers alone: forward pass, gradients and updates.

A number is an integer times a power of two that all numbers of its tensor share, so that every change of scale is a
shift of bits. Products are int8 × int8, sums int32, weights int16 or narrower.

Sources: Gupta et al. 2015, "Deep Learning with Limited Numerical Precision" (stochastic rounding); Courbariaux et al.
2014, "Training Deep Neural Networks with Low Precision Multiplications" (a shared exponent that follows the numbers);
Wu et al. 2018, "Training and Inference with Integers in Deep Neural Networks"; Banner et al. 2018, "Scalable Methods
for 8-bit Training of Neural Networks".
"""

import torch
from torch import Tensor

from nnopt_lab.workbench import smoke
from nnopt_lab.workbench.progress_bar import progress_bar

ROUNDINGS = ("nearest", "stochastic")


def stochastic_round(x: Tensor, noise: Tensor) -> Tensor:
    """⌊x + noise⌋: up with a probability equal to x's fraction, so that the mean over the noise is x itself.

    Args:
        x: float, any shape.
        noise: uniform in [0, 1), same shape.
    """
    return (x + noise).floor()


def shift_right(x: Tensor, bits: int, noise: Tensor | None = None) -> Tensor:
    """x / 2^bits as an integer, in integer arithmetic; the dtype of `x`.

    Args:
        x: integers.
        bits: below 0 shifts to the left, exactly.
        noise: uniform integers from 0 to 2^bits − 1 → stochastic rounding; None → to nearest, the middle upwards.
    """
    if bits <= 0:
        return x << -bits
    return (x + (2 ** (bits - 1) if noise is None else noise)) >> bits


class IntegerMLP:
    """A two-layer perceptron that trains in integers alone: no float from the picture to the updated weight.

    Its loss is half the squared distance from 1 for the right class and 0 for the others: the gradient is a
    difference, where softmax would need exponentials.

    Args:
        inputs, hidden, classes: sizes.
        bits: of the stored weights, 8 to 16: integers times 2^−(bits − 1), so within ±1. Products read them
            rounded to their upper 8 bits.
        rounding: of the updates, "nearest" or "stochastic".
        rate: an update is the gradient, summed over the batch, times 2^−rate.
        seed: of the first weights and of the rounding.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        inputs: int = 784,
        hidden: int = 64,
        classes: int = 10,
        *,
        bits: int = 16,
        rounding: str = "stochastic",
        rate: int = 9,
        seed: int = 0,
    ):
        if not 8 <= bits <= 16:
            raise ValueError(f"bits={bits} must be 8 to 16.")
        if rounding not in ROUNDINGS:
            raise ValueError(f"rounding={rounding!r} must be one of {', '.join(ROUNDINGS)}.")
        self.bits, self.rounding, self.rate = bits, rounding, rate
        self.limit = 2 ** (bits - 1) - 1
        self.generator = torch.Generator().manual_seed(seed)
        self.weights = [self._start(inputs, hidden), self._start(hidden, classes)]

    def __call__(self, images: Tensor) -> Tensor:
        """Class scores, int32 [N, classes] in units of 2^−7, of uint8 images [N, …]."""
        return self._forward(images)[-1]

    def step(self, images: Tensor, labels: Tensor) -> float:
        """One update; returns the share of the weights that it changed.

        Args:
            images: uint8 [N, …].
            labels: int64 [N].
        """
        x, h, output = self._forward(images)
        target = torch.zeros_like(output).scatter_(1, labels[:, None], 2**7)
        error, exponent = to_int8(output - target, -7)
        back = torch._int_mm(error, self._upper(1).T) * ((h > 0) & (h < 127))
        back, back_exponent = to_int8(back, exponent - 7)
        changed = self._update(0, torch._int_mm(x.T, back), back_exponent - 7)
        changed += self._update(1, torch._int_mm(h.T, error), exponent - 6)
        return changed / sum(w.numel() for w in self.weights)

    def _forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = (images.flatten(1) >> 1).to(torch.int8) - 36  # about zero on average, in units of 2^−7
        h = shift_right(torch._int_mm(x, self._upper(0)), 8).clamp(0, 127).to(torch.int8)  # 2^−14 → 2^−6, and ReLU
        return x, h, shift_right(torch._int_mm(h, self._upper(1)), 6)  # 2^−13 → 2^−7

    def _start(self, inputs: int, outputs: int) -> Tensor:
        reach = round(self.limit * (2 / inputs) ** 0.5)
        return torch.randint(-reach, reach + 1, (inputs, outputs), generator=self.generator, dtype=torch.int16)

    def _upper(self, layer: int) -> Tensor:
        return shift_right(self.weights[layer].int(), self.bits - 8).clamp(-127, 127).to(torch.int8)

    def _update(self, layer: int, gradient: Tensor, exponent: int) -> int:
        shift = self.rate - exponent - (self.bits - 1)
        noise = None
        if self.rounding == "stochastic":
            noise = torch.randint(0, 2 ** max(shift, 0), gradient.shape, generator=self.generator, dtype=torch.int32)
        before = self.weights[layer]
        after = before.int() - shift_right(gradient, shift, noise)
        self.weights[layer] = after.clamp(-self.limit, self.limit).to(torch.int16)
        return int((self.weights[layer] != before).sum())


def to_int8(x: Tensor, exponent: int) -> tuple[Tensor, int]:
    """int32 x · 2^exponent as int8 and a new exponent, the smallest at which nothing overflows; rounds to nearest."""
    shift = max(int(x.abs().max()).bit_length() - 7, 0)
    return shift_right(x, shift).clamp(-127, 127).to(torch.int8), exponent + shift


def train(net: IntegerMLP, images: Tensor, labels: Tensor, epochs: int = 3, batch_size: int = 128) -> list[float]:
    """Train in place; returns the share of weights that each step changed.

    `training.fit` differentiates floats and hands them to an optimizer; here there is neither, hence a loop of its own.

    Args:
        images: uint8 [N, …].
        labels: int64 [N].
    """
    images, labels = smoke.few(images, 640), smoke.few(labels, 640)
    shares, steps = [], len(images) // batch_size
    with progress_bar(total=epochs * steps, desc="training in integers", unit="step") as bar:
        for _ in range(epochs):
            order = torch.randperm(len(images), generator=net.generator)
            for at in order[: steps * batch_size].view(steps, batch_size):
                shares.append(net.step(images[at], labels[at]))
                bar.update()
    return shares


def accuracy(net: IntegerMLP, images: Tensor, labels: Tensor) -> float:
    """Share of right answers, in percent."""
    return 100 * (net(images).argmax(1) == labels).float().mean().item()
