"""Draw lesson 13's training ladders: the card's and the CPU's side by side."""

from statistics import median

from matplotlib.figure import Figure

from nnopt_lab.workbench import plots
from nnopt_lab.workbench.language import _, translated

TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200)  # seconds


def draw(ladders: dict[str, list[dict]]) -> Figure:
    """Draw seconds of training (left) and test accuracy (right) per rung, one row of plots per machine.

    Args:
        ladders: by the machine's name, the rungs: {"name", "epochs", "seconds": [K], "test": [K]}, one number per seed,
            and "kept" where a rung may have been dropped; a rung without seconds was not trained and is left out.

    Raises:
        ValueError: there is no ladder.
    """
    if not ladders:
        raise ValueError("ladders is empty; it must have a ladder for at least one machine.")
    rows = len(ladders)
    fig, axes = plots.figure(nrows=rows, ncols=2, sharex="col", sharey="row", height=0.6 + 2.5 * rows)
    for (left, right), (machine, rungs) in zip(axes.reshape(rows, 2), ladders.items(), strict=True):
        trained = {f"{rung['name']} ({rung['epochs']})": rung for rung in rungs if rung["seconds"]}
        colors = {name: plots.BLUE if rung.get("kept", True) else plots.REFERENCE for name, rung in trained.items()}
        plots.seeds(left, {name: rung["seconds"] for name, rung in trained.items()}, colors)
        plots.seeds(right, {name: rung["test"] for name, rung in trained.items()}, colors)
        left.set(title=machine)
        right.set(title="accuracy")
        first = next(iter(trained.values()))["test"]
        plots.reference_line(right, sum(first) / len(first))
    for ax, label in zip(axes.reshape(rows, 2)[-1], ("seconds of training", "test accuracy, %"), strict=True):
        ax.set(xlabel=label)
    seconds = [second for rungs in ladders.values() for rung in rungs for second in rung["seconds"]]
    ticks = [tick for tick in TICKS if min(seconds) / 2 < tick < 2 * max(seconds)]
    for left in axes.reshape(rows, 2)[:, 0]:
        plots.log_axis(left.xaxis, ticks, base=10)
    times = [
        _(
            "from {first} to {best} seconds ({machine})",
            first=f"{median(rungs[0]['seconds']):.2g}",
            best=f"{median(best(rungs)['seconds']):.2g}",
            machine=translated(name),
        )
        for name, rungs in ladders.items()
    ]
    return plots.finish(fig, _("Training falls {times}; a dot per seed.", times=_(", ").join(times)))


def best(rungs: list[dict]) -> dict:
    """The last rung that was kept."""
    return [rung for rung in rungs if rung["seconds"] and rung.get("kept", True)][-1]


def speedups(rungs: list[dict]) -> list[float]:
    """First rung's seconds divided by those of the last rung that was kept, one ratio per seed."""
    return [a / b for a, b in zip(rungs[0]["seconds"], best(rungs)["seconds"], strict=True)]


def gain(rungs: list[dict], name: str) -> float:
    """How many times as fast the named rung is as the one before it, by the medians of their seconds."""
    place = [rung["name"] for rung in rungs].index(name)
    return median(rungs[place - 1]["seconds"]) / median(rungs[place]["seconds"])
