"""Reading tokens one by one, and remembering what would have been right where a query goes wrong."""

from __future__ import annotations

from typing import NoReturn, TypeVar

from km3vo.adql.lexer import Token, tokens
from km3vo.adql.mistakes import mistake, nearest
from km3vo.adql.tree import Name, Node
from km3vo.adql.words import AGGREGATES, ARGUMENTS
from km3vo.errors import AdqlError

# How deep parentheses, subqueries and joins may be nested: Python needs about 12 frames a level.
MAX_DEPTH = 40
# How many tables a query may name in all, each time counted: names are looked up among them, and joins are planned.
MAX_TABLES = 200
# How many operands may be chained. Beyond, PostgreSQL's own stack is at risk.
MAX_CHAIN = 500

_SHOWN = {"<name>": "a name", "<number>": "a number", "<string>": "a string", "<end>": "the end of the query"}
_CLAUSES = [
    *("FROM", "WHERE", "GROUP", "ORDER", "HAVING", "UNION", "EXCEPT", "INTERSECT", "OFFSET"),
    *("NATURAL", "INNER", "LEFT", "RIGHT", "FULL", "JOIN"),
]
_OPERATORS = frozenset({"AND", "OR", "NOT", "IN", "IS", "LIKE", "ILIKE", "BETWEEN", "EXISTS", "AS", "ON", "SELECT"})

N = TypeVar("N", bound=Node)


class TokenStream:
    """The tokens of a query and a place among them.

    Attributes:
        text: the query.
        version: of ADQL, "2.0" or "2.1".
        key: of the token to be read next.
    """

    def __init__(self, text: str, version: str):
        self.text = text
        self.version = version
        self._tokens = tokens(text, version)
        self._at = 0
        self._depth = 0
        self._tables = 0
        self._expected: list[str] = []
        self.key = self._tokens[0].key

    # ------------------------------------------------------------------------------------ moving on

    @property
    def here(self) -> Token:
        """The token to be read next."""
        return self._tokens[self._at]

    def behind_parentheses(self, first: int) -> str:
        """The key of the first token from ``first`` on that is no opening parenthesis."""
        ahead = first
        # Deeper ones are refused anyway, and each level looks for itself.
        while ahead <= MAX_DEPTH and self.peek(ahead) == "(":
            ahead += 1
        return self.peek(ahead)

    def peek(self, ahead: int = 1) -> str:
        """The key of a token further on."""
        return self._tokens[min(self._at + ahead, len(self._tokens) - 1)].key

    def next(self) -> Token:
        """Read a token, whatever it is."""
        token = self._tokens[self._at]
        if token.kind != "end":
            self._at += 1
        self.key = self._tokens[self._at].key
        self._expected = []
        return token

    def accept(self, key: str) -> Token | None:
        """Read a token if it is ``key``; if not, remember that it might have been."""
        if self.key == key:
            return self.next()
        self._expected.append(key)
        return None

    def might_be(self, *keys: str) -> None:
        """Remember what else could stand here, for the message if what does cannot."""
        self._expected += keys

    def expect(self, key: str) -> Token:
        """Read the token ``key``. Raises AdqlError when it is another."""
        return self.accept(key) or self.fail()

    def enter(self) -> None:
        """Go one level deeper. Raises AdqlError when that is too deep."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self.error(f"nested more than {MAX_DEPTH} levels deep", hint="split the query with WITH")

    def leave(self) -> None:
        """Come back from ``enter``."""
        self._depth -= 1

    def one_more_table(self) -> None:
        """Raises AdqlError when the query names too many tables."""
        self._tables += 1
        if self._tables > MAX_TABLES:
            raise self.error(f"more than {MAX_TABLES} tables are named", hint="upload long lists and join with them")

    def counted(self, chain: list[object]) -> None:
        """Raises AdqlError when a chain of operators is too long."""
        if len(chain) >= MAX_CHAIN:
            raise self.error(f"more than {MAX_CHAIN} operands in a row", hint="use IN (...) or an uploaded table")

    def spanned(self, node: N, start: int) -> N:
        """The node, knowing that it reaches from ``start`` to the token last read."""
        node.start, node.end = start, self._tokens[self._at - 1].end
        return node

    # ---------------------------------------------------------------------------------- small parts

    def name(self) -> Name:
        """<identifier>"""
        token = self.expect("<name>")
        return Name(token.value, token.kind == "delimited")

    def dotted(self) -> tuple[Name, ...]:
        """Names joined by dots; stops before .*"""
        parts = [self.name()]
        while self.key == "." and self.peek() != "*":
            self.next()
            parts.append(self.name())
        return tuple(parts)

    def unsigned(self) -> int:
        """<unsigned_decimal>"""
        token = self.expect("<number>")
        if not token.value.isdigit():
            raise self.error("a whole number is needed here, without sign or point", token)
        if len(token.value) > 18:
            raise self.error("this number is too large", token)
        return int(token.value)

    def new_in_2_1(self, what: str, token: Token | None = None) -> None:
        """Raises AdqlError when the query is in ADQL 2.0, which does not have ``what``."""
        if self.version == "2.0":
            raise self.error(f"{what} is not part of ADQL 2.0", token, hint="ask for LANG=ADQL-2.1")

    # --------------------------------------------------------------------------------------- errors

    def error(self, message: str, at: Token | Node | None = None, hint: str = "") -> AdqlError:
        """An error about a token or node, or about the token to be read next."""
        place = at or self.here
        return mistake(self.text, place.start, place.end, message, hint)

    def fail(self, *more: str) -> NoReturn:
        """Raise the error for a token that cannot stand here, saying which could."""
        token = self.here
        before = self._tokens[self._at - 1] if self._at else token
        # A word of another dialect was most likely read as an alias: look at what went before, too.
        for word in (token, before):
            if word.kind in ("regular", "word") and word.value.upper() in _FOREIGN:
                hint = _FOREIGN[word.value.upper()]
                raise self.error(f"{word.value} cannot stand here", word, hint)
            if self.version == "2.0" and word.value.upper() in ("OFFSET", "ILIKE", "WITH"):
                raise self.error(f"{word.value} is not part of ADQL 2.0", word, "ask for LANG=ADQL-2.1")
        expected = list(dict.fromkeys([*self._expected, *more]))
        problem = {"end": "the query ends here", "string": "unexpected string"}.get(
            token.kind, f"unexpected {self.text[token.start : token.end][:40]}"
        )
        shown = [_SHOWN.get(w, w) for w in expected]
        if len(shown) > 10:
            shown = [*shown[:9], "..."]
        message = f"{problem}; expected {' or '.join(shown)}" if shown else problem
        raise self.error(message, token, self._hint(token, before, expected))

    def _hint(self, token: Token, before: Token, expected: list[str]) -> str:
        """What to write instead, where the mistake is a known one."""
        if token.key in ("=", "<", ">") and before.key in ("=", "<", ">"):
            return "write = for equal, <> for unequal, <= and >= for the rest"
        if token.key == before.key == "/":
            return "comments begin with --"
        if token.key == "ORDER" and expected == ["<end>"]:
            return "ORDER BY comes before OFFSET"
        if token.key in ("UNION", "EXCEPT", "INTERSECT") and "DESC" in expected:
            return "put a SELECT with its own ORDER BY in parentheses, or move ORDER BY to the end"
        if token.key == "*" and "<name>" in expected:
            return "* stands alone in SELECT *, or behind a table as in t.*"
        if token.kind == "delimited":
            return "double quotes are for names; strings go in single quotes"
        if token.kind == "string":
            return "single quotes are for strings; names go in double quotes"
        if token.kind == "word" and "<name>" in expected:
            if token.key in ARGUMENTS or token.key in AGGREGATES:
                call = f"to call it write {token.key}(...)"
                return f'{token.key} is a reserved word: {call}, as a name write "{token.value}"'
            if token.key in ("DISTINCT", "ALL") and before.key == "<number>":
                return f"{token.key} comes before TOP"
            if token.key in ("ALL", "ANY", "SOME"):
                return f"ADQL has no {token.key} (SELECT ...): use IN, EXISTS, or MAX or MIN in a subquery in FROM"
            if self.peek() == "(":
                return f"ADQL has no function {token.key}" if token.key not in _OPERATORS else ""
            if token.key not in _CLAUSES and token.key not in _OPERATORS:
                return f'{token.key} is a reserved word: as a name write "{token.value}"'
            return ""
        if token.kind == "regular":
            near = nearest(token.value, [w for w in expected if w[0].isalpha()])
            if near:
                return f"did you mean {near}?"
        if before.kind == "regular":
            near = nearest(before.value, _CLAUSES)
            if near:
                return f"{before.value} was read as a name; did you mean {near}?"
        return ""


# Words of other SQL dialects.
_FOREIGN = {
    "LIMIT": "ADQL has no LIMIT: write SELECT TOP n ..., and OFFSET m at the end",
    "FETCH": "ADQL has no FETCH FIRST: write SELECT TOP n ...",
    "CROSS": "ADQL has no CROSS JOIN: write FROM a, b",
    "RECURSIVE": "WITH cannot be recursive in ADQL",
    "OVER": "ADQL has no window functions",
    "ESCAPE": "LIKE has no escape character in ADQL",
    "RLIKE": "write LIKE or ILIKE with % and _",
    "REGEXP": "write LIKE or ILIKE with % and _",
    "SIMILAR": "write LIKE or ILIKE with % and _",
    "MINUS": "write EXCEPT",
    "NULLS": "the place of NULLs cannot be chosen in ADQL",
    "DATE": "compare timestamps with a string, as in obs_time > '2025-01-31'; as a name write \"date\"",
    "INTERVAL": "ADQL has no intervals of time; use MJD columns, in days",
    "TRUE": "ADQL has no TRUE: compare with 1",
    "FALSE": "ADQL has no FALSE: compare with 0",
    "NONE": "write NULL",
    "CASE": "ADQL has no CASE; COALESCE or a UNION of two queries may do",
}
