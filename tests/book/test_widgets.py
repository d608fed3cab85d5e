"""Widgets are shown without a kernel: text, values of controls, pictures."""

import base64

import ipywidgets
from nbformat import from_dict
from nbformat.v4 import new_notebook, new_output

from nnopt_lab.book.widgets import STATE, VIEW, saved_models, without_widgets
from nnopt_lab.course.playground import Playground, choice
from nnopt_lab.workbench import plots


def stored(*shown):
    """Outputs that show widgets, and the models that a notebook would store with them."""
    state = ipywidgets.Widget.get_manager_state(widgets=None)["state"]
    notebook = new_notebook(metadata={"widgets": {STATE: from_dict({"state": state})}})
    outputs = [
        new_output("execute_result", {VIEW: {"model_id": w.model_id}, "text/plain": repr(w)}, execution_count=1)
        for w in shown
    ]
    return outputs, saved_models(notebook)


def test_a_playground_shows_its_controls_text_and_picture():
    def draw(size, name):
        fig, _ = plots.figure()
        return plots.finish(fig), f"<i>size {size}</i>"

    playground = Playground(draw, size=choice("size", [1, 2, 4], 2), name=ipywidgets.Text("n<1", description="name"))
    text, picture = without_widgets(*stored(playground))
    assert "size: <b>2</b>" in text.data["text/html"] and "<i>size 2</i>" in text.data["text/html"]
    assert "name: <b>n&lt;1</b>" in text.data["text/html"]
    assert base64.b64decode(picture.data["image/png"]).startswith(b"\x89PNG")


def test_controls_without_a_picture_show_the_text_that_the_notebook_stores():
    box = ipywidgets.VBox([ipywidgets.HTML("<b>Predict</b>"), ipywidgets.Text(placeholder="a number")])
    (output,) = without_widgets(*stored(box))
    assert output.data == {"text/plain": repr(box)}


def test_html_that_is_stored_with_a_widget_is_preferred():
    outputs, models = stored(ipywidgets.Image(value=b"x"))
    outputs[0].data["text/html"] = "<p>my own</p>"
    (output,) = without_widgets(outputs, models)
    assert output.data["text/html"] == "<p>my own</p>" and VIEW not in output.data


def test_a_widget_that_was_not_stored_leaves_its_text():
    (output,) = without_widgets(
        [new_output("display_data", {VIEW: {"model_id": "gone"}, "text/plain": "A slider"})], {}
    )
    assert output.data == {"text/plain": "A slider"}
    assert saved_models(new_notebook()) == {}


def test_other_outputs_are_left_alone_and_in_order():
    outputs = [new_output("stream", text="a"), new_output("display_data", {"text/plain": "b"})]
    assert without_widgets(outputs, {}) == outputs
