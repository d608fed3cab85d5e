"""Losses that compare what a student and its teacher compute inside.

Sources: Romero et al. 2015, "FitNets" (hints); Zagoruyko & Komodakis 2017, "Paying More Attention to Attention".
"""

from collections.abc import Iterable
from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._pytree import tree_map_only

from nnopt_lab.techniques.distillation.losses import Loss


def attention_map(features: Tensor) -> Tensor:
    """Attention map of a layer: Σ over channels of its squares, as a unit vector, float [N, C, H, W] → [N, H·W].

    Zagoruyko & Komodakis 2017, section 3.1, F²sum.
    """
    return F.normalize(features.square().sum(1).flatten(1), dim=1)


class Watch:
    """The last output of some layers of a model, for losses that look inside it.

    Outputs are kept as copies with their gradients, so that what the model does in place later doesn't change them. A
    deep copy of the model leaves the original's watch alone; copied together with its model, a watch follows the copy.

    Args:
        model: a module.
        layers: names as in `model.named_modules()`.

    Raises:
        ValueError: there is no such layer; from `watch[name]`: the layer isn't watched, or has not run yet.
    """

    def __init__(self, model: nn.Module, layers: Iterable[str]):
        modules = dict(model.named_modules())
        self.layers, self.outputs = tuple(layers), {}
        for name in self.layers:
            if name not in modules:
                raise ValueError(f"layers has {name!r}; the model has {', '.join(filter(None, modules))}.")
        for name in self.layers:
            modules[name].register_forward_hook(partial(self._keep, name))

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.outputs:
            why = "has not run since it is watched" if name in self.layers else f"is not watched: {self.layers}"
            raise ValueError(f"The layer {name!r} {why}.")
        return self.outputs[name]

    def __deepcopy__(self, memo: dict) -> "Watch":
        # Reached through the model's hooks too: torch cannot copy outputs that have a graph, and nobody misses them.
        copied = memo[id(self)] = object.__new__(type(self))
        copied.layers, copied.outputs = self.layers, {}
        return copied

    def _keep(self, name: str, module: nn.Module, inputs: tuple, output: Tensor) -> None:
        self.outputs[name] = tree_map_only(Tensor, Tensor.clone, output)


def attention_transfer(student: Watch, layer: str, base: Loss, weight: float = 100.0) -> Loss:
    """`base` + weight · mean squared distance of the attention maps; the teacher's features are the last target.

    Where the maps differ in size, the larger one is averaged down.
    """

    def loss(logits: Tensor, targets: tuple) -> Tensor:
        mine, theirs = _same_size(student[layer], targets[-1])
        return base(logits, targets) + weight * (attention_map(mine) - attention_map(theirs)).square().mean()

    return loss


def hint(student: Watch, layer: str, adapter: nn.Module, base: Loss, weight: float = 1.0) -> Loss:
    """`base` + weight · mean squared distance of adapter(student's features) from the teacher's, the last target.

    The adapter (a 1×1 convolution to the teacher's width, say) is trained along and thrown away: give the optimizer its
    parameters too. Romero et al. 2015, equation 3, in one stage.
    """

    def loss(logits: Tensor, targets: tuple) -> Tensor:
        mine, theirs = _same_size(adapter(student[layer]), targets[-1])
        return base(logits, targets) + weight * F.mse_loss(mine, theirs)

    return loss


def _same_size(mine: Tensor, theirs: Tensor) -> tuple[Tensor, Tensor]:
    """Both features averaged down to the smaller of their two sizes."""
    size = tuple(min(a, b) for a, b in zip(mine.shape[2:], theirs.shape[2:], strict=True))
    return F.adaptive_avg_pool2d(mine, size), F.adaptive_avg_pool2d(theirs, size)
