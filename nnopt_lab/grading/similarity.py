"""Find groups of suspiciously similar answers: a hint for the teacher, not a verdict.

Each statement becomes the set of its runs of tokens (k-grams, as in Schleimer, Wilkerson & Aiken 2003, "Winnowing",
https://doi.org/10.1145/872757.872770; answers are short, so all are kept). Comments, docstrings, the learner's own
names and the order of statements are ignored, and so are runs in the stub or in the course's own answer. A run weighs
log₂(class size / learners who wrote it) bits for its exercise, and nothing if many wrote it. Because short right
answers are often similar by chance, the first bits that two answers share don't count. Only the beginning of an
unusually long answer counts.
"""

import builtins
import io
import keyword
import math
import re
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, islice, product

RUN = 5
MAX_CHARACTERS, MAX_WORDS = 20_000, 2_000  # of an answer without comments and empty lines
COMMON_SHARE, MAX_HOLDERS = 0.25, 50
MIN_CLASS = 16  # how rare a run is can't be told from fewer answers
CHANCE_BITS = 40  # an unusual one-line answer that two learners found independently shares about as much
MIN_SHARE = 0.5
_MAX_PAIRS = 2_000  # searched for groups
_KEPT = {*keyword.kwlist, *dir(builtins), "torch", "math", "statistics", "numpy", "np", "nn", "F"}
_SILENT = {tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
_Pairs = dict[tuple[str, str], float]


@dataclass(frozen=True)
class Group:
    """Learners of whom any two have answers that share unusual runs.

    Attributes:
        learners: at least two, sorted.
        share: of the most similar two, the share, 0 to 1, of the unusual runs in their similar answers that both
            wrote, weighted by rarity, for the one of them who wrote fewer.
        bits: the total weight of these runs, less what is shared by chance.
        items: the exercises whose answers are similar.
    """

    learners: tuple[str, ...]
    share: float
    bits: float
    items: tuple[str, ...]


@dataclass
class _Pair:
    """What two learners share: bits above chance, shared bits, and the bits of the one who wrote fewer."""

    bits: float = 0.0
    shared: float = 0.0
    total: float = 0.0
    items: tuple[str, ...] = ()

    def add(self, item: str, shared: float, total: float) -> None:
        self.bits += shared - CHANCE_BITS
        self.shared += shared
        self.total += total
        self.items += (item,)


@lru_cache(maxsize=10_000)  # many learners write the same line
def runs(source: str) -> frozenset[int]:
    """The hashed runs of each statement's tokens; invalid code counts up to its first error."""
    found = set()
    for words in _statements(islice(_words(source), MAX_WORDS)):
        found |= {hash(tuple(words[i : i + RUN])) for i in range(max(1, len(words) - RUN + 1))}
    return frozenset(found)


def similar(answers: Iterable[tuple[str, str, str]], seen: dict[str, list[str]], most: int = 20) -> list[Group]:
    """Find the most similar groups, most suspicious first.

    Args:
        answers: (learner, item, source), including sources that earned nothing.
        seen: sources known to everyone, by item: the stub, the course's answer.
        most: largest number of groups.
    """
    excluded = {item: set().union(*map(runs, sources)) for item, sources in seen.items()}
    by_item: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for learner, item, source in answers:
        if found := runs(source) - excluded.get(item, set()):
            by_item[item][learner] |= found
    pairs: dict[tuple[str, str], _Pair] = defaultdict(_Pair)
    for item in sorted(by_item):
        for pair, shared, total in _similar_in(by_item[item]):
            pairs[pair].add(item, shared, total)
    # Rounded, so that the order of the sums does not matter.
    ranked = sorted(pairs, key=lambda pair: (-round(pairs[pair].bits, 6), pair))[:_MAX_PAIRS]
    return _groups({pair: pairs[pair] for pair in ranked})[:most]


def shared_lines(texts: list[str], seen: Iterable[str]) -> list[list[tuple[str, bool]]]:
    """Each text's lines, and for each whether all of its runs are in another text, but not in those that all know."""
    known = frozenset().union(*map(runs, seen))
    return [
        [(line, _is_shared(runs(line) - known, [runs(t) for n, t in enumerate(texts) if n != own])) for line in lines]
        for own, lines in enumerate(text.splitlines() for text in texts)
    ]


def _is_shared(line: frozenset[int], others: list[frozenset[int]]) -> bool:
    return bool(line) and any(line <= other for other in others)


def _similar_in(theirs: dict[str, set[int]]) -> Iterator[tuple[tuple[str, str], float, float]]:
    """Each pair whose answers to one exercise are similar, with the bits they share and those of the smaller."""
    spread = Counter(run for found in theirs.values() for run in found)
    common = min(max(2, COMMON_SHARE * len(theirs)), MAX_HOLDERS)
    size = max(len(theirs), MIN_CLASS)
    weight = {run: math.log2(size / n) for run, n in spread.items() if n <= common}
    unusual = {learner: found & weight.keys() for learner, found in theirs.items()}
    total = {learner: sum(weight[run] for run in found) for learner, found in unusual.items()}
    for (a, b), shared in _shared(unusual, weight).items():
        fewer = min(total[a], total[b])
        if shared > CHANCE_BITS and shared >= MIN_SHARE * fewer:
            yield (a, b), shared, fewer


def _shared(runs: dict[str, set[int]], weight: dict[int, float]) -> _Pairs:
    """The sum of the weights of the runs that each pair of learners shares."""
    holders: dict[int, list] = defaultdict(list)
    for learner in sorted(runs):
        for run in runs[learner]:
            holders[run].append(learner)
    groups: dict[tuple, float] = defaultdict(float)  # a copied answer has hundreds of runs with the same holders
    for run, learners in holders.items():
        groups[tuple(learners)] += weight[run]
    pairs: _Pairs = defaultdict(float)
    for group, weighing in groups.items():
        for pair in combinations(group, 2):
            pairs[pair] += weighing
    return pairs


def _groups(pairs: dict[tuple[str, str], _Pair]) -> list[Group]:
    """Groups in which every pair is similar; a pair that fits into none is a group of its own.

    Args:
        pairs: most suspicious first.
    """
    group_of: dict[str, set[str]] = {}
    found: list[set[str]] = []
    for a, b in pairs:
        first, second = group_of.get(a, {a}), group_of.get(b, {b})
        if first is second:
            continue
        if not all(tuple(sorted(pair)) in pairs for pair in product(first, second)):
            found.append({a, b})
            continue
        found = [group for group in found if group is not second]
        if a not in group_of:
            found.append(first)
        first |= second
        group_of |= dict.fromkeys(first, first)
    return sorted((_group(group, pairs) for group in found), key=lambda group: (-group.bits, group.learners))


def _group(learners: set[str], pairs: dict[tuple[str, str], _Pair]) -> Group:
    inside = [pairs[pair] for pair in combinations(sorted(learners), 2)]
    most = max(inside, key=lambda pair: pair.bits)
    items = {item for pair in inside for item in pair.items}
    return Group(tuple(sorted(learners)), round(most.shared / most.total, 9), round(most.bits, 6), tuple(sorted(items)))


def _statements(words: Iterable[str]) -> Iterator[list[str]]:
    """Group words into statements, without docstrings."""
    statement: list[str] = []
    for word in (*words, "\n"):
        if word not in ("\n", ";"):
            statement.append(word)
            continue
        if statement and not (len(statement) == 1 and statement[0].endswith(("'", '"'))):
            yield statement
        statement = []


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
            if kind == tokenize.NEWLINE:
                text = "\n"
            name = kind == tokenize.NAME and not dotted and text not in _KEPT
            yield "name" if name else text
            dotted = text == "."
    except (tokenize.TokenError, SyntaxError, ValueError):
        return
