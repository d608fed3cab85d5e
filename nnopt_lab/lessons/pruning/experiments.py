"""Lesson 01's experiment: how well pruned networks recover, over three seeds."""

import copy
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, fx, nn

from nnopt_lab.course.recordings import experiment, over_seeds
from nnopt_lab.techniques import pruning, tracing
from nnopt_lab.techniques.pruning import dependency_graph
from nnopt_lab.workbench import data, models, plots, recipes, training

SPARSITIES = (0.8, 0.9, 0.95, 0.98)
SEEDS = (0, 1, 2)
EPOCHS = 6
INPUT, CONCATENATION = "input", "concat"  # in the drawing of a network's groups


@experiment
def pruning_sweep() -> dict:
    """Test accuracy of `MyNet` after pruning by four methods, and of the dense network, all with the same fine-tuning.

    Each method but the first gets 6 epochs in all: all of them after the cut, or one after each dropped level and the
    rest at the end. Seeds change the order of the pictures and the choices of random pruning. All runs start from the
    same trained weights.

    Returns:
        {"sparsities": [S], "seeds": [K], "before": accuracy of the shipped dense network, "dense": [K],
        method: [K][S]} with methods "one shot, no fine-tuning", "one shot", "in levels", "random"; percent.
    """
    pictures = data.load("fashion")
    start = models.trained("mynet")
    total = pruning.count_weights(start)[1]
    methods = {
        "one shot, no fine-tuning": _one_shot_only,
        "one shot": _one_shot,
        "in levels": _in_levels,
        "random": _random,
    }

    def dense(seed: int) -> float:
        return recipes.test_accuracy(_finetune(copy.deepcopy(start), pictures, seed, EPOCHS), pictures)

    def pruned(method: Callable, sparsity: float, seed: int) -> float:
        model = method(copy.deepcopy(start), round(total * (1 - sparsity)), pictures, seed)
        return recipes.test_accuracy(model, pictures)

    runs = {(name, sparsity): partial(pruned, methods[name], sparsity) for name in methods for sparsity in SPARSITIES}
    found = over_seeds({"dense": dense} | runs, SEEDS, "pruning sweep")
    return {
        "sparsities": list(SPARSITIES),
        "seeds": list(SEEDS),
        "before": recipes.test_accuracy(start, pictures),
        "dense": found["dense"],
        **{name: [[found[name, s][k] for s in SPARSITIES] for k in range(len(SEEDS))] for name in methods},
    }


def _finetune(model: nn.Module, pictures: data.Pictures, seed: int, epochs: int) -> nn.Module:
    training.fit(
        model,
        pictures,
        epochs=epochs,
        batch_size=128,
        optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=1e-3),
        seed=seed,
        description="fine-tuning",
    )
    return model


def _one_shot_only(model, keep, pictures, seed):
    return pruning.magnitude_prune(model, keep)


def _one_shot(model, keep, pictures, seed):
    return _finetune(pruning.magnitude_prune(model, keep), pictures, seed, EPOCHS)


def _random(model, keep, pictures, seed):
    return _finetune(pruning.random_prune(model, keep, seed=seed), pictures, seed, EPOCHS)


def _in_levels(model, keep, pictures, seed):
    steps = 0
    for steps, _ in enumerate(pruning.prune_in_levels(model, keep, count=2), 1):
        _finetune(model, pictures, seed + 100 * steps, 1)
    return _finetune(model, pictures, seed, EPOCHS - steps)


class Concatenating(nn.Module):
    """A small network whose layers read the outputs of all layers before them, side by side, as in DenseNet.

    Huang et al. 2017, "Densely Connected Convolutional Networks", https://arxiv.org/abs/1608.06993
    """

    def __init__(self, width: int = 8, classes: int = 10):
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        self.conv1, self.conv2 = (nn.Conv2d(n * width, width, 3, padding=1) for n in (1, 2))
        self.head = nn.Linear(3 * width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Compute logits: float [N, 3, H, W] → float [N, classes]."""
        x = self.stem(x).relu()
        x = torch.cat([x, self.conv1(x).relu()], 1)
        x = torch.cat([x, self.conv2(x).relu()], 1)
        return self.head(x.mean((2, 3)))


def layer_graph(model: nn.Module, example: Tensor) -> list[plots.Node]:
    """The layers of a network as a graph, coloured and lettered by the group of channels that each layer makes.

    Args:
        model: as in `channel_groups`.
        example: an input, [N, C, H, W].

    Returns:
        Nodes for `plots.graph`: layers with weights of two or more axes, sums, and concatenations. Layers whose
        channels are the network's outputs are grey and have no letter.
    """
    groups = [group for group in dependency_graph.channel_groups(model, example) if group.removable]
    group_of = {name: place for place, group in enumerate(groups) for name in group.producers}
    letters: dict[int, int] = {}  # group → its place in the order of the graph
    nodes = [plots.Node(INPUT, color=plots.REFERENCE)]
    shown: dict[fx.Node, str] = {}  # node of the traced graph → the drawn node with its values
    for node in tracing.trace(model).graph.nodes:
        sources = tuple(dict.fromkeys(shown[source] for source in node.all_input_nodes if source in shown))
        layer = model.get_submodule(node.target) if node.op == "call_module" else None
        if node.op == "placeholder":
            shown[node] = INPUT
        elif layer is not None and getattr(layer, "weight", None) is not None and layer.weight.ndim > 1:
            group = group_of.get(node.target)
            place = None if group is None else letters.setdefault(group, len(letters))
            label = node.target if place is None else f"{node.target}   {chr(ord('A') + place)}"
            color = plots.REFERENCE if place is None else plots.PALETTE[place % len(plots.PALETTE)]
            nodes.append(plots.Node(label, sources, color, node.target))
            shown[node] = node.target
        elif len(sources) > 1:
            name = {"cat": CONCATENATION, "add": "+"}.get(getattr(node.target, "__name__", ""), node.name)
            nodes.append(plots.Node(name, sources, None, node.name))
            shown[node] = node.name
        elif sources:
            shown[node] = sources[0]
    return nodes
