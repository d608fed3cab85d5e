"""Every figure of the lessons takes its colours from the course's table and says in words what there is to see."""

import ast
import re
from pathlib import Path

import pytest
from matplotlib.colors import is_color_like

import nnopt_lab
from nnopt_lab.workbench.paths import root

SOURCES = sorted((root() / "solutions").glob("*.py"))
LIBRARY = [
    path
    for floor in ("lessons", "techniques", "course", "grading")
    for path in sorted((Path(nnopt_lab.__file__).parent / floor).rglob("*.py"))
    if re.search(r"\bplots\b", path.read_text(encoding="utf-8"))
]
PLOTS = sorted((Path(nnopt_lab.__file__).parent / "workbench" / "plots").glob("*.py"))
SHORT_FORMAT = r"[bgrcmykw]([-.:]{1,2}|[.,ov^<>s*+xdDhp])*|[-.:]{1,2}[bgrcmykw]"  # such as "k--"


def calls(text):
    return [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]


def strings(node):
    return [n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)]


def own_colors(text):
    """Colours that code names by itself: in arguments for colours, and in the formats of `plot`."""
    found = []
    for call in calls(text):
        for keyword in call.keywords:
            if keyword.arg and re.fullmatch(r"c|\w*colors?", keyword.arg):
                found += [text for text in strings(keyword.value) if text != "none" and is_color_like(text)]
        if isinstance(call.func, ast.Attribute) and call.func.attr == "plot":
            found += [
                text for a in call.args for text in strings(a) if re.fullmatch(SHORT_FORMAT, text) and text != "o"
            ]
    return found


def sentence(node):
    """The words of an expression, with "…" for a value that is computed when the figure is drawn."""
    match node:
        case ast.Constant(value=str(words)):
            return words
        case ast.JoinedStr(values=parts):
            return "".join(map(sentence, parts))
        case ast.BinOp(left=left, right=right):
            return sentence(left) + sentence(right)
        case ast.IfExp(body=body):
            return sentence(body)
        case ast.Call(func=ast.Name(id="_" | "counted"), args=[text, *_]):
            return sentence(text)
    return "…"


def meant(text):
    """What the variables and functions of a program stand for, by name: their last assigned and returned expression."""
    found = {}
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                found[name] = value
            case ast.FunctionDef(name=name, body=[*_, ast.Return(value=value)]):
                found[name] = value
    return found


def undescribed(text):
    """Lines that finish a figure without saying what there is to see."""
    lines, known = [], meant(text)
    for call in calls(text):
        if ast.unparse(call.func) in ("plots.finish", "finish"):
            given = call.args[1:] + [keyword.value for keyword in call.keywords if keyword.arg == "alt"]
            given = [known.get(ast.unparse(getattr(node, "func", node)), node) for node in given]
            words = sentence(given[0]) if given else ""
            if not 30 <= len(words) <= 250 or not words.endswith("."):
                lines.append(call.lineno)
    return lines


@pytest.mark.parametrize("path", SOURCES + LIBRARY, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_colours_come_from_the_table(path):
    assert own_colors(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "path",
    SOURCES + LIBRARY + PLOTS,
    ids=lambda path: f"{path.parent.name}/{path.stem}",
)
def test_every_figure_is_described_in_a_sentence(path):
    assert undescribed(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "code",
    [
        'ax.plot(x, y, color="black")',
        'ax.hist(x, color="0.8")',
        'ax.bar(x, y, color=["#123456", plots.BLUE])',
        'ax.plot(x, y, "k--")',
        'ax.scatter(x, y, c="tab:blue")',
        'ax.text(0, 0, "a", bbox={}, backgroundcolor="w")',
        'ax.contour(x, y, z, colors="C1")',
    ],
)
def test_colours_of_ones_own_are_found(code):
    assert own_colors(code)


@pytest.mark.parametrize(
    "code",
    [
        "plots.finish(fig)",
        "plots.finish(fig, 'short.')",
        "display(plots.finish(fig, ''))",
        "plots.finish(fig, measured='x')",
        "return finish(fig), text",
        "plots.finish(fig, f'{a} {b} {c}.')",
        "plots.finish(fig, _('short.'))",
        "alt = _('short.')\nplots.finish(fig, alt)",
        "plots.finish(fig, unknown)",
    ],
)
def test_missing_descriptions_are_found(code):
    assert undescribed(code)


@pytest.mark.parametrize(
    "given",
    [
        "'The loss falls at first and then stays level.'",
        "alt='The loss falls at first and then stays level.', trained='y'",
        "f'The fastest engine is {name}, {gain:.1f} times as fast.'",
        "_('The fastest engine is {name}, {gain} times as fast.', name=name, gain=gain)",
        "'The loss falls at first and then stays level' + ('.' if known else ', as far as we know.')",
    ],
)
def test_descriptions_may_contain_computed_numbers(given):
    assert undescribed(f"plots.finish(fig, {given})") == []


def test_descriptions_may_be_given_by_name():
    words = "'The loss falls at first and then stays level.'"
    assert undescribed(f"alt = {words}\nplots.finish(fig, alt)") == []
    assert undescribed(f"def told(x):\n    return _({words})\nplots.finish(fig, told(x))") == []
