"""What a statement calls and reads, found in its text alone, without the code that made it."""

from __future__ import annotations

import re

# Words that may stand before a parenthesis and call nothing.
_GRAMMAR = frozenset(
    {
        *("and", "any", "array", "as", "by", "exists", "filter", "from", "in", "join", "not", "on", "or", "over"),
        *("select", "values", "where", "when", "then", "else", "distinct", "having", "between", "like", "ilike"),
        *("all", "union", "except", "intersect", "escape", "limit", "offset", "case", "end", "is", "null"),
        *("i", "m", "v", "ordinality"),
    }
)
_LITERAL = re.compile(r"'(?:[^']|'')*'")
_NAME = re.compile(r'"(?:[^"]|"")*"')


def functions(statement: str) -> set[str]:
    """The functions that are called."""
    bare = _NAME.sub(" X ", _LITERAL.sub(" S ", statement))
    return {word.lower() for word in re.findall(r"([A-Za-z_][A-Za-z0-9_]*)\s*\(", bare)} - _GRAMMAR


def relations(statement: str) -> set[str]:
    """The quoted names that stand where a table does, in FROM and JOIN."""
    bare = _LITERAL.sub(" S ", statement)
    name = r'((?:"(?:[^"]|"")*"\.)?"(?:[^"]|"")*")'
    found = re.findall(rf"(?:\bFROM|\bJOIN)\s+\(*{name}", bare)
    # Further tables of a comma list: a name and its alias.
    found += re.findall(rf",\s*{name} AS \"t\d+\"", bare)
    return set(found)
