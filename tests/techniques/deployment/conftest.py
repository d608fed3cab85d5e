"""Networks, pictures and files that the tests of deployment share; each is made once per test run."""

import pytest
import torch
from torch import nn

from nnopt_lab.techniques.deployment.onnx_files import export_onnx, quantize_onnx
from nnopt_lab.workbench import data, models


@pytest.fixture(scope="session")
def pictures():
    return data.load("fashion")


@pytest.fixture(scope="session")
def net():
    return models.trained("mynet")


@pytest.fixture(scope="session")
def calibration(pictures):
    return list(pictures.to_input(pictures.train.images[:256]).split(128))


@pytest.fixture(scope="session")
def example(pictures):
    return pictures.to_input(pictures.test.images[:64])


@pytest.fixture(scope="session")
def vectors():
    """Inputs of a network of vectors, [16, 12]."""
    return torch.randn(16, 12, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def layers():
    """A network of vectors that is exported in no time."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3)).eval()


@pytest.fixture(scope="session")
def onnx_file(net, calibration, tmp_path_factory):
    """The network as an ONNX file, with its int8 form beside it."""
    path = export_onnx(net, calibration, tmp_path_factory.mktemp("onnx") / "net.onnx")
    quantize_onnx(path, calibration)
    return path
