"""Lesson 10's playground: the speed-up by more cores if part of the work is serial and each core adds overhead."""

from nnopt_lab.course.playground import Playground, choice, slider
from nnopt_lab.techniques.parallelism import amdahl
from nnopt_lab.workbench import plots
from nnopt_lab.workbench.language import Message, _

MOST = 64
BUSY = 0.5  # efficiency
OVERHEADS = [0, 0.0001, 0.001, 0.003, 0.01, 0.03, 0.1]


def _past_the_best(cores: int, best: int) -> str:
    """A sentence if one more core makes the program slower; of the number after the last, nothing is known."""
    if cores < best or best == MOST:
        return ""
    return _("Here it is: with {best} cores or more, one more makes the program slower.", best=best)


def _slower_than_one(most_gain: float) -> str:
    if most_gain >= 1:
        return ""
    return _(
        "{most} cores take {times} times as long as one: the overhead is larger than the time that they save.",
        most=MOST,
        times=f"{1 / most_gain:.1f}",
    )


def _mostly_busy(cores: int, serial: float, gain: float) -> str:
    if cores < MOST or not serial or gain / cores <= BUSY:
        return ""
    return _(
        "This is the only setting that does it: {serial} % serial, and no overhead. Even so, {most} cores do the work "
        "of {gain}.",
        serial=round(100 * serial),
        most=MOST,
        gain=round(gain),
    )


def scaling_playground() -> Playground:
    """Plot Amdahl's law with an overhead for each further core, from 1 to 64 cores."""

    def draw(cores: int, serial: float, overhead: float):
        every = range(1, MOST + 1)
        gains = [amdahl.speedup(n, serial, overhead) for n in every]
        gain, best = gains[cores - 1], max(every, key=lambda n: gains[n - 1])
        fig, (left, right) = plots.figure(ncols=2)
        with plots.style():
            left.plot(every, every, color=plots.REFERENCE, linestyle="--", linewidth=1, label="ideal")
            left.plot(every, [amdahl.speedup(n, serial) for n in every], color=plots.GREEN, label="Amdahl")
            left.plot(every, gains, color=plots.BLUE, label="Amdahl with overhead")
            left.plot([cores], [gain], "o", color=plots.ORANGE, zorder=3)
            left.set(xlabel="cores", title="speed-up", xlim=(0, MOST), ylim=(0, max(4, 1.4 * max(gains))))
            left.set_xticks(range(0, MOST + 1, 16))
            left.locator_params(axis="y", nbins=5)  # each tick takes a millisecond to lay out and draw
            _times(right, cores, serial, overhead)
        plots.legend(fig, ncols=6)
        text = Message(
            "{cores} cores: <b>{gain}×</b> as fast, efficiency {efficiency} % · limit without overhead: {limit} · "
            "best of 1 to {most}: {best} cores, {best_gain}×",
            cores=cores,
            gain=f"{gain:.2f}",
            efficiency=f"{100 * gain / cores:.0f}",
            limit=f"{1 / serial:.3g}×" if serial else Message("unlimited"),
            most=MOST,
            best=best,
            best_gain=f"{gains[best - 1]:.2f}",
        )
        plots.finish(
            fig,
            "With more cores the speed-up rises, ever less, and falls once the overhead outweighs the gain; bars "
            "show where the time goes.",
        )
        found = [_past_the_best(cores, best), _slower_than_one(gains[-1]), _mostly_busy(cores, serial, gain)]
        return fig, text, found

    goals = [
        _("Find the number of cores at which one more makes the program slower."),
        _("Find a program that {most} cores run more slowly than one.", most=MOST),
        _(
            "Give the program a serial share above 0 and {most} cores, and reach an efficiency above {percent} %.",
            most=MOST,
            percent=round(100 * BUSY),
        ),
    ]
    return Playground(
        draw,
        goals,
        cores=slider("cores", 1, MOST, 8),
        serial=slider("serial share", 0.0, 0.5, 0.1, 0.01),
        overhead=choice("overhead per core", OVERHEADS, 0.003),
    )


def _times(ax, cores: int, serial: float, overhead: float) -> None:
    start = 0.0
    parts = {"serial": serial, "divided": (1 - serial) / cores, "overhead": overhead * (cores - 1)}
    for (name, part), color in zip(parts.items(), (plots.GOLD, plots.BLUE, plots.PURPLE), strict=True):
        ax.barh([0], [part], left=start, color=color, label=name, height=0.4)
        start += part
    ax.barh([1], [1], color=plots.REFERENCE, height=0.4)
    ax.set_yticks([0, 1], [f"{cores} cores", "1 core"])
    ax.set(title="time, one core = 1", xlim=(0, max(1.05, start)), ylim=(-0.6, 1.6))
    ax.locator_params(axis="x", nbins=5)
