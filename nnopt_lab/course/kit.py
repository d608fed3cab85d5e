"""The learner's kit that contains this package: its lessons and due date, as `nnopt release` noted them."""

import json
from dataclasses import dataclass
from functools import cache

from nnopt_lab.workbench.language import ENGLISH
from nnopt_lab.workbench.paths import KIT


@dataclass(frozen=True)
class Kit:
    """A kit.

    Attributes:
        lessons: their names, in order.
        due: when they are due, as text with a time zone; "" if never.
        language: code of the language that it speaks unless the learner chooses another one.
    """

    lessons: tuple[str, ...]
    due: str = ""
    language: str = ENGLISH


@cache
def kit() -> Kit | None:
    """The kit that contains this package; None in a clone or an ordinary installation.

    Raises:
        ValueError: its file is damaged.
    """
    try:
        found = json.loads(KIT.read_text(encoding="utf-8"))
        return Kit(tuple(found["lessons"]), found["due"], found.get("language", ENGLISH))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{KIT} is damaged: take {KIT.name} from the kit again.") from error
