"""Statistics of a lesson for its authors: minutes, words, lines of code, claims."""

import re
from dataclasses import dataclass, field
from itertools import groupby

from nnopt_lab.course.builder import to_notebook
from nnopt_lab.course.cell_roles import claims_in
from nnopt_lab.course.claims import SHOWN_IN_A_CELL
from nnopt_lab.course.exercises import lesson_points
from nnopt_lab.course.lesson import lessons
from nnopt_lab.course.lesson_files import paths

WIDTH = 88  # columns of code that a notebook shows without scrolling

WORDS_PER_MINUTE = 150  # with the code and the figures between them
MINUTES_PER_POINT = 2  # of an exercise or a question
MINUTES_PER_GUESS = 1


@dataclass(frozen=True)
class Statistics:
    """Statistics of a lesson's learner notebook.

    Attributes:
        lesson: its name.
        minutes: for reading and solving, as declared in its package.
        words: of prose, without formulas and code.
        lines_shown: of code that is not folded, without empty lines.
        lines_folded: of code that JupyterLab folds, without empty lines.
        claims: in the source; one in a loop counts once.
        claims_shown: claims that are not folded if all are true.
        crowded: headings of sections that show more claims than a cell does.
        too_wide: lines of code longer than `WIDTH`.
    """

    lesson: str
    minutes: int
    words: int
    lines_shown: int
    lines_folded: int
    claims: int
    claims_shown: int
    crowded: list[str] = field(default_factory=list)
    too_wide: list[str] = field(default_factory=list)


def statistics(lesson: str) -> Statistics:
    """Compute a lesson's statistics from its source.

    Args:
        lesson: its name, such as "01_pruning".

    Raises:
        FileNotFoundError: it has no source.
        ValueError: the source is malformed.
    """
    source = paths(lesson)[True].with_suffix(".py")
    cells = to_notebook(source, solved=False).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    lines = {hidden: 0 for hidden in (True, False)}
    for cell in code:
        lines["jupyter" in cell.metadata] += sum(bool(line.strip()) for line in cell.source.splitlines())
    shown = [(heading, _shown(cell)) for heading, cell in _with_headings(cells)]
    by_section = {heading: sum(n for _, n in those) for heading, those in groupby(shown, key=lambda pair: pair[0])}
    return Statistics(
        lesson,
        minutes=lessons()[lesson].minutes if lesson in lessons() else 0,
        words=sum(_words(cell.source) for cell in cells if cell.cell_type == "markdown"),
        lines_shown=lines[False],
        lines_folded=lines[True],
        claims=sum(len(claims_in(cell.source)) for cell in code),
        claims_shown=sum(n for _, n in shown),
        crowded=[heading for heading, count in by_section.items() if count > SHOWN_IN_A_CELL],
        too_wide=[line for cell in _solved_code(source) for line in cell.splitlines() if len(line) > WIDTH],
    )


def expected_minutes(lesson: str) -> int:
    """Minutes that a lesson's reading, exercises, questions and guesses take, in steps of five.

    Args:
        lesson: its name, such as "01_pruning".

    Raises:
        FileNotFoundError: it has no source.
    """
    cells = to_notebook(paths(lesson)[True].with_suffix(".py"), solved=False).cells
    guesses = sum(cell.cell_type == "code" and cell.source.lstrip().startswith("predict(") for cell in cells)
    reading = statistics(lesson).words / WORDS_PER_MINUTE
    return 5 * round((reading + MINUTES_PER_POINT * lesson_points(lesson) + MINUTES_PER_GUESS * guesses) / 5)


def _shown(cell) -> int:
    return min(len(claims_in(cell.source)), SHOWN_IN_A_CELL) if cell.cell_type == "code" else 0


def _with_headings(cells):
    """Yield each cell with the last heading above it."""
    heading = ""
    for cell in cells:
        if cell.cell_type == "markdown" and (found := re.findall(r"^#+ (.*)", cell.source, re.MULTILINE)):
            heading = found[-1]
        yield heading, cell


def _words(prose: str) -> int:
    without = re.sub(r"```.*?```|\$\$.*?\$\$|\$[^$\n]*\$|\]\([^)]*\)", " ", prose, flags=re.DOTALL)
    return len(re.findall(r"\b[^\W\d_][\w'’-]*", without))


def _solved_code(source) -> list[str]:
    return [cell.source for cell in to_notebook(source, solved=True).cells if cell.cell_type == "code"]
