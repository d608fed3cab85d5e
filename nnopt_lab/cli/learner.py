"""Commands for learners: lessons and progress, the capstone, and a search for their own network."""

import os
import secrets
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from nnopt_lab.cli.speech import Language, speak
from nnopt_lab.workbench.files import check_folder, check_writable, in_words, naming
from nnopt_lab.workbench.language import _, counted, labelled, translated, translated_sentences
from nnopt_lab.workbench.text import printable

Workspace = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER", help="Your folder; by default $NNOPT_WORKSPACE, the workspace you are in, or work/ here."
    ),
]


def lab(
    workspace: Workspace = None,
    browser: Annotated[bool, typer.Option(help="Open the browser.")] = True,
    port: Annotated[int, typer.Option(help="Port of the server.", min=1, max=65535)] = 8888,
    share: Annotated[str | None, typer.Option(metavar="ADDRESS NAME", help="Let your class see your points.")] = None,
    name: Annotated[str | None, typer.Argument(hidden=True, metavar="LESSON")] = None,  # or, with --share, a name
    language: Language = None,
) -> None:
    """Open the lessons in JupyterLab, as copies in your workspace.

    Your changes there are never overwritten. nnopt lab 02 opens lesson 02.
    """
    from nnopt_lab.course import sharing, start_page
    from nnopt_lab.course.carrying import carry_answers
    from nnopt_lab.course.lesson_files import find_lesson
    from nnopt_lab.course.server_environment import server_environment
    from nnopt_lab.course.server_settings import server_settings
    from nnopt_lab.course.workspace import NEW, NEWER, edition_folder, fill, find_workspace

    speak(language)
    workspace = find_workspace(workspace)
    if share is not None and name is None:
        raise ValueError("--share needs the class's address and your name: nnopt lab --share ADDRESS NAME.")
    wanted = find_lesson(name) if share is None and name is not None else None
    shared = sharing.Sharing(share, name, workspace, _say) if share is not None else None
    _check_free(port)
    news = fill(workspace)
    newer = [lesson for lesson, what in news if what == NEWER]
    is_first = len(news) > 1 and all(what == NEW for _lesson, what in news)
    for lesson, what in news:
        if lesson not in newer and not is_first:
            print("  " + labelled(lesson, start_page.in_words(lesson, what).rstrip(".。")))
    if newer:
        names = ", ".join(newer)
        print(
            "  "
            + _("Newer texts are there of {lessons}: nnopt update takes them and keeps your answers.", lessons=names)
        )
    for lesson, count in carry_answers(workspace).items():
        print(
            "  "
            + counted(
                count,
                "{lesson}: {count} answer was taken from your copy in another language",
                "{lesson}: {count} answers were taken from your copy in another language",
                lesson=lesson,
            )
        )
    page = start_page.write(workspace, news)
    opened = page.with_name(f"{wanted}.ipynb") if wanted else page
    if not opened.is_file():
        raise ValueError(_("{lesson} has not been copied, because it is a draft: nnopt reset {lesson}.", lesson=wanted))
    first = opened.relative_to(workspace).as_posix()
    if shared:
        _say(sharing.sent(shared.name))
        shared.start()
    print(_("Your lessons are in {folder}", folder=edition_folder(workspace)))
    environment = server_environment(workspace)
    if browser:
        print(_("Opening JupyterLab; Ctrl-C here ends it."), flush=True)
    else:
        token = environment.setdefault("JUPYTER_TOKEN", secrets.token_hex())  # Jupyter's own would be in its log only
        address = f"http://localhost:{port}/lab/tree/{first}?token={token}"
        print(_("Starting JupyterLab; Ctrl-C here ends it."))
        print(_("Open this address: {address}", address=address), flush=True)
    command = [sys.executable, "-m", "jupyterlab", f"--port={port}", "--ServerApp.port_retries=0"]
    for name, traits in server_settings(workspace, first).items():
        command += [f"--{name}.{trait}={value}" for trait, value in traits.items()]
    command.append("--log-level=WARN")  # so that thirty lines don't hide the address
    if not browser:
        command.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    try:
        server = subprocess.Popen(command, env=environment)
        # Otherwise the server would outlive this process and keep its port.
        signal.signal(signal.SIGTERM, lambda *_: server.terminate())
        status = _wait(server)
    finally:
        if shared:
            shared.stop()
    sys.exit(status)


def reset(
    lesson: Annotated[str, typer.Argument(metavar="LESSON", help="Such as 01 or pruning.")],
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """Put a fresh copy of a lesson into the workspace.

    The old copy is kept under a dated name.
    """
    from nnopt_lab.course import record
    from nnopt_lab.course.lesson_files import find_lesson
    from nnopt_lab.course.workspace import find_workspace, is_workspace, restore

    speak(language)
    lesson, folder = find_lesson(lesson), find_workspace(workspace)
    is_new = not is_workspace(folder)
    kept = restore(lesson, folder)
    record.forget_unguessed(lesson, folder)
    if is_new:
        print(_("There was no workspace in {folder}; a new one was created.", folder=folder), file=sys.stderr)
    if kept:
        print(_("{lesson} is fresh. Your earlier copy was kept as {name}.", lesson=lesson, name=kept.name))
    else:
        print(_("{lesson} is fresh.", lesson=lesson))


def update(
    lessons: Annotated[list[str] | None, typer.Argument(help="Such as 01 or pruning; all of yours if omitted.")] = None,
    workspace: Workspace = None,
    dry_run: Annotated[bool, typer.Option(help="Say what would change, and write nothing.")] = False,
    language: Language = None,
) -> None:
    """Take newer texts of lessons, and keep your answers.

    The cells that you added are kept, too, and the old copy stays under a dated name.
    """
    from nnopt_lab.course.lesson_files import find_lesson
    from nnopt_lab.course.update import outdated
    from nnopt_lab.course.update import update as take
    from nnopt_lab.course.workspace import find_workspace, is_workspace

    speak(language)
    folder = find_workspace(workspace)
    if not is_workspace(folder):
        raise ValueError(_no_workspace(folder))
    chosen = sorted({find_lesson(text) for text in lessons or ()}) or outdated(folder)
    failed, updated = [], 0
    for lesson in chosen:  # a lesson that can't be updated must not stop the others
        try:
            found = take(lesson, folder, dry_run)
        except (ValueError, OSError) as error:
            failed.append(in_words(error))
            continue
        updated += found is not None
        print(*(printable(line, 500) for line in (found.lines() if found else [])), sep="\n", end="\n" if found else "")
    if not updated and not failed:
        if len(chosen) == 1:
            print(_("It has the latest text already; nothing was changed."))
        elif lessons:
            print(_("They have the latest text already; nothing was changed."))
        else:
            print(_("Your lessons have the latest text already; nothing was changed."))
    elif updated and dry_run:
        print(_("Nothing was written."))
    if failed:
        raise ValueError("\n".join(failed))


def progress(workspace: Workspace = None, language: Language = None) -> None:
    """Show the course map with the points that you have earned."""
    from nnopt_lab.cli.screen import print_map
    from nnopt_lab.course.course_map import course_map
    from nnopt_lab.course.workspace import find_workspace, is_workspace

    speak(language)
    folder = find_workspace(workspace)
    if not is_workspace(folder):
        print(_no_workspace(folder), file=sys.stderr)
    print_map(course_map(folder), _next_step(folder))


def doctor(workspace: Workspace = None, language: Language = None) -> None:
    """Show what the course found on this machine.

    That is what is there, what is missing, and what would be faster.
    """
    from nnopt_lab.cli.doctor import findings
    from nnopt_lab.cli.screen import console, doctor_table
    from nnopt_lab.course.workspace import find_workspace

    speak(language)
    console.print(doctor_table(findings(find_workspace(workspace))))


def capstone(
    files: Annotated[list[Path] | None, typer.Argument(help="ONNX files; the course's own if omitted.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Also write the figure to this file, such as board.png.")] = None,
    isolation: Annotated[str, typer.Option(help="auto, bubblewrap, unshare, container or none.")] = "auto",
    seconds: Annotated[int, typer.Option(help="Time limit per file, in seconds.", min=10, max=3600)] = 300,
    megabytes: Annotated[int, typer.Option(help="Memory limit per file, in MiB.", min=64)] = 1024,
    language: Language = None,
) -> None:
    """Judge files for the capstone, and show the leaderboard."""
    from nnopt_lab.course.workspace import find_workspace, is_workspace
    from nnopt_lab.grading.capstone import judge, note
    from nnopt_lab.grading.sandbox import Limits

    speak(language)
    if plot:  # before the judging, which takes minutes
        check_writable(plot)
        _check_format(plot)
    board = judge(files or (), isolation=isolation, limits=Limits(seconds, megabytes))
    print(board)
    if files and is_workspace(folder := find_workspace(None)):
        note(board, files, folder)
    if plot:
        with naming(plot):
            board.plot().savefig(plot)


def optimize(
    model: Annotated[
        str,
        typer.Argument(help="script.py:function that returns the trained classifier, timm:NAME or torchvision:NAME."),
    ],
    data: Annotated[
        str,
        typer.Option(
            help="script.py:function that returns (train, validation), torchvision:NAME:FOLDER, a folder with train "
            "and val, a .npz or .pt file, or one of our data sets."
        ),
    ],
    weights: Annotated[
        Path | None, typer.Option(help="Trained weights for timm:NAME or torchvision:NAME: .safetensors, .pth or .pt.")
    ] = None,
    size: Annotated[int | None, typer.Option(help="Resize pictures of a folder or torchvision to size × size.")] = None,
    mean: Annotated[str, typer.Option(help="Per channel after scaling to 0 … 1, such as 0.5,0.5,0.5.")] = "",
    std: Annotated[str, typer.Option(help="Per channel, as mean. A library's network has its own.")] = "",
    download: Annotated[bool, typer.Option(help="Let torchvision download its data set to the folder.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Check everything, say what would be searched, and stop.")] = False,
    target: Annotated[str, typer.Option(help="What to minimize: latency or bytes.")] = "latency",
    max_drop: Annotated[float, typer.Option(help="Largest loss of validation accuracy, in points.", min=0)] = 1.0,
    max_bytes: Annotated[int | None, typer.Option(help="Largest file size in bytes.")] = None,
    max_latency: Annotated[float | None, typer.Option(help="Longest time per batch, in seconds.")] = None,
    batch: Annotated[int, typer.Option(help="Pictures per batch when time is measured.", min=1)] = 1,
    preset: Annotated[
        str,
        typer.Option(help="quick: 8 trials, 1 epoch, 10 minutes; balanced: 40 trials, 2 epochs; thorough: 120, 4."),
    ] = "balanced",
    trials: Annotated[
        int | None, typer.Option(help="Total number, including those of earlier calls; default the preset's.", min=1)
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="No trial starts after this many minutes; default the preset's.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Per training of a candidate; default the preset's.", min=1)
    ] = None,
    rate: Annotated[float, typer.Option(help="Highest learning rate.", min=0)] = 1e-3,
    seed: Annotated[int, typer.Option(help="Of the training, and of the search if it is not stored.")] = 0,
    engine: Annotated[list[str] | None, typer.Option(help="An engine to try; may be repeated.")] = None,
    device: Annotated[str, typer.Option(help="Where time is measured: cpu, accelerator, or such as cuda:0.")] = "cpu",
    storage: Annotated[str | None, typer.Option(help="A file or database URL that stores the search.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the chosen network and its report.")] = Path("optimized"),
    language: Language = None,
) -> None:
    """Search for a smaller or faster version of your classifier.

    The scripts named are run. Ctrl-C keeps the results.
    """
    from nnopt_lab.cli.inputs import Wanted
    from nnopt_lab.techniques.deployment.registry import check_names
    from nnopt_lab.techniques.search.autotune import Goal, default_engines
    from nnopt_lab.techniques.search.autotune import optimize as search
    from nnopt_lab.techniques.search.presets import chosen
    from nnopt_lab.workbench.device import find

    speak(language)
    if not dry_run:
        check_folder(out)  # before the search, which may take hours
    goal = Goal(target, max_drop, max_bytes, max_latency, batch)
    here = find(device)
    names = engine or default_engines(here)
    check_names(names, here)  # before the scripts run, which may take long
    wanted = Wanted(model, data, weights, size, mean, std, download)
    wanted.check()
    if minutes is not None and not minutes > 0:
        raise ValueError(f"minutes={minutes} must be above 0; leave it out for the preset's limit.")
    effort = chosen(preset, trials, epochs, None if minutes is None else 60 * minutes)
    network, train, validation, options = wanted.load()
    options |= {"goal": goal, "trials": effort.trials, "epochs": effort.epochs, "engine_names": names, "device": here}
    if dry_run:
        from nnopt_lab.cli.screen import console, preflight_table
        from nnopt_lab.techniques.search.preflight import preflight

        console.print(preflight_table(preflight(network, train, validation, **options)))
        return
    try:
        found = search(
            network,
            train,
            validation,
            preset=preset,
            seconds=effort.seconds,
            storage=storage,
            rate=rate,
            seed=seed,
            **options,
        )
    except KeyboardInterrupt as stopped:
        print(translated(str(stopped)))
        raise typer.Exit(130) from None
    print(found)
    files = found.export(out)
    print(*map(translated_sentences, found.remarks), sep="\n", end="\n" if found.remarks else "")
    print(_("In {folder}: {files}", folder=out, files=", ".join(file.name for file in files)))


def _check_format(plot: Path) -> None:
    from matplotlib.backend_bases import FigureCanvasBase

    known = FigureCanvasBase.get_supported_filetypes()
    if plot.suffix[1:].lower() not in known:
        raise ValueError(f"plot={str(plot)!r} must end with one of {', '.join(f'.{name}' for name in sorted(known))}.")


def _no_workspace(folder: Path) -> str:
    return _("There is no workspace in {folder}. Name yours with --workspace; nnopt lab creates one.", folder=folder)


def _next_step(folder: Path) -> str:
    """Where to go on in a workspace, and with which command; "" if it has no lessons."""
    from nnopt_lab.course.start_page import next_step, rows

    if not rows(folder):
        return ""
    found = next_step(folder)
    if found is None:
        return _("You have completed every lesson.")
    lesson, heading = found
    told = {"number": lesson[:2], "heading": heading}
    if heading:
        return _("Next: lesson {number}, section {heading}: nnopt lab {number}", **told)
    return _("Next: lesson {number}: nnopt lab {number}", **told)


def _say(sentence: str) -> None:
    print(sentence, flush=True)


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ValueError(
                f"port={port} cannot be used ({error.strerror}): choose another one with --port."
            ) from error


def _wait(server: subprocess.Popen) -> int:
    """Wait for the server; Ctrl-C reaches it too, so give it time to shut down."""
    while True:
        try:
            return server.wait()
        except KeyboardInterrupt:
            server.terminate()
