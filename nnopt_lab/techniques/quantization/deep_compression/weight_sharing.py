"""Let the weights of a layer share a few trained values.

Source: Han, Mao & Dally 2016, "Deep Compression", section 3 (trained quantization and weight sharing).
"""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from nnopt_lab.techniques import pruning
from nnopt_lab.techniques.network_checks import current_value, remove_parametrizations, require_plain, require_untied
from nnopt_lab.techniques.quantization.deep_compression.clustering import kmeans


class SharedWeight(nn.Module):
    """A layer's weight as a table lookup, for `torch.nn.utils.parametrize`: what is trained is the [k] centroids.

    The gradient of a centroid is the sum of the gradients of all weights that share it (eq. 3 of the paper): that is
    what differentiating the lookup gives. A weight that is zero stays zero.

    Args:
        weight: float, zeros where it is pruned.
        clusters, init, seed: as in `kmeans`, over the weights that are not zero.

    Attributes:
        labels: int64, the weight's shape: −1 where it is pruned, else the number of its centroid.
    """

    def __init__(self, weight: Tensor, clusters: int, *, init: str = "linear", seed: int = 0):
        super().__init__()
        weight = weight.detach()
        centroids, labels = kmeans(weight[weight != 0], clusters, init=init, seed=seed)
        self.clusters = len(centroids)
        self.register_buffer("labels", torch.full_like(weight, -1, dtype=torch.int64))
        self.labels[weight != 0] = labels

    def forward(self, centroids: Tensor) -> Tensor:
        """float [k] → the weight."""
        table = torch.cat([centroids.new_zeros(1), centroids])
        # Where algorithms must be deterministic, as in the loop, table[…] is many times slower backwards.
        return table.index_select(0, self.labels.flatten() + 1).reshape(self.labels.shape)

    def right_inverse(self, weight: Tensor) -> Tensor:
        """A weight → the mean of each cluster's weights [k]."""
        labels, places = self.labels.flatten() + 1, self.clusters + 1
        sums = labels.bincount(weight.flatten().double(), minlength=places)
        return (sums / labels.bincount(minlength=places))[1:].to(weight.dtype)


def share_weights(model: nn.Module, bits: int | dict[str, int], *, init: str = "linear", seed: int = 0) -> nn.Module:
    """Let the weights of each convolution and linear layer share 2^bits values, in place; returns the model.

    Pruning masks are made permanent, and zeros stay zeros. Afterwards the model's parameters are centroids and
    biases, to be trained as any others. `make_permanent` ends it.

    Args:
        bits: 1 to 8, one number, or one for each prunable layer by name.
        init, seed: as in `kmeans`.

    Raises:
        ValueError: `bits` is out of its range or does not name the layers; a weight is NaN or infinite, shared already,
            tied with another layer's, or computed from others in another way than by a mask. The model is as it was.
    """
    layers = pruning.prunable(model)
    bits = bits if isinstance(bits, dict) else dict.fromkeys(layers, bits)
    if bits.keys() != layers.keys() or not all(b in range(1, 9) for b in bits.values()):
        raise ValueError(f"bits={bits} must be 1 to 8, for all of the layers {', '.join(layers)}.")
    for name, layer in layers.items():
        if is_shared(layer):
            raise ValueError(f"model shares the weights of {name} already; call make_permanent first.")
    require_plain(model, layers, parameters=["weight"], masks=True)
    require_untied(model, layers)
    lookups = {n: SharedWeight(current_value(layer), 2 ** bits[n], init=init, seed=seed) for n, layer in layers.items()}
    pruning.make_permanent(model)
    for name, lookup in lookups.items():
        parametrize.register_parametrization(layers[name], "weight", lookup)
    return model


def is_shared(layer: nn.Module) -> bool:
    """Whether the weights of a layer share values now: after `share_weights`, before `make_permanent`."""
    return parametrize.is_parametrized(layer, "weight") and isinstance(layer.parametrizations.weight[0], SharedWeight)


@torch.no_grad()
def make_permanent(model: nn.Module) -> nn.Module:
    """Write masks and shared values into ordinary parameters, in place, and round all parameters to float16's numbers.

    They stay float32 tensors; a number too large for float16 keeps its value. What comes out is what `save` stores.
    """
    for layer in pruning.prunable(pruning.make_permanent(model)).values():
        if parametrize.is_parametrized(layer, "weight"):
            remove_parametrizations(layer, "weight")
    for parameter in model.parameters():
        rounded = parameter.half().to(parameter.dtype)
        parameter.copy_(torch.where(rounded.isinf(), parameter, rounded))
    return model
