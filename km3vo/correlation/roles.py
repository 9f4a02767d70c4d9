"""Which column of a table says where, when and how exactly: found by UCD, since names differ.

What the catalogue says of a published table (its position, its time) comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from km3vo.catalog.model import Table
from km3vo.column import Column
from km3vo.correlation import containment
from km3vo.errors import ParameterError

# A circle of one standard deviation holds this share, which is what lists without a word about it mean by "error".
ONE_SIGMA = 0.3934693402873666


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """Places of columns in a list of them.

    Attributes:
        ra, dec: the position, ICRS.
        id: what the rows are called, or None.
        error: radius of the error circle, or None.
        share: of the probability that this circle holds.
        time: or None.
        group: the configuration of the detector, or None.
    """

    ra: int
    dec: int
    id: int | None
    error: int | None
    share: float
    time: int | None
    group: int | None


def find(columns: Sequence[Column], tables: Iterable[Table], what: str, share: float | None = None) -> Roles:
    """The roles of columns.

    Args:
        columns: of the table, or of a query's result.
        tables: the published tables that they come from.
        what: "events" or "sources", for messages.
        share: which share of the probability the error circles hold, where the asker knows better.

    Raises:
        ParameterError: there is no position, or one that is not ICRS.
    """
    known = list(tables)
    if share is not None:
        containment.factor(share)  # that it is one

    def first(*tests: Callable[[Column], bool]) -> int | None:
        return next((place for test in tests for place, column in enumerate(columns) if test(column)), None)

    def named(*names: str | None) -> Callable[[Column], bool]:
        return lambda column: column.name in names

    positions = [table.position for table in known if table.position]
    ra = first(_is("pos.eq.ra", "meta.main"), _is("pos_eq_ra_main"), _is("pos.eq.ra"))
    dec = first(_is("pos.eq.dec", "meta.main"), _is("pos_eq_dec_main"), _is("pos.eq.dec"))
    if ra is None or dec is None:
        raise ParameterError(
            f"The {what} have no position: the columns need the UCDs pos.eq.ra;meta.main and pos.eq.dec;meta.main."
        )
    for place in (ra, dec):
        if columns[place].frame not in ("ICRS", "FK5", None):
            raise ParameterError(f"The position of the {what} is in {columns[place].frame}: write it in ICRS.")
    error = first(named(*(position.error for position in positions if position.error)), _is_error)
    stated = next(
        (position.share for position in positions if error is not None and position.error == columns[error].name), None
    )
    return Roles(
        ra=ra,
        dec=dec,
        id=first(_is("meta.id", "meta.main"), _is("id_main"), _is("meta.id", "src"), _is("meta.id")),
        error=error,
        share=share or stated or ONE_SIGMA,
        time=first(
            named(*(table.time for table in known if table.time)),
            lambda column: _is("time.epoch")(column) and column.time is not None,
        ),
        group=first(_is("instr.setup")),
    )


def _is(*words: str) -> Callable[[Column], bool]:
    """Whether a column's UCD begins with the first word and holds the others."""

    def test(column: Column) -> bool:
        parts = (column.ucd or "").lower().split(";")
        return parts[0] == words[0] and set(words) <= set(parts)

    return test


def _is_error(column: Column) -> bool:
    """Whether a column is the error of a direction as a whole, and not of one of its coordinates."""
    ucd = (column.ucd or "").lower()
    return ucd in ("stat.error;pos.eq", "stat.error;pos", "stat.stdev;pos.eq", "stat.stdev;pos", "pos.errorellipse")
