"""How much a search tries by default."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """A search's effort.

    Attributes:
        trials: total number of trials.
        epochs: of each training of a candidate.
        seconds: no further trial starts after this time; None for no limit.
    """

    trials: int
    epochs: int
    seconds: float | None = None


PRESETS = {
    "quick": Preset(trials=8, epochs=1, seconds=600.0),
    "balanced": Preset(trials=40, epochs=2),
    "thorough": Preset(trials=120, epochs=4),
}


def chosen(name: str, trials: int | None, epochs: int | None, seconds: float | None) -> Preset:
    """Return a preset in which the arguments that are not None replace its own.

    Raises:
        ValueError: there is no such preset, or an argument is out of its range.
    """
    if name not in PRESETS:
        raise ValueError(f"preset={name!r} must be one of {', '.join(map(repr, PRESETS))}.")
    preset = PRESETS[name]
    for argument, value in (("trials", trials), ("epochs", epochs)):
        if value is not None and value < 1:
            raise ValueError(f"{argument}={value} must be at least 1.")
    if seconds is not None and not seconds > 0:
        raise ValueError(f"seconds={seconds} must be above 0, or math.inf for no limit.")
    return Preset(
        preset.trials if trials is None else trials,
        preset.epochs if epochs is None else epochs,
        preset.seconds if seconds is None else seconds,
    )
