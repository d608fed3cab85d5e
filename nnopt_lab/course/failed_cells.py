"""Cards for a check whose exercise's cell stopped with an error: the function is an older one, or there is none."""

from nnopt_lab.course.cards import Card, without_buttons
from nnopt_lab.course.cell_runs import Run, stopped_run
from nnopt_lab.course.exercises import Exercise, cell_id
from nnopt_lab.course.help import HelpCard
from nnopt_lab.workbench.language import _, translated


def failed_card(exercise: Exercise, mistake: str = "") -> Card | None:
    """The card for an exercise whose cell stopped before it defined the answer in its last run; else None.

    Args:
        exercise: the exercise.
        mistake: of the answer that was checked last; the learner was mending it.
    """
    run = stopped_run(exercise.name, cell_id("exercise", exercise.id))
    if run is None:
        return None
    title = _("{exercise}: not checked", exercise=translated(exercise.title))
    again = _("Correct that cell and press *Check*.")
    helps = _('`hint("{id}")` helps.', id=exercise.id)
    told = (_("The last check said: {mistake}", mistake=mistake),) if mistake else ()
    left_open = (_("A bracket or a quotation mark in it is not closed."),) if run.is_open else ()
    lines = (_what_stopped(run), *left_open, again, without_buttons(), _("This did not count as a try."), *told, helps)
    return HelpCard(title, "quiet", lines, exercise=exercise.id)


def _what_stopped(run: Run) -> str:
    if run.line is None:
        return _("Your cell above stopped with an error ({error}), so there is nothing new to check.", error=run.error)
    return _(
        "Your cell above stopped with an error ({error}, line {line}), so there is nothing new to check.",
        error=run.error,
        line=run.line,
    )
