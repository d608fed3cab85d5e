"""Huffman codes: frequent symbols get short bit strings, and none is the beginning of another.

Symbols are integers from 0. Codes are canonical: sorted by length, then by symbol, each is the one before it
plus one. So the lengths alone say the whole code, and a file needs to store nothing else.

Sources: Huffman 1952, "A Method for the Construction of Minimum-Redundancy Codes"; Schwartz & Kallick 1964,
"Generating a Canonical Prefix Encoding".
"""

import heapq

import numpy as np

LONGEST = 58  # bits of a code; Huffman's codes stay below it where all counts together are below 2^40


def entropy(counts) -> float:
    """Σ p·log₂(1/p) of symbols that were counted: bits per symbol, which no code for single symbols can undercut."""
    p = np.asarray(counts, dtype=float)
    p = p[p > 0] / max(p.sum(), 1)
    return float(-(p * np.log2(p)).sum())


def code_lengths(counts) -> np.ndarray:
    """Bits of each symbol's Huffman code: int64 [S]; 0 for a symbol that doesn't occur, 1 for the only one that does.

    The two rarest groups of symbols are joined, which puts one more bit before the codes of all their members; again,
    until one group is left. No prefix code needs fewer bits in all.

    Args:
        counts: how often each symbol occurs, integers [S], at least 0.

    Raises:
        ValueError: a count is negative, or they are 2^40 or more together.
    """
    counts = np.asarray(counts, dtype=np.int64)
    if (counts < 0).any() or counts.sum() >= 2**40:
        raise ValueError("counts must be at least 0 each, and below 2^40 together.")
    # The symbol in second place breaks ties: lists are not compared, and the same counts give the same lengths.
    groups = [(int(counts[symbol]), int(symbol), [int(symbol)]) for symbol in np.flatnonzero(counts)]
    lengths = np.zeros(len(counts), dtype=np.int64)
    if len(groups) == 1:
        lengths[groups[0][2]] = 1
    heapq.heapify(groups)
    while len(groups) > 1:
        (rarest, symbol, members), (next_rarest, _, others) = heapq.heappop(groups), heapq.heappop(groups)
        lengths[members + others] += 1
        heapq.heappush(groups, (rarest + next_rarest, symbol, members + others))
    return lengths


def canonical_codes(lengths) -> np.ndarray:
    """The code of each symbol as a number of `lengths` bits: int64 [S]; 0 where the length is 0.

    Raises:
        ValueError: no prefix code has these lengths (Kraft: Σ 2^−length ≤ 1).
    """
    lengths = np.asarray(lengths, dtype=np.int64)
    codes = np.zeros_like(lengths)
    symbols, starts, longest = _starts(lengths)
    codes[symbols] = starts >> (longest - lengths[symbols])
    return codes


def encode(symbols, lengths) -> bytes:
    """The codes of `symbols` (integers [N]) one behind the other; the last byte is filled up with zeros.

    Raises:
        ValueError: a symbol has no code.
    """
    symbols, lengths = np.asarray(symbols, dtype=np.int64), np.asarray(lengths, dtype=np.int64)
    if len(symbols) and (symbols.min() < 0 or symbols.max() >= len(lengths) or not lengths[symbols].all()):
        raise ValueError("symbols holds one that has no code.")
    codes, sizes = canonical_codes(lengths)[symbols], lengths[symbols]
    begins = np.cumsum(sizes) - sizes
    bits = np.zeros(sizes.sum(), dtype=np.uint8)
    for place in range(lengths.max(initial=0)):
        long = sizes > place
        bits[begins[long] + place] = (codes[long] >> (sizes[long] - 1 - place)) & 1
    return np.packbits(bits).tobytes()


def decode(stream: bytes, count: int, lengths) -> np.ndarray:
    """The first `count` symbols of what `encode` made: int64 [count].

    Raises:
        ValueError: the stream ends before, or no prefix code has these lengths.
    """
    lengths = np.asarray(lengths, dtype=np.int64)
    symbols, starts, longest = _starts(lengths)
    bits = np.unpackbits(np.frombuffer(stream, dtype=np.uint8))
    if count == 0:
        return np.zeros(0, dtype=np.int64)
    if len(symbols) == 0 or count > len(bits):
        raise ValueError(f"stream ends before its {count} symbols do.")
    # What would be read at each bit, were it the first of a code: where it is not, the answer is never used.
    padded, window = np.append(bits, np.zeros(longest, np.uint8)), np.zeros(len(bits), dtype=np.int64)
    for place in range(longest):
        window = (window << 1) | padded[place : place + len(bits)]
    found = symbols[np.searchsorted(starts, window, side="right") - 1]
    advance, at, begins = lengths[found].tolist(), 0, []
    for _ in range(count):
        if at >= len(advance):
            raise ValueError(f"stream ends before its {count} symbols do.")
        begins.append(at)
        at += advance[at]
    if at > len(bits):
        raise ValueError(f"stream ends before its {count} symbols do.")
    return found[begins]


def _starts(lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Symbols in the order of their codes, the codes filled up with zeros to the longest length, and that length.

    So filled up, the codes cut the numbers of `longest` bits into ranges: what begins with a code lies in its range.
    """
    longest = int(lengths.max(initial=0))
    if longest > LONGEST or lengths.min(initial=0) < 0:
        raise ValueError(f"lengths go up to {longest}; a code has 1 to {LONGEST} bits, or 0 where there is none.")
    symbols = np.argsort(lengths, kind="stable")
    symbols = symbols[lengths[symbols] > 0]
    widths = 1 << (longest - lengths[symbols])
    if widths.sum() > 1 << longest:
        raise ValueError("lengths belong to no prefix code: Σ 2^−length is above 1.")
    return symbols, np.cumsum(widths) - widths, longest
