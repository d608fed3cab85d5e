"""Training with integers only: forward pass, gradients and updates.

A number is an integer times a power of two that its whole tensor shares, so that every change of scale is a bit shift.
Products are int8 × int8, sums int32, weights at most int16.

Sources: Gupta et al. 2015, "Deep Learning with Limited Numerical Precision", https://arxiv.org/abs/1502.02551
(stochastic rounding); Courbariaux et al. 2014, "Training Deep Neural Networks with Low Precision Multiplications",
https://arxiv.org/abs/1412.7024 (a shared exponent that adapts to the numbers); Wu et al. 2018, "Training and Inference
with Integers in Deep Neural Networks", https://arxiv.org/abs/1802.04680; Banner et al. 2018, "Scalable Methods for
8-bit Training of Neural Networks", https://arxiv.org/abs/1805.11046
"""

import torch
from torch import Tensor

from nnopt_lab.workbench import smoke
from nnopt_lab.workbench.progress_bar import progress_bar

ROUNDINGS = ("nearest", "stochastic")


def stochastic_round(x: Tensor, noise: Tensor) -> Tensor:
    """Compute ⌊x + noise⌋, which rounds up with a probability equal to x's fraction, so that the mean is x itself.

    Args:
        x: float, any shape.
        noise: uniform in [0, 1), same shape.
    """
    return (x + noise).floor()


def shift_right(x: Tensor, bits: int, noise: Tensor | None = None) -> Tensor:
    """Compute x / 2^bits in integer arithmetic; returns integers of the dtype of `x`.

    Args:
        x: integers, any shape.
        bits: a negative number shifts to the left, exactly.
        noise: uniform integers from 0 to 2^bits − 1 for stochastic rounding; default rounding to nearest, half up.
    """
    if bits <= 0:
        return x << -bits
    return (x + (2 ** (bits - 1) if noise is None else noise)) >> bits


class IntegerMLP:
    """A two-layer perceptron that trains with integers only: no float from the picture to the updated weight.

    Its loss is half the squared distance from 1 for the right class and 0 for the others, whose gradient is a
    difference; softmax would need exponentials.

    Args:
        inputs, hidden, classes: sizes.
        bits: of the stored weights, 8 to 16: integers times 2^−(bits − 1), so within ±1. Products use them rounded
            to their upper 8 bits.
        rounding: of the updates, "nearest" or "stochastic".
        rate: an update is the gradient, summed over the batch, times 2^−rate.
        seed: of the initial weights and of the rounding.

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
        """Compute class scores, int32 [N, classes] in units of 2^−7, from uint8 images [N, …]."""
        return self._forward(images)[-1]

    def step(self, images: Tensor, labels: Tensor) -> float:
        """Make one update; returns the share of the weights that it changed, 0 to 1.

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
    """Convert int32 x · 2^exponent to int8, rounded to nearest, and the smallest exponent without overflow."""
    shift = max(int(x.abs().max()).bit_length() - 7, 0)
    return shift_right(x, shift).clamp(-127, 127).to(torch.int8), exponent + shift


def train(net: IntegerMLP, images: Tensor, labels: Tensor, epochs: int = 3, batch_size: int = 128) -> list[float]:
    """Train in place; returns the share of weights that each step changed.

    This needs its own loop, because `training.fit` differentiates floats and uses an optimizer.

    Args:
        net: the network.
        images: uint8 [N, …].
        labels: int64 [N].
        epochs: passes over the pictures.
        batch_size: pictures per step, at most N; the last, incomplete batch is skipped.
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
    """Accuracy in percent on uint8 images [N, …] with labels int64 [N]."""
    return 100 * (net(images).argmax(1) == labels).float().mean().item()
