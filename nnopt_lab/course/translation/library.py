"""The English texts that the library itself shows to learners, for `solutions/LANGUAGE/nnopt_lab.po`.

They are found in three ways: by calls of `_`, `Message` and `counted`, in the declarations of lessons, exercises and
questions, and, like a lesson's own strings, in modules whose strings are shown by figures, tables and cards.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path

from nnopt_lab.course import premises
from nnopt_lab.course.exercises import Exercise, Question, exercises, questions
from nnopt_lab.course.lesson import packages
from nnopt_lab.course.translation.code_strings import WORD, message_of, strings_of
from nnopt_lab.course.translation.further import FURTHER
from nnopt_lab.course.translation.markdown_blocks import has_words
from nnopt_lab.course.translation.page_texts import texts_of_script, texts_of_template
from nnopt_lab.workbench.language import DOMAIN, FIELD, MESSAGE
from nnopt_lab.workbench.paths import PACKAGE

LIBRARY = DOMAIN  # the name of the file, beside the lessons'
_LANGUAGE = PACKAGE / "workbench" / "language"  # defines those functions, and marks no texts itself
# function → its arguments that are texts
_MARKED = {"_": range(0, 1), "Message": range(0, 1), "counted": range(1, 3), "counted_message": range(1, 3)}
# Modules whose strings reach a learner through `translated`, by what shows them.
_SHOWN = (
    "cli/usage.py",
    "grading/capstone/figure.py",
    "grading/capstone/leaderboard.py",
    "grading/capstone/tables.py",
    "lessons/*/playground.py",
    "lessons/*/valley.py",
    "techniques/search/points.py",
    "techniques/search/report.py",
    "workbench/class_names.py",
    "workbench/diagrams/*.py",
    "workbench/measure/comparison.py",
    "workbench/measure/intervals.py",
    "workbench/measure/layers.py",
    "workbench/plots/bars.py",
    "workbench/plots/lines.py",
    "workbench/plots/roofline.py",
)
# Modules whose errors a command shows, or a card below the traceback of a lesson's cell: all that a lesson may import.
_WITH_ERRORS = (
    "cli/__init__.py",
    "cli/inputs.py",
    "cli/learner.py",
    "cli/teacher.py",
    "course/kit.py",
    "course/recordings.py",
    "course/sharing.py",
    "course/update.py",
    "course/workspace.py",
    "grading/*.py",
    "grading/capstone/*.py",
    *(f"grading/live/{name}.py" for name in ("addresses", "board", "stored")),
    "grading/sandboxed/classifier.py",
    "lessons/*/*.py",
    "techniques/**/*.py",
    "workbench/**/*.py",
)
# Modules whose sentences, besides those of errors, are kept in English, and translated by what shows them.
_WITH_SENTENCES = (
    "course/mistakes.py",
    *(f"grading/{name}.py" for name in ("archives", "cluster", "grades", "judge", "lateness", "marks", "notices")),
    *(f"grading/{name}.py" for name in ("sandbox", "sources", "sqlite_faults", "submissions", "threshold")),
    "grading/unsandboxed.py",
    "grading/capstone/by_heart.py",
    "grading/capstone/judging.py",
    "grading/live/server.py",
    *(f"techniques/search/{name}.py" for name in ("checks", "confirmation", "datasets", "evaluation", "files")),
    *(f"techniques/search/{name}.py" for name in ("named_data", "networks", "points", "result", "search_space")),
    *(f"techniques/search/{name}.py" for name in ("searcher", "tasks")),
)
_COMMANDS = ("cli/__init__.py", "cli/learner.py", "cli/maintainer.py", "cli/speech.py", "cli/teacher.py")
# Of strings in those modules, what is for matplotlib, or code for a picture.
_TECHNICAL = re.compile(
    r"[<@]|\.moves|.*=\"|(?:animation|transform|transform-origin|stroke-dash\w+):|\{\d\}%\{|.*'DejaVu"
    r"|(?:axes fraction|offset points|textcoords|xycoords|xytext|fontsize|linestyle|linewidth|marker|markersize"
    r"|markeredgewidth|fmt|color|bold|normal|monospace|none|nearest|top|bottom|label|data|auto|center|left|right|both"
    r"|Drawing|macs|ratio)$"
)


@cache
def library_messages() -> dict[str, list[str]]:
    """The texts in a stable order, each with its kinds, such as "message", "hint" or "label"."""
    found: dict[str, list[str]] = {}
    for kind, text in chain(_marked(), _declared(), _labels(), _series(), _helps(), _errors(), _sentences(), FURTHER):
        if has_words(text) or kind == MESSAGE:
            kinds = found.setdefault(text, [])
            if kind not in kinds:
                kinds.append(kind)
    return found


def marked_texts(source: str) -> Iterator[tuple[str, str]]:
    """The texts of a module's calls of `_`, `Message` and `counted`, and the names and units of its progress bars.

    Raises:
        ValueError: a call has something other than a literal there, so that its text can't be found.
    """
    for node in ast.walk(ast.parse(source)):
        function = getattr(node.func, "id", "") if isinstance(node, ast.Call) else ""
        if function in _MARKED:
            arguments = [node.args[place] for place in _MARKED[function] if place < len(node.args)]
            literals = [a for a in arguments if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            if len(literals) < len(_MARKED[function]):
                raise ValueError(f"Line {node.lineno} has no literal to translate: {ast.unparse(node)}")
            yield from ((MESSAGE, argument.value) for argument in arguments)
        elif function == "progress_bar":
            for keyword in node.keywords:
                if keyword.arg in ("desc", "unit") and isinstance(keyword.value, ast.Constant | ast.JoinedStr):
                    yield "label", message_of(keyword.value)


def _marked() -> Iterator[tuple[str, str]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if path.parent != _LANGUAGE and ("workbench.language import" in source or "progress_bar(" in source):
            yield from marked_texts(source)
    for path in sorted(PACKAGE.rglob("templates/*.html")):
        yield from ((MESSAGE, text) for text in texts_of_template(path.read_text(encoding="utf-8")))
    for path in sorted(PACKAGE.rglob("templates/*.js")):
        yield from (("label", text.strip()) for text in texts_of_script(path.read_text(encoding="utf-8")))


def _declared() -> Iterator[tuple[str, str]]:
    for lesson in packages().values():
        yield "title", lesson.title
        yield "summary", lesson.summary
        if lesson.chapter:
            yield "title", lesson.chapter
    yield from (("explanation", reason) for reason in premises.reasons())
    for exercise in exercises().values():
        yield from _of_exercise(exercise)
    for question in questions().values():
        yield from _of_question(question)


def _of_exercise(exercise: Exercise) -> Iterator[tuple[str, str]]:
    yield "title", exercise.title
    yield from (("hint", hint) for hint in exercise.hints)
    yield from (("comment", wrong.sentence) for wrong in exercise.wrong_answers)
    yield from (("comment", must.sentence) for must in exercise.properties)
    yield "explanation", exercise.debrief


def _of_question(question: Question) -> Iterator[tuple[str, str]]:
    yield "question", question.text
    yield from (("choice", text) for text in question.choices.values())
    yield "explanation", question.explanation
    yield from (("comment", text) for text in question.comments.values())


def _labels() -> Iterator[tuple[str, str]]:
    for pattern in _SHOWN:
        for path in sorted(PACKAGE.glob(pattern)):
            found = strings_of(_without_errors_and_marked(_tree(path)), "label")
            yield from ((kind, text) for kind, text in found if not _TECHNICAL.match(text))
    for path in sorted(PACKAGE.glob("lessons/*/exercises.py")):  # what comparisons of their own return
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.Return) and node.value is not None:
                # Other strings are results, such as "gain", which the learner's function returns in English.
                yield from ((kind, text) for kind, text in strings_of(node.value, "comment") if text.endswith("."))


def _series() -> Iterator[tuple[str, str]]:
    """Names in recorded results, which figures and tables of the lessons show."""
    for path in sorted(PACKAGE.glob("lessons/*/experiments.py")):
        tree = _without_errors_and_marked(_tree(path))
        constants = [node.value for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign) and node.value]
        yield from (found for value in constants for found in strings_of(value, "label"))
        yield from ((kind, text) for kind, text in strings_of(tree, "label") if " " in text)


def _helps() -> Iterator[tuple[str, str]]:
    """The paragraphs of the commands' docstrings, and what their options say."""
    for path in map(PACKAGE.joinpath, _COMMANDS):
        tree = _tree(path)
        commands = [n for n in tree.body if isinstance(n, ast.FunctionDef) and not n.name.startswith("_")]
        documented = {"__init__": [tree], "speech": []}.get(path.stem, commands)
        texts = [ast.get_docstring(node) or "" for node in documented]
        for paragraph in "\n\n".join(texts).split("\n\n"):
            yield "help", " ".join(paragraph.split())
        for node in ast.walk(tree):
            if isinstance(node, ast.keyword) and node.arg == "help" and isinstance(node.value, ast.Constant):
                yield "help", node.value.value


def _errors() -> Iterator[tuple[str, str]]:
    for pattern in _WITH_ERRORS:
        for path in sorted(PACKAGE.glob(pattern)):
            for node in ast.walk(_tree(path)):
                if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
                    found = strings_of(node.exc.args[0], "error")
                    yield from ((kind, text) for kind, text in found if kind != "error" or _is_clear(text))


def _sentences() -> Iterator[tuple[str, str]]:
    for pattern in _WITH_SENTENCES:
        for path in sorted(PACKAGE.glob(pattern)):
            for kind, text in strings_of(_without_errors_and_marked(_tree(path)), "sentence"):
                is_part = len(FIELD.findall(text)) == 1 and not text.startswith("from ")
                if " " in text and (_is_clear(text) or is_part) and not re.search(r"\{[a-z]", text):
                    yield kind, text


def _is_clear(text: str) -> bool:
    """Whether a text is a sentence or a long part of one; a template such as "{0} after {1}" fits other texts too."""
    return text.endswith(".") or len(WORD.findall(text)) > 2


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _without_errors_and_marked(tree: ast.Module) -> ast.Module:
    """The module without names and errors, which learners don't see, and without texts that are found anyway."""

    marked = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _is_marked(node)]
    fields = {ast.unparse(keyword.value) for call in marked for keyword in call.keywords if keyword.arg is None}

    class Without(ast.NodeTransformer):
        def visit_Assign(self, node):
            return ast.Pass() if ast.unparse(node.targets[0]) in {"__all__", *fields} else self.generic_visit(node)

        def visit_Raise(self, node):
            return ast.Pass()

        def visit_Call(self, node):
            return ast.Constant(None) if _is_marked(node) else self.generic_visit(node)

    return Without().visit(tree)


def _is_marked(call: ast.Call) -> bool:
    return getattr(call.func, "id", "") in _MARKED
