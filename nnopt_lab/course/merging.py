"""Merge a learner's copy of a lesson with a newer text of it, cell by cell; nothing that the learner wrote is lost.

Three versions of a notebook are compared: the text that was copied (of which only fingerprints are known), the
learner's, and the latest. Answers are found by their cells' ids. The other cells of a lesson are compared by their
content, because their ids are numbers that change when a cell is added.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from nnopt_lab.course.bare_code import bare, is_blank, tasks
from nnopt_lab.course.cell_prints import Prints, fingerprint, prints_of, text_of
from nnopt_lab.course.exercises import Exercise, Question, cell_id
from nnopt_lab.workbench.language import _

ANSWER = re.compile(r"(exercise|question)-")


@dataclass
class Merged:
    """A merged notebook's cells.

    Attributes:
        cells: in the order of the latest text, with the learner's own ones after the cells that they followed.
        answers: number of answers kept.
        own: number of cells kept that the learner added.
        changed: number of cells of the lesson that are new or have another text than in the learner's copy.
        conflicts: what the learner should look at, each a sentence.
        by_name: ids of the exercises and questions whose cells had lost their marks.
    """

    cells: list[dict] = field(default_factory=list)
    answers: int = 0
    own: int = 0
    changed: int = 0
    conflicts: list[str] = field(default_factory=list)
    by_name: list[str] = field(default_factory=list)


def merge(
    mine: list[dict],
    base: Prints | None,
    latest: list[dict],
    items: dict[str, Exercise | Question],
    lesson: str,
    editions: Iterable[list[dict]] = (),
) -> Merged:
    """Merge a learner's cells with the latest ones.

    Args:
        mine: the learner's cells.
        base: fingerprints of the text that the learner's copy was made from; None if unknown. Then a cell of the lesson
            with another text than the latest counts as changed by the learner.
        latest: cells of the latest text.
        items: the lesson's exercises and questions by the ids of their cells.
        lesson: its name, with which the ids of its other cells begin.
        editions: cells of the latest text in other languages; a blank of theirs is one, too.
    """
    return _Merge(mine, base, latest, items, lesson, editions).result()


class _Merge:
    def __init__(self, mine, base, latest, items, lesson, editions):
        self.mine, self.latest, self.items = mine, latest, items
        self.is_base_known = base is not None
        self.blanks = _blanks([latest, *editions])
        self.merged = Merged()
        self.numbered = re.compile(rf"{re.escape(lesson)}-\d+")  # ids of cells that are no answers
        self.kept: dict[int, dict] = {}  # by place in the latest text
        self.inserted: dict[int, list[dict]] = defaultdict(list)  # by the place that they follow; -1 is the start
        new = [(id if ANSWER.match(id) else mark) for id, mark in prints_of(latest)]
        self.place_of = {token: n for n, token in reversed(list(enumerate(new)))}
        self.keys = self._answers(base)
        base = self._guessed() if base is None else base
        self.base_ids = {id: b for b, (id, _) in reversed(list(enumerate(base))) if id}
        self.base_prints = [mark for _, mark in base]
        tokens = [id if ANSWER.match(id) else mark for id, mark in base]
        self.same, self.near = _aligned(tokens, new)
        self.unused = defaultdict(list)  # places of the base's cells that are no answers, by fingerprint
        for b, (id, mark) in enumerate(base):
            if not ANSWER.match(id):
                self.unused[mark].append(b)
        self.base_place = self._base_places()
        self.claimed = {self.same[b] for b in self.base_place.values() if b in self.same}

    def result(self) -> Merged:
        place = -1
        for i, cell in enumerate(self.mine):
            place = self._take(i, cell, place)
        merged, taken = self.merged, {cell["id"] for cell in self.latest}
        merged.cells += self._named(self.inserted[-1], taken)
        for n, new in enumerate(self.latest):
            merged.cells.append(self.kept.get(n, new))
            merged.cells += self._named(self.inserted[n], taken)
        had = {fingerprint(cell) for cell in self.mine}
        merged.changed = sum(n not in self.kept and fingerprint(new) not in had for n, new in enumerate(self.latest))
        return merged

    def _take(self, i: int, cell: dict, place: int) -> int:
        """Put one of the learner's cells where it belongs; returns the place that the next one follows."""
        key = self.keys.get(i)
        if key is not None:
            return self._take_answer(cell, key, place)
        mark = fingerprint(cell)
        b = self.base_place.get(i)
        if b is None:
            n = self.place_of.get(mark)
            if n is not None and n not in self.kept and n not in self.claimed:
                self.kept[n] = _carried(cell, self.latest[n])
                return n
            self.inserted[place].append(cell)
            self.merged.own += not cell.get("id", "").startswith("nnopt-")
            return place
        n = self.same.get(b)
        is_edited = mark != self.base_prints[b] or not (self.is_base_known or n is not None)
        if n is not None and n not in self.kept:
            self.kept[n] = _carried(cell, self.latest[n])
            return n
        place = self.near[b]
        if is_edited and text_of(cell):
            kept = _("`nnopt update` changed this cell of the lesson, which you had changed too. Your version was:")
            self.inserted[place].append(_note("kept", kept, cell))
            first = repr(text_of(cell).strip().split("\n")[0][:60])
            said = _(
                "a cell that you changed has a new text; your version ({start} …) is in a note below it", start=first
            )
            self.merged.conflicts.append(said)
        return place

    def _take_answer(self, cell: dict, key: str, place: int) -> int:
        n, b, mark = self.place_of.get(key), self.base_ids.get(key), fingerprint(cell)
        stub = self.base_prints[b] if b is not None and self.is_base_known else None
        blanks = self.blanks.get(key, [])
        untouched = mark == stub or not text_of(cell).strip() or is_blank(text_of(cell), map(text_of, blanks))
        name = self.items[key].id if key in self.items else key
        if n is None:
            place = self.near.get(b, place)
            if not untouched:
                gone = _("This is no longer part of the lesson. Your answer is kept here; it earns no points any more:")
                note = _note("gone", gone, {"cell_type": "markdown", "source": "", "id": key})
                if note["id"] not in {other.get("id") for other in self.mine}:
                    self.inserted[place].append(note)
                    said = _("{item} is no longer part of the lesson; your answer is kept", item=name)
                    self.merged.conflicts.append(said)
                self.inserted[place].append(cell)
            return place
        new = self.latest[n]
        if untouched or mark == fingerprint(new):
            if mark == fingerprint(new):
                self.kept[n] = _carried(cell, new)
            return n
        self.kept[n] = _carried(cell, new)
        self.merged.answers += 1
        if stub not in map(fingerprint, blanks) and self._starter_changed(cell, new, stub):
            starter = _(
                "The cell above had another starting point when you answered it. Your answer is kept; it now begins "
                "like this:"
            )
            note = _note("starter", starter, new)
            if note["id"] not in {other.get("id") for other in self.mine}:
                self.inserted[n].append(note)
                said = _(
                    "{item} has a new starting point; your answer is kept, and a note below it shows the new one",
                    item=name,
                )
                self.merged.conflicts.append(said)
        return n

    def _starter_changed(self, cell: dict, new: dict, stub: str | None) -> bool:
        if stub is not None:
            task = tasks(text_of(new))
            return stub != fingerprint(new) and not (task and task <= tasks(text_of(cell)))
        heads = [re.findall(r"^def .*?:$", text_of(c), re.MULTILINE | re.DOTALL) for c in (cell, new)]
        return bool(heads[1]) and heads[1][0] not in heads[0]

    def _base_places(self) -> dict[int, int]:
        """The places in the base of the learner's cells that are the lesson's, changed or not; each is found once."""
        prints = [fingerprint(cell) for cell in self.mine]
        others = [i for i in range(len(self.mine)) if i not in self.keys]
        by_id = {i: b for i in others if (b := self.base_ids.get(self.mine[i].get("id"))) is not None}
        found: dict[int, int] = {}

        def find(i: int, b: int | None) -> None:
            if b is not None and i not in found and b in self.unused[self.base_prints[b]]:
                self.unused[self.base_prints[b]].remove(b)
                found[i] = b

        for i, b in by_id.items():  # unchanged, at its own place
            if prints[i] == self.base_prints[b]:
                find(i, b)
        for i in others:  # unchanged, under another id
            find(i, next(iter(self.unused[prints[i]]), None))
        for i, b in by_id.items():  # changed, but not into the latest text
            if prints[i] not in self.place_of:
                find(i, b)
        return found

    def _answers(self, base: Prints | None) -> dict[int, str]:
        """The ids of answers by the place of the learner's cell."""
        ids = [id for id, _ in base] if base is not None else [cell.get("id", "") for cell in self.mine]
        wanted = {id for id in (*ids, *(cell["id"] for cell in self.latest)) if ANSWER.match(id)}
        found: dict[str, int] = {}
        for i, cell in enumerate(self.mine):
            if cell.get("id") in wanted:
                found.setdefault(cell["id"], i)
        for i, cell in enumerate(self.mine):
            for key in marks_of(cell):
                if key in wanted and i not in found.values():
                    found.setdefault(key, i)
        ours = {fingerprint(cell) for cell in self.latest} | {mark for _, mark in base or ()}
        ours |= {fingerprint(cell) for blanks in self.blanks.values() for cell in blanks}
        for key in (wanted - found.keys()) & self.items.keys():
            item = self.items[key]
            for i, cell in enumerate(self.mine):
                unknown = i not in found.values() and not marks_of(cell) and fingerprint(cell) not in ours
                if unknown and cell["cell_type"] == "code" and _answers(text_of(cell), item):
                    found[key] = i
                    self.merged.by_name.append(item.id)
                    break
        self.merged.by_name.sort()
        return {i: key for key, i in found.items()}

    def _guessed(self) -> Prints:
        """Which of the learner's cells are the lesson's, where it is not known what was copied."""
        seen, guessed = set(), []
        for i, cell in enumerate(self.mine):
            id = self.keys.get(i) or cell.get("id", "")
            if id and id not in seen and (i in self.keys or self.numbered.fullmatch(id)):
                guessed.append((id, fingerprint(cell)))
                seen.add(id)
        return guessed

    def _named(self, cells: list[dict], taken: set[str]) -> list[dict]:
        """Cells with ids that are not taken yet, and do not look like those of the lesson's own cells."""
        named = []
        for cell in cells:
            id, n = cell.get("id"), 0
            if not isinstance(id, str) or self.numbered.fullmatch(id):
                id = ""
            while not re.fullmatch(r"[a-zA-Z0-9-_]{1,64}", id) or id in taken:
                id = f"own-{fingerprint(cell)}-{n}"
                n += 1
            taken.add(id)
            named.append(cell | {"id": id})
        return named


def _aligned(base: list[str], latest: list[str]) -> tuple[dict[int, int], dict[int, int]]:
    """By place in the base: the place of the same cell in the latest text, and the place of the nearest one."""
    same, near = {}, {}
    for what, b1, b2, n1, n2 in SequenceMatcher(None, base, latest, autojunk=False).get_opcodes():
        for b in range(b1, b2):
            near[b] = n1 + min(b - b1, n2 - n1 - 1) if n2 > n1 else n1 - 1
            if what == "equal":
                same[b] = near[b]
    return same, near


def _blanks(editions: list[list[dict]]) -> dict[str, list[dict]]:
    """The latest text's cells to answer in each language, by id, as far as they have the same code."""
    found: dict[str, list[dict]] = {}
    for cell in (cell for cells in editions for cell in cells if ANSWER.match(cell.get("id", ""))):
        own = found.setdefault(cell["id"], [])
        if not own or bare(text_of(cell)) == bare(text_of(own[0])):
            own.append(cell)
    return found


def marks_of(cell: dict) -> list[str]:
    """The ids of the answers that a cell's metadata name; they survive tools that drop cells' ids."""
    metadata = cell.get("metadata")
    marks = [(kind, metadata.get(kind)) for kind in ("exercise", "question")] if isinstance(metadata, dict) else []
    return [cell_id(kind, id) for kind, id in marks if isinstance(id, str)]


def _answers(text: str, item: Exercise | Question) -> bool:
    if isinstance(item, Question):
        return re.search(rf"\bquestion\(\s*[\"']{re.escape(item.id)}[\"']", text) is not None
    return re.search(rf"^(async )?def {item.name}\b", text, re.MULTILINE) is not None


def _carried(cell: dict, new: dict) -> dict:
    """A learner's cell that replaces one of the latest text, with its id and its marks."""
    metadata = cell.get("metadata")
    return cell | {"id": new["id"], "metadata": (metadata if isinstance(metadata, dict) else {}) | new["metadata"]}


def _note(kind: str, sentence: str, cell: dict) -> dict:
    """A text cell with a sentence and another cell's source; its id is always the same for the same source."""
    text = text_of(cell)
    if cell["cell_type"] == "code":
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
        text = f"{fence}python\n{text}\n{fence}"
    id = hashlib.sha256(f"{kind}\n{cell.get('id')}\n{text}".encode(errors="surrogatepass")).hexdigest()[:16]
    text = f"*{sentence}*\n\n{text}".strip()
    note = {"cell_type": "markdown", "id": f"nnopt-{kind}-{id}", "metadata": {}, "source": text}
    return note | ({"attachments": cell["attachments"]} if "attachments" in cell else {})
