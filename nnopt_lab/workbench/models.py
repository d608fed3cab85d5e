"""The networks of the course: the article's `MyNet`, corrected and with adjustable sizes, and a stronger teacher."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn import functional as F

from nnopt_lab.workbench import data
from nnopt_lab.workbench.paths import data_dir, how_to_restore


class MyNet(nn.Module):
    """The article's network: convolutions with ReLU and pooling, then two linear layers.

    The defaults give the article's network: conv 3→16, conv 16→32 (3×3, padding 1), each followed by ReLU and 2×2
    max-pooling, then linear 2048→128, ReLU, linear 128→10; 268,650 parameters.

    Args:
        channels: filters of each convolution, at least 1; one entry per convolution, 1 to 5 of them.
        kernel_size: odd and positive, so that padding can keep the picture's size.
        hidden: output features of the first linear layer, at least 1.
        classes: number of classes, at least 1.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self, channels: tuple[int, ...] = (16, 32), kernel_size: int = 3, hidden: int = 128, classes: int = 10
    ):
        super().__init__()
        if not 1 <= len(channels) <= 5 or min(channels) < 1:
            raise ValueError(f"channels={channels} must be 1 to 5 numbers of filters, each at least 1.")
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f"kernel_size={kernel_size} must be odd and positive.")
        if hidden < 1 or classes < 1:
            raise ValueError(f"hidden={hidden} and classes={classes} must be at least 1.")
        layers, width = [], 3
        for filters in channels:
            layers += [nn.Conv2d(width, filters, kernel_size, padding=kernel_size // 2), nn.ReLU(), nn.MaxPool2d(2)]
            width = filters
        self.features = nn.Sequential(*layers)
        side = data.SIZE // 2 ** len(channels)
        self.classifier = nn.Sequential(nn.Linear(width * side**2, hidden), nn.ReLU(), nn.Linear(hidden, classes))

    def forward(self, x: Tensor) -> Tensor:
        """Compute logits: float [N, 3, 32, 32] → float [N, classes]."""
        return self.classifier(torch.flatten(self.features(x), 1))


class Block(nn.Module):
    """A residual block: two 3×3 convolutions with batch norm, and a shortcut around them.

    He et al. 2016, "Deep Residual Learning for Image Recognition", https://arxiv.org/abs/1512.03385
    """

    def __init__(self, width_in: int, width_out: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width_out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width_out)
        self.conv2 = nn.Conv2d(width_out, width_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width_out)
        self.shortcut = nn.Identity()
        if stride != 1 or width_in != width_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(width_in, width_out, 1, stride, bias=False), nn.BatchNorm2d(width_out)
            )

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)) + self.shortcut(x))


class Teacher(nn.Module):
    """A small residual network: a stem, three stages of blocks, global average pooling, one linear layer.

    Args:
        widths: channels of the three stages.
        blocks: residual blocks per stage.
        classes: number of classes.
    """

    def __init__(self, widths: tuple[int, int, int] = (32, 64, 128), blocks: int = 1, classes: int = 10):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, widths[0], 3, padding=1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU(), nn.MaxPool2d(2)
        )
        stages, width = [], widths[0]
        for stage, filters in enumerate(widths):
            for block in range(blocks):
                stages.append(Block(width, filters, 2 if stage and not block else 1))
                width = filters
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Compute logits: float [N, 3, 32, 32] → float [N, classes]."""
        return self.head(self.stages(self.stem(x)).mean((2, 3)))


# Section 4 of the article: SGD with learning rate 0.01 and momentum 0.9. It gives neither batch size nor epochs.
ARTICLE_RECIPE = {
    "epochs": 8,
    "batch_size": 64,
    "optimizer": lambda parameters: torch.optim.SGD(parameters, lr=0.01, momentum=0.9),
}
SHIPPED = {"mynet": MyNet, "teacher": Teacher, "shapes_teacher": Teacher, "shapes_student": MyNet}


def trained(name: str = "mynet") -> nn.Module:
    """Load a network with the weights shipped with the course, in evaluation mode.

    Args:
        name: "mynet" or "teacher", both trained on "fashion"; "shapes_teacher", trained on "shapes", or
            "shapes_student", distilled from it.

    Raises:
        ValueError: `name` is none of these, or the file is damaged.
        FileNotFoundError: its file is missing.
    """
    model = _shipped(name)()
    with _weights_file(name) as file:
        model.load_state_dict({key: file.get_tensor(key) for key in file.keys()})  # noqa: SIM118 - not a dict
    return model.eval()


def record(name: str = "mynet") -> dict:
    """Read how shipped weights were made: command, seed, accuracies in percent, versions, processor.

    Raises:
        ValueError: `name` is not a network of `trained`, or the file is damaged.
        FileNotFoundError: its file is missing.
    """
    _shipped(name)
    with _weights_file(name) as file:
        return json.loads(file.metadata()["record"])


def _shipped(name: str) -> type[nn.Module]:
    if name not in SHIPPED:
        raise ValueError(f"name={name!r} is not a network of this course; choose one of {', '.join(SHIPPED)}.")
    return SHIPPED[name]


@contextmanager
def _weights_file(name: str) -> Iterator:
    path = data_dir() / f"{name}.safetensors"
    cure = f"{how_to_restore(f'data/{path.name}', f'nnopt train {name}')}."
    if not path.is_file():
        raise FileNotFoundError(f"data/{path.name} is missing: {cure}")
    try:
        with safe_open(path, "pt") as file:
            yield file
    except SafetensorError as error:
        raise ValueError(f"data/{path.name} is damaged ({error}): {cure}") from error
