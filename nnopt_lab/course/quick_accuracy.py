"""The accuracy of many variants of a network, on pictures that are prepared once."""

from collections.abc import Callable

import torch
from torch import nn

from nnopt_lab.workbench import data, smoke
from nnopt_lab.workbench.measure.modes import inference
from nnopt_lab.workbench.training.places import device_of


def accuracy_on(pictures: data.Pictures, count: int = 500) -> Callable[[nn.Module], float]:
    """A function of a network → its accuracy in percent on the first validation pictures, for quick figures.

    It agrees with `training.evaluate` up to rounding. The pictures are kept as floats, in the channels-last layout, in
    which convolutions with few channels take less time.

    Args:
        pictures: their validation pictures, from the start.
        count: of them, at least 1.
    """
    some = smoke.few(pictures.validation[:count])
    inputs = pictures.to_input(some.images).contiguous(memory_format=torch.channels_last)

    def accuracy(model: nn.Module) -> float:
        with inference(model):
            answers = model(inputs.to(device_of(model))).argmax(1)
        return 100 * int((answers.cpu() == some.labels).sum()) / len(some)  # in float32, 87.8 would be 87.79999

    return accuracy
