"""AdaRound: learn for each weight whether to round it up or down.

Source: Nagel et al. 2020, "Up or Down? Adaptive Rounding for Post-Training Quantization",
https://arxiv.org/abs/2004.10568
"""

import torch
from torch import Tensor, nn

from nnopt_lab.techniques.network_checks import current_value, require_plain, require_untied
from nnopt_lab.techniques.quantization import layers
from nnopt_lab.techniques.quantization.activations import channels_first, record_runs
from nnopt_lab.techniques.quantization.grids import Grid, grid_of
from nnopt_lab.workbench import smoke
from nnopt_lab.workbench.progress_bar import progress_bar


def rectified_sigmoid(v: Tensor) -> Tensor:
    """Compute h(V) = clip(1.2·σ(V) − 0.1, 0, 1), which reaches 0 and 1 at finite V (Nagel et al. 2020, eq. 23)."""
    return (1.2 * v.sigmoid() - 0.1).clamp(0, 1)


def ada_round(
    model: nn.Module, batch: Tensor, bits: int = 4, *, per: str = "tensor", steps: int = 300, seed: int = 0
) -> nn.Module:
    """Round the weights with AdaRound, in place: up or down, whichever is better for the layer's output.

    Layer by layer, the output with rounded weights is fitted to the float network's output, on the inputs that the
    layers rounded so far produce (Nagel et al. 2020, eq. 25). Pruned weights stay zero, and a layer that runs several
    times is fitted to all its runs.

    Args:
        model: not quantised yet; changed in place.
        batch: inputs float [N, …] to learn the rounding from, a few hundred to a thousand.
        bits, per: as in `quantization.grid_of`; grids are symmetric.
        steps: steps of Adam per layer, at least 1.
        seed: of the order of the inputs.

    Returns:
        The same model.

    Raises:
        ValueError: an argument is out of its range, or a layer's weight is tied with another layer's or computed other
            than by a mask.
    """
    if steps < 1:
        raise ValueError(f"steps={steps} must be at least 1.")
    require_plain(model, layers.quantizable(model), parameters=["weight"], masks=True)
    batch, steps = smoke.few(batch), smoke.cap(steps, 2)
    wanted = {name: [output for _, output in runs] for name, runs in record_runs(model, batch).items()}
    require_untied(model, wanted)
    grids = {name: grid_of(current_value(model.get_submodule(name)), bits, per=per) for name in wanted}
    generator = torch.Generator().manual_seed(seed)
    with progress_bar(total=len(wanted) * steps, desc="AdaRound", unit="step") as bar:
        for name in wanted:
            layer, runs = model.get_submodule(name), record_runs(model, batch, [name])[name]
            pairs = [(inputs, output) for (inputs, _), output in zip(runs, wanted[name], strict=True)]
            layers.set_value(layer, _learn_rounding(layer, grids[name], pairs, steps, generator, bar))
    return model


def _learn_rounding(
    layer: nn.Module, grid: Grid, runs: list[tuple[Tensor, Tensor]], steps: int, generator: torch.Generator, bar
) -> Tensor:
    scaled, masked = current_value(layer) / grid.scale, hasattr(layer, "weight_mask")
    below = scaled.floor()
    part = (scaled - below).clamp(0.01, 0.99)
    v = ((part + 0.1) / 1.2).logit().requires_grad_()  # h(v) is the fraction, so it starts at the float weight
    optimizer = torch.optim.Adam([v], lr=0.02)
    for step in range(steps):
        inputs, wanted = runs[step % len(runs)]
        at = torch.randint(len(inputs), (32,), generator=generator)
        up = rectified_sigmoid(v)
        weight = {"weight_orig" if masked else "weight": _on_grid(below + up, grid)}
        output = torch.func.functional_call(layer, weight, (inputs[at],))
        loss = channels_first(layer, (output - wanted[at]).square()).mean(1).sum()
        progress = step / steps
        if progress > 0.2:  # first fit only the outputs, then push h(V) to 0 or 1: β falls from 20 to 2
            beta = 2 + 18 * (1 + torch.tensor(torch.pi * (progress - 0.2) / 0.8).cos()) / 2
            loss = loss + 0.01 * (1 - (2 * up - 1).abs().pow(beta)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        bar.update()
    return _on_grid(below + (rectified_sigmoid(v.detach()) >= 0.5), grid)


def _on_grid(q: Tensor, grid: Grid) -> Tensor:
    return q.clamp(grid.low, grid.high) * grid.scale
