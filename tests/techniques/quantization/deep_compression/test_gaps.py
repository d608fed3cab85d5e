"""Positions as gaps."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nnopt_lab.techniques.quantization import deep_compression


@given(st.lists(st.integers(0, 5000), unique=True, max_size=60), st.integers(1, 300))
def test_gaps_come_back_as_positions(kept, longest):
    symbols = deep_compression.gap_symbols(np.array(sorted(kept), dtype=np.int64), longest)
    assert not len(symbols) or (symbols.min() >= 0 and symbols.max() <= longest)
    assert deep_compression.kept_positions(symbols, longest).tolist() == sorted(kept)


def test_gaps_of_the_papers_figure():
    # Figure 2: weights at 1, 4 and 15, three bits a gap; the third is further than 8 from the second.
    assert deep_compression.gap_symbols(np.array([1, 4, 15]), 7).tolist() == [1, 2, 7, 3]
