"""Candidates: turn a configuration, a handful of numbers, into a trained and compressed network.

A configuration is a dict that JSON can represent; missing keys change nothing. Channels are removed, layers are
factorised, and the network is trained; then weights are pruned, the others share values, and it is trained again.

    channels   {group: share of its channels to keep, in (0, 1]}, see `channel_pruning`
    energy     {"convolution" and/or "linear": share of each layer's energy that its rank keeps}, see `low_rank`
    sparsity   share of all weights that are pruned, in [0, 1)
    bits       {layer of the original: 1 to 8}: its weights share 2^bits values, see `deep_compression`
    teacher    share of the original's soft targets in the loss, in [0, 1], see `distillation`
    engine     a key of `deployment.engines_on`, on which the network is measured; default "eager float32"

The same configuration, data and seed give the same network, bit for bit on the same machine.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from nnopt_lab.techniques import distillation, pruning
from nnopt_lab.techniques.convolutions import low_rank
from nnopt_lab.techniques.pruning import channel_pruning
from nnopt_lab.techniques.pruning.dependency_graph import Group, channel_groups
from nnopt_lab.techniques.quantization import deep_compression
from nnopt_lab.techniques.search.tasks import Task
from nnopt_lab.workbench import data, training

KINDS = {"convolution": nn.Conv2d, "linear": nn.Linear}
# What decides which channels stay: the norms of their filters, or these times the norms of the weights that read them.
FILTERS, FILTERS_AND_READERS = {"norm": 1, "readers": False}, {"norm": 2, "readers": True}
KEYS = ("channels", "energy", "sparsity", "bits", "teacher", "engine")


def effective(config: dict) -> dict:
    """Return the configuration without keys that have no effect, so that equal networks have equal configurations.

    Where nothing is trained, there is no teacher.
    """
    config = {key: value for key, value in config.items() if value}
    if not any(key in config for key in ("channels", "energy", "sparsity", "bits")):
        config.pop("teacher", None)
    return config


def shape(
    model: nn.Module,
    example: Tensor,
    config: dict,
    groups: list[Group] | None = None,
    score: dict = FILTERS_AND_READERS,
) -> tuple[nn.Module, dict]:
    """Make a configuration's network before any training.

    Args:
        model: the original; left unchanged.
        example: an input [N, ...].
        config: the configuration.
        groups: the model's groups of channels, if they are known, which saves finding them.
        score: `FILTERS` or `FILTERS_AND_READERS`.

    Returns:
        The network, and its sizes, from which `reshape` makes it again:
        {"channels": {group: count}, "ranks": {layer: rank}}.

    Raises:
        ValueError: the configuration has an unknown key, or a share out of its range.
    """
    if unknown := set(config) - set(KEYS):
        raise ValueError(f"config has the keys {', '.join(sorted(unknown))}; allowed are {', '.join(KEYS)}.")
    sizes = {"channels": {}, "ranks": {}}
    if config.get("channels"):
        groups = channel_groups(model, example) if groups is None else groups
        keep = channel_pruning.keep_most_important(model, example, config["channels"], groups=groups, **score)
        sizes["channels"] = {name: len(keep[name]) for name in config["channels"]}
        model = channel_pruning.remove_channels(model, example, keep, groups=groups)
    for kind, energy in config.get("energy", {}).items():
        layers = [name for name, layer in low_rank.factorisable(model).items() if isinstance(layer, KINDS[kind])]
        sizes["ranks"] |= low_rank.choose_ranks(model, energy=energy, layers=layers)
    return low_rank.low_rank(model, sizes["ranks"]), sizes


def shaped(task: Task, config: dict, score: dict = FILTERS_AND_READERS) -> tuple[nn.Module, dict]:
    """`shape` for a task, whose groups of channels are found once."""
    return shape(task.model, task.inputs(1), config, task.groups if config.get("channels") else None, score)


def reshape(model: nn.Module, example: Tensor, sizes: dict) -> nn.Module:
    """Make a network of the sizes that `shape` returned; the weights are meaningless until trained ones are loaded."""
    if sizes["channels"]:
        keep = {name: torch.arange(count) for name, count in sizes["channels"].items()}
        model = channel_pruning.remove_channels(model, example, keep)
    return low_rank.low_rank(model, sizes["ranks"], fill=False)


def make(
    task: Task, config: dict, watch: Callable[[nn.Module, list[float], int], object] = lambda *_: None
) -> tuple[nn.Module, dict]:
    """Make a configuration's network: shaped, trained, compressed, trained again; plain float weights on the CPU.

    Args:
        task: the original network, its data and the training settings.
        config: the configuration.
        watch: called before the training and after each epoch with the network, the validation accuracies so far
            (percent) and the number of epochs left; it may raise an exception to end the training.

    Returns:
        The network, and its sizes as in `shape`.

    Raises:
        KeyboardInterrupt: the training was interrupted; it does not count as finished.
        ValueError: the configuration is invalid, or the loss became NaN or infinite.
    """
    model, sizes = shaped(task, config)
    stages = [any(sizes.values()), "sparsity" in config or "bits" in config]
    accuracies = []

    def note(accuracy: float | None = None) -> None:
        accuracies.extend([accuracy] if accuracy is not None else [])
        watch(model, accuracies, sum(stages) * task.epochs - len(accuracies))

    note()
    if stages[0]:
        _train(model, task, config, note)
    if stages[1]:
        compress(model, config)
        _train(model, task, config, note)
        deep_compression.make_permanent(model)
    return model, sizes


def compress(model: nn.Module, config: dict) -> nn.Module:
    """Mask the smallest weights and let the others share values, in place, as configured."""
    if config.get("sparsity"):
        left, count = pruning.count_weights(model)
        pruning.magnitude_prune(model, min(round((1 - config["sparsity"]) * count), left))
    if config.get("bits"):
        of = _bits_by_layer(list(pruning.prunable(model)), config["bits"])
        deep_compression.share_weights(model, of)
    return model


def _bits_by_layer(names: list[str], bits: dict[str, int]) -> dict[str, int]:
    """The bits of a network's layers, from those of the original's layers that they were made from.

    The factors of a layer have names that begin with its own. Attention that loses heads or widths consists of other
    layers than before; they get the bits of a layer that it had.
    """
    of = {name: bits[layer] for name in names for layer in bits if name == layer or name.startswith(f"{layer}.")}
    gone = [layer for layer in bits if not any(name == layer or name.startswith(f"{layer}.") for name in names)]
    for name in names:
        parents = ["".join(f"{part}." for part in name.split(".")[:depth]) for depth in range(name.count("."), 0, -1)]
        near = next((layer for parent in parents for layer in gone if layer.startswith(parent)), None)
        if name not in of and near:
            of[name] = bits[near]
    return of


def _train(model: nn.Module, task: Task, config: dict, note: Callable[[float], None]) -> None:
    train, share = task.pictures.train, config.get("teacher", 0)
    if share:
        loader = distillation.cached_teacher_loader(
            task.model, train, task.pictures, Path(task.folder.name), batch_size=task.batch_size, seed=task.seed
        )
        loss = distillation.distillation_loss(soft_share=share)
    else:
        loader, loss = data.loader(train, task.pictures, task.batch_size, shuffle=True, seed=task.seed), None
    optimizer = torch.optim.AdamW(model.parameters(), lr=task.rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, task.rate, total_steps=task.epochs * len(loader))
    options = {"optimizer": optimizer, "scheduler": lambda _: schedule, "loader": loader, "loss": loss}
    for epoch in range(task.epochs):
        history = training.fit(model, task.pictures, epochs=1, seed=task.seed + epoch, **options)
        if history.interrupted:
            raise KeyboardInterrupt
        note(history.validation_accuracy[-1])
