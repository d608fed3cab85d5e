"""Write the values of a result and of the expected one so that they stand in the same columns."""

from collections.abc import Sequence

_WIDTH = 80  # characters of a line

Pair = tuple[str, str]


def in_columns(cells: Sequence[Pair], around: tuple[Pair, Pair]) -> Pair:
    """Two texts whose values stand one below the other, in lines of equally many values if one is too short.

    Args:
        cells: the values of the result and of the expected one, as text.
        around: what stands before and behind the values of each.
    """
    indent = max(len(before) for before, _behind in around)
    if any("\n" in text for cell in cells for text in cell):  # lists of lists, whose own values have columns
        inner = [tuple(text.replace("\n", f"\n{' ' * indent}") for text in cell) for cell in cells]
        return tuple(_lines([cell[side] for cell in inner], [0] * len(inner), 1, *around[side]) for side in (0, 1))
    widths = [max(map(len, cell)) for cell in cells]
    per_line = len(cells)
    if indent + sum(widths) + 2 * len(cells) > _WIDTH:
        widths = [max(widths)] * len(cells)  # so that the lines have columns too
        per_line = max(1, (_WIDTH - indent) // (widths[0] + 2))
    return tuple(_lines([cell[side] for cell in cells], widths, per_line, *around[side]) for side in (0, 1))


def _lines(values: list[str], widths: list[int], per_line: int, before: str, behind: str) -> str:
    padded = [value.rjust(width) for value, width in zip(values, widths, strict=True)]
    lines = [", ".join(padded[at : at + per_line]) for at in range(0, len(padded), per_line)]
    return before + f",\n{' ' * len(before)}".join(lines) + behind
