"""Results of grading: of one answer, and of a whole submission, which converts to and from text."""

import json
import re
from dataclasses import asdict, dataclass, field

from nnopt_lab.workbench.language import _, translated_sentences

JUDGED = ("passed", "partly right", "failed", "blank", "raised", "unusable")  # answers with a verdict
BROKEN = ("timed out", "out of memory", "crashed")
_NAMED = re.compile(r"(?:^|; | )(\w+\.\w+): (.*?)(?=$|; \w+\.\w+: )", re.DOTALL)  # in `Graded.reason`


@dataclass(frozen=True)
class Result:
    """The result of one answer.

    Attributes:
        id: of the exercise or question.
        state: one of `JUDGED`, of `BROKEN`, or a cell's trouble ("missing", "doubled", "mistyped", "too long").
        points, possible: points earned, and their maximum.
        mistake: a description; empty after a pass.
        wrong_answer: index of the exercise's wrong answer that it behaves like, or None.
        inputs, got, wanted: the first case that failed, as text; `got` is also the answer to a question: the letter
            of a choice, or a number.
        printed: the beginning of the answer's output.
        source: the answer's code.
    """

    id: str
    state: str
    points: float
    possible: int
    mistake: str = ""
    wrong_answer: int | None = None
    inputs: dict[str, str] = field(default_factory=dict)
    got: str = ""
    wanted: str = ""
    printed: str = ""
    source: str = ""


@dataclass(frozen=True)
class Graded:
    """A submission's grade.

    Attributes:
        lesson: "" if the file is malformed and no lesson was named.
        state: "graded", "partly graded", "timed out", "out of memory", "crashed" or "malformed".
        reason: why it is not "graded", or what else a teacher should know, as text.
        results: one per exercise and question of the lesson.
    """

    lesson: str
    state: str
    reason: str = ""
    results: tuple[Result, ...] = ()

    def to_json(self) -> str:
        """Convert to text for `from_json`."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Graded":
        """Convert back from the text of `to_json`."""
        fields = json.loads(text)
        return cls(**fields | {"results": tuple(Result(**result) for result in fields["results"])})


def state_in_words(state: str) -> str:
    """The state of an answer or a submission in the language in use."""
    words = {
        **{"passed": _("passed"), "partly right": _("partly right"), "failed": _("failed"), "blank": _("blank")},
        **{"raised": _("raised"), "unusable": _("unusable"), "missing": _("missing"), "doubled": _("doubled")},
        **{"mistyped": _("mistyped"), "too long": _("too long"), "timed out": _("timed out"), "crashed": _("crashed")},
        **{"out of memory": _("out of memory"), "graded": _("graded"), "partly graded": _("partly graded")},
        **{"malformed": _("malformed")},
    }
    return words.get(state, state)


def reason_in_words(reason: str) -> str:
    """`Graded.reason` in the language in use; before a reason may stand the exercise that it is about."""
    named = list(_NAMED.finditer(reason))
    about = [_("{exercise}: {reason}", exercise=one[1], reason=_in_words(one[2])) for one in named]
    before = reason[: named[0].start()] if named else reason
    return " ".join(filter(None, (translated_sentences(before), _("; ").join(about))))


def _in_words(text: str) -> str:
    said = state_in_words(text)
    return said if said != text else translated_sentences(text)


def begun(text: str) -> str:
    """A text as the beginning of a sentence: its first letter is a capital."""
    return text[:1].upper() + text[1:]
