"""Code the positions of the remaining weights as gaps between them.

Source: Han, Mao & Dally 2016, "Deep Compression", section 2, https://arxiv.org/abs/1510.00149
"""

import numpy as np


def gap_symbols(kept: np.ndarray, longest: int) -> np.ndarray:
    """Code each position as the number of positions skipped before it (section 2 of the paper).

    The symbol `longest` means that `longest` positions are skipped and no weight follows yet. The paper inserts a zero
    weight there; this code doesn't need it.

    Args:
        kept: integers [N], the ascending positions of the remaining weights.
        longest: the largest symbol, at least 1.

    Returns:
        int64 [M], M ≥ N, each from 0 to `longest`.
    """
    skips, rests = np.divmod(np.diff(kept, prepend=-1) - 1, longest)
    symbols = np.full(len(kept) + skips.sum(), longest, dtype=np.int64)
    symbols[np.cumsum(skips + 1) - 1] = rests
    return symbols


def kept_positions(symbols: np.ndarray, longest: int) -> np.ndarray:
    """Decode `gap_symbols` to ascending positions, int64 [N]."""
    is_weight = symbols != longest
    return (np.cumsum(symbols + is_weight) - 1)[is_weight]
