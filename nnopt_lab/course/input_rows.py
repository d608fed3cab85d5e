"""The rows of a card that show a call's inputs: short ones together in one row, others in a row each."""

from nnopt_lab.course.cards import Line
from nnopt_lab.workbench.language import _

_SHORT = 24  # characters of an input that shares its row


def input_rows(inputs: dict[str, str]) -> list[Line]:
    """Rows for inputs by their names, as text; those that share a row stand where the first of them does."""
    short = [name for name, text in inputs.items() if len(text) <= _SHORT and "\n" not in text]
    shared = short if len(short) > 1 else []
    together = ", ".join(f"{name} = {inputs[name]}" for name in shared)
    return [
        (_("inputs"), together) if name in shared else (_("input {name}", name=name), text)
        for name, text in inputs.items()
        if name not in shared[1:]
    ]
