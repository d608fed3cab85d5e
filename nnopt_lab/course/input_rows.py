"""The rows of a card that show a call's inputs."""

from nnopt_lab.course.cards import Line
from nnopt_lab.workbench.language import _


def input_rows(inputs: dict[str, str]) -> list[Line]:
    """A row for each input, as text by its name."""
    return [(_("input {name}", name=name), text) for name, text in inputs.items()]
