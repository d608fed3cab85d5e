"""Makes `import torchvision` succeed although its compiled part does not match the installed torch.

A CUDA build of torchvision beside a CPU build of torch fails with "operator torchvision::nms does not exist"
(https://github.com/pytorch/vision/issues/9085): the compiled part can't be loaded, and the Python part then refers to
operators that were never defined. The lessons use only torchvision's data sets and transforms, which need none of
these operators, so defining their two schemas is enough.
"""

import importlib.util
import sys
from pathlib import Path

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)

_kept_alive = []  # the operators vanish with the Library object that defined them


class _RepairBeforeImport:
    """Runs `repair` just before the first import of torchvision; finds no module itself."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname == "torchvision":
            sys.meta_path.remove(self)
            repair()
        return None


def install() -> None:
    """Make `repair` run just before torchvision is first imported; does nothing if it already was.

    Nothing is imported here, so a program that never uses torchvision pays nothing.
    """
    if "torchvision" not in sys.modules and not any(isinstance(f, _RepairBeforeImport) for f in sys.meta_path):
        sys.meta_path.insert(0, _RepairBeforeImport())


def repair() -> bool:
    """Define the `torchvision::nms` and `torchvision::qnms` schemas if torchvision's own cannot be loaded.

    Returns:
        True if schemas had to be defined; False if torch or torchvision is missing, or torchvision is intact.
    """
    spec = importlib.util.find_spec("torchvision")
    if spec is None or importlib.util.find_spec("torch") is None:
        return False
    import torch

    if _compiled_part_loads(Path(spec.origin).parent):
        return False
    missing = [s for s in SCHEMAS if not hasattr(torch.ops.torchvision, s.split("(")[0])]
    if missing:
        library = torch.library.Library("torchvision", "FRAGMENT")
        for schema in missing:
            library.define(schema)
        _kept_alive.append(library)
    return bool(missing)


def _compiled_part_loads(package: Path) -> bool:
    import torch

    libraries = [p for p in package.glob("_C*") if p.suffix in (".so", ".pyd", ".dylib")]
    try:
        for library in libraries:
            torch.ops.load_library(library)
    except OSError:
        return False
    return bool(libraries)
