"""A file that reads back, and is refused where it is damaged."""

import base64
import io
import zlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrize, prune, spectral_norm, weight_norm

from nnopt_lab.techniques import pruning
from nnopt_lab.techniques.quantization.deep_compression import (
    load,
    make_permanent,
    save,
    share_weights,
)
from nnopt_lab.techniques.quantization.deep_compression.file import CODES, _array_bytes, _read_array
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

    def test_a_file_of_an_earlier_version_is_read_wherever_it_was_written(self, tmp_path):
        def made():
            model = nn.ModuleDict({"layer": nn.Linear(2, 2), "norm": nn.BatchNorm1d(2)})
            model.register_buffer("codes", torch.zeros(2, dtype=torch.int32))
            return model

        # Written on Linux; on Windows numpy's letters were q for the count of batches and l for the codes.
        linux = base64.b64decode(
            "Tk5EQzEAAQIAAABp/f///3ARAQAAAQIAAABmq6qqPgAAgD8BAgIAAAACAAAAAQIABAAAAAMAAAABAAAAAQAAAGUAtAA4AQEBAUCgAAECAAAA"
            "ZQAAAAAAAGwAAAAAAAEAAAABAgAAAGUAAAAAAAECAAAAZQA8ADwAAQIAAABlADwAPMe67oY="
        )
        body = linux[:-4].replace(b"i\xfd", b"l\xfd").replace(b"\x00\x00l\x00\x00", b"\x00\x00q\x00\x00")
        windows = body + zlib.crc32(body).to_bytes(4, "little")
        assert windows != linux
        for raw in (linux, windows):
            (tmp_path / "old.bin").write_bytes(raw)
            model = load(tmp_path / "old.bin", made())
            assert model["layer"].weight.tolist() == [[0.5, 0], [-0.25, 0.5]]
            assert model.codes.tolist() == [-3, 70_000] and model["norm"].num_batches_tracked == 2**40
            save(model, tmp_path / "new.bin")
            again = load(tmp_path / "new.bin", made())
            assert same(again, model) and again.codes.tolist() == model.codes.tolist()

    @pytest.mark.parametrize("code", CODES)
    def test_numbers_have_the_same_width_on_every_system(self, code):
        values = np.array([0, 1, 1, 0], dtype=CODES[code])
        raw = _array_bytes(values)
        assert len(raw) == 1 + (8 if code == "f" else values.nbytes)  # float32 as float16
        back = _read_array(io.BytesIO(raw), 4)
        assert np.array_equal(back, values) and back.dtype == (values.dtype if code != "e" else np.float32)

    def test_buffers_of_every_type_of_integers_come_back(self, tmp_path):
        dtypes = (
            torch.bool,
            torch.uint8,
            torch.int8,
            torch.int16,
            torch.int32,
            torch.int64,
            torch.uint16,
            torch.complex64,
        )

        def made(value):
            model = nn.Linear(2, 2)
            nn.init.ones_(model.weight)
            for dtype in dtypes:
                model.register_buffer(str(dtype).partition(".")[2] + "s", torch.full((3,), value, dtype=dtype))
            return model

        save(made(1), tmp_path / "net.bin")
        back = load(tmp_path / "net.bin", made(0))
        for before, after in zip(made(1).buffers(), back.buffers(), strict=True):
            assert before.dtype == after.dtype and torch.equal(before, after)

    def test_weights_that_are_computed_are_refused_with_the_cure(self, tmp_path):
        for compute, cure in ((weight_norm, "remove_weight_norm"), (spectral_norm, "remove_spectral_norm")):
            model = compressed()
            compute(model[3])
            with pytest.raises(ValueError, match=rf"layer '3' has {compute.__name__} on its weight: call .*{cure}"):
                save(model, tmp_path / "net.bin")
        model = compressed()
        prune.l1_unstructured(model[3], "bias", 1)
        with pytest.raises(ValueError, match="layer '3' has a pruning mask on its bias"):
            save(model, tmp_path / "net.bin")

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
            with pytest.raises(ValueError, match=r"masked or shared weights, 0\.weight, 3\.weight, 4\.weight"):
                save(model, tmp_path / "net.bin")
        with pytest.raises(ValueError, match=r"512 different weights in 3\.weight; a code book has at most 256"):
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
            assert "contains another network" in str(error)

    @pytest.mark.parametrize("bits", [0, 9, 63, 255])
    def test_a_forged_number_of_bits_is_named(self, tmp_path, bits):
        layer, path = net(1), tmp_path / "net.bin"
        save(compressed(), path)
        raw = bytearray(path.read_bytes()[:-4])
        forged = 0
        for place in range(5, len(raw)):
            if 2 <= raw[place] <= 8:
                changed = bytearray(raw)
                changed[place] = bits
                path.write_bytes(changed + zlib.crc32(changed).to_bytes(4, "little"))
                try:
                    load(path, layer)
                except ValueError as error:
                    assert "contains another network" in str(error)
                    forged += f"gaps of {bits} bits" in str(error)
        assert forged >= 1

    @pytest.mark.parametrize("length", [0, 3, 5, 8, 9, 200, -1])
    def test_a_cut_file_is_named(self, tmp_path, length):
        save(compressed(), tmp_path / "net.bin")
        (tmp_path / "net.bin").write_bytes((tmp_path / "net.bin").read_bytes()[:length])
        with pytest.raises(ValueError, match=r"net\.bin is (damaged or cut short|not a file of)"):
            load(tmp_path / "net.bin", net())

    def test_another_network_is_named(self, tmp_path):
        save(compressed(), tmp_path / "net.bin")
        with pytest.raises(ValueError, match=r"contains another network \(0\.bias differs from this model's\)"):
            load(tmp_path / "net.bin", nn.Sequential(nn.Conv2d(3, 9, 3)))
        with pytest.raises(ValueError, match="it has more tensors than this model"):
            load(tmp_path / "net.bin", net()[:2])
        with pytest.raises(ValueError, match="masked or shared"):
            load(tmp_path / "net.bin", share_weights(net(), 2))

    def test_sharing_leaves_no_trace_after_it_is_permanent(self):
        model = compressed()
        assert not any(parametrize.is_parametrized(layer) for layer in model.modules())
        assert model.state_dict().keys() == net().state_dict().keys()


class TestTied:
    def made(self, tie=True, seed=0):
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Embedding(50, 40), nn.Linear(40, 40), nn.Linear(40, 50, bias=False))
        if tie:
            model[2].weight = model[0].weight
        return model

    def compressed(self, model):
        return make_permanent(share_weights(model, 2))

    def test_a_weight_of_two_layers_is_written_once(self, tmp_path):
        tied, untied = (self.compressed(self.made(tie)) for tie in (True, False))
        path = tmp_path / "tied"
        sizes = save(tied, path)
        assert sum(sizes.values()) == path.stat().st_size
        assert sum(sizes.values()) < sum(save(untied, tmp_path / "untied").values()) - 50 * 40
        found = load(path, self.made(seed=1))
        assert found[0].weight is found[2].weight
        assert all(torch.equal(value, tied.state_dict()[name]) for name, value in found.state_dict().items())

    def test_a_network_that_is_tied_otherwise_is_another_one(self, tmp_path):
        for tie in (True, False):
            save(self.compressed(self.made(tie)), tmp_path / "file")
            with pytest.raises(ValueError, match="contains another network"):
                load(tmp_path / "file", self.made(not tie))
