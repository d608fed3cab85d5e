"""No lesson's page tells a number that is still to be guessed: its prose and outputs, less what covers.js covers."""

import html
import re

import pytest
from nbformat import NotebookNode

from nnopt_lab.course.builder import to_notebook
from nnopt_lab.course.cell_roles import reveals
from nnopt_lab.course.lesson_files import lesson_names, paths, read_notebook
from nnopt_lab.workbench.paths import root

CARD = re.compile(r"<strong>Measured: (.*?)</strong></div><div[^>]*>(.*?)</div>")
RESULT = re.compile(r"(?P<number>[−\d.,]+) ?(?P<unit>.*?)(?: \(interval (?P<low>\S+) to (?P<high>\S+)\))?")
NUMBER = r"(−?\d[\d,]*(?:\.\d+)?)"
BESIDE = {  # by the sign or word that a unit begins with: how a number with it looks
    "×": rf"factor of (?:about )?{NUMBER}|{NUMBER}(?:×| ?times (?:as|more|fewer|faster|slower|smaller|larger))",
    "%": rf"{NUMBER} %",
    "points": rf"{NUMBER} (?:percentage )?points?",
    "s": rf"{NUMBER} (?:s|seconds?)",
}
TOLERANCE = 0.1  # of a number without an interval, relative; of one in percent or points, a point
ROUNDING = 0.02  # relative, beyond an interval
MARKS = re.compile(r"\(\d+ points?\)")  # what an exercise or a question earns
HEADING, SECTION = re.compile(r"^#{1,6} ", re.MULTILINE), re.compile(r"^## ", re.MULTILINE)
EXPLAINS = re.compile(r"What to see.*?(?:\n\n(?:- .*?\n\n)?|\Z)", re.DOTALL)
LEADS_ON = re.compile(r"\*\*Exercise|`nnopt record [^`]*`|the code below|[:?]\Z")  # in a text's last paragraph


def value(text: str) -> float:
    return float(text.replace("−", "-").replace(",", ""))


def told(text: str, result: str) -> list[str]:
    """What a text says that is as near to the measured result as a good guess."""
    found = RESULT.fullmatch(result)
    measured = value(found["number"])
    reach = 1 if found["unit"].startswith(("%", "points")) else TOLERANCE * abs(measured)
    low, high = measured - reach, measured + reach
    if found["low"]:
        reach = ROUNDING * abs(measured)
        low, high = min(value(found["low"]), measured - reach), max(value(found["high"]), measured + reach)
    kind = next((kind for kind in BESIDE if found["unit"].startswith(kind)), None)
    word = re.escape(found["unit"].split()[0]) if found["unit"] else ""
    pattern = BESIDE[kind] if kind else rf"{NUMBER} {word}\b"
    hits = re.finditer(rf"(?<![\d.,])(?:{pattern})(?!\d)", MARKS.sub("", " ".join(text.split())))
    numbers = ((hit.group(), value(next(filter(None, hit.groups())))) for hit in hits)
    return [hit for hit, number in numbers if low <= number <= high or low <= -number <= high]


def shown(cell: NotebookNode) -> str:
    """What the outputs of a cell say, without marks."""
    data = [output.get("data", {}) for output in cell.get("outputs", [])]
    texts = [output.get("text", "") for output in cell.get("outputs", [])]
    texts += [html.unescape(re.sub(r"<[^>]+>", " ", one.get("text/html", one.get("text/plain", "")))) for one in data]
    return re.sub(r"\s+", " ", " ".join(texts))


def covered(cell: NotebookNode) -> str:
    """What is left of a cell below a measurement that waits."""
    tells = "tells" in cell.metadata.get("tags", ())
    if cell.cell_type == "markdown":
        assert not (tells and HEADING.search(cell.source)), "a heading would be covered"
        return "" if tells else EXPLAINS.sub("", cell.source, count=1)
    return "" if tells or "jupyter" in cell.metadata else shown(cell)


def around(cells: list[NotebookNode], name: str) -> list[str]:
    """What stands on the page around a guess: the lesson's introduction, and the section until the number is shown."""
    asked = next(n for n, cell in enumerate(cells) if "predict(" in cell.source and name in cell.source)
    place = next(n for n, cell in enumerate(cells) if reveals(cell.source) and name in cell.source)
    begin = max(
        n for n, cell in enumerate(cells[:asked]) if cell.cell_type == "markdown" and SECTION.search(cell.source)
    )
    texts = [cells[0].source, SECTION.split(cells[begin].source)[-1]]
    texts += [shown(cell) if cell.cell_type == "code" else cell.source for cell in cells[begin + 1 : place]]
    is_covered = True
    for cell in cells[place + 1 :]:
        is_text = cell.cell_type == "markdown"
        text = covered(cell) if is_covered else cell.source if is_text else shown(cell)
        texts.append(SECTION.split(text)[0] if is_text else text)
        if is_text and SECTION.search(cell.source):
            break
        is_covered = is_covered and not (is_text and HEADING.search(cell.source))
    return texts


@pytest.mark.parametrize("lesson", lesson_names())
def test_no_text_and_no_output_around_a_guess_tells_the_number(lesson):
    stored = read_notebook(paths(lesson)[True])
    outputs = {cell.source: cell.outputs for cell in stored.cells if cell.cell_type == "code"}
    cells = to_notebook(root() / "solutions" / f"{lesson}.py", solved=True).cells
    for cell in cells:
        if cell.cell_type == "code":
            cell.outputs = outputs.get(cell.source, [])
    pages = [str(cell.get("outputs", "")).replace("\\xa0", " ").replace("\\u2060", "") for cell in stored.cells]
    results = [found for page in pages for found in CARD.findall(page)]
    assert results
    given_away = {}
    for name, result in results:
        texts = around(cells, html.unescape(name).replace("\\'", "'"))
        if hits := [hit for text in texts for hit in told(text, result)]:
            given_away[name] = (result, hits)
    assert given_away == {}


@pytest.mark.parametrize("lesson", lesson_names())
def test_what_stays_of_a_half_covered_text_leads_on_instead_of_telling_results(lesson):
    """Below a measurement that waits, covers.js covers a text's first paragraph, and all of it with the tag `tells`."""
    waits, tell = False, []
    for cell in to_notebook(root() / "solutions" / f"{lesson}.py", solved=True).cells:
        is_text = cell.cell_type == "markdown"
        if waits and is_text and EXPLAINS.match(cell.source):
            rest = HEADING.split(covered(cell))[0].strip()
            if rest and not LEADS_ON.search(rest.split("\n\n")[-1]):
                tell.append(rest)
        waits = (waits or (not is_text and reveals(cell.source))) and not (is_text and HEADING.search(cell.source))
    assert tell == []


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("It is 3.5 times\nas fast.", "3.47× (interval 3.45 to 3.48)"),
        ("a factor of about 4", "4.2 × as many"),
        ("They lose 0.9 points.", "−0.91 points (interval −1.60 to −0.21)"),
        ("It takes 21 % of the time.", "22 %"),
        ("There are 1,050 operators.", "1,000 operators"),
    ],
)
def test_a_number_near_the_measured_one_is_found(text, result):
    assert told(text, result)


@pytest.mark.parametrize("text", ["It is 4 times as fast.", "It takes 3.5 % of the time.", "**Exercise (3 points).**"])
def test_another_number_and_another_unit_are_no_fault(text):
    assert not told(text, "3.47× (interval 3.45 to 3.48)") and not told(text, "3 points")
