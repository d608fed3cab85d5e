"""Pairs of suspiciously similar answers: a place to look, not a verdict.

Each answer becomes the set of its runs of tokens (k-grams, as in Schleimer, Wilkerson & Aiken 2003, "Winnowing";
answers are short, so all are kept). Comments and the learner's own names don't count; neither do runs in the stub, in
the course's own answer, or in many answers: short right answers are often similar by chance. Of an answer that is
longer than any honest one, only the beginning counts.
"""

import builtins
import hashlib
import io
import keyword
import math
import re
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations, islice

RUN = 5
MAX_CHARACTERS, MAX_WORDS = 20_000, 2_000  # of an answer, comments and empty lines left out
COMMON_SHARE, MAX_HOLDERS = 0.1, 50
MIN_SHARED = 8
MIN_SHARE = 0.6
_KEPT = {*keyword.kwlist, *dir(builtins), "torch", "math", "statistics", "numpy", "np", "nn", "F"}
_SILENT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


@dataclass(frozen=True)
class Pair:
    """Two learners whose answers share unusual runs.

    Attributes:
        share: of the unusual runs of whoever has fewer, weighted by how unusual they are, 0 to 1.
        items: the exercises that contain them.
    """

    first: str
    second: str
    share: float
    items: tuple[str, ...]


def runs(source: str) -> set[int]:
    """The hashed runs of a source's tokens; broken code counts as far as it can be read."""
    words = list(islice(_words(source), MAX_WORDS))
    return {_hash(words[i : i + RUN]) for i in range(len(words) - RUN + 1)}


def similar(answers: Iterable[tuple[str, str, str]], seen: dict[str, list[str]], most: int = 20) -> list[Pair]:
    """The most similar pairs.

    Args:
        answers: (learner, item, source), sources that earned nothing included.
        seen: sources that everyone has seen, by item: the stub, the course's answer.
        most: largest number of pairs.
    """
    excluded = {item: set().union(*map(runs, sources)) for item, sources in seen.items()}
    theirs: dict[str, set] = defaultdict(set)
    for learner, item, source in answers:
        theirs[learner] |= {(item, run) for run in runs(source) - excluded.get(item, set())}
    spread = Counter(run for found in theirs.values() for run in found)
    common = min(max(2, COMMON_SHARE * len(theirs)), MAX_HOLDERS)
    weight = {run: math.log2((len(theirs) + 1) / n) for run, n in spread.items() if n <= common}
    unusual = {learner: found & weight.keys() for learner, found in theirs.items()}
    total = {learner: sum(weight[run] for run in found) for learner, found in unusual.items()}
    pairs = []
    for (a, b), (count, shared) in _shared(unusual, weight).items():
        share = round(shared / min(total[a], total[b]), 9)  # rounded, so that the order of the sums does not matter
        if count >= MIN_SHARED and share >= MIN_SHARE:
            pairs.append((-share, a, b))
    return [
        Pair(a, b, -minus_share, tuple(sorted({item for item, _ in unusual[a] & unusual[b]})))
        for minus_share, a, b in sorted(pairs)[:most]
    ]


def _shared(runs: dict[str, set], weight: dict) -> dict[tuple[str, str], tuple[int, float]]:
    """How many runs each pair of learners shares, and their weights' sum."""
    holders: dict[tuple, list] = defaultdict(list)
    for learner in sorted(runs):
        for run in runs[learner]:
            holders[run].append(learner)
    groups: dict[tuple, tuple[int, float]] = {}  # a copied answer gives hundreds of runs with the same holders
    for run, learners in holders.items():
        count, shared = groups.get(group := tuple(learners), (0, 0.0))
        groups[group] = count + 1, shared + weight[run]
    pairs: dict[tuple[str, str], tuple[int, float]] = {}
    for group, (more, weighing) in groups.items():
        for pair in combinations(group, 2):
            count, shared = pairs.get(pair, (0, 0.0))
            pairs[pair] = count + more, shared + weighing
    return pairs


def _words(source: str) -> Iterator[str]:
    """A source's tokens with all of the learner's own names alike."""
    dotted = False
    code = re.sub(r"(?m)^[ \t]*(#.*)?\n", "", source)[:MAX_CHARACTERS]
    try:
        for kind, text, *_ in tokenize.generate_tokens(io.StringIO(code).readline):
            if kind == tokenize.ERRORTOKEN and text in ("'", '"'):  # Python 3.11 goes on behind each, and slowly
                return
            if kind in _SILENT:
                continue
            name = kind == tokenize.NAME and not dotted and text not in _KEPT
            yield "name" if name else text
            dotted = text == "."
    except (tokenize.TokenError, SyntaxError, ValueError):
        return


def _hash(words: list[str]) -> int:
    return int.from_bytes(hashlib.blake2b("\0".join(words).encode("utf-8", "replace"), digest_size=8).digest())
