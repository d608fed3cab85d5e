"""The two secrets of a class: a short code that learners type, and a long key for the teacher's page."""

import hmac
import secrets
from dataclasses import dataclass

LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # without those that look alike
CODE_LENGTH = 8  # 40 bits


@dataclass(frozen=True)
class Codes:
    """The learners' code, which is the path of the address that they type, and the page's key."""

    code: str
    key: str

    def is_code(self, given: str) -> bool:
        """Compare in a time that tells nothing."""
        return _same(given, self.code)

    def is_key(self, given: str) -> bool:
        """Compare in a time that tells nothing."""
        return _same(given, self.key)


def new() -> Codes:
    """Draw both."""
    return Codes("".join(secrets.choice(LETTERS) for _ in range(CODE_LENGTH)), secrets.token_urlsafe(24))


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())
