"""Deep Compression: the Huffman coder, k-means on a line, shared weights that train, and a file that reads back."""

import copy
import itertools
import math
import zlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrize

from nnopt_lab.techniques import pruning
from nnopt_lab.techniques.quantization import deep_compression
from nnopt_lab.techniques.quantization.deep_compression import (
    clustering,
    huffman,
    kmeans,
    load,
    make_permanent,
    save,
    share_weights,
)
from nnopt_lab.workbench import data, training

counts_lists = st.lists(st.integers(0, 2000), min_size=1, max_size=40)
seeds = st.integers(0, 10_000)


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
            (lambda: huffman.encode([0, 2], [1, 1]), "symbols holds one that has no code"),
            (lambda: huffman.encode([0, 1], [1, 0]), "symbols holds one that has no code"),
            (lambda: huffman.decode(b"\x00", 9, [1, 1]), "stream ends before its 9 symbols"),
            (lambda: huffman.decode(b"\xff", 3, [1, 3, 3, 3, 3]), "stream ends before its 3 symbols"),
            (lambda: huffman.decode(b"\x00", 1, [0, 0]), "stream ends before its 1 symbols"),
            (lambda: huffman.canonical_codes([1, 1, 1]), "no prefix code"),
            (lambda: huffman.canonical_codes([99]), "a code has 1 to 58 bits"),
        ],
    )
    def test_bad_input_is_met_by_a_sentence(self, call, sentence):
        with pytest.raises(ValueError, match=sentence):
            call()


def cost(values, centroids):
    return float((values.double()[:, None] - centroids.double()).square().min(1).values.sum())


class TestKMeans:
    @given(seeds, st.integers(1, 60), st.integers(1, 9), st.sampled_from(["linear", "density", "random"]))
    def test_is_a_fixed_point_and_no_worse_than_its_start(self, seed, size, clusters, init):
        values = torch.randn(size, generator=torch.Generator().manual_seed(seed))
        centroids, labels = kmeans(values, clusters, init=init, seed=seed)
        assert 1 <= len(centroids) <= clusters and (centroids.diff() > 0).all()
        for n, centroid in enumerate(centroids):
            torch.testing.assert_close(centroid, values[labels == n].mean())
        nearest = (values[:, None] - centroids).abs().min(1).values
        torch.testing.assert_close((values - centroids[labels]).abs(), nearest, rtol=1e-5, atol=1e-6)
        start = clustering.initial_centroids(values.double(), clusters, init, seed)
        assert cost(values, centroids) <= cost(values, start) * (1 + 1e-6) + 1e-9

    @given(seeds, st.integers(2, 4))
    def test_the_best_of_many_starts_is_the_best_there_is(self, seed, clusters):
        values = torch.randn(9, generator=torch.Generator().manual_seed(seed)).sort().values
        best = min(
            sum(float((part - part.mean()).double().square().sum()) for part in values.tensor_split(cuts))
            for cuts in itertools.combinations(range(1, 9), clusters - 1)
        )
        found = min(cost(values, kmeans(values, clusters, init="random", seed=s)[0]) for s in range(60))
        assert best * (1 - 1e-5) - 1e-9 <= found <= best * 1.05 + 1e-6

    def test_two_heaps_are_found_from_every_start(self):
        values = torch.tensor([1.0, 9.0, 1.2, 0.8, 9.4, 8.6])
        for init in ("linear", "density", "random"):
            centroids, labels = kmeans(values, 2, init=init)
            torch.testing.assert_close(centroids, torch.tensor([1.0, 9.0]))
            assert labels.tolist() == [0, 1, 0, 0, 1, 1]

    def test_starts_are_the_papers(self):
        values = torch.tensor([0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 8.0]).double()
        assert clustering.initial_centroids(values, 3, "linear", 0).tolist() == [0, 4, 8]
        assert clustering.initial_centroids(values, 4, "density", 0).tolist() == [0, 0, 2, 8]
        assert set(clustering.initial_centroids(values, 3, "random", 0).tolist()) <= set(values.tolist())

    def test_equal_values_one_cluster_and_nothing(self):
        assert kmeans(torch.full((5,), 0.25), 4)[0].tolist() == [0.25]
        centroids, labels = kmeans(torch.tensor([1.0, 2.0, 6.0]), 1)
        assert centroids.tolist() == [3.0] and labels.tolist() == [0, 0, 0]
        centroids, labels = kmeans(torch.zeros(0), 4)
        assert centroids.shape == labels.shape == (0,) and labels.dtype == torch.int64

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            ((torch.ones(3), 0), "clusters=0 must be at least 1"),
            ((torch.ones(3, 1), 2), r"values is torch.float32 \[3, 1\]"),
            ((torch.ones(3).long(), 2), "must be float"),
            ((torch.tensor([1.0, torch.nan]), 2), "NaN or infinite"),
            ((torch.tensor([1.0, torch.inf]), 2), "NaN or infinite"),
        ],
    )
    def test_bad_input_is_met_by_a_sentence(self, arguments, sentence):
        with pytest.raises(ValueError, match=sentence):
            kmeans(*arguments)

    def test_an_unknown_start_is_refused(self):
        with pytest.raises(ValueError, match="init='best' must be 'linear', 'density' or 'random'"):
            kmeans(torch.zeros(0), 2, init="best")


def net(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8 * 4, 16), nn.Linear(16, 4))


TOTAL = 8 * 27 + 32 * 16 + 64
X = torch.randn(5, 3, 4, 4, generator=torch.Generator().manual_seed(0))


def compressed(keep=TOTAL // 4, bits=3, seed=0):
    model = pruning.magnitude_prune(net(seed), keep)
    return make_permanent(share_weights(model, bits))


def same(a, b):
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) and a[k].dtype == b[k].dtype for k in a)


class TestSharing:
    def test_few_values_are_left_and_zeros_stay(self):
        model = pruning.magnitude_prune(net(), TOTAL // 4)
        masks = {name: layer.weight_mask.bool() for name, layer in pruning.prunable(model).items()}
        share_weights(model, {"0": 2, "3": 3, "4": 1})
        for name, layer in pruning.prunable(model).items():
            assert torch.equal(layer.weight != 0, masks[name])
            assert len(layer.weight[masks[name]].unique()) <= {"0": 4, "3": 8, "4": 2}[name]

    def test_a_centroids_gradient_is_the_sum_over_its_weights(self):
        model = share_weights(pruning.magnitude_prune(net(), TOTAL // 2), 2)
        plain = make_permanent(copy.deepcopy(model))
        for one in (model, plain):
            one.eval()
        for shared, layer in zip(pruning.prunable(model).values(), pruning.prunable(plain).values(), strict=True):
            layer.weight.data.copy_(shared.weight)  # without the rounding to float16
            layer.bias.data.copy_(shared.bias)
        for one in (model, plain):
            one(X).square().sum().backward()
        for shared, layer in zip(pruning.prunable(model).values(), pruning.prunable(plain).values(), strict=True):
            lookup, centroids = shared.parametrizations.weight[0], shared.parametrizations.weight.original
            by_hand = torch.stack([layer.weight.grad[lookup.labels == n].sum() for n in range(len(centroids))])
            torch.testing.assert_close(centroids.grad, by_hand, rtol=1e-4, atol=1e-4)

    def test_centroids_train_in_the_one_loop(self):
        pictures = data.load("shapes")
        model = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))
        share_weights(pruning.magnitude_prune(model, 500), 2)
        before, layer = model[1].weight.detach().clone(), model[1]
        training.fit(model, pictures, epochs=1, train=pictures.train[:640], optimizer=lambda p: torch.optim.AdamW(p))
        assert torch.equal(before != 0, layer.weight != 0) and not torch.equal(before, layer.weight)
        assert len(layer.weight.unique()) <= 5

    def test_a_weight_set_by_hand_becomes_the_means_of_its_clusters(self):
        layer = share_weights(nn.Sequential(nn.Linear(4, 2)), 1)[0]
        labels = layer.parametrizations.weight[0].labels
        layer.weight = torch.arange(8.0).reshape(2, 4)
        for n in (0, 1):
            assert layer.weight[labels == n].unique() == torch.arange(8.0).reshape(2, 4)[labels == n].mean()

    def test_a_pruned_layer_and_one_cluster_train_on(self):
        model = net()
        with torch.no_grad():
            model[3].weight.zero_()
            model[4].weight.fill_(0.5)
        share_weights(model, 4)
        optimizer = torch.optim.AdamW(model.parameters())
        model(X).sum().backward()
        optimizer.step()
        make_permanent(model)
        assert not model[3].weight.any() and len(model[4].weight.unique()) == 1

    def test_permanent_numbers_are_float16s_but_not_infinite(self):
        model = nn.Sequential(nn.Linear(2, 2))
        with torch.no_grad():
            model[0].bias.copy_(torch.tensor([1e6, 1 / 3]))
        make_permanent(model)
        assert torch.equal(model[0].weight, model[0].weight.half().float())
        assert model[0].bias.tolist() == [1e6, float(torch.tensor(1 / 3).half())]

    @pytest.mark.parametrize("bits", [0, 9, 2.5, {"0": 3}])
    def test_bad_bits_are_refused(self, bits):
        with pytest.raises(ValueError, match=r"bits=.* must be 1 to 8, for all of the layers 0, 3, 4"):
            share_weights(net(), bits)

    def test_sharing_twice_and_nan_are_refused(self):
        with pytest.raises(ValueError, match="shares the weights of 0 already"):
            share_weights(share_weights(net(), 3), 3)
        model = net()
        with torch.no_grad():
            model[3].weight[0, 0] = torch.nan
        with pytest.raises(ValueError, match="NaN or infinite"):
            share_weights(model, 3)


class TestFile:
    @given(seeds, st.integers(0, TOTAL), st.integers(1, 8))
    def test_reads_back_the_same_network(self, tmp_path_factory, seed, keep, bits):
        path = tmp_path_factory.mktemp("net") / "net.bin"
        model = compressed(keep, bits, seed)
        parts = save(model, path)
        assert sum(parts.values()) == len(path.read_bytes())
        assert same(load(path, net(seed + 1)), model)

    def test_is_smaller_the_more_is_pruned_and_the_fewer_the_bits(self, tmp_path):
        def size(keep, bits):
            return sum(save(compressed(keep, bits), tmp_path / "net.bin").values())

        assert size(TOTAL // 8, 3) < size(TOTAL // 2, 3) < size(TOTAL // 2, 5)

    def test_what_float16_does_not_hold_is_stored_whole(self, tmp_path):
        model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
        with torch.no_grad():
            model[0].weight.copy_(torch.tensor([[1 / 3, 0, 1e9], [-1e-30, 1 / 3, 1]]))
            model[0].bias.copy_(torch.tensor([torch.nan, -torch.inf]))
        save(model, tmp_path / "net.bin")
        back = load(tmp_path / "net.bin", nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)))
        assert torch.equal(back[0].weight, model[0].weight)
        assert back[0].bias[0].isnan() and back[0].bias[1] == -torch.inf
        assert back[1].num_batches_tracked.dtype == torch.int64

    def test_empty_pruned_and_constant_layers(self, tmp_path):
        def make():
            return nn.ModuleList([nn.Linear(4, 0), nn.Linear(5, 3), nn.Linear(300, 7)])

        with pytest.warns(UserWarning, match="zero-element"):
            model, other = make(), make()
        with torch.no_grad():
            model[1].weight.zero_()
            model[2].weight.fill_(-0.75)
        make_permanent(share_weights(model, 2))
        save(model, tmp_path / "net.bin")
        assert same(load(tmp_path / "net.bin", other), model)

    @given(st.lists(st.integers(0, 5000), unique=True, max_size=60), st.integers(1, 300))
    def test_gaps_come_back_as_positions(self, kept, longest):
        symbols = deep_compression.gap_symbols(np.array(sorted(kept), dtype=np.int64), longest)
        assert not len(symbols) or (symbols.min() >= 0 and symbols.max() <= longest)
        assert deep_compression.kept_positions(symbols, longest).tolist() == sorted(kept)

    def test_gaps_of_the_papers_figure(self):
        # Figure 2: weights at 1, 4 and 15, three bits a gap; the third is further than 8 from the second.
        assert deep_compression.gap_symbols(np.array([1, 4, 15]), 7).tolist() == [1, 2, 7, 3]

    def test_a_weight_that_is_not_ready_is_refused(self, tmp_path):
        masked = pruning.magnitude_prune(net(), 10)
        for model in (masked, share_weights(net(), 2)):
            with pytest.raises(ValueError, match=r"under masks or shared: 0\.weight, 3\.weight, 4\.weight"):
                save(model, tmp_path / "net.bin")
        with pytest.raises(ValueError, match=r"512 different weights in 3\.weight; a code book holds 256"):
            save(net(), tmp_path / "net.bin")
        with pytest.raises(ValueError, match=r"torch\.float64; it must be float32"):
            save(compressed().double(), tmp_path / "net.bin")
        broken = compressed()
        with torch.no_grad():
            broken[4].weight[0, 0] = torch.nan
        with pytest.raises(ValueError, match=r"weights in 4\.weight that are NaN or infinite"):
            save(broken, tmp_path / "net.bin")
        assert not (tmp_path / "net.bin").exists()

    @given(st.integers(0, 10_000), st.integers(1, 255))
    def test_a_changed_byte_is_noticed(self, tmp_path_factory, place, change):
        path = tmp_path_factory.mktemp("net") / "net.bin"
        save(compressed(), path)
        raw = bytearray(path.read_bytes())
        raw[place % len(raw)] ^= change
        path.write_bytes(raw)
        model, before = net(1), net(1)
        with pytest.raises(ValueError, match=r"checksum differs|not a file of"):
            load(path, model)
        assert same(model, before)

    @given(st.integers(0, 10_000), st.integers(1, 255))
    def test_a_forged_checksum_never_raises_anything_else(self, tmp_path_factory, place, change):
        path = tmp_path_factory.mktemp("net") / "net.bin"
        save(compressed(), path)
        raw = bytearray(path.read_bytes()[:-4])
        raw[5 + place % (len(raw) - 5)] ^= change
        path.write_bytes(raw + zlib.crc32(raw).to_bytes(4, "little"))
        try:
            load(path, net(1))
        except ValueError as error:
            assert "holds another network" in str(error)

    @pytest.mark.parametrize("length", [0, 3, 5, 8, 9, 200, -1])
    def test_a_cut_file_is_named(self, tmp_path, length):
        save(compressed(), tmp_path / "net.bin")
        (tmp_path / "net.bin").write_bytes((tmp_path / "net.bin").read_bytes()[:length])
        with pytest.raises(ValueError, match=r"net\.bin is (damaged or cut short|not a file of)"):
            load(tmp_path / "net.bin", net())

    def test_another_network_is_named(self, tmp_path):
        save(compressed(), tmp_path / "net.bin")
        with pytest.raises(ValueError, match=r"holds another network \(0\.bias is not as in this model\)"):
            load(tmp_path / "net.bin", nn.Sequential(nn.Conv2d(3, 9, 3)))
        with pytest.raises(ValueError, match="it has more tensors than this model"):
            load(tmp_path / "net.bin", net()[:2])
        with pytest.raises(ValueError, match="under masks or shared"):
            load(tmp_path / "net.bin", share_weights(net(), 2))

    def test_sharing_leaves_no_trace_after_it_is_permanent(self):
        model = compressed()
        assert not any(parametrize.is_parametrized(layer) for layer in model.modules())
        assert model.state_dict().keys() == net().state_dict().keys()
