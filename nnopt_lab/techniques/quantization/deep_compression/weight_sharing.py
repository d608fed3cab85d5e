"""Let the weights of a layer share a few trained values.

Source: Han, Mao & Dally 2016, "Deep Compression", section 3, https://arxiv.org/abs/1510.00149 (trained quantization and
weight sharing).
"""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from nnopt_lab.techniques import pruning
from nnopt_lab.techniques.network_checks import current_value, remove_parametrizations
from nnopt_lab.techniques.quantization.deep_compression.clustering import kmeans


class SharedWeight(nn.Module):
    """A layer's weight as a table lookup, for `torch.nn.utils.parametrize`; the k centroids are the trained parameters.

    The gradient of a centroid is the sum of the gradients of all weights that share it (eq. 3 of the paper), which is
    the derivative of the lookup. A weight that is zero stays zero.

    Args:
        weight: float, with zeros for pruned weights.
        clusters, init, seed: as in `kmeans`, over the nonzero weights.

    Attributes:
        labels: int64, the weight's shape: the index of each weight's centroid, −1 for a pruned weight.
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
        # With deterministic algorithms, as in the training loop, the backward pass of table[…] is many times slower.
        return table.index_select(0, self.labels.flatten() + 1).reshape(self.labels.shape)

    def right_inverse(self, weight: Tensor) -> Tensor:
        """A weight → the mean of each cluster's weights [k]."""
        labels, places = self.labels.flatten() + 1, self.clusters + 1
        sums = labels.bincount(weight.flatten().double(), minlength=places)
        return (sums / labels.bincount(minlength=places))[1:].to(weight.dtype)


def share_weights(model: nn.Module, bits: int | dict[str, int], *, init: str = "linear", seed: int = 0) -> nn.Module:
    """Let the weights of each convolution and linear layer share 2^bits values, in place; returns the model.

    Pruning masks are made permanent, and zeros stay zeros. Afterwards, the model's parameters are centroids and biases,
    which train like any others. `make_permanent` turns them into plain weights again. Layers with the same weight, such
    as a head tied to its embedding, share one table and stay tied.

    Args:
        model: changed in place.
        bits: 1 to 8, one number for all layers, or one per prunable layer by name. A weight of several layers gets the
            highest of their numbers.
        init, seed: as in `kmeans`.

    Raises:
        ValueError: `bits` is out of its range or does not name the layers; a weight is NaN or infinite, already shared,
            computed other than by a mask, or tied with a module of another kind. The model is unchanged then.
    """
    layers = pruning.prunable(model)
    bits = bits if isinstance(bits, dict) else dict.fromkeys(layers, bits)
    if bits.keys() != layers.keys() or not all(b in range(1, 9) for b in bits.values()):
        raise ValueError(f"bits={bits} must be 1 to 8, for each of the layers {', '.join(layers)}.")
    for name, layer in layers.items():
        if is_shared(layer):
            raise ValueError(f"model already shares the weights of {name}; call make_permanent first.")
    places = pruning.shared_places(model)
    lookups = {}
    for name, together in places.items():
        clusters = 2 ** max(bits[place] for place in together if place in bits)
        lookups[name] = SharedWeight(current_value(layers[name]), clusters, init=init, seed=seed)
    pruning.make_permanent(model)
    for name, lookup in lookups.items():
        _share(layers[name], [model.get_submodule(place) for place in places[name]], lookup)
    return model


def _share(layer: nn.Module, together: list[nn.Module], lookup: SharedWeight) -> None:
    """Compute the weight of all these layers by one lookup from one parameter."""
    for other in together:
        other.weight = nn.Parameter(
            other.weight.detach().clone(), other.weight.requires_grad
        )  # torch resizes the old one
    for other in together:
        parametrize.register_parametrization(other, "weight", lookup)
        other.parametrizations.weight.original = layer.parametrizations.weight.original


def is_shared(layer: nn.Module) -> bool:
    """Whether a layer's weights share values: after `share_weights` and before `make_permanent`."""
    return parametrize.is_parametrized(layer, "weight") and isinstance(layer.parametrizations.weight[0], SharedWeight)


@torch.no_grad()
def make_permanent(model: nn.Module) -> nn.Module:
    """Write masks and shared values into plain parameters, in place, and round all parameters to float16 precision.

    They stay float32 tensors, and a number too large for float16 keeps its value. `save` stores exactly these numbers.
    """
    pruning.make_permanent(model)
    layers = [layer for layer in model.modules() if isinstance(layer, pruning.PRUNABLE) or is_shared(layer)]
    together: dict[nn.Parameter, list[nn.Module]] = {}
    for layer in layers:
        if parametrize.is_parametrized(layer, "weight"):
            together.setdefault(layer.parametrizations.weight.original, []).append(layer)
    for tied in together.values():
        _make_plain_and_tied(tied)
    for parameter in model.parameters():
        rounded = parameter.half().to(parameter.dtype)
        parameter.copy_(torch.where(rounded.isinf(), parameter, rounded))
    return model


def _make_plain_and_tied(layers: list[nn.Module]) -> None:
    """Remove the parametrisations of layers that share one parameter; they share the plain weight afterwards."""
    for layer in layers:
        original = layer.parametrizations.weight.original  # torch writes the weight into it
        layer.parametrizations.weight.original = nn.Parameter(original.detach().clone(), original.requires_grad)
    for layer in layers:
        remove_parametrizations(layer, "weight")
        layer.weight = layers[0].weight
