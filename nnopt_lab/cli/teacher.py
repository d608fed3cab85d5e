"""Commands for teachers: hand out a kit, grade submissions, and give marks."""

import gc
import unicodedata
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Annotated

import typer

from nnopt_lab.workbench.cores import usable_cores
from nnopt_lab.workbench.text import printable, storable


def release(
    folder: Path,
    assignment: Annotated[
        list[str] | None, typer.Option(help="A lesson to assign; may be given several times.")
    ] = None,
    due: Annotated[str | None, typer.Option(help="When it is due, in local time, such as 2026-12-01T18:00.")] = None,
) -> None:
    """Write the learner's kit, without solutions, into a new folder.

    It contains the notebooks, the library and the data.
    """
    from nnopt_lab.grading.lateness import policy
    from nnopt_lab.grading.release import write_kit
    from nnopt_lab.grading.times import local

    lessons = write_kit(folder, assignment, due)
    when = policy("none", due).due
    print(f"The kit in {folder} contains {', '.join(lessons)}{f', due {local(when)}' if when else ''}.")


def grade(
    paths: Annotated[list[Path], typer.Argument(help="Notebooks, or folders or zip archives of them.")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder of the gradebook, tables and pages.")] = Path(
        "grades"
    ),
    lesson: Annotated[
        str | None, typer.Option(metavar="NAME", help="The lesson handed in; found in each notebook if omitted.")
    ] = None,
    jobs: Annotated[
        int, typer.Option(metavar="N", help="Submissions graded at the same time.", min=1, max=256)
    ] = usable_cores(),
    cluster: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Grade on a Dask cluster: tcp://host:port.")
    ] = None,
    isolation: Annotated[
        str, typer.Option(metavar="KIND", help="auto, bubblewrap, unshare, container or none.")
    ] = "auto",
    seconds: Annotated[int, typer.Option(metavar="N", help="Time limit per answer, in seconds.", min=1, max=3600)] = 10,
    megabytes: Annotated[int, typer.Option(metavar="N", help="Memory limit per answer, in MiB.", min=64)] = 1024,
    late: Annotated[
        str | None, typer.Option(metavar="RULE", help='none, zero, "10%", "10%/day" or "10%/hour".')
    ] = None,
    due: Annotated[
        str | None, typer.Option(metavar="TIME", help="When it was due, in local time, such as 2026-12-01T18:00.")
    ] = None,
    roster: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The class, as CSV or an LMS's export."),
    ] = None,
    attempt: Annotated[str | None, typer.Option(metavar="WHICH", help="Which submission counts: last or best.")] = None,
    format: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Also write: canvas, moodle, xlsx, json.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Repeat a batch with the inputs of this seed.", min=0)
    ] = None,
    resume: Annotated[bool, typer.Option("--resume/--fresh", help="Resume, or begin a new gradebook.")] = True,
) -> None:
    """Grade notebooks that were handed in.

    Each answer runs in a sandbox, on fresh inputs; a stopped batch resumes. A roster has the columns name, e-mail, id,
    login, group and extension.
    """
    from nnopt_lab.course.lesson_files import find_lesson
    from nnopt_lab.grading import exports, gradebook, grades, lateness, pool, sandbox
    from nnopt_lab.grading.sources import find, shared_numbers

    # All options are checked before a sandbox starts and before anything is written.
    exports.check(format or ())
    if attempt not in (None, *grades.ATTEMPTS):
        raise ValueError(f"attempt={attempt!r} must be {' or '.join(grades.ATTEMPTS)}.")
    people = _text_of(roster) if roster else None
    wanted = find_lesson(lesson) if lesson else None
    settings = pool.Settings(sandbox.available(isolation), sandbox.Limits(seconds, megabytes), wanted)
    sources = find(paths)
    with ExitStack() as stack:
        stack.enter_context(gradebook.locked(out))
        if not resume:
            lateness.policy(late or "none", due)  # before the old gradebook is archived
            gradebook.archive(out)
        book = stack.enter_context(closing(gradebook.Gradebook(out, seed)))
        _keep_settings(book, late, due, format, attempt, people)
        if settings.kind == "none":
            _warn(sandbox.UNPROTECTED)
        workers = stack.enter_context(closing(pool.WorkerPool(settings, jobs))) if cluster is None else None
        # These take long to import, so they wait until the workers are starting. Their objects stay, and searching
        # them for garbage would take a seventh of the time.
        gc.disable()
        try:
            from nnopt_lab.cli.screen import submissions_progress
            from nnopt_lab.grading import batch, marks

            gc.freeze()
        finally:
            gc.enable()
        marks.read(out)  # so that a mistake in it is reported before hours of grading
        with submissions_progress(len(sources)) as done:
            batch.grade_all(sources, book, settings, jobs, done, cluster, workers)
        _report(book, out)
        for sentence in shared_numbers(sources):
            print(printable(sentence))


def _warn(sentence: str) -> None:
    from nnopt_lab.cli.screen import console

    console.print(sentence, style="bold", markup=False)


def mark(
    learner: str,
    item: Annotated[str, typer.Argument(help="An exercise, a question, or a lesson as a whole.")],
    points: Annotated[float | None, typer.Option(help="Replaces the answer's points; added to a lesson's.")] = None,
    comment: Annotated[str | None, typer.Option(help="Shown to the learner; without it, an earlier one stays.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the gradebook.")] = Path("grades"),
) -> None:
    """Set points or a comment manually; they survive regrading.

    You may also edit marks.csv in that folder.
    """
    from nnopt_lab.grading import gradebook, marks, report

    learner = unicodedata.normalize("NFC", storable(learner))
    comment = None if comment is None else storable(comment)
    if not (out / gradebook.FILE).exists():
        raise FileNotFoundError(f"There is no gradebook in {out}: give its folder with --out.")
    with gradebook.locked(out), closing(gradebook.Gradebook(out)) as book:
        learners = {grade.learner for grade in report.graded(book, out)[0]}
        if learner not in learners:
            others = ", ".join(printable(name, 80) for name in sorted(learners)[:20])
            raise ValueError(f"learner={learner!r} handed in nothing; these learners did: {others}.")
        if points is None and comment is None:
            raise ValueError("Give --points, --comment or both; to remove a mark, delete its line in marks.csv.")
        marks.write(out, learner, item, marks.changed(out, learner, item, points, comment))
        _report(book, out)


def _text_of(roster: Path) -> str:
    """The text of a roster, after a check."""
    from nnopt_lab.grading.roster import Roster

    try:
        text = roster.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{roster} is not UTF-8 text: save it as “CSV UTF-8”.") from None
    Roster(text, str(roster))
    return text


def _keep_settings(
    book, late: str | None, due: str | None, formats: list[str] | None, attempt: str | None, roster: str | None
) -> None:
    """Store the given settings in the gradebook; others keep their values from earlier calls."""
    from nnopt_lab.grading import lateness

    given = {"late": late, "due": due, "formats": " ".join(formats) if formats else None}
    given |= {"attempt": attempt, "roster": roster}
    kept = {name: book.setting(name) or "" for name in given}
    kept |= {name: value for name, value in given.items() if value is not None}
    when = lateness.policy(kept["late"] or "none", kept["due"] or None).due
    # With its time zone, so that regrading on another machine means the same time.
    book.remember(**kept | {"due": when.isoformat() if when else ""})


def _report(book, out: Path) -> None:
    from nnopt_lab.cli.screen import console, grades_table
    from nnopt_lab.grading import marks, notices, report
    from nnopt_lab.grading.grades import MISSING, unapplied
    from nnopt_lab.grading.times import local

    written = report.write(book, out)
    handed_in = [g for g in written.grades if g.entry.graded.state != MISSING]
    console.print(grades_table(handed_in, book.seed))
    troubled = [g for g in handed_in if g.entry.graded.state != "graded"]
    formats = (book.setting("formats") or "").split()
    due = book.setting("due")
    for sentence in (
        *([f"Due {local(due)}."] if due else []),
        *unapplied(marks.read(out), written.grades),
        *(f"  {g.learner}, {g.entry.name}: {g.entry.graded.state}. {g.entry.graded.reason}" for g in troubled[:10]),
        *([f"  … and {len(troubled) - 10} more, in grades.csv."] if len(troubled) > 10 else []),
        *notices.find(written, due or None),
        *(notices.IMPORTING[name] for name in formats if name in notices.IMPORTING),
    ):
        print(printable(sentence, 2_000))
    names = ", ".join(str(file.relative_to(out)) for file in written.files[:6])
    print(printable(f"In {out}: {names}, and a page per learner in feedback.", 2_000))
