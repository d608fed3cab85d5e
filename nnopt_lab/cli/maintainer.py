"""Commands for maintainers: run, build and test lessons, make the web page, and recreate the shipped files."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

Lessons = Annotated[list[str] | None, typer.Argument(help="Lessons, such as 01_pruning, 01 or pruning; all if none.")]


def run(
    lessons: Lessons = None,
    solved: Annotated[bool, typer.Option("--solved", help="Run the notebooks with the answers.")] = False,
    language: Annotated[str, typer.Option(help="Run the lessons in this language, such as zh.")] = "en",
) -> None:
    """Run lessons without a screen.

    Every cell, check and claim is run; the notebooks are left as they are. A false claim is a failure, except in smoke
    mode (NNOPT_SMOKE=1), where numbers are meaningless.
    """
    from nnopt_lab.cli.screen import console, lessons_progress, results_table
    from nnopt_lab.course import runner
    from nnopt_lab.course.translation import editions
    from nnopt_lab.workbench import smoke
    from nnopt_lab.workbench.language import ENGLISH, known_language

    language, results = known_language(language), []
    with lessons_progress() as show:
        for name in _chosen(lessons):
            if language == ENGLISH:
                results.append(runner.run(name, solved, show(name)))
            else:
                notebook = editions.edition(name, language, solved)
                results.append(runner.run_notebook(name, notebook, show(name), language))
    console.print(results_table(results))
    for result in results:
        if result.failure:
            console.print(f"{result.lesson}: {result.failure}", markup=False)
        for mark, texts in (("✘", result.false_claims), ("○ not judged: busy:", result.not_judged)):
            for text in [] if smoke.on() else texts:
                console.print(f"{result.lesson}: {mark} {text}", markup=False)
    if smoke.on():
        console.print("In smoke mode, numbers are meaningless: false claims are not listed, and are no failure.")
    failed = [result for result in results if result.failure or not (smoke.on() or result.ok)]
    sys.exit(1 if failed else 0)


def build(
    lessons: Lessons = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only compare the stored notebooks with their sources.")
    ] = False,
    stats: Annotated[
        bool, typer.Option("--stats", help="Only count words, lines of code and claims of each lesson.")
    ] = False,
    accept_not_judged: Annotated[
        bool, typer.Option("--accept-not-judged", help="Also store claims that a busy machine could not judge.")
    ] = False,
) -> None:
    """Build and execute both notebooks of lessons from their sources.

    A source is solutions/NN_name.py. Only the solved notebook keeps its outputs.
    """
    from nnopt_lab.cli.screen import console, lessons_progress, statistics_table
    from nnopt_lab.course import builder
    from nnopt_lab.course.statistics import statistics
    from nnopt_lab.course.strays import strays
    from nnopt_lab.course.translation import catalogs, editions
    from nnopt_lab.course.translation.library import LIBRARY
    from nnopt_lab.course.translation.readme import readme_names

    names = _with_source(lessons)
    if stats:
        console.print(statistics_table(map(statistics, names)))
        return
    if check:
        misplaced = [] if lessons else strays()
        for text in misplaced:
            print(text)
        stale = {path: reason for name in names for path, reason in builder.out_of_step(name).items()}
        for path, reason in stale.items():
            print(f"{path.parent.name}/{path.name} {reason}: run nnopt build {path.stem}.")
        languages = catalogs.translated_languages()
        parts = names if lessons else [*names, LIBRARY, *readme_names()]
        untranslated = [text for language in languages for text in editions.out_of_step(language, parts)]
        for text in untranslated:
            print(text)
        sys.exit(1 if stale or untranslated or misplaced else 0)
    with lessons_progress() as show:
        for name in names:
            builder.build(name, show(name), accept_not_judged)
    for language in catalogs.translated_languages():
        editions.write_editions(language, names)


def translate(
    lessons: Lessons = None,
    language: Annotated[str | None, typer.Option(help="Its code, such as zh; by default all that there are.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Only look for faults in the translations.")] = False,
) -> None:
    """Make or update the lessons' translations.

    New texts are to be translated in solutions/LANGUAGE/NN_name.po; notebooks are made from that file. The library's
    own texts are translated in nnopt_lab.po, and named nnopt_lab here; those of README.md are in README.po. Without
    lessons, the files that exist are updated, or all are made if a language has none. Nothing is executed.
    """
    from nnopt_lab.cli.screen import console, translations_table
    from nnopt_lab.course.translation import catalogs, editions
    from nnopt_lab.course.translation.library import LIBRARY
    from nnopt_lab.course.translation.readme import README, readme_names
    from nnopt_lab.course.translation.review import review

    languages = [catalogs.check_language(language)] if language else catalogs.translated_languages()
    if not languages:
        raise ValueError("There are no translations yet: name a language, such as --language zh.")
    faults, rows = 0, []
    for code in languages:
        wanted = lessons or [*_chosen(None), LIBRARY, *readme_names()]
        names = [text if text in (LIBRARY, README) else _chosen([text])[0] for text in wanted]
        if not lessons or check:
            names = catalogs.lessons_due(code, names) or ([] if check else names)
        for name in names:
            if check:
                faults += _show_findings(name, code, review(name, code))
            else:
                rows.append((code, name, catalogs.update(name, code)))
        if not check:
            editions.write_editions(code, names)
    if not check:
        console.print(translations_table([(code, name, catalogs.state(name, found)) for code, name, found in rows]))
    sys.exit(1 if faults else 0)


def _show_findings(lesson: str, language: str, findings: list) -> int:
    for finding in findings:
        print(f"solutions/{language}/{lesson}.po: {finding.english}\n  {finding.translation}")
        print(*(f"  ✘ {problem}" for problem in finding.problems), sep="\n")
    return len(findings)


def new(
    name: Annotated[str, typer.Argument(help="Name of its package, such as pruning.")],
    title: Annotated[str | None, typer.Option(help="Title on the course map; by default the name.")] = None,
    minutes: Annotated[int, typer.Option(help="Minutes for reading and solving.", min=1)] = 45,
    number: Annotated[int | None, typer.Option(help="Position; by default after the last lesson.")] = None,
) -> None:
    """Write a new lesson: a draft that builds and passes its tests."""
    from nnopt_lab.course.skeleton import new_lesson
    from nnopt_lab.workbench.paths import root

    files = new_lesson(name, title, minutes, number)
    print(*(f"  {path.relative_to(root())}" for path in files), sep="\n")
    print(f"Now run nnopt build {name}, then nnopt test {name}. Delete draft=True when the lesson is done.")


def test(context: typer.Context) -> None:
    """Run every test, or those of the lessons that are named.

    The tests include the lessons' notebooks. Other arguments go to pytest.
    """
    from nnopt_lab.workbench.paths import root

    if not (root() / "tests").is_dir():
        raise FileNotFoundError("The installed package has no tests: run this in a clone of the project.")
    lessons, rest = _leading_lessons(context.args)
    if lessons:  # in one process, because for so few tests, starting more costs more than it saves
        calls = [[*_tests_of(lessons), *rest]]
    elif rest:
        calls = [rest]
    else:
        # Most tests run in parallel; the notebooks that measure times run one after the other, and only their folder is
        # collected once more.
        calls = [["-m", "not serial", "-n", "auto"], ["-m", "serial", "solutions"]]
    statuses = [subprocess.call([sys.executable, "-m", "pytest", *arguments], cwd=root()) for arguments in calls]
    sys.exit(max(statuses))


def train(name: str, seed: int = 0) -> None:
    """Retrain a shipped network, and write it to data/.

    Names: mynet, teacher, shapes_teacher, shapes_student, capstone_small, capstone_accurate, capstone_fast,
    capstone_fastest.
    """
    from nnopt_lab.cli.screen import console
    from nnopt_lab.lessons import shipped

    console.print(shipped.train_shipped(name, seed=seed))


def record(name: str) -> None:
    """Rerun an experiment of the lessons, and record its result."""
    from nnopt_lab.cli.screen import console
    from nnopt_lab.course import recordings

    console.print(recordings.record(name))


def make_data(
    source: Annotated[Path, typer.Option(help="Folder with Fashion-MNIST's four .gz files.")] = Path(
        "/usr/share/datasets/fashion-mnist"
    ),
) -> None:
    """Recreate data/fashion.npz from Fashion-MNIST's own files.

    They are in Debian's package dataset-fashion-mnist.
    """
    from nnopt_lab.cli.screen import console
    from nnopt_lab.lessons import shipped

    console.print(f"Wrote {shipped.make_fashion_file(source).name}.")


def book(
    folder: Annotated[Path, typer.Argument(help="Where the site goes: a new folder, or one with an earlier book.")],
) -> None:
    """Build the course as a web page.

    It is made from the stored solved notebooks; nothing is executed.
    """
    from nnopt_lab.book.site import build
    from nnopt_lab.cli.screen import book_progress, console

    with book_progress() as show:
        warnings = build(folder, show)
    for warning in warnings:
        print(warning, file=sys.stderr)
    console.print(f"The course is in {folder / 'index.html'}.", markup=False, soft_wrap=True)


def _chosen(lessons: list[str] | None) -> list[str]:
    from nnopt_lab.course.lesson_files import find_lesson, lesson_names

    return [find_lesson(text) for text in lessons] if lessons else lesson_names()


def _with_source(lessons: list[str] | None) -> list[str]:
    """The chosen lessons; if none are named, those with a source: a notebook without one is a stray."""
    from nnopt_lab.workbench.paths import root

    names = _chosen(lessons)
    found = [name for name in names if (root() / "solutions" / f"{name}.py").is_file()]
    missing = [name for name in names if name not in found]
    if missing and (lessons or not found):
        raise FileNotFoundError(
            f"There is no source solutions/{missing[0]}.py: lessons are built from their sources, in a clone."
        )
    return found


def _leading_lessons(arguments: list[str]) -> tuple[list[str], list[str]]:
    """The lessons named by the first arguments, and the remaining arguments."""
    from nnopt_lab.course.lesson_files import find_lesson

    lessons = []
    for argument in arguments:
        try:
            lessons.append(find_lesson(argument if re.fullmatch(r"\w+", argument) else ""))
        except ValueError:
            break
    return lessons, arguments[len(lessons) :]


def _tests_of(lessons: list[str]) -> list[str]:
    """Arguments for pytest: the paths of the lessons' tests, and the names that select them."""
    from nnopt_lab.course.exercises import exercises

    names = []
    for lesson in lessons:
        names += [lesson, f"test_{lesson[3:]}.py", *exercises(lesson)]
    return ["tests/lessons", *(f"solutions/{lesson}.ipynb" for lesson in lessons), "-k", " or ".join(names)]
