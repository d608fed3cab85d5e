"""A file that reads back, and is refused where it is damaged."""

import zlib

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrize

from nnopt_lab.techniques import pruning
from nnopt_lab.techniques.quantization.deep_compression import (
    load,
    make_permanent,
    save,
    share_weights,
)
from tests.techniques.quantization.deep_compression.networks import TOTAL, compressed, net, same

seeds = st.integers(0, 10_000)


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
