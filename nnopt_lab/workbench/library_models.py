"""Networks of torchvision and timm by name, with trained weights from a file.

Nothing is downloaded. timm is an extra: `pip install 'nnopt-lab[timm]'`.
"""

import difflib
import importlib
import importlib.util
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

LIBRARIES = ("timm", "torchvision")
_NESTED = ("state_dict", "model", "model_state_dict", "model_ema")  # under which training scripts save the weights
_IMAGENET = 224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_MOST_CLASSES = 100_000


def is_library_model(text: str) -> bool:
    """Whether a text has the form "timm:NAME" or "torchvision:NAME"."""
    return text.partition(":")[0] in LIBRARIES and ":" in text


def check_library_model(text: str) -> None:
    """Check that "timm:NAME" or "torchvision:NAME" can be built, without building it.

    Raises:
        ValueError: the library is not installed, or has no classifier of this name; the message has similar names.
    """
    library, _, name = text.partition(":")
    if importlib.util.find_spec(library) is None:
        cure = "pip install 'nnopt-lab[timm]'" if library == "timm" else f"pip install {library}"
        raise ValueError(f"{text!r} needs {library}, which is not installed: {cure}.")
    known = _names(library)
    if name not in known:
        close = difflib.get_close_matches(name, known, 5, 0.5) or known[:5]
        raise ValueError(f"{library} has no classifier {name!r}; similar names are {', '.join(close)}.")


def build(text: str, weights: Path | str | None = None, classes: int | None = None) -> nn.Module:
    """Build a network of a library, in evaluation mode.

    Args:
        text: "timm:NAME" or "torchvision:NAME".
        weights: a file of trained weights, .safetensors, .pth or .pt; the last two contain a state dict, plain or under
            a key such as "state_dict". It determines the number of classes.
        classes: number of classes without `weights`, from 1 to 100,000; default the library's.

    Raises:
        ValueError: as in `check_library_model`, or the file can't be read or contains other weights.
    """
    check_library_model(text)
    state = None if weights is None else read_weights(weights)
    if state is None:
        if classes is not None and not 1 <= classes <= _MOST_CLASSES:
            raise ValueError(f"classes={classes} must be 1 to {_MOST_CLASSES}.")
        return _built(text, classes)
    model = _built(text, None)
    if found := _other_classes(model, state):
        model = _built(text, found)
    _check_same(text, model, state, weights)
    model.load_state_dict(state)
    return model


def usual_input(text: str) -> tuple[int, tuple[float, ...], tuple[float, ...]]:
    """The input for which a library trained a network: its size in pixels, and mean and standard deviation per channel.

    Args:
        text: "timm:NAME" or "torchvision:NAME".

    Raises:
        ValueError: as in `check_library_model`.
    """
    check_library_model(text)
    library, _, name = text.partition(":")
    if library == "timm":
        known = importlib.import_module("timm").get_pretrained_cfg(name)
        size, mean, std = (known.input_size[-1], known.mean, known.std) if known else _IMAGENET
    else:
        known = importlib.import_module("torchvision.models").get_model_weights(name).DEFAULT.transforms()
        size, mean, std = known.crop_size[0], known.mean, known.std
    return size, tuple(mean), tuple(std)


def read_weights(path: Path | str) -> dict[str, Tensor]:
    """Read a state dict from a .safetensors, .pth or .pt file; no code in the file is run.

    Raises:
        ValueError: the file is missing, cannot be read, or contains no state dict.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"weights={str(path)!r} must be an existing file.")
    if path.suffix not in (".safetensors", ".pth", ".pt"):
        raise ValueError(f"weights={str(path)!r} must end with .safetensors, .pth or .pt.")
    try:
        state = _reader(path)(path)
    except Exception as error:
        raise ValueError(f"weights={str(path)!r} cannot be read as weights ({type(error).__name__}).") from error
    for key in _NESTED:
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise ValueError(f"weights={str(path)!r} contains no state dict, a dict of tensors by name.")
    wrapped = all(name.startswith("module.") for name in state)  # saved from nn.DataParallel
    return {name.removeprefix("module.") if wrapped else name: value for name, value in state.items()}


def _reader(path: Path) -> Callable:
    if path.suffix == ".safetensors":
        return importlib.import_module("safetensors.torch").load_file
    return lambda file: torch.load(file, map_location="cpu", weights_only=True)


def _names(library: str) -> list[str]:
    if library == "timm":
        return importlib.import_module("timm").list_models()
    models = importlib.import_module("torchvision.models")
    return models.list_models(module=models)  # without those for detection, segmentation and video


def _built(text: str, classes: int | None) -> nn.Module:
    library, _, name = text.partition(":")
    options = {} if classes is None else {"num_classes": classes}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchvision on the initial weights of its older networks
        if library == "timm":
            return importlib.import_module("timm").create_model(name, pretrained=False, **options).eval()
        return importlib.import_module("torchvision.models").get_model(name, weights=None, **options).eval()


def _other_classes(model: nn.Module, state: dict[str, Tensor]) -> int | None:
    """The number of classes of a state dict that differs from the model's, if only the heads' first axes differ."""
    lengths = set()
    for name, value in model.state_dict().items():
        other = state.get(name)
        if other is not None and other.shape != value.shape:
            if other.shape[1:] != value.shape[1:] or other.dim() == 0:
                return None
            lengths.add((value.shape[0], other.shape[0]))
    return lengths.pop()[1] if len(lengths) == 1 else None


def _check_same(text: str, model: nn.Module, state: dict[str, Tensor], path: Path | str) -> None:
    mine, start = model.state_dict(), f"weights={str(path)!r} is of another network than {text}: it"
    if missing := [name for name in mine if name not in state]:
        raise ValueError(f"{start} lacks {missing[0]!r}{_and_others(missing)}.")
    if further := [name for name in state if name not in mine]:
        raise ValueError(f"{start} also has {further[0]!r}{_and_others(further)}.")
    for name, value in mine.items():
        if value.shape != state[name].shape:
            raise ValueError(f"{start} has {name!r} of shape {list(state[name].shape)} instead of {list(value.shape)}.")


def _and_others(names: list[str]) -> str:
    others = len(names) - 1
    return f" and {others} {'other' if others == 1 else 'others'}" if others else ""
