"""Make untrusted text safe to show and to store."""


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
