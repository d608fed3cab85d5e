"""The way to an entry: the three steps that the lesson leaves blank, and ours where they are."""

from collections.abc import Callable

from nnopt_lab.techniques.convolutions import folding
from nnopt_lab.techniques.quantization import qat
from nnopt_lab.workbench.language import _

OURS = {"fold": folding.fold_batch_norm, "method": "lsq", "settle": qat.make_permanent}


def filled(fold: Callable | None, method: str | None, settle: Callable | None) -> tuple[Callable, str, Callable]:
    """The three steps, ours for each that is None.

    Args:
        fold: model → the model with its batch norms merged into the convolutions.
        method: of `qat.prepare`.
        settle: trained model → the model with plain weights on their grids.

    Raises:
        ValueError: a step is of the wrong kind.
    """
    steps = {"fold": fold, "method": method, "settle": settle}
    for name in ("fold", "settle"):
        if steps[name] is not None and not callable(steps[name]):
            raise ValueError(
                f"{name}={steps[name]!r} must be a function of a model: write its name without calling it."
            )
    if method is not None and method not in qat.METHODS:
        raise ValueError(f"method={method!r} must be one of {', '.join(qat.METHODS)}.")
    blank = [name for name, step in steps.items() if step is None]
    if blank:
        print(_("Our own step stands in for each blank: {steps}.", steps=", ".join(blank)))
    return tuple(OURS[name] if step is None else step for name, step in steps.items())
