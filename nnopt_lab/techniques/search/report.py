"""Report on a search as text, as a table and as a plot. The argument `search` is a `result.Search`."""

from collections.abc import Sequence
from dataclasses import replace

from nnopt_lab.techniques.search import standalone
from nnopt_lab.techniques.search.comparison import Comparison
from nnopt_lab.techniques.search.points import Point, describe
from nnopt_lab.workbench import measure
from nnopt_lab.workbench.measure.tables import text_table


def loading(sizes: dict[str, int]) -> str:
    """List an export's files, and say how to run them; `sizes` are their bytes by name."""
    listed = "\n".join(f"- `{name}`: {measure.format_bytes(size)}" for name, size in sorted(sizes.items()))
    first = next((name for name in standalone.FILES.values() if name in sizes), None)
    how = (
        "\nIn this folder, without this package: `python load.py batch.npy` prints the classes of a float32 array "
        f"[N, ...] of network inputs. It runs `{first}`, for which it needs numpy and that file's runtime (torch, ONNX "
        "Runtime or OpenVINO). Each such file was read back in a new process, and gave the outputs of the network "
        "exported.\n"
    )
    return f"\n# Files\n{listed}\n{how if first else ''}"


def markdown(search, point: Point, exported: Point, seen: Comparison, trained: bool) -> str:
    """Report on a point in Markdown.

    Args:
        search: a `result.Search`.
        point: as the search measured it.
        exported: the point with the figures of the exported engine, measured at export.
        seen: the exported engine's answers and times beside the original's.
        trained: whether the network was trained after the original.
    """
    config = point.config if trained else {name: value for name, value in point.config.items() if name != "teacher"}
    point, exported = replace(point, config=config), replace(exported, config=config)
    count = len(search.points) + search.stopped + len(search.failed)
    lines = [
        *(f"**{loss}**\n" for loss in seen.losses()),
        "# Techniques",
        *(f"- {line}" for line in describe(config)),
        "\n# Results",
        f"\n```\n{text_table(rows(search, [search.original, exported]))}\n```\n",
        *_search_figures(search, point, exported),
        f"Accuracy minus the original's on the {len(search.task.pictures.validation)} validation pictures, "
        f"computed by the exported engine: {seen.difference} percentage points. The winner of "
        f"{len(search.points)} networks was chosen on these pictures, so it looks better on them than it is: evaluate "
        "it on pictures that the search has not used.",
        f"\nOn {seen.parity:.1f} % of these pictures, both give the same class.",
        f"\n{count} trials, of which {search.stopped} were stopped early and {len(search.failed)} failed; "
        f"{search.seconds:.0f} s in the last call.\n",
        *(f"- {remark}" for remark in search.remarks),
        *(f"\n# {title}\n\n```\n{text_table(table)}\n```" for title, table in tables(seen)),
        "\n# Pareto front",
        f"\n```\n{search!r}\n```",
    ]
    return "\n".join(lines) + "\n"


def tables(seen: Comparison) -> list[tuple[str, list[list[str]]]]:
    """Tables of the comparison with the original, each with its title."""
    classes = seen.class_rows()
    few = "" if len(seen.labels.unique()) < len(classes) else f", the {len(classes) - 1} with the largest losses"
    named = [
        ("Time", seen.time_rows()),
        (f"Accuracy by class{few}", classes),
        ("Answers, original → exported", seen.confusion_rows()),
    ]
    return [(title, table) for title, table in named if table]


def _search_figures(search, point: Point, exported: Point) -> list[str]:
    ratio = point.latency / exported.latency
    if 1 / 1.1 <= ratio <= 1.1 and point.accuracy == exported.accuracy and point.bytes == exported.bytes:
        return []
    claimed = f"{search.original.latency / point.latency:.2f}×"
    return [
        f"These figures were measured at export. During the search: {point.accuracy:.2f} %, "
        f"{measure.format_bytes(point.bytes)}, {claimed}.\n"
    ]


def rows(search, points: Sequence[Point]) -> list[list[str]]:
    """A table of points, with the header as its first row."""
    header = ["trial", "accuracy", "file", f"time, batch {search.goal.batch}", "speedup", "techniques"]
    table = [header]
    for p in points:
        name = "original" if p is search.original else f"{p.number}{' (best)' if p == search.best else ''}"
        speed = f"{search.original.latency / p.latency:.2f}×"
        table.append([name, f"{p.accuracy:.2f} %", measure.format_bytes(p.bytes), f"{1e3 * p.latency:.3g} ms", speed])
        table[-1].append("none" if p is search.original else "\n".join(describe(p.config)))
    return table


def shown_range(search) -> tuple[float, float]:
    """The accuracies, in percent, between which a front is drawn: networks far below the limit would squeeze it."""
    known = search.original.accuracy
    low = known - max(3 * search.goal.max_drop, 3)
    return low, max(known, *(p.accuracy for p in search.points)) + 0.1 * (known - low)


def figure(search):
    """Draw accuracy over cost for all finished trials, the front, the original and the limit; a matplotlib Figure."""
    from nnopt_lab.workbench import plots  # on use, because importing matplotlib takes longer than this module

    fig, ax = plots.figure()
    scale, label = (1e3, "time, ms per batch") if search.goal.target == "latency" else (1 / 1024, "file size, KiB")
    every, front = ([(search.cost(p) * scale, p.accuracy) for p in ps] for ps in (search.points, search.front))
    with plots.style():
        ax.plot(*zip(*every, strict=True), "o", color=plots.SKY, label="trial")
        # Most accurate first: at any cost the front offers what its next cheaper point has.
        ax.plot(*zip(*front, strict=True), "o-", color=plots.BLUE, drawstyle="steps-pre", label="front")
        known = search.cost(search.original) * scale, search.original.accuracy
        ax.plot(*known, "s", color=plots.REFERENCE, label="original")
        ax.axhline(known[1] - search.goal.max_drop, color=plots.REFERENCE, linestyle="--", label="limit")
        ax.set(xscale="log", xlabel=label, ylabel="validation accuracy, %")
        ax.set_ylim(shown_range(search))
    plots.legend(fig)
    return plots.finish(fig)
