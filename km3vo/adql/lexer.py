"""From the text of a query to its tokens (ADQL 2.1 §2.1; BNF <token>)."""

from __future__ import annotations

import re
from typing import NamedTuple

from km3vo.adql.mistakes import mistake
from km3vo.adql.words import RESERVED
from km3vo.errors import AdqlError

# Longer queries are refused before anything reads them.
MAX_LENGTH = 500_000


class Token(NamedTuple):
    """One token.

    Attributes:
        key: what the grammar compares: a reserved word in capitals, an operator, or one of <name>, <number>,
            <string>, <end>.
        kind: "word", "operator", "regular" (a bare name), "delimited" (a "name"), "number", "string", "end".
        value: regular identifiers as written; delimited ones and strings without quotes; else as written.
        start, end: offsets in the text.
    """

    key: str
    kind: str
    value: str
    start: int
    end: int


# The longest match first. After a number no letter may follow (SQL-92 §5.2 rule on separators): "2do" is no name,
# and reading it as 2 AS do would answer a question nobody asked.
_TOKEN = re.compile(
    r"""(?P<space>(?:[ \t\r\n\f\v]+|--[^\r\n]*)+)
      | (?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)(?![A-Za-z0-9_.])
      | (?P<word>[A-Za-z][A-Za-z0-9_]*)
      | (?P<string>'(?:[^']|'')*')
      | (?P<delimited>"(?:[^"]|"")+")
      | (?P<operator><>|!=|<=|>=|\|\||/(?!\*)|[-+*=<>(),.;])""",
    re.VERBOSE,
)

_LOOKALIKES = {
    "\u2018": "'",
    "\u2019": "'",
    "\u201c": '"',
    "\u201d": '"',
    "\u2032": "'",
    "\u2033": '"',
    "\u00b4": "'",
    "\u2013": "-",
    "\u2014": "-",
    "\u2212": "-",
    "\u00d7": "*",
    "\u00a0": "space",
    "\u200b": "space",
}

_WHY = {
    ";": "ADQL has one statement per query and no semicolons: take it out",
    ":": "to change a type write CAST(x AS INTEGER)",
    "%": "for the remainder of a division write MOD(a, b)",
    "`": 'write names in double quotes: "name"',
    "[": 'ADQL has no arrays; write odd names in double quotes: "name"',
    "]": 'ADQL has no arrays; write odd names in double quotes: "name"',
    "_": 'names begin with a letter: write it in double quotes, "_name"',
    "!": "for unequal write <> or !=, for negation NOT",
    "&": "write AND",
    "|": "write OR, or || to join strings",
    "^": "for powers write POWER(x, y)",
    "~": "write LIKE or ILIKE",
    "@": "write ABS(x)",
    "#": "comments begin with --",
    "?": "put the value itself into the query",
    "$": "write strings in single quotes",
    "{": "write strings in single quotes",
    "\\": "ADQL needs no backslashes; inside a string write '' for a quote",
}


def tokens(text: str, version: str = "2.1") -> list[Token]:
    """Cut a query into tokens, the last of which is <end>. Raises AdqlError."""
    if len(text) > MAX_LENGTH:
        raise AdqlError(
            f"the query is {len(text):,} characters long; at most {MAX_LENGTH:,} are accepted",
            hint="upload long lists as a table and join with TAP_UPLOAD.<name>",
        )
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        raise AdqlError("the query is not Unicode: half of a surrogate pair stands alone in it")
    reserved = RESERVED[version]
    result: list[Token] = []
    add = result.append
    match = _TOKEN.match
    at, stop = 0, len(text)
    semicolon = -1
    while at < stop:
        hit = match(text, at, stop)
        if hit is None:
            raise _stray(text, at)
        kind, start, at = hit.lastgroup, at, hit.end()
        if kind == "space":
            continue
        value = hit.group()
        if semicolon >= 0:
            raise _stray(text, semicolon)
        if kind == "word":
            upper = value.upper()
            if upper in reserved:
                add(Token(upper, "word", value, start, at))
            else:
                add(Token("<name>", "regular", value, start, at))
        elif value == ";" and kind == "operator":
            # One at the very end is let pass: SQL consoles have taught people to type it.
            semicolon = start
        elif kind == "operator":
            add(Token("<>" if value == "!=" else value, "operator", value, start, at))
        elif kind == "number":
            add(Token("<number>", "number", value, start, at))
        elif kind == "delimited":
            add(Token("<name>", "delimited", value[1:-1].replace('""', '"'), start, at))
        else:
            value = value[1:-1].replace("''", "'")
            # SQL-92 §5.3: 'a' <newline> 'b' is 'ab'; on one line it is an error.
            if result and result[-1].kind == "string" and re.search(r"[\r\n]", text[result[-1].end : start]):
                before = result.pop()
                value, start = before.value + value, before.start
            add(Token("<string>", "string", value, start, at))
    at = text.find("\0")
    if at >= 0:
        raise mistake(text, at, at + 1, "there is a NUL character in the query")
    add(Token("<end>", "end", "", stop, stop))
    return result


def _stray(text: str, at: int) -> AdqlError:
    """The error for a place where no token begins."""
    char = text[at]
    if char == "'":
        return mistake(text, at, at + 1, "this string is never closed", "end it with a single quote; inside write ''")
    if char == '"':
        what = "a name in double quotes is empty" if text[at : at + 2] == '""' else "this name is never closed"
        return mistake(text, at, at + 1, what, "names go in double quotes, strings in single quotes")
    if (char.isdigit() and char.isascii()) or (char == "." and text[at + 1 : at + 2].isdigit()):
        hit = re.compile(r"[0-9A-Za-z_.]+").match(text, at)
        end = hit.end() if hit else at + 1
        return mistake(
            text, at, end, f"{text[at:end][:40]} is neither a number nor a name", "names begin with a letter"
        )
    if text.startswith("/*", at):
        return mistake(
            text, at, at + 2, "comments are not written like this", "a comment runs from -- to the end of the line"
        )
    if char in _LOOKALIKES:
        plain = _LOOKALIKES[char]
        hint = (
            "type plain quotes: 'text' for a string, \"name\" for a name"
            if plain == '"'
            else f"type a plain {plain} instead"
        )
        return mistake(text, at, at + 1, f"{char!r} is not part of ADQL", hint)
    if char.isalpha():
        hint = 'names of other than the letters a-z go in double quotes: "name"'
    elif char == "!" and text[at + 1 : at + 2] == "=":
        hint = ""
    else:
        hint = _WHY.get(char, "")
    return mistake(text, at, at + 1, f"{char!r} is not part of ADQL", hint)
