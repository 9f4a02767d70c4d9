"""What a random query is put together from: the same in ADQL and for duckdb, and what a result should say of it."""

from __future__ import annotations

from dataclasses import dataclass

from km3vo.column import TimeSystem


@dataclass(frozen=True, slots=True)
class About:
    """What a result should say of a column."""

    unit: str | None = None
    ucd: str | None = None
    frame: str | None = None
    time: TimeSystem | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """An expression in both languages; ``about`` is None where it is not known what should be said."""

    adql: str
    duck: str
    about: About | None = None

    def put(self, adql: str, duck: str, about: About | None = None) -> Piece:
        """Both put into templates."""
        return Piece(adql.format(self.adql), duck.format(self.duck), about)


@dataclass(frozen=True, slots=True)
class Query:
    """A query in both languages, and what should be said of its columns."""

    adql: str
    duck: str
    abouts: tuple[About | None, ...]
