"""A search's goal, and its points: trained candidates with accuracy, bytes and latency."""

from dataclasses import dataclass, field

EAGER = "eager float32"  # the default engine of a configuration


@dataclass(frozen=True)
class Goal:
    """The quantity to minimise, and limits on the others.

    Attributes:
        target: "latency" or "bytes".
        max_drop: largest loss of validation accuracy, in percentage points, at least 0.
        max_bytes: largest file, above 0; None for no limit.
        max_latency: most seconds per batch, above 0; None for no limit.
        batch: pictures per batch for measuring latency, at least 1.

    Raises:
        ValueError: an attribute is out of its range.
    """

    target: str = "latency"
    max_drop: float = 1.0
    max_bytes: int | None = None
    max_latency: float | None = None
    batch: int = 1

    def __post_init__(self):
        if self.target not in ("latency", "bytes"):
            raise ValueError(f"target={self.target!r} must be 'latency' or 'bytes'.")
        if not self.max_drop >= 0 or self.batch < 1:
            raise ValueError(f"max_drop={self.max_drop} must be at least 0 and batch={self.batch} at least 1.")
        if any(limit is not None and not limit > 0 for limit in (self.max_bytes, self.max_latency)):
            raise ValueError(f"max_bytes={self.max_bytes} and max_latency={self.max_latency} must be above 0, or None.")

    @property
    def counts_bytes(self) -> bool:
        """Whether the file's size matters, so that it is compressed."""
        return self.target == "bytes" or self.max_bytes is not None


@dataclass(frozen=True)
class Point:
    """A trained and measured candidate.

    Attributes:
        number: of its trial.
        config: see `candidates`.
        accuracy: in percent on the validation pictures, computed by its engine.
        bytes: size of its file: the compressed one if weights share values, else the engine's own.
        latency: seconds per batch: the ratio to the original, timed in turns, times the original's latency.
        curve: validation accuracy in percent after each epoch of its training, in float32.
    """

    number: int
    config: dict
    accuracy: float
    bytes: int
    latency: float
    curve: list[float] = field(default_factory=list)


def describe(config: dict) -> list[str]:
    """Describe a configuration, one line per technique."""
    lines = [f"computed by {config.get('engine', EAGER)}"]
    if config.get("channels"):
        each = ", ".join(f"{name} {100 * s:.0f} %" for name, s in config["channels"].items())
        lines.append(f"channels kept: {each}")
    lines += [f"{kind} layers: rank for {100 * e:.0f} % of the energy" for kind, e in config.get("energy", {}).items()]
    if config.get("sparsity"):
        lines.append(f"{100 * config['sparsity']:.0f} % of the weights pruned")
    if config.get("bits"):
        each = ", ".join(f"{name} {bits}" for name, bits in config["bits"].items())
        lines.append(f"bits per weight: {each}")
    return lines + ([f"taught by the original, share {config['teacher']}"] if config.get("teacher") else [])


def summary(config: dict) -> str:
    """Describe a configuration without its engine in a short line, such as "channels 50 %, 5 bits per weight"."""
    parts = [f"channels {_shares(config['channels'])}"] if config.get("channels") else []
    if config.get("energy"):
        each = ", ".join(f"{kind} {100 * e:.0f} %" for kind, e in config["energy"].items())
        parts.append(f"low rank: {each}")
    if config.get("sparsity"):
        parts.append(f"{100 * config['sparsity']:.0f} % pruned")
    if config.get("bits"):
        same, *others = set(config["bits"].values())
        each = ", ".join(f"{name} {bits}" for name, bits in config["bits"].items())
        parts.append(f"bits {each}" if others else f"{same} bits per weight")
    parts += ["distilled"] if config.get("teacher") else []
    return "; ".join(parts) or "unchanged"


def _shares(kept: dict[str, float]) -> str:
    each = {name: f"{100 * share:.0f} %" for name, share in kept.items()}
    same, *others = set(each.values())
    if len(each) > 1 and not others:
        return f"{same} in {len(each)} layers"
    return ", ".join(f"{name} {share}" for name, share in each.items())
