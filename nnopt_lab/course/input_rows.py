"""The rows of a card that show a call's inputs."""

from nnopt_lab.course.cards import Copyable, Line
from nnopt_lab.workbench.language import _

Fold = tuple[str, Line]


def input_rows(inputs: dict[str, str], call: str = "") -> tuple[list[Line], tuple[Fold, ...]]:
    """The lines and folds for a call's inputs, each as text by its name.

    The call as code is a line of its own if it says all that can be read at a glance. Beside matrices, which have rows
    only in their own lines, it is folded.

    Args:
        inputs: by argument.
        call: as `nnopt_lab.course.call_text` writes it; "" if there is none.
    """
    rows = [(_("input {name}", name=name), text) for name, text in inputs.items()]
    if not call or not inputs:
        return rows, ()
    code = Copyable(call)
    if any("\n" in text for text in inputs.values()):
        return rows, ((_("The inputs as code"), ("", code)),)
    return [(_("inputs"), code)], ()
