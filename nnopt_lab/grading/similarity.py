"""Pairs of suspiciously similar answers: a place to look, not a verdict.

Each answer becomes the set of its runs of tokens (k-grams, as in Schleimer, Wilkerson & Aiken 2003, "Winnowing";
answers are short, so all are kept). Comments and the learner's own names don't count; neither do runs in the stub, in
the course's own answer, or in many answers: short right answers are often similar by chance.
"""

import builtins
import hashlib
import io
import keyword
import math
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

RUN = 5
COMMON_SHARE = 0.1
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
    words, dotted = [], False
    try:
        for kind, text, *_ in tokenize.generate_tokens(io.StringIO(source).readline):
            if kind in _SILENT:
                continue
            name = kind == tokenize.NAME and not dotted and text not in _KEPT
            words.append("name" if name else text)
            dotted = text == "."
    except (tokenize.TokenError, SyntaxError, ValueError):
        pass
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
    common = max(2, COMMON_SHARE * len(theirs))
    weight = {run: math.log2((len(theirs) + 1) / n) for run, n in spread.items() if n <= common}
    total = {learner: sum(weight.get(run, 0) for run in found) for learner, found in theirs.items()}
    holders = defaultdict(list)
    for learner, found in theirs.items():
        for run in found & weight.keys():
            holders[run].append(learner)
    shared = defaultdict(list)
    for run, learners in holders.items():
        for i, a in enumerate(learners):
            for b in learners[i + 1 :]:
                shared[tuple(sorted((a, b)))].append(run)
    pairs = []
    for (a, b), same in shared.items():
        share = sum(weight[run] for run in same) / min(total[a], total[b])
        if len(same) >= MIN_SHARED and share >= MIN_SHARE:
            pairs.append(Pair(a, b, share, tuple(sorted({item for item, _ in same}))))
    return sorted(pairs, key=lambda pair: (-pair.share, pair.first, pair.second))[:most]


def _hash(words: list[str]) -> int:
    return int.from_bytes(hashlib.blake2b("\0".join(words).encode("utf-8", "replace"), digest_size=8).digest())
