"""Compare networks with the first of them in one table."""

import re
from dataclasses import dataclass

from torch import Tensor, nn

from nnopt_lab.workbench.measure.size import disk_bytes, parameters
from nnopt_lab.workbench.measure.tables import format_bytes, format_count, html_table, text_table
from nnopt_lab.workbench.measure.timing import MIN_ROUNDS, Ratio, latency, ratio
from nnopt_lab.workbench.measure.work import macs


@dataclass(frozen=True, repr=False)
class Comparison:
    """The table that `compare` returns.

    `rows` has one dict per model with the keys model, total, nonzero, macs (per picture), bytes, compressed_bytes,
    accuracy (percent or None), and the dicts latency (batch size → `Timing`) and ratio (batch size → `Ratio` to the
    first model; None in the first row).
    """

    rows: list[dict]

    def _cells(self) -> list[list[str]]:
        batches = list(self.rows[0]["latency"])
        header = ["model", "parameters", "MACs\nper picture", "file\ngzipped", "accuracy"]
        second = "\ncompared with the first (95 %)" if len(self.rows) > 1 else ""
        cells = [header + [f"batch {b:,}, median (quartiles){second}" for b in batches]]
        for row in self.rows:
            accuracy = "–" if row["accuracy"] is None else f"{row['accuracy']:.2f} %"
            cells.append([row["model"], f"{row['total']:,}\n{row['nonzero']:,} nonzero", format_count(row["macs"])])
            cells[-1] += [f"{format_bytes(row['bytes'])}\n{format_bytes(row['compressed_bytes'])}", accuracy]
            for b in batches:
                against = "" if row["ratio"][b] is None else "\n" + _short(row["ratio"][b])
                cells[-1].append(str(row["latency"][b]) + against)
        return cells

    def __repr__(self) -> str:
        return text_table(self._cells())

    def _repr_html_(self) -> str:
        return html_table(self._cells(), header=True)

    def plot(self):
        """Draw size, MACs and latencies relative to the first model, and accuracy if given, as a matplotlib Figure."""
        from nnopt_lab.workbench import plots

        return plots.comparison(self.rows)


def _short(against: Ratio) -> str:
    """A ratio without the words that the head of its column says."""
    return re.sub(r"( measured \(ratio [\d.,]+, |\()95 % interval ", " (", str(against)).replace("  ", " ")


def compare(
    models: dict[str, nn.Module],
    example: Tensor,
    accuracy: dict[str, float] | None = None,
    batch_sizes: tuple[int, ...] = (1, 256),
    rounds: int = 60,
    budget_seconds: float = 10.0,
) -> Comparison:
    """Measure networks relative to the first of them: parameters, MACs, file size, latency, and accuracy if given.

    Args:
        models: networks by name, at least one, all on the example's device.
        example: pictures [N, ...], N at least 1; repeated or cut to each batch size. Use real ones, see `latency`.
        accuracy: percent by name; some names may be missing.
        batch_sizes: pictures per forward pass, each at least 1; every network is timed at each.
        rounds, budget_seconds: as in `latency`, per batch size; at least 6 rounds.

    Raises:
        ValueError: an argument is out of its range; nothing is measured then.
    """
    _check_comparison(models, example, accuracy or {}, batch_sizes, rounds)
    rows = [
        _sizes(name, model, example[:1]) | {"accuracy": (accuracy or {}).get(name)} for name, model in models.items()
    ]
    for size in batch_sizes:
        batch = example.repeat(-(-size // len(example)), *[1] * (example.dim() - 1))[:size]
        timings = latency(models, batch, rounds, budget_seconds)
        first, *others = timings.values()
        ratios = [None, *(ratio(first, other) for other in others)]
        for row, timing, against_first in zip(rows, timings.values(), ratios, strict=True):
            row.setdefault("latency", {})[size] = timing
            row.setdefault("ratio", {})[size] = against_first
    return Comparison(rows)


def _sizes(name: str, model: nn.Module, example: Tensor) -> dict:
    return {
        "model": name,
        **parameters(model)._asdict(),
        "macs": macs(model, example),
        "bytes": disk_bytes(model),
        "compressed_bytes": disk_bytes(model, compressed=True),
    }


def _check_comparison(models, example: Tensor, accuracy: dict, batch_sizes, rounds: int) -> None:
    if not models or not all(isinstance(model, nn.Module) for model in models.values()):
        kinds = {name: type(model).__name__ for name, model in models.items()}
        raise ValueError(f"models={kinds} must contain at least one model, and each must be an nn.Module.")
    if example.dim() < 1 or len(example) < 1:
        raise ValueError(f"example has shape {list(example.shape)}; it must be [N, ...] with N at least 1.")
    for name, percent in accuracy.items():
        if name not in models or not 0 <= percent <= 100:
            raise ValueError(f"accuracy[{name!r}]={percent} must be 0 to 100 percent, for a name in {list(models)}.")
    if not batch_sizes or min(batch_sizes) < 1:
        raise ValueError(f"batch_sizes={batch_sizes} must contain at least one number, each at least 1.")
    if rounds < MIN_ROUNDS:
        raise ValueError(f"rounds={rounds} must be at least {MIN_ROUNDS}: a 95 % interval needs that many.")
