"""What a query has in common with others of its form: for logs, which hold no query and none of its values."""

from __future__ import annotations

from hashlib import sha256

from km3vo.adql.lexer import tokens
from km3vo.errors import AdqlError

VALUES = ("number", "string")


def fingerprint(text: str, version: str = "2.1") -> str:
    """Twelve hexadecimal digits that are the same for queries that differ in values, case and spaces only."""
    try:
        form = " ".join("?" if token.kind in VALUES else token.value.upper() for token in tokens(text, version))
    except AdqlError:
        form = text
    return sha256(form.encode(errors="replace")).hexdigest()[:12]
