"""Every diagram is a well-formed picture without references, described in words, with nothing outside its edges."""

import base64
import re
from xml.etree import ElementTree

import pytest
import torch
from torch import nn

from nnopt_lab.workbench import diagrams, models
from nnopt_lab.workbench.plots import colors

DRAWERS = {
    "network": lambda: diagrams.network(models.MyNet(), torch.zeros(1, 3, 32, 32)),
    "convolution": diagrams.convolution_as_product,
    "integers": diagrams.integer_pipeline,
    "all-reduce": diagrams.ring_all_reduce,
    "distillation": diagrams.distillation,
    "search": diagrams.search_loop,
}
WIDEST = 8.5  # pixels of a bold letter at 14 pixels


@pytest.fixture(params=DRAWERS, scope="module")
def drawing(request):
    return DRAWERS[request.param]()


def elements(drawing, kind):
    return [e for e in ElementTree.fromstring(drawing.svg).iter() if e.tag.endswith("}" + kind)]


def test_a_notebook_shows_an_image_that_contains_the_drawing_and_its_description(drawing):
    page = drawing._repr_html_()
    (source,) = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', page)
    assert base64.b64decode(source).decode() == drawing.svg
    assert len(drawing.alt) > 60 and f'width="{drawing.width}"' in page and 'alt="' in page
    assert elements(drawing, "title")[0].text == drawing.alt and drawing.alt in repr(drawing)
    assert "url(" not in drawing.svg and drawing.svg.count("http") == 1  # the name space


def written(text):
    return "".join(text.itertext()).replace("\u200b", "")


def test_no_text_is_too_small_to_read_beside_the_side_bar(drawing):
    sizes = [float(text.get("font-size")) for text in elements(drawing, "text")]
    assert min(sizes) * 780 / drawing.width > 10.9


def test_symbols_have_subscripts():
    (text,) = [t for t in elements(diagrams.integer_pipeline(), "text") if written(t) == "÷ sw, round"]
    letter, index, back = text
    assert (letter.text, index.text) == ("s", "w") and index.get("font-size") == "75%" and back.tail == ", round"


def test_the_same_drawing_is_made_every_time(drawing, request):
    again = DRAWERS[request.node.callspec.params["drawing"]]()
    assert again.svg == drawing.svg and len(drawing.svg) < 20_000


def test_all_colours_can_be_seen_on_both_pages(drawing):
    table = {value for value in vars(colors).values() if isinstance(value, str) and value.startswith("#")}
    used = set(re.findall(r'(?:fill|stroke)="(#[^"]+)"', drawing.svg))
    assert used <= table and used


def test_nothing_is_outside_and_no_text_leaves_its_box(drawing):
    boxes = [{k: float(e.get(k)) for k in ("x", "y", "width", "height")} for e in elements(drawing, "rect")]
    assert all(b["x"] >= 0 and b["x"] + b["width"] <= drawing.width for b in boxes)
    assert all(b["y"] >= 0 and b["y"] + b["height"] <= drawing.height for b in boxes)
    for text in elements(drawing, "text"):
        x, y, size = float(text.get("x")), float(text.get("y")), float(text.get("font-size"))
        half = len(written(text)) * WIDEST * size / 14 / 2
        assert x - half > 0 and x + half < drawing.width and size / 2 < y < drawing.height - size / 2, written(text)
        for box in boxes:
            if abs(box["x"] + box["width"] / 2 - x) < 1 and box["y"] < y < box["y"] + box["height"]:
                assert 2 * half < box["width"] + 20, written(text)


def test_the_network_says_shapes_and_parameters_that_torch_says():
    model = models.MyNet()
    texts = [text.text for text in elements(DRAWERS["network"](), "text")]
    for name in ("features.0", "features.3", "classifier.0", "classifier.2"):
        count = sum(p.numel() for p in model.get_submodule(name).parameters())
        assert f"{count:,} parameters" in " ".join(texts)
    assert "448 parameters" in texts and "262,272" in texts  # only long numbers need a line of their own
    sizes = ["3×32×32", "16×32×32", "16×16×16", "32×16×16", "32×8×8", "128", "10"]
    assert [t for t in texts if re.fullmatch(r"\d+(×\d+×\d+)?", t)] == sizes


def test_another_network_is_drawn_and_left_as_it_is():
    model = nn.Sequential(nn.Conv2d(1, 4, (3, 5)), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(4 * 3 * 2, 2)).train()
    drawing = diagrams.network(model, torch.zeros(2, 1, 8, 8))
    texts = [text.text for text in elements(drawing, "text")]
    assert {"convolution 3×5", "pooling 2×2", "1×8×8", "4×6×4", "4×3×2", "2"} <= set(texts)
    assert model.training and not any(module._forward_hooks for module in model.modules())


def test_a_network_is_drawn_in_the_language_in_use(chinese):
    texts = {"input": "输入", "linear": "线性", "{count} parameters": "{count} 个参数"}
    sized = {
        "convolution {size}": "卷积 {size}",
        "max-pooling {size}": "最大池化 {size}",
        "pooling {size}": "池化 {size}",
    }
    told = {"{layer} to {shape}": "{layer}，{shape}", "{before}, then {layer}": "{before}；{layer}"}
    whole = {"The network: input {shape}, {layers}.": "网络：输入 {shape}；{layers}。"}
    chinese(texts | sized | told | whole)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.MaxPool2d(2), nn.AvgPool2d(3), nn.Flatten(), nn.Linear(4, 2))
    drawing = diagrams.network(model, torch.zeros(1, 1, 8, 8))
    shown = "".join(text.text for text in elements(drawing, "text")) + drawing.alt
    assert not re.search("[A-Za-z]", shown) and drawing.alt.endswith("；池化 3×3，4×1×1；线性，2。")


@pytest.mark.parametrize("model", [nn.Flatten(), nn.Sequential(*[nn.Linear(2, 2) for _ in range(13)])])
def test_a_network_with_nothing_or_too_much_to_draw_is_refused(model):
    with pytest.raises(ValueError, match=r"model has (0|13) convolutions.*; 1 to 12 can be drawn"):
        diagrams.network(model, torch.zeros(1, 2))


def test_all_reduce_ends_with_a_full_sum_of_every_piece_for_every_process():
    cells = [e for e in elements(diagrams.ring_all_reduce(), "rect") if e.get("fill") != "none"]
    panels = [[e for e in cells if low <= float(e.get("x")) < low + 280] for low in (0, 280, 560)]
    assert [len(panel) for panel in panels] == [0, 4, 16]
    for panel in panels[1:]:
        colours = [e.get("fill") for e in panel]
        assert {colours.count(c) for c in set(colours)} == {len(panel) // 4} and len(set(colours)) == 4


def test_texts_are_escaped():
    drawing = diagrams.Drawing(200, 50, 'a < b & "c"')
    drawing.text(100, 20, "*x < y\nz & w")
    assert [(t.text, t.get("font-weight")) for t in elements(drawing, "text")] == [("x < y", "600"), ("z & w", None)]
    assert "a &lt; b &amp; &quot;c&quot;" in drawing._repr_html_()
