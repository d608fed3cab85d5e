"""The course's colour table: the same thing has the same colour, marker and line in all lessons.

Every colour has a contrast of at least 3:1 on white and on JupyterLab's dark background (#111111), as WCAG 2.1 asks of
graphics (https://www.w3.org/TR/WCAG21/#non-text-contrast). So all are about equally light, and colour-blind readers
confuse some of them; those differ in marker and line as well.
"""

import re

import numpy as np
from matplotlib.colors import to_hex, to_rgb

# Hues of Okabe & Ito's palette (Wong, Nature Methods 8, 2011, https://doi.org/10.1038/nmeth.1618), lightened or
# darkened until they can be seen on both backgrounds, and three more.
BLUE, ORANGE, GREEN, PURPLE, SKY, GOLD = "#0F74C0", "#D95A10", "#0E9A6C", "#C0629F", "#2A94C4", "#B57F00"
BROWN, VIOLET, RED = "#96591F", "#8A63D2", "#D43D51"
# Texts and axes. JupyterLab and the book show them in the colour of the page's text (`figures.js`), which finds them by
# this grey, so nothing else has it. On other pages it has 4.6:1 on white and 4.1:1 on dark.
INK = "#757575"
REFERENCE = "#767676"  # the original network, a limit
GRID = "#80808033"  # fainter than what joins two dots, because names of points lie on it
FAINT = "#8080804D"
PALE = "#80808066"  # areas behind what matters
# JupyterLab's dark background; a text on a bright colour has it too, as `finish()` takes pure black for a default.
DARK = "#111111"
EDGE = "#FFFFFF80"  # separates neighbours of one colour on both backgrounds
PALETTE = (BLUE, ORANGE, GREEN, PURPLE, GOLD, SKY)  # the two blues far apart

# A name that contains one of these words gets its colour; the first word found decides.
COLORS = {
    **{"random": RED, "teacher": VIOLET, "student": SKY, "article": GOLD, "ours": BLUE},
    **dict.fromkeys(("original", "dense", "baseline", "before", "labels", "manual"), REFERENCE),
    **{"int8": ORANGE, "int4": PURPLE, "bf16": GOLD, "fp16": VIOLET, "tf32": SKY, "float32": BLUE},
    **{"fp8 e4m3": GREEN, "fp8 e5m2": BROWN, "fp8": GREEN},
    "MyNet": GREEN,
}
# Lines of engines in all lessons, where the colours of their number formats would be the same for several of them.
ENGINES = {
    **{"eager float32": BLUE, "channels-last float32": GREEN, "compiled float32": VIOLET, "compiled bf16": GOLD},
    **{"PT2E int8": BROWN, "ONNX Runtime float32": PURPLE, "ONNX Runtime int8": ORANGE, "OpenVINO int8": SKY},
}
_MARKS = {
    BLUE: ("o", "-"),
    ORANGE: ("s", "-"),
    GREEN: ("^", "-"),
    PURPLE: ("D", "-"),
    SKY: ("v", "--"),
    GOLD: ("P", "-."),
    VIOLET: ("X", ":"),
    BROWN: ("p", "--"),
    RED: ("*", ":"),
    REFERENCE: ("h", "--"),
}


def color_of(name: str, default: str = BLUE) -> str:
    """The colour of a thing in all lessons, by a word in its name such as "int8"; otherwise the default."""
    return next((color for word, color in COLORS.items() if re.search(rf"\b{re.escape(word)}\b", name)), default)


def ramp(count: int) -> list[str]:
    """`count` colours in order, from blue through violet to red, all as easy to see as the table's."""
    ends = np.array([to_rgb(color) for color in (BLUE, VIOLET, RED)])
    places = np.linspace(0, len(ends) - 1, count)
    return [to_hex([np.interp(at, range(len(ends)), channel) for channel in ends.T]) for at in places]


def marker_of(color: str) -> str:
    """The marker that goes with a colour of the table; a dot with any other."""
    return _MARKS.get(color, ("o", "-"))[0]


def line_of(color: str) -> str:
    """The line style that goes with a colour of the table; a solid line with any other."""
    return _MARKS.get(color, ("o", "-"))[1]


def tint(color) -> str:
    """A light tint of a colour, on which dark text reads well."""
    return to_hex([0.75 + 0.25 * c for c in to_rgb(color)])


def readable_on(color) -> str:
    """White or nearly black, whichever reads better on a colour."""
    channels = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color))
    luminance = sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), channels, strict=True))
    return "#FFFFFF" if luminance < 0.18 else DARK
