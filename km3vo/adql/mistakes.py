"""How a mistake in a query is shown: the place, the line with a caret under it, and what to write instead."""

from __future__ import annotations

import re
from collections.abc import Iterable

from km3vo.errors import AdqlError

# Longest piece of a line that is quoted back: a query may be one line of a hundred thousand characters.
_SHOWN = 100
_MEANT = re.compile(r"did you mean (.+)\?")


def mistake(text: str, start: int, end: int, message: str, hint: str = "") -> AdqlError:
    """An error about ``text[start:end]``. The caller raises it."""
    start = min(start, len(text))
    line = text.count("\n", 0, start) + 1
    first = text.rfind("\n", 0, start) + 1
    last = text.find("\n", start)
    whole = text[first : last if last >= 0 else len(text)]
    column = start - first
    left = max(0, column - _SHOWN * 2 // 3)
    shown = "".join(c if c.isprintable() else " " for c in whole[left : left + _SHOWN])
    width = max(1, min(end - start, len(shown) - (column - left)))
    excerpt = f"  {shown}\n  {' ' * (column - left)}{'^' * width}"
    return AdqlError(message, line, column + 1, excerpt, hint, length=min(end, len(text)) - start)


def nearest(word: str, words: Iterable[str]) -> str | None:
    """The one of ``words`` that looks most like ``word``, whatever its case; None when none does."""
    from difflib import get_close_matches

    by_key = {w.lower(): w for w in words}
    # Short words look alike too easily.
    near = get_close_matches(word.lower(), by_key, 1, 0.75 if len(word) < 5 else 0.6)
    return by_key[near[0]] if near else None


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """A hint naming the nearest of ``words``, or ""."""
    near = nearest(word, words)
    return f"did you mean {near}?" if near else ""


def meant(hint: str) -> str | None:
    """What a hint of :func:`did_you_mean` names, to be put in the place of the mistake; None of another hint."""
    found = _MEANT.fullmatch(hint)
    return found[1] if found else None
