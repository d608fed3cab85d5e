"""Drawings that move without a kernel or a script, and that a reader can stop."""

from collections.abc import Sequence
from dataclasses import dataclass

from nnopt_lab.workbench.diagrams.drawing import Drawing
from nnopt_lab.workbench.language import _, translated
from nnopt_lab.workbench.plots.illustration import embedded

_STOPPED = ".moves{animation:none!important}"
_LESS_MOTION = f"@media(prefers-reduced-motion:reduce){{{_STOPPED}}}"
_SWITCH = (
    "<style>.nnopt-moving>details[open]+div,.nnopt-moving [open] .nnopt-play,"
    ".nnopt-moving :not([open])>summary>.nnopt-stop{display:none}.nnopt-moving summary{cursor:pointer}</style>"
)


@dataclass
class Animation(Drawing):
    """A drawing that plays again and again, with a switch between it and its last picture.

    Readers who asked their system for less motion see the last picture. Elements have the look of the end by
    themselves.
    """

    def move(self, name: str, states: Sequence[str], share: float) -> None:
        """Define a motion.

        Args:
            name: for `played`.
            states: CSS declarations, equally far apart in time; the last one lasts until the motion begins again.
            share: of the time, for the way from the first to the last.
        """
        last = len(states) - 1
        frames = "".join(f"{100 * share * i / last:.2f}%{{{state}}}" for i, state in enumerate(states))
        self.style += f"@keyframes {name}{{{frames}100%{{{states[-1]}}}}}"

    def played(self, name: str, seconds: float, style: str = "") -> str:
        """Attributes of an SVG element that has a motion.

        Args:
            name: of a motion.
            seconds: from one beginning to the next.
            style: further CSS declarations of the element.
        """
        return f'class="moves" style="{style}{style and ";"}animation:{name} {seconds}s linear infinite"'

    @property
    def svg(self) -> str:
        """The content of an SVG file that plays."""
        return self._with(_LESS_MOTION)

    def _with(self, style: str) -> str:
        return super().svg.replace("</style>", f"{style}</style>", 1)

    def _repr_html_(self) -> str:
        """A fold, which needs no script: open, it plays; closed, the last picture stands in its place."""
        alt = translated(self.alt)
        playing, still = (embedded(svg, self.width, alt) for svg in (self.svg, self._with(_STOPPED)))
        words = f'<span class="nnopt-stop">{_("Stop")}</span><span class="nnopt-play">{_("Play")}</span>'
        return (
            f'<div class="nnopt-moving">{_SWITCH}<details open><summary>{words}</summary>{playing}</details>'
            f"<div>{still}</div></div>"
        )
