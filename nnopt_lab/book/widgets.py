"""Show a stored widget without a kernel: its text, the values of its controls and its picture."""

import html
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_output

VIEW = "application/vnd.jupyter.widget-view+json"
STATE = "application/vnd.jupyter.widget-state+json"
REFERENCE = "IPY_MODEL_"  # how one stored model names another


def saved_models(notebook: NotebookNode) -> dict[str, dict]:
    """The widgets' models that a notebook has stored, by id; {} if it has none."""
    return notebook.metadata.get("widgets", {}).get(STATE, {}).get("state", {})


def without_widgets(outputs: list[NotebookNode], models: dict[str, dict]) -> list[NotebookNode]:
    """Replace the widgets among a cell's outputs by HTML and pictures.

    Args:
        outputs: of one cell.
        models: of `saved_models`.
    """
    replaced = []
    for output in outputs:
        view = output.get("data", {}).get(VIEW)
        if view is None:
            replaced.append(output)
            continue
        data = {mime: content for mime, content in output["data"].items() if mime != VIEW}
        if "text/html" in data or any(mime.startswith("image/") for mime in data):
            replaced.append(new_output("display_data", data))  # it brings what to show without a kernel
        else:
            replaced += _still(view.get("model_id", ""), models) or [new_output("display_data", data)]
    return replaced


def _still(model_id: str, models: dict[str, dict]) -> list[NotebookNode]:
    """The outputs for one widget: its text and the values of its controls as HTML, then its pictures.

    [] if no picture is stored, as with a box for a guess, which is nothing but controls.
    """
    parts = list(_leaves(model_id, models))
    pictures = [part for part in parts if isinstance(part, dict)]
    if not pictures:
        return []
    lines = "".join(f'<div class="nnopt-control">{part}</div>' for part in parts if isinstance(part, str))
    text = f'<div class="nnopt-still">{lines}</div>'
    return [new_output("display_data", {"text/html": text}), *(new_output("display_data", p) for p in pictures)]


def _leaves(model_id: str, models: dict[str, dict]):
    """Yield HTML for each text and control of a widget, and {mime: base64} for each picture, from top to bottom."""
    model = models.get(model_id.removeprefix(REFERENCE))
    if model is None:
        return
    name, state = model["model_name"], model["state"]
    if name == "ImageModel":
        data = next((b["data"] for b in model.get("buffers", []) if b["path"] == ["value"]), None)
        if data:
            yield {f"image/{state.get('format', 'png')}": data}
    elif name in ("HTMLModel", "HTMLMathModel"):
        if state.get("value"):
            yield state["value"]
    elif (value := _chosen(state)) is not None and state.get("description"):
        yield f"{html.escape(state['description'])}: <b>{html.escape(str(value))}</b>"
    for child in state.get("children", []):
        yield from _leaves(child, models)


def _chosen(state: dict[str, Any]):
    """The value of a control: of a selection its label, of others the value itself; None if it has none."""
    labels, index = state.get("_options_labels"), state.get("index")
    if labels and isinstance(index, int):
        return labels[index]
    return state.get("value")
