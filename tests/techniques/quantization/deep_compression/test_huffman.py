"""The Huffman coder: optimal lengths, prefix codes, streams that read back."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnopt_lab.techniques.quantization.deep_compression import (
    huffman,
)

counts_lists = st.lists(st.integers(0, 2000), min_size=1, max_size=40)


def bits_of(code, length):
    return format(int(code), f"0{length}b")


class TestHuffman:
    def test_agrees_with_the_textbook(self):
        # Cormen, Leiserson, Rivest & Stein, Introduction to Algorithms, section "Huffman codes": a to f, 224 bits.
        counts = [45, 13, 12, 16, 9, 5]
        lengths = huffman.code_lengths(counts)
        assert lengths.tolist() == [1, 3, 3, 3, 4, 4]
        assert np.dot(counts, lengths) == 224

    def test_canonical_codes_are_those_of_the_deflate_standard(self):
        # RFC 1951, section 3.2.2: lengths of A to H and the codes that follow from them.
        codes = huffman.canonical_codes([3, 3, 3, 3, 3, 2, 4, 4])
        assert [bits_of(c, n) for c, n in zip(codes, [3, 3, 3, 3, 3, 2, 4, 4], strict=True)] == [
            "010", "011", "100", "101", "110", "00", "1110", "1111",
        ]  # fmt: skip

    @given(st.lists(st.integers(0, 30), max_size=300))
    def test_any_symbols_come_back(self, symbols):
        lengths = huffman.code_lengths(np.bincount(symbols, minlength=1))
        stream = huffman.encode(symbols, lengths)
        assert huffman.decode(stream, len(symbols), lengths).tolist() == symbols
        assert len(stream) == math.ceil(sum(lengths[s] for s in symbols) / 8)

    @given(counts_lists)
    def test_no_code_begins_another_and_the_codes_fill_the_space(self, counts):
        lengths = huffman.code_lengths(counts)
        codes = [bits_of(c, n) for c, n in zip(huffman.canonical_codes(lengths), lengths, strict=True) if n]
        assert not any(b.startswith(a) for a, b in itertools.permutations(codes, 2))
        if len(codes) > 1:
            assert sum(2.0 ** -len(code) for code in codes) == 1

    @given(counts_lists)
    def test_the_mean_length_is_within_a_bit_of_the_entropy(self, counts):
        lengths = huffman.code_lengths(counts)
        if sum(counts):
            mean = np.dot(counts, lengths) / sum(counts)
            assert huffman.entropy(counts) - 1e-9 <= mean <= huffman.entropy(counts) + 1
            assert ((lengths > 0) == (np.array(counts) > 0)).all()

    @given(st.lists(st.integers(1, 50), min_size=2, max_size=6))
    def test_no_prefix_code_is_shorter(self, counts):
        total = np.dot(counts, huffman.code_lengths(counts))
        possible = itertools.product(range(1, len(counts)), repeat=len(counts))
        assert total == min(np.dot(counts, n) for n in possible if sum(2.0**-x for x in n) <= 1)

    def test_long_codes_come_back(self):
        counts = [1, 1]
        while len(counts) < 45:
            counts.append(counts[-1] + counts[-2])  # Fibonacci's numbers give the longest codes
        lengths = huffman.code_lengths(counts)
        assert lengths.max() == 44
        symbols = list(range(45)) * 3
        assert huffman.decode(huffman.encode(symbols, lengths), len(symbols), lengths).tolist() == symbols

    def test_nothing_and_a_single_symbol(self):
        assert huffman.code_lengths([0, 0]).tolist() == [0, 0]
        assert huffman.encode([], [0, 0]) == b"" and huffman.decode(b"", 0, []).tolist() == []
        assert huffman.code_lengths([0, 7]).tolist() == [0, 1]
        assert huffman.decode(huffman.encode([1] * 9, [0, 1]), 9, [0, 1]).tolist() == [1] * 9
        assert huffman.entropy([0, 7]) == 0

    @pytest.mark.parametrize(
        ("call", "sentence"),
        [
            (lambda: huffman.code_lengths([3, -1]), "counts must be at least 0"),
            (lambda: huffman.code_lengths([2**40]), r"below 2\^40"),
            (lambda: huffman.encode([0, 2], [1, 1]), "symbols contains one that has no code"),
            (lambda: huffman.encode([0, 1], [1, 0]), "symbols contains one that has no code"),
            (lambda: huffman.decode(b"\x00", 9, [1, 1]), "stream ends before its 9 symbols"),
            (lambda: huffman.decode(b"\xff", 3, [1, 3, 3, 3, 3]), "stream ends before its 3 symbols"),
            (lambda: huffman.decode(b"\x00", 1, [0, 0]), "stream ends before its 1 symbols"),
            (lambda: huffman.canonical_codes([1, 1, 1]), "no prefix code"),
            (lambda: huffman.canonical_codes([99]), "each must be 1 to 58 bits"),
        ],
    )
    def test_bad_input_is_met_by_a_sentence(self, call, sentence):
        with pytest.raises(ValueError, match=sentence):
            call()
