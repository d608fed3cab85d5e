"""Losses that compare hidden layers of a student and its teacher.

Sources: Romero et al. 2015, "FitNets", https://arxiv.org/abs/1412.6550 (hints); Zagoruyko & Komodakis 2017, "Paying
More Attention to Attention", https://arxiv.org/abs/1612.03928
"""

from collections.abc import Iterable
from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._pytree import tree_map_only

from nnopt_lab.techniques.distillation.losses import Loss


def attention_map(features: Tensor) -> Tensor:
    """Compute a layer's attention map, the sum of squares over channels, as a unit vector.

    Zagoruyko & Komodakis 2017, section 3.1, F²sum.

    Args:
        features: float [N, C, H, W].

    Returns:
        float [N, H·W].
    """
    return F.normalize(features.square().sum(1).flatten(1), dim=1)


class Watch:
    """The last outputs of some layers of a model, for losses on hidden layers; `watch[name]` is a layer's output.

    Outputs are stored as copies with their gradients, so that later in-place operations of the model don't change them.
    A deep copy of the model does not affect the original's watch; a watch copied together with its model follows the
    copy.

    Args:
        model: any module.
        layers: names as in `model.named_modules()`.

    Raises:
        ValueError: there is no such layer; from `watch[name]`: the layer isn't watched, or has not run yet.
    """

    def __init__(self, model: nn.Module, layers: Iterable[str]):
        modules = dict(model.named_modules())
        self.layers, self.outputs = tuple(layers), {}
        for name in self.layers:
            if name not in modules:
                raise ValueError(f"layers contains {name!r}; the model has {', '.join(filter(None, modules))}.")
        for name in self.layers:
            modules[name].register_forward_hook(partial(self._keep, name))

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.outputs:
            if name in self.layers:
                raise ValueError(f"The layer {name!r} has not run since the watch began.")
            raise ValueError(f"The layer {name!r} is not watched, only {', '.join(self.layers) or 'none'}.")
        return self.outputs[name]

    def __deepcopy__(self, memo: dict) -> "Watch":
        # A copied model's hooks lead here: torch can't copy outputs that have a graph, and the copy doesn't need them.
        copied = memo[id(self)] = object.__new__(type(self))
        copied.layers, copied.outputs = self.layers, {}
        return copied

    def _keep(self, name: str, module: nn.Module, inputs: tuple, output: Tensor) -> None:
        self.outputs[name] = tree_map_only(Tensor, Tensor.clone, output)


def attention_transfer(student: Watch, layer: str, base: Loss, weight: float = 100.0) -> Loss:
    """Make the loss `base` + weight · mean squared distance between the attention maps.

    If the maps differ in size, the larger one is averaged down.

    Args:
        student: watches the student's layer.
        layer: name of the student's layer, whose output is [N, C, H, W].
        base: a loss (logits, targets) → scalar; the last target must be the teacher's features, [N, C', H', W'].
        weight: of the distance, at least 0.
    """

    def loss(logits: Tensor, targets: tuple) -> Tensor:
        mine, theirs = _same_size(student[layer], targets[-1])
        return base(logits, targets) + weight * (attention_map(mine) - attention_map(theirs)).square().mean()

    return loss


def hint(student: Watch, layer: str, adapter: nn.Module, base: Loss, weight: float = 1.0) -> Loss:
    """Make the loss `base` + weight · mean squared distance between adapter(student's features) and the teacher's.

    Romero et al. 2015, equation 3, in one stage.

    Args:
        student, layer, base, weight: as in `attention_transfer`.
        adapter: maps the student's features to the teacher's number of channels, such as a 1×1 convolution. It is
            trained along with the student and then discarded, so pass its parameters to the optimizer too.
    """

    def loss(logits: Tensor, targets: tuple) -> Tensor:
        mine, theirs = _same_size(adapter(student[layer]), targets[-1])
        return base(logits, targets) + weight * F.mse_loss(mine, theirs)

    return loss


def _same_size(mine: Tensor, theirs: Tensor) -> tuple[Tensor, Tensor]:
    """Both features averaged down to the smaller of their two sizes."""
    size = tuple(min(a, b) for a, b in zip(mine.shape[2:], theirs.shape[2:], strict=True))
    return F.adaptive_avg_pool2d(mine, size), F.adaptive_avg_pool2d(theirs, size)
