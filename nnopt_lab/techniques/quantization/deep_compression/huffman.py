"""Huffman codes: frequent symbols get short bit strings, none of which is a prefix of another.

Symbols are integers from 0. Codes are canonical: sorted by length, then by symbol, each is its predecessor plus one. So
the lengths determine the whole code, and a file stores nothing else.

Sources: Huffman 1952, "A Method for the Construction of Minimum-Redundancy Codes",
https://doi.org/10.1109/JRPROC.1952.273898; Schwartz & Kallick 1964, "Generating a Canonical Prefix Encoding",
https://doi.org/10.1145/363958.363991
"""

import heapq

import numpy as np

LONGEST = 58  # bits of a code; Huffman codes stay below this if the counts sum to less than 2^40


def entropy(counts) -> float:
    """Compute Σ p·log₂(1/p) from counts of symbols: the bits per symbol that no code for single symbols can beat."""
    p = np.asarray(counts, dtype=float)
    p = p[p > 0] / max(p.sum(), 1)
    return float(-(p * np.log2(p)).sum())


def code_lengths(counts) -> np.ndarray:
    """Compute the length of each symbol's Huffman code in bits.

    The two rarest groups of symbols are joined, which adds one bit to the codes of all their members, until one group
    is left. No prefix code needs fewer bits in total.

    Args:
        counts: how often each symbol occurs, integers [S], at least 0, with a sum below 2^40.

    Returns:
        int64 [S]; 0 for a symbol that doesn't occur, and 1 if only one symbol does.

    Raises:
        ValueError: a count is negative, or their sum is 2^40 or more.
    """
    counts = np.asarray(counts, dtype=np.int64)
    if (counts < 0).any() or counts.sum() >= 2**40:
        raise ValueError("counts must be at least 0 each, and below 2^40 in total.")
    # The symbol in second place breaks ties, so that lists are never compared and equal counts give equal lengths.
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
    """Compute each symbol's code as a number of `lengths` bits: int64 [S]; 0 if the length is 0.

    Raises:
        ValueError: no prefix code has these lengths (Kraft's inequality: Σ 2^−length ≤ 1).
    """
    lengths = np.asarray(lengths, dtype=np.int64)
    codes = np.zeros_like(lengths)
    symbols, starts, longest = _starts(lengths)
    codes[symbols] = starts >> (longest - lengths[symbols])
    return codes


def encode(symbols, lengths) -> bytes:
    """Concatenate the codes of `symbols` (integers [N]); the last byte is padded with zeros.

    Raises:
        ValueError: a symbol has no code.
    """
    symbols, lengths = np.asarray(symbols, dtype=np.int64), np.asarray(lengths, dtype=np.int64)
    if len(symbols) and (symbols.min() < 0 or symbols.max() >= len(lengths) or not lengths[symbols].all()):
        raise ValueError("symbols contains one that has no code.")
    codes, sizes = canonical_codes(lengths)[symbols], lengths[symbols]
    begins = np.cumsum(sizes) - sizes
    bits = np.zeros(sizes.sum(), dtype=np.uint8)
    for place in range(lengths.max(initial=0)):
        long = sizes > place
        bits[begins[long] + place] = (codes[long] >> (sizes[long] - 1 - place)) & 1
    return np.packbits(bits).tobytes()


def decode(stream: bytes, count: int, lengths) -> np.ndarray:
    """Decode the first `count` symbols of a stream from `encode`: int64 [count].

    Raises:
        ValueError: the stream has fewer symbols, or no prefix code has these lengths.
    """
    lengths = np.asarray(lengths, dtype=np.int64)
    symbols, starts, longest = _starts(lengths)
    bits = np.unpackbits(np.frombuffer(stream, dtype=np.uint8))
    if count == 0:
        return np.zeros(0, dtype=np.int64)
    if len(symbols) == 0 or count > len(bits):
        raise ValueError(f"stream ends before its {count} symbols do.")
    # Decode at every bit as if a code started there; results at other bits are never used.
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
    """Symbols in the order of their codes, the codes padded with zeros to the longest length, and that length.

    The padded codes divide the numbers of `longest` bits into ranges: all numbers that begin with a code lie in its
    range.
    """
    longest = int(lengths.max(initial=0))
    if longest > LONGEST or lengths.min(initial=0) < 0:
        raise ValueError(
            f"lengths go up to {longest}; each must be 1 to {LONGEST} bits, or 0 for a symbol without code."
        )
    symbols = np.argsort(lengths, kind="stable")
    symbols = symbols[lengths[symbols] > 0]
    widths = 1 << (longest - lengths[symbols])
    if widths.sum() > 1 << longest:
        raise ValueError("lengths belong to no prefix code: Σ 2^−length is above 1.")
    return symbols, np.cumsum(widths) - widths, longest
