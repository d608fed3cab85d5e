"""A figure's words in another language, drawn with a font that has their characters."""

import matplotlib.pyplot as plt
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager
from matplotlib.text import Text

from nnopt_lab.workbench import plots
from nnopt_lab.workbench.language import translated
from nnopt_lab.workbench.plots import translation

MESSAGES = {
    "layer": "层",
    "accuracy, %": "准确率（%）",
    "first": "第一",
    "second": "第二",
    "ours": "我们的",
    "Two bars.": "两根条。",
    "both": "两者",
    "{sentence}.": "{sentence}。",
    "Legend: {names}": "图例：{names}",
}


def font(path, characters):
    """Write a font whose characters are all squares, each a glyph of its own unless its name says otherwise."""
    names = {ord(c): "box" if path.stem == "placeholder" else f"u{ord(c):x}" for c in characters}
    pen = TTGlyphPen(None)
    for n, place in enumerate([(0, 0), (0, 700), (700, 700), (700, 0)]):
        pen.lineTo(place) if n else pen.moveTo(place)
    pen.closePath()
    square, builder = pen.glyph(), FontBuilder(1000)
    builder.setupGlyphOrder([".notdef", *dict.fromkeys(names.values())])
    builder.setupCharacterMap(names)
    builder.setupGlyf(dict.fromkeys([".notdef", *names.values()], square))
    builder.setupHorizontalMetrics(dict.fromkeys([".notdef", *names.values()], (800, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": path.stem, "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=800)
    builder.setupPost()
    builder.save(path)


@pytest.fixture
def fonts(tmp_path, monkeypatch):
    """A function that installs fonts, name → characters, beside matplotlib's own; it has no others."""
    manager = font_manager.fontManager
    own = [entry for entry in manager.ttflist if entry.name.startswith("DejaVu")]

    def install(**wanted):
        monkeypatch.setattr(manager, "ttflist", list(own))
        for name, characters in wanted.items():
            font(tmp_path / f"{name}.ttf", characters)
            manager.addfont(tmp_path / f"{name}.ttf")
        translation.fonts.cache_clear()

    yield install
    translation.fonts.cache_clear()


def drawn():
    fig, (ax, other) = plots.figure(2)
    plots.bars(ax, {"first": 3, "second": 1}, labels="{:.1f} ms")
    ax.set(title="layer", xlabel="accuracy, %")
    other.plot([1, 2], [1000, 3000], label="ours")
    plots.legend(fig)
    fig.suptitle("both")
    return plots.finish(fig, "Two bars."), ax, other


def words(fig):
    fig.draw_without_rendering()
    return {text.get_text() for text in fig.findobj(Text) if text.get_text() and text.get_visible()}


def test_all_words_are_translated_where_a_font_has_the_characters(chinese, fonts, recwarn):
    fonts(half="层准确率", whole=set("".join(MESSAGES.values())))
    view = drawn()[1].get_ylim()
    chinese(MESSAGES)
    translation.fonts.cache_clear()
    fig, ax, other = drawn()
    assert words(fig) >= {"层", "准确率（%）", "第一", "第二", "我们的", "两者", "3.0 ms"}
    assert not words(fig) & MESSAGES.keys()
    assert fig.alt == "两根条。" and ax.get_ylim() == view
    assert all("whole" in text.get_fontfamily() for text in fig.findobj(Text))
    assert "3,000" in [label.get_text() for label in other.get_yticklabels()]
    plots.png(fig)
    assert not [w for w in recwarn if "Glyph" in str(w.message) or "findfont" in str(w.message)]
    said = plots.alt_text(fig)
    assert said == "两根条。两者。层：x：准确率（%）, rows: 第一, 第二。图例：我们的。"


@pytest.mark.parametrize("others", [{}, {"half": "层准确率"}, {"placeholder": set("".join(MESSAGES.values()))}])
def test_a_figure_stays_english_without_such_a_font_and_its_description_does_not(chinese, fonts, others):
    fonts(**others)
    chinese(MESSAGES)
    translation.fonts.cache_clear()
    fig, *_ = drawn()
    assert words(fig) >= {"Layer", "accuracy, %", "first", "second", "ours", "both"}
    assert fig.alt == "两根条。"


def test_the_forms_of_the_language_come_first(chinese, fonts):
    fonts(**{name: "层" for name in ("Another", "Noto Sans CJK HK", "Noto Sans CJK SC", "Some SC")})
    chinese({"layer": "层"})
    translation.fonts.cache_clear()
    assert translation.fonts("zh")[1] == "Noto Sans CJK SC"


def test_a_text_with_a_formula_stays_english_unless_the_usual_font_has_its_characters(chinese, fonts, recwarn):
    fonts(whole="层大")
    chinese({"layer $2^k$": "层 $2^k$", "large $x$": "groß $x$", "small": "大"})
    translation.fonts.cache_clear()
    fig, ax = plots.figure()
    ax.set(title="layer $2^k$", xlabel="large $x$", ylabel="small")
    plots.png(plots.finish(fig))
    assert words(fig) >= {"Layer $2^k$", "groß $x$", "大"}
    assert not [w for w in recwarn if "glyph" in str(w.message).lower()]


@pytest.mark.parametrize(("characters", "said"), [("层", "层"), ("", "layer")])
def test_texts_for_a_figure_are_put_together_in_its_language(chinese, fonts, characters, said):
    fonts(**({"found": characters} if characters else {}))
    chinese({"layer": "层"})
    translation.fonts.cache_clear()
    with plots.language_of_figures():
        assert translated("layer") == said
    assert translated("layer") == "层"


def test_a_language_with_latin_letters_needs_no_further_font(chinese, fonts):
    fonts()
    chinese({"layer": "Schicht", "first": "erstes Maß"})
    translation.fonts.cache_clear()
    assert words(drawn()[0]) >= {"Schicht", "erstes Maß", "second"}


def test_english_figures_are_as_before(fonts):
    fonts()
    fig, *_ = drawn()
    assert words(fig) >= {"Layer", "first"} and plt.rcParams["font.family"] == ["sans-serif"]
