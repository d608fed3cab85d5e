"""Make text fit to show and to store."""

import textwrap

from nnopt_lab.workbench.language import labelled, translated, translated_sentences

COLUMNS = 90  # of printed text in a notebook's cell; beyond, JupyterLab breaks lines inside words


def printable(text: object, limit: int = 400) -> str:
    """Replace control characters, which a terminal would obey, and cut the text to `limit` characters."""
    return "".join(c if c.isprintable() else "�" for c in str(text))[:limit]


def storable(name: str) -> str:
    r"""A file's name as valid UTF-8 text: a byte that is not UTF-8 becomes "\xe9", for example."""
    try:
        raw = name.encode("utf-8", "surrogateescape")  # Python's own form of such a byte
    except UnicodeEncodeError:
        raw = name.encode("utf-8", "surrogatepass")  # half of a surrogate pair, which Windows allows
    return raw.decode("utf-8", "backslashreplace")


def wrapped(text: object, columns: int = COLUMNS) -> str:
    """Break the lines of a text between words, so that each has at most `columns` characters if its words do.

    A sentence, also one behind a name and a colon, is in the current language.
    """
    lines = [_spoken(line) for line in str(text).splitlines()]
    fill = textwrap.TextWrapper(columns, break_long_words=False, break_on_hyphens=False).fill
    return "\n".join(map(fill, lines))


def _spoken(line: str) -> str:
    name, _, sentence = line.partition(": ")
    said = translated_sentences(sentence)
    return translated_sentences(line) if said == sentence else labelled(translated(name), said)
