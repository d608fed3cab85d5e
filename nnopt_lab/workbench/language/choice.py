"""The choice of the language: by a call, a variable, the learner's kit, or the system's locale."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache

from nnopt_lab.workbench.language.catalogs import compiled_languages
from nnopt_lab.workbench.paths import KIT

ENGLISH = "en"
VARIABLE = "NNOPT_LANGUAGE"
LOCALE_VARIABLES = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")  # the first that is set counts, as in gettext

_chosen: list[str] = []  # the language of `set_language`, if it was called


def languages() -> list[str]:
    """Codes of the languages that the course speaks, English first."""
    return [ENGLISH, *compiled_languages()]


def known_language(name: str, argument: str = "language") -> str:
    """Return the code of a language that the course speaks, such as zh for zh_CN.

    Raises:
        ValueError: it speaks no such language; the message names the `argument`.
    """
    code = _code(name)
    if code not in languages():
        raise ValueError(f"{argument}={name!r} must be one of: {', '.join(languages())}.")
    return code


def set_language(name: str | None) -> None:
    """Choose the language of this process; None returns to the variable or the system's locale.

    Raises:
        ValueError: the course does not speak it.
    """
    _chosen[:] = [] if name is None else [known_language(name)]


@contextmanager
def speaking(name: str) -> Iterator[None]:
    """A context manager in which this process speaks a language.

    Raises:
        ValueError: the course does not speak it.
    """
    before = list(_chosen)
    set_language(name)
    try:
        yield
    finally:
        _chosen[:] = before


def current_language(environment: Mapping[str, str] | None = None) -> str:
    """The language in use: that of `set_language`, else of `$NNOPT_LANGUAGE`, of the learner's kit, or of the locale.

    Args:
        environment: variables to read, default the process's own.

    Raises:
        ValueError: `$NNOPT_LANGUAGE` names a language that the course does not speak. A locale of another language
            gives English.
    """
    environment = os.environ if environment is None else environment
    if _chosen:
        return _chosen[0]
    if named := environment.get(VARIABLE):
        return known_language(named, VARIABLE)
    if (kept := _of_kit()) in languages():
        return kept
    system = next((environment[name] for name in LOCALE_VARIABLES if environment.get(name)), "")
    code = _code(system.split(":")[0])
    return code if code in languages() else ENGLISH


def spoken_language() -> str:
    """The language in which texts are shown: `current_language`, or English if that names an unknown one."""
    try:
        return current_language()
    except ValueError:  # a misspelt variable must not break a lesson; the commands refuse it
        return ENGLISH


@cache
def _of_kit() -> str:
    """The language of the learner's kit that contains this package; "" if it names none."""
    with suppress(OSError, ValueError, AttributeError):
        return str(json.loads(KIT.read_text(encoding="utf-8")).get("language", ""))
    return ""


def _code(name: str) -> str:
    """The language of a locale: zh of zh_CN.UTF-8."""
    return re.split(r"[_.@-]", name.strip())[0].lower()
