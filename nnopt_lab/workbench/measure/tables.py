"""Numbers and tables as readable text."""

import math

from rich.cells import cell_len


def format_bytes(count: float) -> str:
    """Format bytes with three digits and a unit: 512 B, 1.05 MiB (1 MiB = 1024² bytes)."""
    power = min((int(count).bit_length() - 1) // 10, 4) if count >= 1024 else 0
    return f"{count:.0f} B" if power == 0 else f"{three_digits(count / 1024**power)} {'KMGT'[power - 1]}iB"


def format_count(count: float) -> str:
    """Format a count: every digit below a million (268,650), above it three digits and a prefix (1.88 M, 40.6 G)."""
    power = min(int(math.log10(max(count, 1)) / 3), 4)
    return f"{count:,.0f}" if power < 2 else f"{three_digits(count / 1000**power)} {'MGT'[power - 2]}"


def three_digits(value: float) -> str:
    """Format three significant digits, but at most three after the point and all before it: 0.042, 1.05, 1,234."""
    decimals = 2 - math.floor(math.log10(value)) if value > 0 else 2
    return f"{value:,.{min(max(decimals, 0), 3)}f}"


def text_table(cells: list[list[str]]) -> str:
    """Format rows of cells as aligned columns; a cell may have several lines."""
    split = [[cell.split("\n") for cell in row] for row in cells]
    widths = [max(cell_len(line) for cell in column for line in cell) for column in zip(*split, strict=True)]
    lines = []
    for row in split:
        for i in range(max(map(len, row))):
            parts = (cell[i] if i < len(cell) else "" for cell in row)
            padded = (part + " " * (width - cell_len(part)) for part, width in zip(parts, widths, strict=True))
            lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)
