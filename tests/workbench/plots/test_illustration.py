"""A figure in a notebook: an image that can be read on any page, described in words, sharp and small."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from PIL import Image

from nnopt_lab.workbench import plots


def drawn(alt=""):
    fig, (left, right) = plots.figure(2)
    plots.bars(left, {"float32": 1, "int8": 2}, labels="{:.1f}×")
    left.set(title="speed", xlabel="times as fast")
    plots.curves(right, [1, 2], {"MyNet": [3, 4], "bf16": [4, 5]})
    right.set(xlabel="epoch", ylabel="loss <train>")
    plots.legend(fig)
    return plots.finish(fig, alt)


def attributes(html):
    found = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: found.append((tag, dict(attributes)))
    parser.feed(html)
    (tag, attributes) = found[0]
    assert tag == "img" and len(found) == 1
    return attributes


def picture(data):
    return Image.open(io.BytesIO(data)).convert("RGBA")


class TestAltText:
    def test_says_what_there_is_to_see_and_names_titles_axes_rows_and_legend(self):
        text = plots.alt_text(drawn("int8 is twice as fast"))
        assert text == (
            "int8 is twice as fast. Speed: x: times as fast, rows: float32, int8. "
            "x: epoch, y: loss <train>. Legend: MyNet, bf16."
        )

    def test_many_rows_are_counted_not_listed(self):
        fig, ax = plots.figure()
        plots.seeds(ax, {f"row {i}": [1] for i in range(30)})
        assert plots.alt_text(plots.finish(fig)).endswith("row 7 and 22 more.")

    @pytest.mark.parametrize("scale", ["log", "linear"])
    def test_powers_at_the_ticks_are_no_rows(self, scale):
        fig, ax = plots.figure()
        ax.plot([1, 2], [1e-3, 1e7])
        ax.set_yscale(scale)
        assert plots.alt_text(plots.finish(fig)) == ""

    @pytest.mark.parametrize(
        "written, spoken",
        [
            (r"$\mathdefault{10^{-1}}$ of it", "10⁻¹ of it."),
            (r"gradients are $2^k$ times smaller", "Gradients are 2ᵏ times smaller."),
            (r"$\mathdefault{2\times10^{3}}$", "2×10³."),
            (r"5 \$ and 6 \$", "5 $ and 6 $."),
            ("5 $ a day", "5 $ a day."),
        ],
    )
    def test_formulas_are_written_in_plain_characters(self, written, spoken):
        fig, ax = plots.figure()
        ax.set(title=written)
        assert plots.alt_text(plots.finish(fig)) == spoken

    def test_rows_named_by_formulas_and_words_are_rows(self):
        fig, ax = plots.figure()
        plots.bars(ax, {r"times $2^{10}$": 1, "bf16": 2})
        assert "rows: times 2¹⁰, bf16" in plots.alt_text(plots.finish(fig))

    def test_numbers_at_the_ticks_are_no_rows(self):
        fig, ax = plots.figure()
        plots.curves(ax, [1, 2], {"a": [1, 2]})
        plots.log_axis(ax.yaxis, [1, 2])
        assert plots.alt_text(plots.finish(fig)) == "Legend: a."

    @pytest.mark.parametrize(
        "fig",
        [
            lambda: plots.pictures(torch.zeros(3, 1, 8, 8, dtype=torch.uint8), ["shirt", "bag", "boot"]),
            lambda: plots.roofline([("conv", 2.0, 10.0)], 100, 20),
        ],
    )
    def test_a_ready_made_figure_describes_itself(self, fig):
        assert re.match(r"\w.{30,}\.", plots.alt_text(fig()))

    def test_pictures_are_named_in_their_order(self):
        fig = plots.pictures(torch.zeros(2, 3, 4, 5, dtype=torch.uint8), ["shirt", "bag"])
        assert plots.alt_text(fig).startswith("2 pictures of 4 × 5 pixels, in rows of 2. Shirt. Bag.")


class TestImg:
    def test_a_notebook_gets_one_image_with_a_description_in_the_width_of_the_page(self):
        shell = InteractiveShell.instance()
        with capture_output() as shown:
            shell.displayhook.exec_result = None
            shell.display_formatter.format(drawn('"less" & <more>'))
        (output,) = shown.outputs
        assert set(output.data) == {"text/plain", "text/html"}
        found = attributes(output.data["text/html"])
        assert found["alt"].startswith('"less" & <more>. Speed')
        assert "max-width:100%" in found["style"]

    def test_contains_an_svg_file_in_its_size_on_the_page(self):
        found = attributes(plots.img(drawn()))
        head, data = found["src"].split(",")
        assert head == "data:image/svg+xml;base64"
        width = float(re.search(r'width="([\d.]+)pt"', base64.b64decode(data).decode())[1])
        assert int(found["width"]) == pytest.approx(width * 110 / 72, abs=1) and int(found["width"]) > 600

    def test_the_pattern_that_hides_figures_from_the_comparison_finds_all_of_it(self):
        assert re.fullmatch(r"<img [^>]*>", plots.img(drawn("a > b")))


class TestSvg:
    @pytest.mark.parametrize("quick", [False, True])
    def test_is_transparent_and_the_same_each_time(self, quick):
        first = plots.svg(drawn(), quick)
        assert first == plots.svg(drawn(), quick) and len(first) < 60_000
        assert not re.search(r"fill: #fff", first, re.IGNORECASE)

    def test_has_letters_as_shapes_in_the_colour_of_texts(self):
        found = plots.svg(drawn())
        assert "<text" not in found and plots.INK in found and "epoch" not in found

    @pytest.mark.parametrize("quick", [False, True])
    def test_photographs_keep_their_colours(self, quick):
        colors = torch.randint(0, 256, (1, 3, 8, 8), dtype=torch.uint8)
        (data,) = re.findall(r"data:image/png;base64,([^\"]+)", plots.svg(plots.pictures(colors), quick))
        seen = np.array(picture(base64.b64decode(data)))[..., :3].reshape(-1, 3)
        wanted = colors[0].permute(1, 2, 0).reshape(-1, 3).numpy()
        assert {tuple(c) for c in wanted} <= {tuple(c) for c in seen}


def test_a_quick_picture_is_uncropped():
    fig, ax = plots.figure()
    ax.plot([1, 2])
    width, height = map(
        float, re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', plots.svg(plots.finish(fig), True)).groups()
    )
    assert (width, height) == pytest.approx(72 * fig.get_size_inches())


def test_a_quick_picture_leaves_the_figure_as_it_is():
    fig, ax = plots.figure()
    ax.plot([1, 2], label="a")
    plots.legend(fig)
    engine, place = plots.finish(fig).get_layout_engine(), ax.get_position().bounds
    first = plots.svg(fig, quick=True)
    assert fig.get_layout_engine() is engine and ax.get_position().bounds == place
    assert plots.svg(fig, quick=True) == first


def test_a_png_file_is_transparent_around_what_is_drawn():
    alpha = np.array(picture(plots.png(drawn())))[..., 3]
    assert (alpha == 0).mean() > 0.5 and alpha.max() == 255
