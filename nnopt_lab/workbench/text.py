"""Text from strangers, made safe to show and to keep."""


def printable(text: object, limit: int = 400) -> str:
    """Replace control characters, which a terminal would obey, and cut to `limit` characters."""
    return "".join(c if c.isprintable() else "�" for c in str(text))[:limit]


def storable(name: str) -> str:
    r"""A file's name as text that UTF-8 can hold: a byte in it that is not UTF-8 becomes "\xe9", for example."""
    try:
        raw = name.encode("utf-8", "surrogateescape")  # so Python writes such a byte
    except UnicodeEncodeError:
        raw = name.encode("utf-8", "surrogatepass")  # half of a surrogate pair, as Windows allows it
    return raw.decode("utf-8", "backslashreplace")
