"""Text that may stand in XML 1.0: for columns of cells, all at once, and for single strings."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa

from km3vo.results import kernels, views

# XML 1.0 §2.2 has no way to write these, not even escaped: they are left out.
_FORBIDDEN = "[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]"
_forbidden = re.compile(_FORBIDDEN)
# The same for columns, whose UTF-8 holds no surrogates.
_FORBIDDEN_CELLS = "[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x{fffe}\\x{ffff}]"

# Bytes that call for a second look: markup, control characters, and the first byte of U+FFFE and U+FFFF.
_SUSPECT = np.zeros(256, bool)
_SUSPECT[list(b"&<>\xef") + [code for code in range(32) if code not in (9, 10)]] = True
# A bare carriage return would be read as a line feed (XML 1.0 §2.11).
_REPLACED = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\r", "&#13;"))


def permitted(text: str) -> str:
    """The text without the characters that XML 1.0 forbids."""
    return _forbidden.sub("", text)


def escaped(strings: pa.Array) -> pa.Array:
    """A column of strings as the content of elements."""
    if not _SUSPECT[views.data(strings)].any():
        return strings
    for character, reference in _REPLACED:
        strings = kernels.replace(strings, character, reference)
    return kernels.replace_pattern(strings, _FORBIDDEN_CELLS, "")
