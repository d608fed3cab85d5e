"""Networks against the first of them: everything in one table."""

from dataclasses import dataclass

from torch import Tensor, nn

from nnopt_lab.workbench.measure.size import disk_bytes, parameters
from nnopt_lab.workbench.measure.tables import format_bytes, format_count, html_table, text_table
from nnopt_lab.workbench.measure.timing import MIN_ROUNDS, latency, ratio
from nnopt_lab.workbench.measure.work import macs


@dataclass(frozen=True, repr=False)
class Comparison:
    """The table of `compare`. `rows` has a dict for each model:

    model, total, nonzero, macs (a picture's), bytes, compressed_bytes, accuracy (percent or None), and by batch size
    latency (`Timing`) and ratio (`Ratio` against the first model; None in its own row).
    """

    rows: list[dict]

    def _cells(self) -> list[list[str]]:
        batches = list(self.rows[0]["latency"])
        header = ["model", "parameters", "MACs\na picture", "file\ngzipped", "accuracy"]
        cells = [header + [f"batch {b:,}\nmedian (quartiles)" for b in batches]]
        for row in self.rows:
            accuracy = "–" if row["accuracy"] is None else f"{row['accuracy']:.2f} %"
            cells.append([row["model"], f"{row['total']:,}\n{row['nonzero']:,} nonzero", format_count(row["macs"])])
            cells[-1] += [f"{format_bytes(row['bytes'])}\n{format_bytes(row['compressed_bytes'])}", accuracy]
            for b in batches:
                verdict = (
                    ""
                    if row["ratio"][b] is None
                    else "\n" + str(row["ratio"][b]).replace(" (", "\n(").replace(", ", ",\n")
                )
                cells[-1].append(str(row["latency"][b]) + verdict)
        return cells

    def __repr__(self) -> str:
        return text_table(self._cells())

    def _repr_html_(self) -> str:
        return html_table(self._cells(), header=True)

    def plot(self):
        """A matplotlib Figure: size, MACs and latencies relative to the first model, and accuracy where given."""
        from nnopt_lab.workbench import plots

        return plots.comparison(self.rows)


def compare(
    models: dict[str, nn.Module],
    example: Tensor,
    accuracy: dict[str, float] | None = None,
    batch_sizes: tuple[int, ...] = (1, 256),
    rounds: int = 60,
    budget_seconds: float = 10.0,
) -> Comparison:
    """Measure networks against the first of them: parameters, MACs, file, latency, and accuracy where you have it.

    Args:
        models: any number of networks by name, all on the example's device.
        example: pictures [N, ...], N at least 1; repeated and cut to each batch size. Real ones: see `latency`.
        accuracy: in percent, by the same names; some may be missing.
        batch_sizes: pictures a call, each at least 1; all networks are timed for each.
        rounds, budget_seconds: as in `latency`, for each batch size; at least 6 rounds.

    Raises:
        ValueError: an argument is not as said here; nothing has been measured then.
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
        raise ValueError(f"models={kinds} must name at least one model, and each must be an nn.Module.")
    if example.dim() < 1 or len(example) < 1:
        raise ValueError(f"example has shape {list(example.shape)}; it must be at least one picture, [N, ...].")
    for name, percent in accuracy.items():
        if name not in models or not 0 <= percent <= 100:
            raise ValueError(f"accuracy[{name!r}]={percent} must be percent, 0 to 100, of one of {list(models)}.")
    if not batch_sizes or min(batch_sizes) < 1:
        raise ValueError(f"batch_sizes={batch_sizes} must be at least one number, each at least 1.")
    if rounds < MIN_ROUNDS:
        raise ValueError(f"rounds={rounds} must be at least {MIN_ROUNDS}: a 95 % interval needs as many.")
