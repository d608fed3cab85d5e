"""The card with which a lesson opens: what awaits the learner or, on coming back, where to go on."""

import html
from dataclasses import dataclass

from nnopt_lab.course import last_work, other_kernels, record
from nnopt_lab.course.cards import Card, inline
from nnopt_lab.course.exercises import earned_points, exercises, lesson_points, questions
from nnopt_lab.course.kit import kit
from nnopt_lab.course.lesson import Lesson
from nnopt_lab.course.open_section import open_section, section_of
from nnopt_lab.course.workspace import edition_folder, where_progress_stays, workspace
from nnopt_lab.workbench.language import _, translated


@dataclass(frozen=True, repr=False)
class LessonCard(Card):
    """A card in which some texts are links in HTML; in JupyterLab, it also offers to stop the kernels of other lessons.

    Attributes:
        links: (text of the card, target) each; the text's last place is the link. Without a target, there is none.
    """

    links: tuple[tuple[str, str], ...] = ()

    def _repr_html_(self) -> str:
        card = super()._repr_html_()
        for text, target in self.links:
            before, found, after = card.rpartition(inline(text))
            if target and found:
                card = f'{before}<a href="{html.escape(target)}">{found}</a>{after}'
        return card.removesuffix("</div>") + other_kernels.offer() + "</div>"


def lesson_card(name: str, lesson: Lesson) -> Card:
    """The card for a lesson that is opened, with the learner's points if there are any."""
    told = {"number": name[:2], "title": translated(lesson.title)}
    title = _("Lesson {number} (draft): {title}", **told) if lesson.draft else _("Lesson {number}: {title}", **told)
    coming_back, links = _coming_back(name)
    due = [_("Due: {due}.", due=kit().due)] if kit() and kit().due else []
    lines = (*(coming_back or [_what_awaits(name, lesson)]), *due, *filter(None, [where_progress_stays()]))
    return LessonCard(title, "neutral", lines, links=links)


def _what_awaits(name: str, lesson: Lesson) -> str:
    return _(
        "About {minutes} minutes, {exercises} exercises and {questions} questions, {points} points. Run the "
        "cells from top to bottom; they all work even if you leave exercises blank.",
        minutes=lesson.minutes,
        exercises=len(exercises(name)),
        questions=len(questions(name)),
        points=lesson_points(name),
    )


def _coming_back(name: str) -> tuple[list[str], tuple[tuple[str, str], ...]]:
    """The points so far and where to go on, in lines, and the links in them; none if there are no points yet."""
    noted, copy = record.read(workspace()), edition_folder(workspace()) / f"{name}.ipynb"
    so_far = {"earned": earned_points(noted, name), "points": lesson_points(name)}
    if not so_far["earned"]:
        return [], ()
    first, cell_id = open_section(copy, noted)
    if not first:
        return [_("You have {earned} of {points} points.", **so_far)], ()
    last = section_of(copy, last_work.place(workspace(), name))
    heading, target = last if any(last) else (first, cell_id)
    lines = [_("You have {earned} of {points} points. Go on at section {heading}", heading=heading, **so_far)]
    links = [(heading, _address(name, target))]
    if first != heading:
        lines.append(_("First unfinished: section {heading}", heading=first))
        links.append((first, _address(name, cell_id)))
    return lines, tuple(links)


def _address(name: str, cell_id: str) -> str:
    return f"{name}.ipynb#cell-id={cell_id}" if cell_id else ""
