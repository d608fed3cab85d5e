"""Networks of libraries are built by name, with weights and a number of classes from a file."""

import importlib.util

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from nnopt_lab.workbench import library_models

NAME = "torchvision:squeezenet1_1"


def network(classes=7, name="squeezenet1_1"):
    from torchvision import models

    torch.manual_seed(0)
    return models.get_model(name, weights=None, num_classes=classes).eval()


@pytest.mark.parametrize(
    ("text", "yes"),
    [(NAME, True), ("timm:resnet18", True), ("timm:", True), ("script.py:build", False), ("timm", False), ("", False)],
)
def test_the_form_of_a_name(text, yes):
    assert library_models.is_library_model(text) is yes


class TestWeights:
    @pytest.mark.parametrize("classes", [7, 1000])
    @pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt"])
    @pytest.mark.parametrize("form", ["plain", "state_dict", "module."])
    def test_they_are_loaded_and_tell_the_number_of_classes(self, tmp_path, suffix, form, classes):
        model = network(classes)
        state = model.state_dict()
        state = {f"module.{key}": value for key, value in state.items()} if form == "module." else state
        path = tmp_path / f"weights{suffix}"
        if suffix == ".safetensors":
            save_file(state, path)
        else:
            torch.save({"state_dict": state, "epoch": 3} if form == "state_dict" else state, path)
        found = library_models.build(NAME, path)
        assert not found.training
        x = torch.randn(2, 3, 64, 64)
        with torch.inference_mode():
            assert torch.equal(found(x), model(x)) and found(x).shape == (2, classes)

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            (lambda state: state.pop("classifier.1.bias"), r"lacks 'classifier.1.bias'\."),
            (lambda state: state.update(extra=torch.ones(1)), "also has 'extra'"),
            (lambda state: state.update({"features.0.weight": torch.ones(64, 1, 3, 3)}), r"has .* of shape \[64, 1, 3"),
            (lambda state: state.clear(), "contains no state dict"),
        ],
    )
    def test_those_of_another_network_are_refused(self, tmp_path, change, sentence):
        state = dict(network().state_dict())
        change(state)
        torch.save(state, tmp_path / "weights.pth")
        with pytest.raises(ValueError, match=f"weights=.*{sentence}"):
            library_models.build(NAME, tmp_path / "weights.pth")

    def test_those_of_another_family_are_refused(self, tmp_path):
        torch.save(network(7, "mobilenet_v3_small").state_dict(), tmp_path / "weights.pth")
        with pytest.raises(
            ValueError, match=r"another network than torchvision:squeezenet1_1: it lacks .* and \d+ oth"
        ):
            library_models.build(NAME, tmp_path / "weights.pth")

    @pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04"])
    @pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
    def test_what_is_no_file_of_weights_is_refused(self, tmp_path, suffix, content):
        path = tmp_path / f"weights{suffix}"
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"weights=.* cannot be read as weights"):
            library_models.build(NAME, path)

    def test_a_pickled_network_is_not_run(self, tmp_path):
        torch.save(nn.Linear(2, 2), tmp_path / "weights.pth")
        with pytest.raises(ValueError, match="cannot be read as weights"):
            library_models.build(NAME, tmp_path / "weights.pth")

    @pytest.mark.parametrize(
        ("name", "sentence"), [("none.pth", "must be an existing file"), ("weights.bin", "must end with .safetensors")]
    )
    def test_other_paths_are_refused(self, tmp_path, name, sentence):
        (tmp_path / "weights.bin").write_bytes(b"")
        with pytest.raises(ValueError, match=f"weights=.*{sentence}"):
            library_models.build(NAME, tmp_path / name)


def test_without_weights_the_number_of_classes_is_given():
    assert library_models.build(NAME, classes=5)(torch.randn(1, 3, 64, 64)).shape == (1, 5)
    with pytest.raises(ValueError, match="classes=0 must be 1 to"):
        library_models.build(NAME, classes=0)


@pytest.mark.parametrize("name", ["resnet19", "resnet_18", "fasterrcnn_resnet50_fpn", "", "xyz"])
def test_an_unknown_name_is_answered_with_similar_ones(name):
    with pytest.raises(ValueError, match=f"torchvision has no classifier '{name}'; similar names are .*\\w"):
        library_models.check_library_model(f"torchvision:{name}")


def test_similar_names_are_similar():
    with pytest.raises(ValueError, match=r"similar names are .*resnet18"):
        library_models.build("torchvision:resnet19")


def test_a_library_that_is_not_installed_is_named_with_the_cure(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"needs timm, which is not installed: pip install 'nnopt-lab\[timm\]'\."):
        library_models.build("timm:resnet18")


class TestTimm:
    def test_weights_and_classes(self, tmp_path):
        timm = pytest.importorskip("timm")
        model = timm.create_model("mobilenetv3_small_050", num_classes=6).eval()
        save_file(model.state_dict(), tmp_path / "weights.safetensors")
        found = library_models.build("timm:mobilenetv3_small_050", tmp_path / "weights.safetensors")
        x = torch.randn(1, 3, 64, 64)
        with torch.inference_mode():
            assert torch.equal(found(x), model(x))

    def test_an_unknown_name(self):
        pytest.importorskip("timm")
        with pytest.raises(
            ValueError, match=r"timm has no classifier 'mobilenetv3_smal'; similar names are .*mobilenet"
        ):
            library_models.build("timm:mobilenetv3_smal")


class TestUsualInput:
    def test_of_torchvision_it_is_that_of_the_weights(self):
        mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
        assert library_models.usual_input("torchvision:resnet18") == (224, mean, std)
        assert library_models.usual_input("torchvision:inception_v3")[0] == 299

    def test_of_an_unknown_network(self):
        with pytest.raises(ValueError, match="has no classifier 'resnet19'"):
            library_models.usual_input("torchvision:resnet19")

    def test_of_timm_it_is_that_of_the_weights_or_imagenets(self):
        timm = pytest.importorskip("timm")
        for name in ("mobilenetv3_small_100", "vit_tiny_patch16_224", "resnet18"):
            known = timm.get_pretrained_cfg(name)
            found = library_models.usual_input(f"timm:{name}")
            assert found == (known.input_size[-1], tuple(known.mean), tuple(known.std))
