"""The words of a figure in the language in use, with a font that has its characters; else the figure stays English."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from matplotlib import font_manager
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

from nnopt_lab.workbench.language import ENGLISH, characters, speaking, spoken_language, translated

# Of several fonts with all characters, one with the language's own forms is taken, then one of these families.
_FORMS = {"zh": (" SC", " GB", " CN"), "ja": (" JP",), "ko": (" KR",)}
_FAVOURITES = ("Noto Sans", "Source Han Sans", "PingFang", "Hiragino", "Microsoft YaHei", "WenQuanYi", "SimHei")
_USUAL = "DejaVu Sans"


def translate(fig: Figure) -> None:
    """Replace the words on a figure, also those of its ticks and legends; nothing happens without a font for them."""
    families = fonts(spoken_language())
    if not families:
        return
    for ax in fig.axes:
        for axis in (ax.xaxis, ax.yaxis):
            _translate_ticks(axis)
        ax.tick_params(which="both", labelfontfamily=families)
        for handle in ax.get_legend_handles_labels()[0]:
            handle.set_label(_drawable(handle.get_label()))
    for text in fig.findobj(Text):
        translate_text(text)


def translate_text(text: Text) -> None:
    """Replace the words of one text, so that its size on the page is known; nothing happens without a font for them."""
    if families := fonts(spoken_language()):
        text.set_text(_drawable(text.get_text()))
        text.set_fontfamily(families)


@contextmanager
def language_of_figures() -> Iterator[None]:
    """A context manager for texts put together for a figure: English is spoken inside if no font has the characters."""
    language = spoken_language()
    with speaking(language if fonts(language) else ENGLISH):
        yield


@cache
def fonts(language: str) -> list[str]:
    """The font families, of which each is asked for what those before it lack, for all characters of a language.

    Empty for English, which needs no other than matplotlib's own, and where no installed font has the characters.
    """
    if language == ENGLISH:
        return []
    missing = characters(language) - _usual_characters()
    if not missing:
        return [_USUAL]
    files = {entry.name: entry.fname for entry in font_manager.fontManager.ttflist if entry.style == "normal"}
    forms = _FORMS.get(language, ())
    names = sorted(files, key=lambda name: (not name.endswith(forms), not name.startswith(_FAVOURITES), name))
    found = next((name for name in names if _has_all(files[name], missing)), None)
    return [_USUAL, found] if found else []


def _drawable(text: str) -> str:
    """The text in the language in use; in English if it has a formula, with which matplotlib draws no other font."""
    said = translated(text)
    return said if said.count("$") < 2 or set(said) <= _usual_characters() | {" ", "\n"} else text


@cache
def _usual_characters() -> frozenset[str]:
    return frozenset(_glyphs_of(font_manager.findfont(font_manager.FontProperties(family=_USUAL))))


def _has_all(file: str, wanted: set[str]) -> bool:
    """Whether a font has the characters; one that shows the same box for all, such as "Last Resort", has none."""
    glyphs = _glyphs_of(file)
    return wanted <= glyphs.keys() and 2 * len({glyphs[character] for character in wanted}) > len(wanted)


def _glyphs_of(file: str) -> dict[str, int]:
    try:
        return {chr(code): glyph for code, glyph in FT2Font(file).get_charmap().items()}
    except (OSError, RuntimeError):  # matplotlib's list may name a font that is gone or damaged
        return {}


def _translate_ticks(axis: Axis) -> None:
    """Translate ticks that are words; numbers keep their formatter."""
    english = [label.get_text() for label in axis.get_ticklabels()]
    words = [_drawable(text) for text in english]
    if words != english:
        view = axis.get_view_interval().copy()
        axis.set_ticks(axis.get_ticklocs(), words)
        axis.set_view_interval(*view, ignore=True)
