"""Widgets in saved notebooks: what can be shown without a kernel is, and no error is left."""

import copy
import json

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbclient import NotebookClient

from nnopt_lab.course.static_outputs import CURRENT, STATE, VIEW, before_save, make_static


def notebook(data: list[dict], states: dict | None = None) -> dict:
    outputs = [{"output_type": "display_data", "data": data, "metadata": {}} for data in data]
    cells = [{"cell_type": "markdown", "source": ""}, {"cell_type": "code", "source": "", "outputs": outputs}]
    known = {} if states is None else {"widgets": {STATE: {"state": states, "version_major": 2}}}
    return {"cells": cells, "metadata": {"kernelspec": {"name": "python3"}, **known}}


def data_of(notebook: dict) -> list[dict]:
    return [output["data"] for output in notebook["cells"][1]["outputs"]]


def view(id: str, **forms) -> dict:
    return {VIEW: {"model_id": id, "version_major": 2}, "text/plain": "A <playground>", **forms}


def html_model(value: str, *classes: str) -> dict:
    return {"model_name": "HTMLModel", "state": {"value": value, "_dom_classes": list(classes)}}


def box(*children: str) -> dict:
    return {"model_name": "VBoxModel", "state": {"children": [f"IPY_MODEL_{child}" for child in children]}}


PLAYGROUND = {
    "p": box("c", "t", "f"),
    "c": {"model_name": "IntSliderModel", "state": {"value": 3, "layout": "IPY_MODEL_l"}},
    "l": {"model_name": "LayoutModel", "state": {}},
    "t": html_model("<b>3</b> bits", CURRENT),
    "f": html_model("<style>i{}</style><img alt='3 bits' src='data:image/png;base64,AA'>", CURRENT),
}
OTHER = {"o": box("s", "o"), "s": {"model_name": "IntSliderModel", "state": {"value": 1}}}


@pytest.mark.parametrize("static", [make_static, lambda n: before_save({"type": "notebook", "content": n}, path="x")])
def test_a_widget_with_another_form_becomes_that_form(static):
    boxed = notebook([view("b", **{"text/html": "<div>Predict</div>"})], {"b": box()})
    static(boxed)
    assert data_of(boxed) == [{"text/plain": "A <playground>", "text/html": "<div>Predict</div>"}]
    assert boxed["metadata"] == {"kernelspec": {"name": "python3"}}


def test_a_playground_is_saved_with_the_figure_and_the_text_of_now():
    moved = notebook([view("p", **{"text/html": "first"})], PLAYGROUND)
    before_save({"type": "notebook", "content": moved}, path="x", contents_manager=None)
    (data,) = data_of(moved)
    assert VIEW not in data and "first" not in data["text/html"] and "<style>" not in data["text/html"]
    assert "<b>3</b> bits" in data["text/html"] and "base64,AA" in data["text/html"]
    again = copy.deepcopy(moved)
    before_save({"type": "notebook", "content": again}, path="x")
    assert again == moved


def test_widgets_that_are_marked_as_current_replace_the_outputs_own_html():
    states = {"b": box("x", "y", "z"), "x": html_model("card", CURRENT), "y": html_model("", CURRENT)}
    states["z"] = html_model("no")
    saved = notebook([view("b", **{"text/html": "as it was displayed"})], states)
    before_save({"type": "notebook", "content": saved}, path="x")
    assert data_of(saved) == [{"text/plain": "A <playground>", "text/html": "<div>card</div>"}]


def test_a_part_keeps_the_class_of_its_look():
    states = {"b": box("x"), "x": html_model("a goal", "nnopt-goals", CURRENT)}
    saved = notebook([view("b", **{"text/html": "first"})], states)
    before_save({"type": "notebook", "content": saved}, path="x")
    assert data_of(saved)[0]["text/html"] == '<div class="nnopt-goals">a goal</div>'


def test_a_playground_that_nobody_moved_is_built_with_its_first_figure():
    built = notebook([view("p", **{"image/png": "first"})], PLAYGROUND)
    make_static(built)
    assert data_of(built) == [{"text/plain": "A <playground>", "image/png": "first"}]


def test_a_widget_of_somebody_else_is_kept_with_its_state_only_as_long_as_that_is_known():
    known = notebook([view("o"), view("p", **{"image/png": "first"}), view("gone")], PLAYGROUND | OTHER)
    make_static(known)
    assert [VIEW in data for data in data_of(known)] == [True, False, False]
    assert known["metadata"]["widgets"][STATE] == {"state": OTHER, "version_major": 2}
    unknown = notebook([view("o")])
    make_static(unknown)
    assert data_of(unknown) == [{"text/plain": "A <playground>"}]


@pytest.mark.parametrize(
    "model",
    [
        {"type": "file", "content": "{}"},
        {"type": "directory", "content": []},
        {"type": "notebook"},
        {"type": "notebook", "content": None},
    ],
)
def test_what_is_no_notebook_is_saved_as_it_is(model):
    before = copy.deepcopy(model)
    before_save(model, path="x")
    assert model == before


ids = st.sampled_from("abcde")
states = st.dictionaries(ids, st.lists(ids).map(lambda children: box(*children)) | st.text().map(html_model))
outputs = st.lists(
    st.builds(lambda id, forms: view(id, **forms), ids, st.sampled_from([{}, {"text/html": "x"}, {"image/png": "x"}]))
    | st.just({"text/plain": "1"})
)


@given(outputs, states)
def test_every_widget_that_stays_has_its_whole_state_and_every_output_stays(outputs, states):
    saved = notebook(copy.deepcopy(outputs), copy.deepcopy(states))
    before_save({"type": "notebook", "content": saved}, path="x")
    left = saved["metadata"].get("widgets", {}).get(STATE, {}).get("state", {})
    assert len(data_of(saved)) == len(outputs)
    for before, after in zip(outputs, data_of(saved), strict=True):
        assert after and {key: after[key] for key in before if key != VIEW} == {
            k: before[k] for k in before if k != VIEW
        }
        if VIEW in after:
            assert after[VIEW]["model_id"] in left
    assert all(state == states[id] for id, state in left.items())
    for state in left.values():
        children = [child.removeprefix("IPY_MODEL_") for child in state["state"].get("children", [])]
        assert all(child in left for child in children if child in states)


def test_what_a_kernel_sends_is_understood():
    codes = (
        "from nnopt_lab.course.predictions import predict\npredict('gain')",
        "import ipywidgets\nipywidgets.IntSlider(3)",
    )
    executed = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, codes)))
    NotebookClient(executed, kernel_name="python3", timeout=60).execute()
    content = json.loads(nbformat.writes(executed))
    before_save({"type": "notebook", "content": content}, path="x")
    nbformat.validate(nbformat.from_dict(content))
    predicted, slider = (cell["outputs"][0]["data"] for cell in content["cells"])
    assert VIEW not in predicted and "Run this cell to guess." in "".join(predicted["text/html"])
    kept = content["metadata"]["widgets"][STATE]["state"]
    assert kept[slider[VIEW]["model_id"]]["model_name"] == "IntSliderModel"
    assert {state["model_name"] for state in kept.values()} == {"IntSliderModel", "LayoutModel", "SliderStyleModel"}
