"""Commands for teachers: hand out a kit, follow a workshop, grade submissions, and give marks."""

import gc
import sys
import unicodedata
from contextlib import ExitStack, closing
from datetime import tzinfo
from pathlib import Path
from typing import Annotated

import typer

from nnopt_lab.cli.speech import Language, speak
from nnopt_lab.workbench.cores import usable_cores
from nnopt_lab.workbench.language import _, translated_sentences
from nnopt_lab.workbench.text import printable, storable


def release(
    folder: Path,
    assignment: Annotated[
        list[str] | None, typer.Option(help="A lesson to assign; may be given several times.")
    ] = None,
    due: Annotated[str | None, typer.Option(help="When it is due, in local time, such as 2026-12-01T18:00.")] = None,
    language: Annotated[str, typer.Option(help="The language of the kit, such as zh.")] = "en",
) -> None:
    """Write the learner's kit, without solutions, into a new folder.

    It contains the notebooks in every language that they have, the library and the data. Learners get the language of
    the kit, unless they choose another one.
    """
    from nnopt_lab.grading.lateness import policy
    from nnopt_lab.grading.release import write_kit
    from nnopt_lab.grading.times import local

    lessons = write_kit(folder, assignment, due, language)
    when, told = policy("none", due).due, {"folder": folder, "lessons": ", ".join(lessons)}
    if when:
        print(_("The kit in {folder} contains {lessons}, due {time}.", **told, time=local(when)))
    else:
        print(_("The kit in {folder} contains {lessons}.", **told))


def class_(
    serve: Annotated[bool, typer.Option("--serve", help="Serve the page until Ctrl-C.")] = False,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="This machine's address in your network; 0.0.0.0 means all.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="N", help="Or the next free one.", min=1, max=65535)] = 8890,
    file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keeps the class, to serve it again after a stop.")
    ] = None,
    language: Language = None,
) -> None:
    """Show who is where during a workshop, on a live page.

    Only learners who start nnopt lab with --share are on it.
    """
    speak(language)
    if not serve:
        raise ValueError("Add --serve to show a live page; a graded class is in class.html, which nnopt grade writes.")
    from nnopt_lab.grading.live import addresses, workshop

    here = workshop.prepare(host, port, file)
    if here.port != here.asked:
        ports = {"asked": here.asked, "used": here.port}
        if file:
            print(_("Port {asked} is taken; {used} is used instead: learners need the new address.", **ports))
        else:
            print(_("Port {asked} is taken; {used} is used instead.", **ports))
    print(_("Learners type:  nnopt lab --share {address} YOURNAME", address=here.learners_address))
    print(_("Your page:      {address}", address=here.page_address))
    kept = _("kept in {file}", file=file) if file else _("in memory only")
    print(_("Learners choose to share, and no code is sent. The class is {kept}; Ctrl-C here ends it.", kept=kept))
    if addresses.is_loopback(host):
        print(_("Only this machine can reach it; add --host 0.0.0.0 for your network."), flush=True)
    else:
        print(_("The network can read names and points: nothing is encrypted."), flush=True)
    workshop.run(here)
    print()
    print(_("The class has ended."))


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
    due: Annotated[str | None, typer.Option(metavar="TIME", help="When it was due, such as 2026-12-01T18:00.")] = None,
    zone: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Zone of all times, such as Europe/Berlin; by default this machine's."),
    ] = None,
    roster: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The class, as CSV or an LMS's export."),
    ] = None,
    attempt: Annotated[str | None, typer.Option(metavar="WHICH", help="Which submission counts: last or best.")] = None,
    format: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Also write: canvas, moodle, xlsx, json, classroom.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Repeat a batch with the inputs of this seed.", min=0)
    ] = None,
    fail_under: Annotated[
        str | None,
        typer.Option(metavar="POINTS", help="Exit with status 1 if any grade is below: 12 (points) or 50%."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume/--fresh", help="Resume, or begin a new gradebook.")] = True,
    language: Language = None,
) -> None:
    """Grade notebooks that were handed in.

    Each answer runs in a sandbox, on fresh inputs; a stopped batch resumes. A roster has the columns name, e-mail, id,
    login, group and extension.
    """
    from nnopt_lab.course.lesson_files import find_lesson
    from nnopt_lab.grading import exports, gradebook, grades, lateness, pool, sandbox, threshold, times
    from nnopt_lab.grading.sources import find, shared_numbers

    speak(language)
    # All options are checked before a sandbox starts and before anything is written.
    exports.check(format or ())
    if attempt not in (None, *grades.ATTEMPTS):
        raise ValueError(f"attempt={attempt!r} must be {' or '.join(grades.ATTEMPTS)}.")
    wanted = find_lesson(lesson) if lesson else None
    least = threshold.parse(fail_under, wanted) if fail_under is not None else None
    place = times.time_zone(zone) if zone is not None else None
    people = _text_of(roster, place) if roster else None
    settings = pool.Settings(sandbox.available(isolation), sandbox.Limits(seconds, megabytes), wanted)
    sources = find(paths)
    with ExitStack() as stack:
        stack.enter_context(gradebook.locked(out))
        if not resume:
            lateness.policy(late or "none", due, place)  # before the old gradebook is archived
            gradebook.archive(out)
        book = stack.enter_context(closing(gradebook.Gradebook(out, seed)))
        _keep_settings(book, late=late, due=due, formats=format, attempt=attempt, roster=people, zone=zone)
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
        given = _report(book, out)
        for sentence in shared_numbers(sources):
            print(printable(translated_sentences(sentence)))
    if least and (sentence := threshold.below(given, least)):
        print(printable(translated_sentences(sentence), 2_000), file=sys.stderr)
        raise typer.Exit(1)


def _warn(sentence: str) -> None:
    from nnopt_lab.cli.screen import console

    console.print(translated_sentences(sentence), style="bold", markup=False)


def mark(
    learner: str,
    item: Annotated[str, typer.Argument(help="An exercise, a question, or a lesson as a whole.")],
    points: Annotated[float | None, typer.Option(help="Replaces the answer's points; added to a lesson's.")] = None,
    comment: Annotated[str | None, typer.Option(help="Shown to the learner; without it, an earlier one stays.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the gradebook.")] = Path("grades"),
    language: Language = None,
) -> None:
    """Set points or a comment manually; they survive regrading.

    You may also edit marks.csv in that folder.
    """
    from nnopt_lab.grading import gradebook, marks, report

    speak(language)
    learner = unicodedata.normalize("NFC", storable(learner))
    comment = None if comment is None else storable(comment)
    if not (out / gradebook.FILE).exists():
        raise FileNotFoundError(f"There is no gradebook in {out}: give its folder with --out.")
    with gradebook.locked(out), closing(gradebook.Gradebook(out)) as book:
        submitted = report.submitted(book)
        items = submitted.items()
        if learner not in items:
            others = ", ".join(printable(name, 80) for name in sorted(items)[:20])
            raise ValueError(f"learner={learner!r} handed in nothing; these learners did: {others}.")
        if points is None and comment is None:
            raise ValueError("Give --points, --comment or both; to remove a mark, delete its line in marks.csv.")
        mark = marks.changed(out, learner, item, points, comment)
        if item not in items[learner]:
            raise ValueError(f"learner={learner!r} did not hand in {item}; {_instead(item, items[learner])}")
        marks.write(out, learner, item, mark)
        _report(book, out, submitted)


def _instead(item: str, possible: set[str]) -> str:
    """What can be marked of a learner instead of an item."""
    from nnopt_lab.course.exercises import exercises, questions
    from nnopt_lab.course.lesson import lessons

    whole = getattr((exercises() | questions()).get(item), "lesson", None)
    if whole in possible:
        return _("mark the lesson instead: {lesson}.", lesson=whole)
    names = ", ".join(sorted(possible & set(lessons())))
    return _("what can be marked: {lessons}.", lessons=names or _("nothing"))


def _text_of(roster: Path, zone: tzinfo | None) -> str:
    """The text of a roster, after a check."""
    from nnopt_lab.grading.roster import Roster
    from nnopt_lab.grading.tables import decoded

    text = decoded(roster.read_bytes(), str(roster))
    Roster(text, str(roster), zone)
    return text


def _keep_settings(book, **given) -> None:
    """Store the given settings in the gradebook; others keep their values from earlier calls."""
    from nnopt_lab.grading import lateness, times

    given |= {"formats": " ".join(given["formats"]) if given["formats"] else None}
    kept = {name: book.setting(name) or "" for name in given}
    kept |= {name: value for name, value in given.items() if value is not None}
    zone = times.time_zone(kept["zone"]) if kept["zone"] else book.zone
    when = lateness.policy(kept["late"] or "none", kept["due"] or None, zone).due
    # With its offset, so that regrading on another machine means the same time.
    book.remember(**kept | {"due": when.isoformat() if when else ""})


def _report(book, out: Path, submitted=None) -> list:
    """Write everything and print what a teacher should know; returns the grades."""
    from nnopt_lab.cli.screen import console, grades_table
    from nnopt_lab.grading import marks, notices, report
    from nnopt_lab.grading.grades import MISSING, unapplied
    from nnopt_lab.grading.times import local

    written = report.write(book, out, submitted)
    handed_in = [g for g in written.grades if g.entry.graded.state != MISSING]
    console.print(grades_table(handed_in, book.seed))
    troubled = [g for g in handed_in if g.entry.graded.state != "graded" or g.entry.graded.reason]
    formats = (book.setting("formats") or "").split()
    due = book.setting("due")
    for sentence in (
        *([_("Due {time}.", time=local(due, written.zone))] if due else []),
        *map(translated_sentences, unapplied(marks.read(out), written.grades)),
        *(f"  {g.learner}, {g.entry.name}: {_of(g.entry.graded)}" for g in troubled[:10]),
        *(["  " + _("… and {count} more, in grades.csv.", count=len(troubled) - 10)] if len(troubled) > 10 else []),
        *map(translated_sentences, notices.find(written, due or None)),
        *(translated_sentences(notices.IMPORTING[name]) for name in formats if name in notices.IMPORTING),
    ):
        print(printable(sentence, 2_000))
    names = ", ".join(str(file.relative_to(out)) for file in written.files[:6])
    print(printable(_("In {folder}: {files}, and a page per learner in feedback.", folder=out, files=names), 2_000))
    return written.grades


def _of(graded) -> str:
    """A submission's state and its reason, as sentences."""
    from nnopt_lab.grading.results import reason_in_words, state_in_words

    state = state_in_words(graded.state)
    reason = reason_in_words(graded.reason)
    return _("{state}: {reason}", state=state, reason=reason) if reason else state
