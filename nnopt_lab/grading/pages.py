"""Write HTML pages: one per learner with a card for every answer, and one for the class."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, tzinfo
from functools import cache
from itertools import groupby
from pathlib import Path

from markupsafe import Markup

from nnopt_lab.course.cards import Card, inline
from nnopt_lab.course.exercises import Question, cell_id, exercises, lesson_points, questions
from nnopt_lab.course.input_rows import input_rows
from nnopt_lab.course.workspace import write_atomically
from nnopt_lab.grading.course_cells import code_cells, stubs
from nnopt_lab.grading.exports import safe_name
from nnopt_lab.grading.grades import MISSING, Answer, Grade
from nnopt_lab.grading.rendering import script, template
from nnopt_lab.grading.results import BROKEN, begun, reason_in_words, state_in_words
from nnopt_lab.grading.similarity import shared_lines, similar
from nnopt_lab.grading.times import local
from nnopt_lab.workbench.files import make_folder
from nnopt_lab.workbench.language import _, translated, translated_sentences
from nnopt_lab.workbench.paths import root

_KINDS = {"passed": "passed", "partly right": "partly", "failed": "failed", "raised": "failed", "unusable": "failed"}
_KINDS |= dict.fromkeys(BROKEN, "broken")
BINS = 5
_SHOWN_NUMBERS = 5  # different numbers that answer a question
_SHOWN_SOURCE = 4_000  # characters of an answer beside another one


def write(
    grades: list[Grade], folder: Path, seed: int, due: datetime | None = None, zone: tzinfo | None = None
) -> Path:
    """Write feedback/LEARNER.html for every learner, and class.html.

    Args:
        grades: sorted by learner.
        folder: created if missing.
        seed: of the inputs.
        due: when it was due, or None.
        zone: in which times are shown; None for this machine's.

    Returns:
        The path of the class's page.
    """
    make_folder(folder / "feedback")
    for learner, theirs in groupby(grades, key=lambda g: g.learner):
        page = template("feedback.html").render(learner=learner, grades=[_shown(g, zone) for g in theirs])
        _write(folder / "feedback" / f"{safe_name(learner)}.html", page)
    handed_in = [g for g in grades if g.entry.graded.state != MISSING]
    source, digest = script("search.js")
    page = template("class.html").render(
        seed=seed,
        due=local(due, zone) if due else "",
        learners=len({g.learner for g in grades}),
        submissions=len(handed_in),
        lessons=[_lesson(name, [g for g in grades if g.lesson == name]) for name in sorted(_names(handed_in))],
        groups=_similar_answers(grades),
        rows=[_row(g, zone) for g in grades],
        link=lambda learner: f"feedback/{safe_name(learner)}.html",
        script=source,
        script_hash=digest,
    )
    _write(folder / "class.html", page)
    return folder / "class.html"


def _write(path: Path, page: str) -> None:
    """Write a page if it has changed: a mark changes one page, and writing all of a large class takes long."""
    data = page.encode("utf-8", "replace")
    if not (path.is_file() and path.read_bytes() == data):
        write_atomically(path, data.decode("utf-8"))


def _names(grades: list[Grade]) -> set[str]:
    return {g.lesson for g in grades if g.lesson}


def _row(g: Grade, zone: tzinfo | None) -> dict:
    graded = g.entry.graded
    state, reason = state_in_words(graded.state), reason_in_words(graded.reason)
    named = {"learner": g.learner, "lesson": g.lesson, "state": state, "reason": reason}
    when = {"submitted": local(g.entry.submitted_at, zone), "late": translated(g.late), "lost": f"{g.lost:g}"}
    extension = local(g.person.extension, zone) if g.person and g.person.extension else ""
    return named | when | {"points": f"{g.points:g}", "possible": g.possible, "extension": extension}


def _shown(g: Grade, zone: tzinfo | None) -> dict:
    return {
        "grade": g,
        "points": f"{g.points:g}",
        "lost": f"{g.lost:g}",
        "state": begun(state_in_words(g.entry.graded.state)),
        "reason": reason_in_words(g.entry.graded.reason),
        "late": begun(translated(g.late)),
        "submitted": local(g.entry.submitted_at, zone),
        "answers": [
            {
                "title": _title(a.result.id),
                "points": f"{a.points:g}",
                "possible": a.result.possible,
                "manual": a.manual,
                "card": Markup(_card(a)._repr_html_()),  # the card escapes its texts
                "comment": a.comment,
                "source": a.result.source,
                "printed": a.result.printed,
            }
            for a in g.answers
        ],
    }


def _card(answer: Answer) -> Card:
    result = answer.result
    if result.state == "passed":
        item = exercises().get(result.id)
        reason = item.debrief if item else questions()[result.id].explanation
        return Card(_("Passed"), "good", (translated(reason),))
    if result.state == "blank":
        return Card(_("Not answered"), "quiet")
    shown, _folds = input_rows(result.inputs)
    if result.inputs:
        shown += [(_("your result"), result.got)]
    if result.inputs and result.wanted:  # else the result is a table with both
        shown += [(_("expected"), result.wanted)]
    titles = {"partly right": _("Partly right"), "failed": _("Wrong"), "raised": _("It raised an error")}
    title = titles.get(result.state) or begun(state_in_words(result.state))
    return Card(title, "bad", (translated_sentences(result.mistake), *shown))


def _lesson(name: str, grades: list[Grade]) -> dict:
    """What the page shows of a lesson; `grades` include those of learners who handed in nothing."""
    handed_in = [g for g in grades if g.entry.graded.state != MISSING]
    by_item: dict[str, list[Answer]] = {id: [] for id in (*exercises(name), *questions(name))}
    for g in handed_in:
        for answer in g.answers:
            by_item.setdefault(answer.result.id, []).append(answer)
    items = [_item(id, answers) for id, answers in by_item.items()]
    late = [g for g in handed_in if g.late]
    return {
        "name": name,
        "possible": lesson_points(name),
        "mean": f"{sum(g.points for g in handed_in) / len(handed_in):.1f}",
        "handed_in": len(handed_in),
        "late": [(g.learner, translated(g.late)) for g in late],
        "lost": f"{sum(g.lost for g in late):g}",
        "missing": [g.learner for g in grades if g.entry.graded.state == MISSING],
        "items": sorted(items, key=lambda item: item["passed"]),
        "bins": _bins([g.percent for g in handed_in]),
    }


def _item(id: str, answers: list[Answer]) -> dict:
    words = {"passed": _("passed"), "partly": _("partly right"), "failed": _("wrong")}
    words |= {"blank": _("blank or missing"), "broken": _("stopped")}
    kinds = Counter(_KINDS.get(a.result.state, "blank") for a in answers)
    mistakes = Counter(a.result.mistake for a in answers if a.result.mistake and a.result.state != "passed")
    mistake, count = mistakes.most_common(1)[0] if mistakes else ("", 0)
    question = questions().get(id)
    return {
        "id": id,
        "title": Markup(inline(_title(id))),  # `inline` escapes it
        "counts": [(kind, kinds[kind], word) for kind, word in words.items()],
        "passed": round(100 * kinds["passed"] / max(1, len(answers))),
        "mistake": Markup(inline(translated_sentences(mistake))),
        "mistake_count": count,
        "choices": _choices(question, answers) if question else [],
    }


def _choices(question: Question, answers: list[Answer]) -> list[dict]:
    """How many learners gave each answer: every choice in its order, or the most common numbers."""
    given = Counter(a.result.got for a in answers if a.result.got)
    # Gradebooks from before answers were kept.
    given[_text(question.answer)] += sum(a.result.state == "passed" and not a.result.got for a in answers)
    texts = question.choices or {number: "" for number, count in given.most_common(_SHOWN_NUMBERS) if count}
    right = {a.result.got for a in answers if a.result.state == "passed"} | {_text(question.answer)}
    most = max(given.values(), default=0) or 1
    return [
        {
            "given": letter,
            "text": Markup(inline(translated(text))),
            "count": given[letter],
            "width": round(100 * given[letter] / most),
            "right": letter in right,
        }
        for letter, text in texts.items()
    ]


def _text(answer: str | float) -> str:
    return answer if isinstance(answer, str) else f"{answer:g}"


def _bins(percents: list[float]) -> list[dict]:
    counts = Counter(min(BINS - 1, int(percent * BINS / 100)) for percent in percents)
    most = max(counts.values(), default=1)
    width = 100 // BINS
    return [
        {
            "label": _("{low} to {high} %", low=n * width, high=(n + 1) * width),
            "count": counts[n],
            "width": round(100 * counts[n] / most),
        }
        for n in range(BINS)
    ]


def _similar_answers(grades: list[Grade]) -> list[dict]:
    """The groups with their texts, for each exercise of all learners who wrote more than its stub."""
    seen = {item: known for name in _names(grades) for item, known in _seen(name).items()}
    texts = {(learner, item): source for learner, item, source in _sources(grades)}
    return [
        {
            "learners": group.learners,
            "share": f"{100 * group.share:.0f} %",
            "bits": f"{group.bits:.0f}",
            "titles": ", ".join(f"“{_title(item)}”" for item in group.items),
            "texts": [(_title(item), _beside(group.learners, item, texts, seen.get(item, []))) for item in group.items],
        }
        for group in similar(_sources(grades), seen)
    ]


def _beside(learners: tuple[str, ...], item: str, texts: dict[tuple[str, str], str], seen: list[str]) -> list[tuple]:
    """Each learner's name, and the lines of the answer with whether another learner wrote them too."""
    names = [name for name in learners if (name, item) in texts]
    return list(zip(names, shared_lines([texts[name, item][:_SHOWN_SOURCE] for name in names], seen), strict=True))


def _title(id: str) -> str:
    """An exercise's title or a question's text; of an answer that the course no longer has, its id."""
    if id in exercises():
        return translated(exercises()[id].title)
    return translated(questions()[id].text) if id in questions() else id


def _sources(grades: list[Grade]) -> Iterator[tuple[str, str, str]]:
    for g in grades:
        yield from ((g.learner, a.result.id, a.result.source) for a in g.answers if a.result.id in exercises())


@cache
def _seen(lesson: str) -> dict[str, list[str]]:
    """The sources known to everyone, by exercise: the stub, and the course's own answer if it is installed."""
    solved = root() / "solutions" / f"{lesson}.ipynb"
    ours = code_cells(solved) if solved.is_file() else {}
    ids = {id: cell_id("exercise", id) for id in exercises(lesson)}
    return {id: [stubs(lesson).get(cell, ""), ours.get(cell, "")] for id, cell in ids.items()}
