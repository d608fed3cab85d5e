"""Widgets in saved notebooks: those of the course become ordinary outputs.

Without its kernel, a widget is shown as an error, or as controls that do nothing. So where a widget's output has a
second form, in HTML or as a picture, the notebook is saved with that form alone. `nnopt lab` makes Jupyter's server
call `before_save`. Other widgets are saved with their state, as long as it is known.
"""

import html
import re
from collections.abc import Iterator

VIEW = "application/vnd.jupyter.widget-view+json"
STATE = "application/vnd.jupyter.widget-state+json"
REFERENCE = "IPY_MODEL_"
CURRENT = "nnopt-current"  # class of HTML widgets that a saved notebook shows instead of the output's own HTML


def before_save(model: dict, **_) -> None:
    """Make a notebook's widgets static, as they are now, in the model that Jupyter's server is about to save."""
    if model.get("type") == "notebook" and isinstance(model.get("content"), dict):
        _draw_current(model["content"])
        make_static(model["content"])


def make_static(notebook: dict) -> None:
    """Make a notebook's widgets static, in place.

    Args:
        notebook: in version 4 of the format.
    """
    states, kept = _states(notebook), set()
    for data in _views(notebook):
        model_id = data[VIEW].get("model_id")
        if model_id in states and not _has_second_form(data):
            kept.update(_family(model_id, states))
        else:
            del data[VIEW]
    if kept:
        states = {id: state for id, state in states.items() if id in kept}
        notebook["metadata"]["widgets"][STATE]["state"] = states
    else:
        notebook.get("metadata", {}).pop("widgets", None)


def _draw_current(notebook: dict) -> None:
    """Give a widget that can change the figure and the texts of now as its second form."""
    states = _states(notebook)
    for data in _views(notebook):
        family = [states[id] for id in _family(data[VIEW].get("model_id"), states)]
        parts = [state["state"] for state in family if state.get("model_name") == "HTMLModel"]
        current = [part for part in parts if CURRENT in part.get("_dom_classes", [])]
        if current:
            data["text/html"] = _values(current)


def _states(notebook: dict) -> dict:
    return notebook.get("metadata", {}).get("widgets", {}).get(STATE, {}).get("state", {})


def _views(notebook: dict) -> list[dict]:
    """The data of the outputs that show a widget."""
    outputs = (output for cell in notebook["cells"] for output in cell.get("outputs", []))
    return [output["data"] for output in outputs if VIEW in output.get("data", {})]


def _has_second_form(data: dict) -> bool:
    return not data.keys() <= {VIEW, "text/plain"}


def _values(states: list[dict]) -> str:
    values = (re.sub("<style>.*?</style>", "", state.get("value", "")) for state in states)
    return "".join(f"<div{_named(state)}>{value}</div>" for state, value in zip(states, values, strict=True) if value)


def _named(state: dict) -> str:
    """The attribute with the classes for the look of a part."""
    names = " ".join(name for name in state["_dom_classes"] if name != CURRENT)
    return f' class="{html.escape(names)}"' if names else ""


def _family(model_id: str, states: dict) -> dict[str, None]:
    """The ids of a widget and of everything that its state refers to, directly or not, in order."""
    found = {}

    def visit(id: str) -> None:
        if id in states and id not in found:
            found[id] = None
            for other in _references(states[id].get("state")):
                visit(other)

    visit(model_id)
    return found


def _references(value) -> Iterator[str]:
    if isinstance(value, str) and value.startswith(REFERENCE):
        yield value.removeprefix(REFERENCE)
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _references(part)
