"""The search as its users call it: bad arguments, torchvision's networks, the package's own `optimize`."""

import copy
import subprocess
import sys

import pytest
import torch
from torch import nn

import nnopt_lab
from nnopt_lab.techniques.deployment import ACCELERATOR_ENGINES
from nnopt_lab.techniques.search.autotune import DEFAULT_ENGINES, default_engines, optimize
from nnopt_lab.techniques.search.points import Goal
from nnopt_lab.workbench import device
from tests.techniques.search.small_search import TRAIN, VALIDATION, build, known_machine, search


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"trials": 0}, "trials=0"),
        ({"epochs": 0}, "epochs=0"),
        ({"sampler": "grid"}, "sampler='grid'"),
        ({"goal": "size"}, "target='size'"),
        ({"engine_names": ["abacus"]}, "'abacus'"),
    ],
)
def test_arguments_out_of_their_range(trained, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        search(trained, **options)


class TestOnAnAccelerator:
    def test_times_are_the_accelerator_s(self, trained):
        names = ("channels-last bf16", "CUDA graph fp16", "ONNX Runtime float32")
        with device.stand_in("H100", (7, 5)):
            found = search(trained, Goal(max_drop=100.0), engine_names=names, device="accelerator", trials=6)
            assert found.task.device == device.accelerator()
        assert "Times were measured on H100 with the pictures there; they don't include copies." in found.notes
        assert any(note.startswith("channels-last bf16 was not tried: bf16 needs compute cap") for note in found.notes)
        assert any(note.startswith("ONNX Runtime float32 was not tried: ") for note in found.notes)
        engines = {point.config.get("engine") for point in found.points}
        assert engines <= {None, "eager float32", "CUDA graph fp16"}
        assert not any(note.startswith("CUDA graph fp16") for note in found.notes), "which was tried, and may be slower"
        assert found.best and next(found.network().parameters()).device.type == "cpu"

    def test_engines_are_the_device_s(self, trained):
        with device.stand_in():
            here = device.accelerator()
            assert set(default_engines(here)) <= set(ACCELERATOR_ENGINES)
            with pytest.raises(ValueError, match="names contains 'OpenVINO int8'"):
                search(trained, engine_names=["OpenVINO int8"], device="accelerator")
        assert default_engines(device.CPU) == DEFAULT_ENGINES
        with pytest.raises(ValueError, match="names contains 'CUDA graph bf16'"):
            search(trained, engine_names=["CUDA graph bf16"])

    def test_a_device_that_is_not_there_is_one_sentence(self, trained, monkeypatch):
        monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
        with pytest.raises(ValueError, match=r"^device='cuda' is not there; this machine has cpu\.$"):
            search(trained, device="cuda")
        with pytest.raises(ValueError, match="device='accelerator': this machine has no accelerator"):
            search(trained, device="accelerator")

    @pytest.mark.accelerator
    def test_on_a_real_one(self, trained):
        found = optimize(
            trained, TRAIN, VALIDATION, goal=Goal(max_drop=100.0), trials=3, epochs=1, device="accelerator"
        )
        assert (
            found.points and found.original.latency > 0 and any("don't include copies" in note for note in found.notes)
        )


def test_what_is_no_network_or_no_data():
    with pytest.raises(ValueError, match="model is int; it must be a classifier"):
        optimize(3, TRAIN, VALIDATION)
    with pytest.raises(ValueError, match="200 pictures and 199 labels"):
        optimize(nn.Flatten(), TRAIN, (VALIDATION[0], VALIDATION[1][:-1]))


def returning(change):
    model = build()
    inner = model.forward
    model.forward = lambda x: change(inner(x))
    return model


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (returning(lambda y: {"logits": y}), "Sequential returns a dict; it must return one tensor"),
        (returning(lambda y: (y, y)), "Sequential returns a tuple; it must return one tensor"),
        (returning(lambda y: [y]), "Sequential returns a list; it must return one tensor"),
        (returning(lambda y: None), "Sequential returns a NoneType; it must return one tensor"),
        (returning(lambda y: y.double()), r"model returns float64 \[2, 3\]"),
        (returning(lambda y: y[:1]), r"model returns float32 \[1, 3\] for 2 pictures; it must return \[2, classes\]"),
        (
            returning(lambda y: y.squeeze(0)),
            r"model returns float32 \[3\] for 1 pictures; it must return \[1, classes\]",
        ),
        (returning(lambda y: y.flatten()), r"model returns float32 \[6\] for 2 pictures"),
        (returning(lambda y: y[:, :2]), "train has labels from 0 to 2, but the model has 2 classes"),
        (returning(lambda y: y.view(7)), r"model cannot be called on a batch of 2, float32 \[2, 3, 8, 8\]"),
        (build().requires_grad_(False), r"no trainable parameter.*model.requires_grad_\(True\) first"),
        (nn.Flatten(), "no trainable parameter.*it has none"),
    ],
)
def test_a_network_that_cannot_be_searched_is_one_sentence(model, sentence):
    with pytest.raises(ValueError, match=sentence) as error:
        optimize(model, TRAIN, VALIDATION, trials=1, epochs=1)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("train", "options", "sentence"),
    [
        (
            (TRAIN[0], TRAIN[1].float()),
            {},
            r"train contains labels float32 \[256\]; .* call labels.long\(\)",
        ),
        ((TRAIN[0], TRAIN[1] - 1), {}, "train has labels from -1; they must be integers from 0"),
        ((*TRAIN, 3), {}, r"train is a tuple of 3; it must be \(pictures, labels\)"),
        ([(TRAIN[0][0], 1), (TRAIN[0][0, :1], 1)], {}, "train is list, which cannot be read as a data set"),
        (None, {}, "train is NoneType, which cannot be read as a data set"),
        (TRAIN, {"to_input": lambda x: x.nothing}, r"to_input cannot be called on float32 \[2, 3, 8, 8\] \(Attribute"),
        (TRAIN, {"to_input": lambda x: x.double()}, r"to_input returns float64 \[2, 3, 8, 8\] for 2 pictures"),
        (TRAIN, {"batch_size": 0}, "batch_size=0"),
        (TRAIN, {"rate": 0}, "rate=0"),
        (TRAIN, {"rate": -1}, "rate=-1"),
        (TRAIN, {"rate": float("nan")}, "rate=nan"),
        (TRAIN, {"rate": float("inf")}, "rate=inf"),
        (TRAIN, {"seconds": 0}, "seconds=0 must be above 0"),
        (TRAIN, {"seconds": float("nan")}, "seconds=nan"),
    ],
)
def test_data_that_cannot_be_learned_from_is_one_sentence(trained, train, options, sentence):
    with pytest.raises(ValueError, match=sentence) as error:
        optimize(trained, train, VALIDATION, trials=1, epochs=1, **options)
    assert "\n" not in str(error.value)


def test_a_network_in_training_mode_or_frozen_in_part(trained):
    model = copy.deepcopy(trained).train()
    model[0].requires_grad_(False)
    found = search(model, "bytes", trials=2)
    assert len(found.points) == 2 and model.training
    network = found.network(found.points[-1])
    assert not network[0].weight.requires_grad and network[9].bias.requires_grad


def test_a_storage_that_becomes_unusable(trained, tmp_path):
    storage = tmp_path / "search.db"
    search(trained, "bytes", trials=1, storage=storage)
    storage.write_bytes(b"damaged " * 1000)
    with pytest.raises(ValueError, match=r"storage='.*search.db' cannot be used \(file is not a database\)"):
        search(trained, "bytes", trials=2, storage=storage)


def test_the_original_is_left_as_it_was(trained):
    before = copy.deepcopy(trained.state_dict())
    search(trained, "bytes", trials=1)
    assert all(torch.equal(before[name], value) for name, value in trained.state_dict().items())
    assert not trained.training


@pytest.mark.parametrize("name", ["resnet", "mobilenet"])
def test_for_torchvisions_networks(name):
    from torchvision.models import mobilenet_v3_small, resnet

    torch.manual_seed(0)
    if name == "resnet":
        model = resnet.ResNet(resnet.BasicBlock, [1, 1, 1, 1], num_classes=3)
    else:
        model = mobilenet_v3_small(num_classes=3, width_mult=0.25)
    few = tuple(x[:32] for x in TRAIN), tuple(x[:16] for x in VALIDATION)
    options = {"engine_names": (), "epochs": 1, "to_input": lambda x: nn.functional.interpolate(x, (32, 32))}
    with known_machine():
        found = optimize(model, *few, trials=1, goal=Goal(max_drop=100.0), manual_starts=False, **options)
    assert not found.failed and len(found.points) == 1
    assert not [note for note in found.notes if "most frequent class" not in note]
    assert len(found.points[0].config["channels"]) > 4
    shrunk = sum(p.numel() for p in found.network(found.points[0]).parameters())
    assert shrunk < 0.9 * sum(p.numel() for p in found.task.model.parameters())


def test_it_is_the_packages_own_and_costs_nothing_before_it_is_used():
    assert nnopt_lab.optimize is optimize
    code = "import sys, nnopt_lab; print('torch' in sys.modules, 'optuna' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["False", "False"]
    with pytest.raises(AttributeError, match="no attribute 'optimise'"):
        _ = nnopt_lab.optimise


def test_the_class_names_of_the_data_are_kept(trained):
    named = torch.utils.data.TensorDataset(*TRAIN)
    named.classes = ["red", "green", "blue"]
    options = {"goal": "bytes", "engine_names": (), "trials": 1, "epochs": 1}
    with known_machine():
        assert optimize(trained, named, VALIDATION, **options).task.class_names == ("red", "green", "blue")
        assert optimize(trained, TRAIN, VALIDATION, **options).task.class_names is None


@pytest.mark.parametrize("kind", [torch.float64, torch.float16, torch.bfloat16])
def test_a_network_of_another_dtype_is_searched_in_float32_and_the_report_says_so(kind):
    found = search(build().to(kind), "bytes", trials=1)
    assert any(note.endswith("it was searched, measured and exported in float32.") for note in found.notes)
    assert {parameter.dtype for parameter in found.network(found.points[0]).parameters()} == {torch.float32}


def test_auxiliary_heads_are_left_out_of_training():
    from torchvision.models import googlenet

    torch.manual_seed(0)
    model = googlenet(num_classes=3, init_weights=False)
    few = tuple(x[:8] for x in TRAIN), tuple(x[:8] for x in VALIDATION)
    options = {"engine_names": (), "epochs": 1, "to_input": lambda x: nn.functional.interpolate(x, (32, 32))}
    with known_machine():
        found = optimize(model, *few, trials=1, goal=Goal("bytes", max_drop=100.0), manual_starts=False, **options)
    assert len(found.points) == 1 and not found.failed
    assert "In training, the network returns GoogLeNetOutputs; only its logits" in str(found.notes)
    assert not any("not removed" in note for note in found.notes) and len(found.points[0].config["channels"]) > 10
