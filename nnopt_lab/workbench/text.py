"""Text from strangers, made safe to show."""


def printable(text: object, limit: int = 400) -> str:
    """Replace control characters, which a terminal would obey, and cut to `limit` characters."""
    return "".join(c if c.isprintable() else "�" for c in str(text))[:limit]
