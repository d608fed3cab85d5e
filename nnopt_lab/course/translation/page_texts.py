"""The English texts of HTML templates and of their scripts."""

import json
import re
from collections.abc import Iterator

from jinja2 import Environment, nodes

_SAY = re.compile(r'\bsay\(("(?:[^"\\]|\\.)*")')


def texts_of_template(source: str) -> Iterator[str]:
    """The texts of a template's calls of `_` and `counted`.

    Raises:
        ValueError: a call has something other than a literal there.
    """
    for call in Environment().parse(source).find_all(nodes.Call):
        places = {"_": slice(0, 1), "counted": slice(1, 3)}.get(getattr(call.node, "name", ""), slice(0))
        for argument in call.args[places]:
            if not isinstance(argument, nodes.Const):
                raise ValueError(f"Line {call.lineno} of a template has no literal to translate.")
            yield argument.value


def texts_of_script(source: str) -> list[str]:
    """The texts of a script's calls `say("…")`."""
    return [json.loads(literal) for literal in _SAY.findall(source)]
