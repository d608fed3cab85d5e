"""A network and data as `nnopt optimize` gets them on its command line."""

import contextlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nnopt_lab.workbench.language import _


@dataclass(frozen=True)
class Wanted:
    """The options that describe a network and its data; the messages use their names.

    Attributes:
        model: script.py:function, timm:NAME or torchvision:NAME.
        data: script.py:function, torchvision:NAME:FOLDER, a folder, a file, or one of the course's data sets.
        weights: a file for a library's network.
        size, mean, std: of the preprocessing for data by name.
        download: whether torchvision may download.
    """

    model: str
    data: str
    weights: Path | None = None
    size: int | None = None
    mean: str = ""
    std: str = ""
    download: bool = False

    def check(self) -> None:
        """Find slips before scripts run and data are read, which may take long.

        Raises:
            ValueError: an option is wrong.
        """
        from nnopt_lab.techniques.search.named_data import Preprocessing, is_named_data
        from nnopt_lab.workbench.library_models import check_library_model

        if self._is_library:
            check_library_model(self.model)
        elif self.weights is not None:
            raise ValueError(
                f"weights={str(self.weights)!r} is for timm:NAME or torchvision:NAME, but the model is {self.model!r}."
            )
        how = Preprocessing(self.size, _numbers("mean", self.mean), _numbers("std", self.std))
        if not is_named_data(self.data) and (how != Preprocessing() or self.download):
            raise ValueError(
                "size, mean, std and download are for data by name (torchvision:NAME:FOLDER, a folder or a file), but "
                f"data={self.data!r}."
            )

    def load(self) -> tuple:
        """Return the arguments of `optimize`: model, train and validation, and a dict of further ones."""
        from nnopt_lab.techniques.search.datasets import as_split, class_names

        train, validation, options = self._data()
        names = options.get("class_names") or class_names(train) or class_names(validation)
        if self._is_library and not self.weights:
            train = as_split(train, "train")  # read here for its classes, and only once
        model = self._network(train, names)
        return model, train, validation, options | {"class_names": names}

    @property
    def _is_library(self) -> bool:
        from nnopt_lab.workbench.library_models import is_library_model

        return is_library_model(self.model)

    def _network(self, train, names: tuple[str, ...] | None):
        """A script's network, or a library's with as many classes as its weights or, without them, the labels."""
        from nnopt_lab.workbench.library_models import build

        if not self._is_library:
            return called(self.model, ", timm:NAME or torchvision:NAME")
        if self.weights:
            return build(self.model, self.weights)
        classes = max(int(train.labels.max()) + 1, len(names or ()))
        about = {"model": self.model, "classes": classes}
        print(
            _("{model} has random weights and {classes} classes, because --weights names no file.", **about),
            file=sys.stderr,
        )
        return build(self.model, classes=classes)

    def _data(self) -> tuple:
        """(train, validation, further arguments of `optimize`)."""
        from nnopt_lab.techniques.search import named_data
        from nnopt_lab.workbench import data

        if self.data in data.NAMES:
            pictures = data.load(self.data)
            return (
                pictures.train,
                pictures.validation,
                {"to_input": pictures.to_input, "class_names": pictures.classes},
            )
        if named_data.is_named_data(self.data):
            how, usual = self._preprocessing()
            found = named_data.load(self.data, how, self.download, usual)
            return found.train, found.validation, {"to_input": found.to_input}
        kinds = f", torchvision:NAME:FOLDER, a folder, a .npz or .pt file, or one of {', '.join(data.NAMES)}"
        pair = called(self.data, kinds)
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise ValueError(
                f"{self.data!r} returned {type(pair).__name__}; it must return a tuple (train, validation)."
            )
        return *pair, {}

    def _preprocessing(self) -> tuple:
        """The preprocessing of data by name, and the network's usual size; a library's network has its own."""
        from nnopt_lab.techniques.search.named_data import Preprocessing
        from nnopt_lab.workbench.library_models import usual_input

        mean, std = _numbers("mean", self.mean), _numbers("std", self.std)
        if not self._is_library:
            return Preprocessing(self.size, mean, std), None
        usual, usual_mean, usual_std = usual_input(self.model)
        if not mean and not std:
            mean, std = usual_mean, usual_std
        return Preprocessing(self.size, mean, std, channels=3), usual


def _numbers(name: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(",")) if text else ()
    except ValueError as error:
        raise ValueError(f"{name}={text!r} must be numbers with commas between them, such as 0.5,0.5,0.5.") from error


def called(text: str, other: str = ""):
    """Run a script and call the function that "script.py:function" names; returns its result."""
    path, _, name = text.rpartition(":")
    if not Path(path).is_file():
        raise ValueError(f"{text!r} must be script.py:function{other}, and the script must exist.")
    if not path.endswith(".py"):
        raise ValueError(f"{text!r} must be script.py:function{other}, but {path!r} is not a Python script.")
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    script = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(script.__name__, script)  # dataclasses and pickle look for it there
    sys.path.insert(0, str(Path(path).parent.resolve()))  # so that it can import its neighbours, as if it were run
    with _failing_in_a_sentence(path):
        spec.loader.exec_module(script)
    if not callable(getattr(script, name, None)):
        raise ValueError(f"{path} has no function {name!r}.")
    with _failing_in_a_sentence(path):
        return getattr(script, name)()


@contextlib.contextmanager
def _failing_in_a_sentence(path: str) -> Iterator[None]:
    """Turn an error of a user's script into one sentence with its line."""
    try:
        yield
    except (Exception, SystemExit) as error:
        steps, mine = traceback.walk_tb(error.__traceback__), str(Path(path).absolute())
        lines = [line for frame, line in steps if os.path.abspath(frame.f_code.co_filename) == mine]
        at = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
        said = next(iter(str(error).strip().splitlines()), "").rstrip(".")
        raise ValueError(
            f"{path} failed{f' in line {at}' if at else ''} ({type(error).__name__}{said and f': {said}'})."
        ) from error
