"""The tables that a query may name, and how names are matched."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from km3vo.adql.shapes import Position
from km3vo.adql.tree import Name
from km3vo.adql.words import RESERVED
from km3vo.column import Column

_REGULAR = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_NO_PAIRS: Mapping[tuple[str, str], str] = {}
_NO_TRIPLES: Mapping[tuple[str, str, str], str] = {}
_NO_NAMES: Mapping[str, str] = {}
_NO_COUNTS: Mapping[str, int] = {}

TEXT = 100  # characters; a longer text counts as several


def texts_of(length: int) -> int:
    """As how many texts one of so many characters counts."""
    return 1 + length // TEXT


@dataclass(frozen=True, slots=True)
class QueryTable:
    """A table that may be named in FROM.

    Attributes:
        name: as users write it, ("km3net", "events").
        relation: what it is called in the database, with its schema.
        columns: the published columns, in order; ``Column.sql`` is the physical column.
        positions: (ra, dec) names of columns → name of the spoint column with the same position, GiST-indexed.
        circles: (ra, dec, radius) names of columns → name of the scircle column, GiST-indexed.
        geometries: name of a point, circle or polygon column → name of the column that holds it as spoint,
            scircle or spoly. A geometry column that is not named here is stored in DALI form only, as float8[] in
            degrees; one whose own physical column is named here is stored in pgSphere's form only.
        texts: physical column → how many texts its strings are put together from, or count as; 1 where it is not named.
        handed_on: of subqueries, name of a hidden column → the position of a table that it hands on.
        sizes: of subqueries, name of a computed or hidden column → characters of what PostgreSQL may write for it.
        folded: whether regular identifiers match names of any case. So for uploads, whose authors do not think of
            SQL; a published name with capitals needs double quotes (ADQL 2.1 §2.1.5-7).
    """

    name: tuple[str, ...]
    relation: tuple[str, ...]
    columns: tuple[Column, ...]
    positions: Mapping[tuple[str, str], str] = field(default_factory=lambda: _NO_PAIRS)
    circles: Mapping[tuple[str, str, str], str] = field(default_factory=lambda: _NO_TRIPLES)
    geometries: Mapping[str, str] = field(default_factory=lambda: _NO_NAMES)
    texts: Mapping[str, int] = field(default_factory=lambda: _NO_COUNTS)
    handed_on: Mapping[str, Position] | None = None
    sizes: Mapping[str, int] = field(default_factory=lambda: _NO_COUNTS)
    folded: bool = False
    _index: dict[str, list[Column]] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        for column in self.columns:
            self._index.setdefault(column.name.lower(), []).append(column)

    def find(self, name: Name) -> list[Column]:
        """The columns that an identifier may mean."""
        columns = self._index.get(name.text.lower(), [])
        return [column for column in columns if matches(name, column.name, self.folded)]

    def position(self, columns: tuple[str, ...], hidden: str) -> Position | None:
        """What a hidden column stores; None where a subquery has worked it out."""
        return Position(self.name, columns) if self.handed_on is None else self.handed_on.get(hidden)

    @property
    def qualified(self) -> str:
        """The name as it has to be written in a query."""
        *schema, name = self.name
        return ".".join([*(spelled(part, folded=True) for part in schema), self.spelled(name)])

    def spelled(self, name: str) -> str:
        """A name of its own, as it has to be written in a query."""
        return spelled(name, self.folded)


class QueryTables:
    """The tables that may be named, by name. Built once; ``with_uploads`` adds those of one query."""

    __slots__ = ("_by_last", "_uploads", "all")

    def __init__(self, tables: Iterable[QueryTable] = ()):
        self.all: tuple[QueryTable, ...] = tuple(tables)
        self._by_last: dict[str, list[QueryTable]] = {}
        self._uploads: tuple[QueryTable, ...] = ()
        for table in self.all:
            self._by_last.setdefault(table.name[-1].lower(), []).append(table)

    def with_uploads(self, uploads: Iterable[QueryTable]) -> QueryTables:
        """These tables and the uploaded ones of a query."""
        more = QueryTables()
        more.all, more._by_last = self.all, self._by_last
        more._uploads = (*self._uploads, *(replace(upload, folded=True) for upload in uploads))
        return more

    def find(self, parts: tuple[Name, ...]) -> list[QueryTable]:
        """The tables that a name in FROM may mean: one if all is well.

        A name without schema stands for the table of that name if only one schema has it.
        """
        key = parts[-1].text.lower()
        candidates = [
            table
            for table in (*(u for u in self._uploads if u.name[-1].lower() == key), *self._by_last.get(key, ()))
            if len(parts) <= len(table.name) and matches(parts[-1], table.name[-1], table.folded)
        ]
        if len(parts) > 1:
            return [table for table in candidates if is_schema(parts[:-1], table.name[-len(parts) : -1])]
        bare = [table for table in candidates if len(table.name) == 1]
        return bare or candidates

    def names(self) -> list[str]:
        """All names, as they have to be written."""
        return [table.qualified for table in (*self._uploads, *self.all)]


def matches(name: Name, actual: str, folded: bool = False) -> bool:
    """Whether an identifier in a query means the table or column called ``actual``."""
    if name.delimited:
        return name.text == actual
    written = name.text.lower()
    return written == actual or (folded and written == actual.lower())


def is_schema(parts: Sequence[Name], actual: Sequence[str]) -> bool:
    """Whether identifiers mean a schema. Regular ones match in any case, delimited ones their own letters alone
    (ADQL 2.1 §2.1.5), but for TAP_SCHEMA and TAP_UPLOAD, which the standards write in capitals.
    """
    return all(
        matches(part, name, folded=True) or part.text.lower() == name.lower() in ("tap_schema", "tap_upload")
        for part, name in zip(parts, actual, strict=True)
    )


def spelled(name: str, folded: bool = False) -> str:
    """A name as it has to be written in a query: in double quotes where it would not be found without."""
    if _REGULAR.fullmatch(name) and name.upper() not in RESERVED["2.1"] and (folded or name == name.lower()):
        return name
    return str(Name(name, delimited=True))
