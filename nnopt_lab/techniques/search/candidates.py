"""Candidates: from a configuration, a handful of numbers, to the network that it describes, trained and compressed.

A configuration is a dict that JSON can hold; what it leaves out is left as it was. In this order: channels are removed,
layers factorised, the network is trained on; then weights are pruned, the others share values, and it is trained again.

    channels   {group: share of its channels that stay, in (0, 1]}, see `channel_pruning`
    energy     {"convolution" and/or "linear": share of each layer's energy that its rank keeps}, see `low_rank`
    sparsity   share of all weights that are pruned, in [0, 1)
    bits       {layer of the original: 1 to 8}: its weights share 2^bits values, see `deep_compression`
    teacher    share of the original's soft targets in the loss, in [0, 1], see `distillation`
    engine     a key of `engines.ENGINES`, "eager float32" where it is left out

The same configuration, data and seed give the same network, on the same machine bit for bit.
"""

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from nnopt_lab.techniques import distillation, pruning
from nnopt_lab.techniques.convolutions import low_rank
from nnopt_lab.techniques.deployment import engines
from nnopt_lab.techniques.pruning import channel_pruning
from nnopt_lab.techniques.quantization import deep_compression
from nnopt_lab.workbench import data, measure, training

KINDS = {"convolution": nn.Conv2d, "linear": nn.Linear}
KEYS = ("channels", "energy", "sparsity", "bits", "teacher", "engine")


@dataclass(frozen=True)
class Inputs(data.Pictures):
    """Pictures of any size and dtype; `transform` makes float inputs [N, ...] of them."""

    transform: Callable[[Tensor], Tensor]

    def to_input(self, images: Tensor) -> Tensor:
        """Pictures [N, ...] → float32 [N, ...]."""
        return self.transform(images)


@dataclass(frozen=True)
class Task:
    """What candidates are made of, and how they are trained.

    Attributes:
        model: the original, trained, in evaluation mode on the CPU.
        pictures: its data.
        epochs: of each of the two trainings.
        rate: highest learning rate (AdamW under one cycle).
        batch_size, seed: of the training.
        folder: where the original's answers are kept, while the task is in use.
    """

    model: nn.Module
    pictures: data.Pictures
    epochs: int
    rate: float
    batch_size: int
    seed: int
    folder: tempfile.TemporaryDirectory

    def inputs(self, count: int) -> Tensor:
        """The first `count` validation pictures as the network gets them."""
        return self.pictures.to_input(self.pictures.validation.images[:count])

    @property
    def calibration(self) -> list[Tensor]:
        """256 training pictures, on which int8 engines choose their grids."""
        return list(self.pictures.to_input(self.pictures.train.images[:256]).split(64))


def shape(model: nn.Module, example: Tensor, config: dict) -> tuple[nn.Module, dict]:
    """The network of a configuration before any training, and its sizes, from which `load` makes it again.

    Args:
        model: the original; left as it was.
        example: an input [N, ...].

    Returns:
        (network, {"channels": {group: count}, "ranks": {layer: rank}}).

    Raises:
        ValueError: the configuration has another key, or a share that is out of its range.
    """
    if unknown := set(config) - set(KEYS):
        raise ValueError(f"config has {', '.join(sorted(unknown))}; it may have {', '.join(KEYS)}.")
    sizes = {"channels": {}, "ranks": {}}
    if config.get("channels"):
        keep = channel_pruning.keep_most_important(model, example, config["channels"])
        sizes["channels"] = {name: len(keep[name]) for name in config["channels"]}
        model = channel_pruning.remove_channels(model, example, keep)
    for kind, energy in config.get("energy", {}).items():
        layers = [name for name, layer in low_rank.factorisable(model).items() if isinstance(layer, KINDS[kind])]
        sizes["ranks"] |= low_rank.choose_ranks(model, energy=energy, layers=layers)
    return low_rank.low_rank(model, sizes["ranks"]), sizes


def make(
    task: Task, config: dict, watch: Callable[[nn.Module, list[float], int], object] = lambda *_: None
) -> nn.Module:
    """The network of a configuration: shaped, trained, compressed, trained again; plain float weights, on the CPU.

    Args:
        watch: called before the training and after each epoch with the network, the validation accuracies so far
            (percent) and the number of epochs to come; what it raises ends the training.

    Raises:
        KeyboardInterrupt: as ever; the training is not taken for done.
        ValueError: the configuration is not one, or the loss became NaN or infinite.
    """
    model, sizes = shape(task.model, task.inputs(1), config)
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
    return model


def compress(model: nn.Module, config: dict) -> nn.Module:
    """Mask the smallest weights and let the others share values, in place, as the configuration says."""
    if config.get("sparsity"):
        _, count = pruning.count_weights(model)
        pruning.magnitude_prune(model, round((1 - config["sparsity"]) * count))
    if config.get("bits"):
        # A factorised layer has its parts' names behind its own.
        of = {
            name: bits
            for name in pruning.prunable(model)
            for layer, bits in config["bits"].items()
            if name == layer or name.startswith(f"{layer}.")
        }
        deep_compression.share_weights(model, of)
    return model


def file_bytes(model: nn.Module, config: dict) -> int | None:
    """Size of the compressed file of a network whose weights share values; None where they do not."""
    if not config.get("bits"):
        return None
    with tempfile.TemporaryDirectory() as folder:
        return sum(deep_compression.save(model, Path(folder, "size.nndc")).values())


def predicted_bytes(model: nn.Module, config: dict) -> float:
    """A first estimate of a candidate's file before it is trained: bits of the weights that stay, 4 bytes of others."""
    layers = pruning.prunable(model)
    weights = sum(layer.weight.numel() for layer in layers.values())
    bits = sum(config["bits"].values()) / len(config["bits"]) if config.get("bits") else 32
    if config.get("engine", "").endswith("int8"):
        bits = min(bits, 8)
    kept = 1 - config.get("sparsity", 0) if config.get("bits") else 1  # a dense file holds zeros as any number
    return weights * kept * bits / 8 + 4 * (measure.parameters(model).total - weights)


def save(folder: Path, task: Task, config: dict, model: nn.Module, record: dict) -> list[Path]:
    """Write a candidate: weights.safetensors, config.json, ONNX, and its compressed file where it has one.

    Args:
        folder: made if it isn't there.
        model: what `make` returned for `config`.
        record: goes into config.json beside the configuration and the sizes.

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / "weights.safetensors", folder / "config.json"]
    save_file({name: value.detach().contiguous().clone() for name, value in model.state_dict().items()}, files[0])
    _, sizes = shape(task.model, task.inputs(1), config)
    files[1].write_text(json.dumps({"config": config, "sizes": sizes} | record, indent=1) + "\n", encoding="utf-8")
    if config.get("bits"):
        files.append(folder / "weights.nndc")
        deep_compression.save(model, files[-1])
    files.append(engines.export_onnx(model, task.calibration, folder / "model.onnx"))
    if config.get("engine", "").endswith("int8"):
        files.append(engines.quantize_onnx(files[-1], task.calibration))
        files[-1].with_name("model.prepared.onnx").unlink(missing_ok=True)
    return files


def load(folder: Path, model: nn.Module, example: Tensor) -> nn.Module:
    """Read what `save` wrote.

    Args:
        folder: with weights.safetensors and config.json.
        model: a network built as the original was; its weights do not matter, and it is left as it was.
        example: an input [N, ...].
    """
    sizes = json.loads(Path(folder, "config.json").read_text(encoding="utf-8"))["sizes"]
    keep = {name: torch.arange(count) for name, count in sizes["channels"].items()}
    model = low_rank.low_rank(channel_pruning.remove_channels(model, example, keep), sizes["ranks"])
    model.load_state_dict(load_file(Path(folder, "weights.safetensors")))
    return model.eval()


def as_split(given: data.Split | tuple[Tensor, Tensor] | Sequence) -> data.Split:
    """A split of a split, of (pictures [N, ...], labels int64 [N]), or of a data set of (picture, label).

    Raises:
        ValueError: there is no picture, or not a label for each.
    """
    if not isinstance(given, (data.Split, tuple)):
        pairs = [given[i] for i in range(len(given))]
        given = torch.stack([x for x, _ in pairs]), torch.tensor([int(y) for _, y in pairs])
    split = given if isinstance(given, data.Split) else data.Split(*given)
    if len(split.images) != len(split.labels) or len(split) == 0:
        raise ValueError(f"{len(split.images)} pictures and {len(split.labels)} labels: as many are needed, and one.")
    return split


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
