"""The files of a learner's kit beside its notebooks: README, package with sealed questions, project file, data."""

import ast
import json
import re
import secrets
import shutil
from datetime import UTC, datetime
from pathlib import Path

import polib
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from nnopt_lab.course.exercises import Question, lesson_points, questions
from nnopt_lab.course.kit import Kit
from nnopt_lab.course.lesson import lessons
from nnopt_lab.course.seals import sealed
from nnopt_lab.grading.times import local
from nnopt_lab.workbench.language import ENGLISH, speaking, translated
from nnopt_lab.workbench.paths import KIT, PACKAGE, root

TEMPLATES = Path(__file__).with_name("templates")
LICENSE = "LICENSE"
_IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc", "_files")
_WITH_ANSWERS = ("exercises.py", "playground.py")  # not needed of a lesson that is not in the kit
_TEACHERS_EXTRAS = ("cluster", "xlsx", "book", "browser", "test")


def write_package(folder: Path, names: list[str], due: datetime | None, language: str = ENGLISH) -> None:
    """Copy the package into a kit, its questions sealed, without the exercises of lessons that are not in the kit.

    Raises:
        ValueError: a question is not declared by a plain call at the top level of its module.
    """
    shutil.copytree(PACKAGE, folder / PACKAGE.name, ignore=_IGNORED)
    shutil.copy(PACKAGE / LICENSE, folder / LICENSE)
    home, salt = folder / PACKAGE.name / "lessons", secrets.token_hex(16)
    packages = {name[3:] for name in names}
    for package in (path.parent for path in home.glob("*/__init__.py")):
        if package.name not in packages:
            for name in _WITH_ANSWERS:
                (package / name).unlink(missing_ok=True)
    for name in names:
        path = home / name[3:] / "exercises.py"
        if path.is_file():
            path.write_text(_sealed_source(path.read_text("utf-8"), questions(name), salt), "utf-8")
    for catalog in (folder / PACKAGE.name).rglob("*.mo"):
        _drop_secrets(catalog)
    noted = {"lessons": names, "due": in_full(due), "language": language}
    (folder / PACKAGE.name / KIT.name).write_text(json.dumps(noted, ensure_ascii=False, indent=1), "utf-8")


def write_readme(folder: Path, names: list[str], due: datetime | None, language: str = ENGLISH) -> None:
    """Write the kit's own README, in its language if there is a template for it."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    kit = Kit(tuple(names), in_full(due), language)
    with speaking(language):
        rows = [
            (name, translated(lessons()[name].title), lessons()[name].minutes, lesson_points(name)) for name in names
        ]
    template = environment.select_template([f"kit.{language}.md", "kit.md"])
    text = template.render(kit=kit, rows=rows, whole=len(names) == len(_published()))
    (folder / "README.md").write_text(text.strip() + "\n", "utf-8")


def write_project(folder: Path) -> None:
    """Write the kit's pyproject.toml, without solutions, tests and what only teachers install."""
    text = (root() / "pyproject.toml").read_text("utf-8").partition("\n[tool.ruff]")[0] + "\n"
    text = re.sub(r'^"solutions" = .*\n', "", text, flags=re.MULTILINE)
    for extra in _TEACHERS_EXTRAS:
        text = re.sub(rf"^{extra} = \[(?:[^\[\]]|\[[^\]]*\])*\].*\n", "", text, flags=re.MULTILINE)
    (folder / "pyproject.toml").write_text(text, "utf-8")


def write_data(folder: Path) -> None:
    """Copy the pictures, the weights and the recorded results."""
    shutil.copytree(root() / "data", folder / "data", ignore=_IGNORED)


def in_full(due: datetime | None) -> str:
    """A due date such as "Tuesday, 2026-12-01 18:00 CET (17:00 UTC)"; "" if there is none."""
    if due is None:
        return ""
    here, utc = due.astimezone(), due.astimezone(UTC)
    text = f"{here:%A}, {local(due)}"
    if here.utcoffset() == utc.utcoffset():
        return text
    return f"{text} ({utc:%H:%M} UTC)" if here.date() == utc.date() else f"{text} ({utc:%Y-%m-%d %H:%M} UTC)"


def _published() -> list[str]:
    return [name for name, lesson in lessons().items() if not lesson.draft]


def _sealed_source(source: str, declared: dict[str, Question], salt: str) -> str:
    """A lesson's exercises.py with its questions sealed; comments inside their calls are dropped."""
    lines, left = source.splitlines(keepends=True), dict(declared)
    for node in reversed(ast.parse(source).body):
        if (id := _asked(node)) in left:
            lines[node.lineno - 1 : node.end_lineno] = [_call(sealed(left.pop(id), salt))]
    if left:
        raise ValueError(f'{min(left)} can\'t be sealed: declare it by question("{min(left)}", …) at the top level.')
    return "".join(lines)


def _drop_secrets(catalog: Path) -> None:
    """Take the texts about questions' answers out of a compiled catalogue, whose keys are the English texts."""
    texts = polib.mofile(str(catalog))
    secrets_in_it = {text for asked in questions().values() for text in (asked.explanation, *asked.comments.values())}
    texts[:] = [entry for entry in texts if entry.msgid not in secrets_in_it]
    texts.save(str(catalog))


def _asked(node: ast.stmt) -> str | None:
    """The id of the question that a statement declares."""
    call = node.value if isinstance(node, ast.Expr) else None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.func.id != "question":
        return None
    return call.args[0].value if call.args and isinstance(call.args[0], ast.Constant) else None


def _call(question: Question) -> str:
    kept = ("points", "text", "answer", "explanation", "choices", "tolerance", "seal")
    fields = "".join(f"    {name}={getattr(question, name)!r},\n" for name in kept)
    return f"question(\n    {question.id!r},\n{fields})\n"
