"""Sealed questions, as in a learner's kit: an answer can be checked, but the right one can't be read.

A seal is a table from the hashes of answers to texts, each encrypted with the answer that opens it. The hashes are
salted per kit. For a number, ranges of it are hashed instead: those around the right number open everything, so that an
answer is judged as exactly as without a seal, and those around a wrong number with a comment open the comment. For
other numbers, a wide interval with random ends around the right one tells what is too large and too small.

A seal hides answers from readers, not from a program that tries all of them, which a learner may do by hand anyway.
"""

import base64
import hashlib
import json
import math
import random
from collections.abc import Iterator
from dataclasses import replace

from nnopt_lab.course.exercises import Question
from nnopt_lab.course.number_comments import CLOSE, NOT_FINITE, UNKNOWN, readings
from nnopt_lab.workbench.language import languages, learn, speaking, translated

FACTORS = (1.5, 4.0)  # how far from the right number, at least and at most, the known interval may end
WIDTHS = (1.0, 2.0)  # of the ranges around the right number, in multiples of what counts as close to it
NARROWEST = 1e-6  # width of a range of wrong numbers, where the question has no tolerance
MARGIN = 1 + 1e-9  # for the rounding of a number at the edge of a range


def sealed(question: Question, salt: str, chance: random.Random | None = None) -> Question:
    """Seal a question.

    Args:
        question: with its answer, explanation and comments.
        salt: the kit's.
        chance: draws where ranges of numbers begin; default from the system.

    Returns:
        The question without them, and with a `seal` of plain JSON values.
    """
    chance = chance or random.SystemRandom()
    seal = _seal_letters(question, salt) if question.choices else _seal_number(question, salt, chance)
    return replace(question, answer=None, explanation="", comments={}, seal=seal)


def opened(question: Question, given: str | float) -> Question:
    """Open as much of a question as an answer to it opens; a question without a seal is returned as it is.

    Args:
        question: sealed or not.
        given: a letter of its choices, or a number.

    Returns:
        After a right answer, and after a wrong number that can be read as the right one with a usual mistake, the
        question as it was. Otherwise its answer is "" or nan, and it has the comment on the given answer alone.
    """
    if question.seal is None:
        return question
    if question.choices:
        found = _unlock(question.seal, question.id, f"letter {given}") or {}
        return replace(question, **({"answer": ""} | found))
    given = float(given)
    for number in _candidates(given):
        if found := _unlock(question.seal, question.id, _range("right", question.seal["near"], number)):
            numbers = {float(number): text for number, text in found.pop("comments")}
            return replace(question, comments=numbers, **found)
    return replace(question, answer=math.nan, comments={given: _comment(question, given)})


def _seal_letters(question: Question, salt: str) -> dict:
    texts = {}
    for letter in question.choices:
        own = {"comments": {letter: question.comment_on(letter)}}
        right = {"answer": letter, "explanation": question.explanation}
        texts[f"letter {letter}"] = right if letter == question.answer else own
    return {"salt": salt, "locks": _lock(texts, question.id, salt)}


def _seal_number(question: Question, salt: str, chance: random.Random) -> dict:
    right, tolerance = question.answer, question.tolerance
    reach = max(tolerance, CLOSE * abs(right)) or 1.0
    width = 2 * reach * chance.uniform(*WIDTHS)  # at random, because a multiple of the right number would tell it
    near = [width, chance.uniform(0, width)]
    wrong = [2 * tolerance or NARROWEST, 0.0]
    everything = {
        "answer": right,
        "explanation": question.explanation,
        "comments": [[number, text] for number, text in question.comments.items()],
    }
    texts = {name: everything for name in _ranges("right", near, right, reach)}
    for number, text in question.comments.items():
        for name in _ranges("wrong", wrong, number, tolerance):
            texts.setdefault(name, {"comments": []})["comments"].append([number, text])
    low, high = (right / chance.uniform(*FACTORS), right * chance.uniform(*FACTORS)) if right else (-1.0, 1.0)
    between = sorted(float(f"{end:.2g}") for end in (low, high))
    return {"salt": salt, "near": near, "wrong": wrong, "between": between, "locks": _lock(texts, question.id, salt)}


def _candidates(given: float) -> Iterator[float]:
    """The number itself, and those that it means if a usual mistake is undone."""
    if math.isfinite(given):
        yield given
        yield from (number for _, number, _ in readings(given, scaled=bool(given)) if math.isfinite(number))


def _comment(question: Question, given: float) -> str:
    """The comment on a number that does not open the question."""
    if not math.isfinite(given):
        return NOT_FINITE
    found = _unlock(question.seal, question.id, _range("wrong", question.seal["wrong"], given)) or {"comments": []}
    own = (text for number, text in found["comments"] if abs(given - number) <= question.tolerance)
    low, high = question.seal["between"]
    if low * high > 0 and given * low < 0:
        size = "The sign is wrong, and so is the magnitude."
    else:
        size = "That is too large." if given > high else "That is too small." if given < low else UNKNOWN
    return next(own, size)


def _range(kind: str, grid: list[float], number: float) -> str:
    """The name of the range, on a grid of (width, origin), that contains a number."""
    width, origin = grid
    place = (number - origin) / width
    return f"{kind} {math.floor(place) if math.isfinite(place) else place}"


def _ranges(kind: str, grid: list[float], number: float, reach: float) -> list[str]:
    """The names of the ranges that come within `reach` of a number."""
    ends = (number - reach * MARGIN, number + reach * MARGIN)
    first, last = (int(_range(kind, grid, end).split()[1]) for end in ends)
    return [f"{kind} {place}" for place in range(first, last + 1)]


def _lock(texts: dict[str, dict], id: str, salt: str) -> dict[str, str]:
    """Encrypt each text and its translations with its name; all have the same length, and their order says nothing."""
    plain = {name: json.dumps(_with_translations(text), ensure_ascii=False).encode() for name, text in texts.items()}
    length = max(map(len, plain.values()))
    locks = {}
    for name, text in plain.items():
        tag, stream = _keys(id, salt, name, length)
        locks[tag] = base64.b85encode(_xor(text.ljust(length), stream)).decode()
    return dict(sorted(locks.items()))


def _unlock(seal: dict, id: str, name: str) -> dict | None:
    tag, _ = _keys(id, seal["salt"], name, 0)
    if tag not in seal["locks"]:
        return None
    text = base64.b85decode(seal["locks"][tag])
    found = json.loads(_xor(text, _keys(id, seal["salt"], name, len(text))[1]))
    learn(found.pop("translations", {}))
    return found


def _with_translations(text: dict) -> dict:
    """A text with its translations, which a kit's catalogues must not have."""
    comments = text.get("comments", {})
    pairs = comments.items() if isinstance(comments, dict) else comments
    english = [text.get("explanation", ""), *(comment for number, comment in pairs)]
    found = {}
    for language in languages()[1:]:
        with speaking(language):
            known = {one: said for one in english if (said := translated(one)) != one}
        found |= {language: known} if known else {}
    return text | ({"translations": found} if found else {})


def _keys(id: str, salt: str, name: str, length: int) -> tuple[str, bytes]:
    """The tag under which a name's text is found, and the bytes that encrypt it."""
    key = f"{salt}/{id}/{name}".encode()
    return hashlib.sha256(b"tag/" + key).hexdigest()[:32], hashlib.shake_256(b"text/" + key).digest(length)


def _xor(text: bytes, stream: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(text, stream, strict=True))
