"""Code the positions of the weights that are left as gaps between them.

Source: Han, Mao & Dally 2016, "Deep Compression", section 2.
"""

import numpy as np


def gap_symbols(kept: np.ndarray, longest: int) -> np.ndarray:
    """Positions as the numbers of skipped ones before each (section 2 of the paper): int64, each 0 to `longest`.

    The symbol `longest` means: so many are skipped, and no weight follows yet. The paper puts a weight of zero there;
    this saves coding it.

    `kept` are ascending positions [N]; `longest` is at least 1.
    """
    skips, rests = np.divmod(np.diff(kept, prepend=-1) - 1, longest)
    symbols = np.full(len(kept) + skips.sum(), longest, dtype=np.int64)
    symbols[np.cumsum(skips + 1) - 1] = rests
    return symbols


def kept_positions(symbols: np.ndarray, longest: int) -> np.ndarray:
    """Undo `gap_symbols`: ascending positions, int64 [N]."""
    is_weight = symbols != longest
    return (np.cumsum(symbols + is_weight) - 1)[is_weight]
