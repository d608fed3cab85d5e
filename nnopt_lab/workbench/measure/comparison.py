"""Compare networks with the first of them in one table."""

from dataclasses import dataclass

from torch import Tensor, nn

from nnopt_lab.workbench.measure.size import disk_bytes, parameters
from nnopt_lab.workbench.measure.tables import format_bytes, format_count
from nnopt_lab.workbench.measure.timing import MIN_ROUNDS, latency, ratio, time_unit
from nnopt_lab.workbench.measure.work import macs
from nnopt_lab.workbench.measure.written import times_as_fast
from nnopt_lab.workbench.tables import Table


@dataclass(frozen=True, repr=False)
class Comparison:
    """The table that `compare` returns.

    `rows` has one dict per model with the keys model, total, nonzero, macs (per picture), bytes, compressed_bytes,
    accuracy (percent or None), and the dicts latency (batch size → `Timing`) and ratio (batch size → `Ratio` to the
    first model; None in the first row).
    """

    rows: list[dict]

    @property
    def table(self) -> Table:
        """The rows as a table: sizes, accuracy, and per batch size the time and the speed relative to the first."""
        first, *others = (row["model"] for row in self.rows)
        units = {size: time_unit(row["latency"][size] for row in self.rows) for size in self.rows[0]["latency"]}
        columns = ["model", "parameters", "MACs\nper picture", "file\ngzipped"]
        columns += ["accuracy", *(f"batch {size:,}, {unit}" for size, unit in units.items())]
        caption = (
            f"Times: median (quartiles); below: times as fast as {first} (95 % interval)"
            if others
            else "Times: median (quartiles)"
        )
        return Table([_cells(row, units) for row in self.rows], columns, caption)

    def __repr__(self) -> str:
        return repr(self.table)

    def _repr_html_(self) -> str:
        return self.table._repr_html_()

    def plot(self):
        """Draw size, MACs and latencies relative to the first model, and accuracy if given, as a matplotlib Figure."""
        from nnopt_lab.workbench import plots

        return plots.comparison(self.rows)


def _cells(row: dict, units: dict[int, str]) -> list[str]:
    count = f"{row['total']:,}" + ("" if row["nonzero"] == row["total"] else f"\n{row['nonzero']:,} nonzero")
    file = f"{format_bytes(row['bytes'])}\n{format_bytes(row['compressed_bytes'])}"
    accuracy = "–" if row["accuracy"] is None else f"{row['accuracy']:.2f} %"
    ratios = {size: "" if ratio is None else f"\n{times_as_fast(ratio)}" for size, ratio in row["ratio"].items()}
    times = [row["latency"][size].in_unit(unit) + ratios[size] for size, unit in units.items()]
    return [row["model"], count, format_count(row["macs"]), file, accuracy, *times]


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
