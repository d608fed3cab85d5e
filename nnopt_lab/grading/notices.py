"""What a teacher should look at after grading, as sentences: who is missing or unknown, and dates that look wrong."""

from collections import defaultdict
from datetime import datetime, tzinfo

from nnopt_lab.grading.grades import MISSING, Grade, worse_than_earlier
from nnopt_lab.grading.report import Report
from nnopt_lab.grading.times import local

IMPORTING = {
    "canvas": "Canvas finds an assignment by its title. If its own is not the lesson's name, give Canvas's export of "
    "the gradebook as --roster, with the lesson's name in the assignment's title.",
    "moodle": "Moodle: when you upload a worksheet again after regrading, tick “Update records that have been "
    "modified since the spreadsheet was last downloaded”, or it skips grades that it already has.",
}
_SHOWN = 20
_MOST = 0.8
_SPREAD_HOURS = 2.0


def find(report: Report, due: str | None) -> list[str]:
    """Sentences about a report, most urgent first.

    Args:
        report: the class's.
        due: when it was due, in ISO format with its offset, or None.
    """
    handed_in = [g for g in report.grades if g.entry.graded.state != MISSING]
    found = [_listed(report.unknown, "on no line of the roster")] if report.unknown else []
    found += _missing(report.grades)
    if due is not None:
        found += _dates(handed_in, datetime.fromisoformat(due), report.zone)
    worse = worse_than_earlier(handed_in)
    return [*found, *worse[:_SHOWN], *([f"… and {len(worse) - _SHOWN} more like this."] if len(worse) > _SHOWN else [])]


def _missing(grades: list[Grade]) -> list[str]:
    by_lesson: dict[str, list[str]] = defaultdict(list)
    for g in grades:
        if g.entry.graded.state == MISSING:
            by_lesson[g.lesson].append(g.learner)
    return [_listed(names, f"on the roster, handed in nothing for {lesson}") for lesson, names in by_lesson.items()]


def _listed(names: list[str], what: str) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{len(names)} {what}: {', '.join(names[:_SHOWN])}{more}."


def _dates(grades: list[Grade], due: datetime, zone: tzinfo | None) -> list[str]:
    """Files' dates that are those of a download or of unpacking, instead of the learners'."""
    dated = [g for g in grades if g.entry.submitted_at]
    hours = sorted((datetime.fromisoformat(g.entry.submitted_at) - due).total_seconds() / 3600 for g in dated)
    late = [h for h in hours if h > 0]
    if len(late) < 3 or len(late) < _MOST * len(hours) or late[-1] - late[0] > _SPREAD_HOURS:
        return []
    between = f"{late[0]:.1f} and {late[-1]:.1f} hours after they were due ({local(due, zone)})"
    unmarked = [g for g in dated if g.entry.system == "canvas" and not g.late]
    then = " Canvas's marks count, not these dates." if len(unmarked) == len(dated) else ""
    return [
        f"{len(late)} of {len(hours)} files have dates between {between}. Were they unpacked then? Dates in the zip "
        f"archive are the right ones: grade the archive itself.{then}"
    ]
