"""Find pairs of suspiciously similar answers: a hint for the teacher, not a verdict.

Each answer becomes the set of its runs of tokens (k-grams, as in Schleimer, Wilkerson & Aiken 2003, "Winnowing",
https://doi.org/10.1145/872757.872770; answers are short, so all are kept). Comments and the learner's own names are
ignored, and so are runs in the stub, in the course's own answer, or in many answers, because short right answers are
often similar by chance. Only the beginning of an unusually long answer counts.
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
MAX_CHARACTERS, MAX_WORDS = 20_000, 2_000  # of an answer without comments and empty lines
COMMON_SHARE, MAX_HOLDERS = 0.1, 50
MIN_SHARED = 8
MIN_SHARE = 0.6
_KEPT = {*keyword.kwlist, *dir(builtins), "torch", "math", "statistics", "numpy", "np", "nn", "F"}
_SILENT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


@dataclass(frozen=True)
class Pair:
    """Two learners whose answers share unusual runs.

    Attributes:
        share: share, 0 to 1, of the unusual runs of the learner who has fewer, weighted by rarity.
        items: the exercises that contain shared runs.
    """

    first: str
    second: str
    share: float
    items: tuple[str, ...]


def runs(source: str) -> set[int]:
    """The hashed runs of a source's tokens; invalid code counts up to its first error."""
    words = list(islice(_words(source), MAX_WORDS))
    return {_hash(words[i : i + RUN]) for i in range(len(words) - RUN + 1)}


def similar(answers: Iterable[tuple[str, str, str]], seen: dict[str, list[str]], most: int = 20) -> list[Pair]:
    """Find the most similar pairs.

    Args:
        answers: (learner, item, source), including sources that earned nothing.
        seen: sources known to everyone, by item: the stub, the course's answer.
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
    """The number of runs that each pair of learners shares, and the sum of their weights."""
    holders: dict[tuple, list] = defaultdict(list)
    for learner in sorted(runs):
        for run in runs[learner]:
            holders[run].append(learner)
    groups: dict[tuple, tuple[int, float]] = {}  # a copied answer has hundreds of runs with the same holders
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
    """Yield a source's tokens, with all of the learner's own names replaced by the same word."""
    dotted = False
    code = re.sub(r"(?m)^[ \t]*(#.*)?\n", "", source)[:MAX_CHARACTERS]
    try:
        for kind, text, *_ in tokenize.generate_tokens(io.StringIO(code).readline):
            if kind == tokenize.ERRORTOKEN and text in ("'", '"'):  # Python 3.11 continues after each, slowly
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
