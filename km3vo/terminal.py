"""What commands write to a terminal: text that came from users, made harmless.

Queries, names, reasons and paths in the logs were sent by others. A line break in one of them would forge an entry, an
escape sequence would wipe the screen, and a change of direction would show letters in another order.
"""

from __future__ import annotations

import unicodedata

import click

# Control, format (among them every change of direction), surrogates, private use, not assigned, line and paragraph.
_DANGEROUS = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def visible(text: str) -> str:
    """A text on one line, each character of it to be seen: what could move the cursor or other letters is escaped."""
    return "".join(map(_escaped, text))


def visible_lines(text: str) -> str:
    """A text of our own making that has several lines, which are meant, with everything in each of them `visible`."""
    return "\n".join(map(visible, text.split("\n")))


def quoted(text: str) -> str:
    """A text in double quotes, so that it cannot seem to end before it does."""
    return '"' + visible(text.replace("\\", r"\\").replace('"', r"\"")) + '"'


def tell(text: str = "", *, err: bool = False) -> None:
    """Write one line, with everything in it `visible`; ``err`` for the standard error."""
    click.echo(visible(text), err=err)


def tell_lines(text: str, *, err: bool = False) -> None:
    """Write a text of our own making that has several lines, such as a statement."""
    click.echo(visible_lines(text), err=err)


def tell_error(text: str) -> None:
    """Write what went wrong, in red where there are colours."""
    click.secho(visible_lines(text), fg="red", err=True)


def _escaped(character: str) -> str:
    if character in _SHORT:
        return _SHORT[character]
    if unicodedata.category(character) not in _DANGEROUS:
        return character
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
