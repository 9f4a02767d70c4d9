"""The tables of a question as lists: what a query gave becomes events, sources, or live-time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from km3vo.catalog.model import Catalog, Table
from km3vo.column import Column
from km3vo.correlation import roles
from km3vo.correlation.exposure import Exposure, of_runs
from km3vo.correlation.listed import Listed, read, times
from km3vo.correlation.question import MOST_EVENTS, MOST_SOURCES, Question, query
from km3vo.errors import ParameterError


class Rows(NamedTuple):
    """What a query gave: its columns, its rows in batches, and the published tables that they come from."""

    columns: Sequence[Column]
    batches: Iterable[pa.RecordBatch]
    tables: Sequence[Table]


# Asks a query in ADQL as the asker; raises whatever the database says of it.
Ask = Callable[[str], Rows]


@dataclass(frozen=True, slots=True)
class Gathered:
    """The lists of a question, the live-time where it is known, and the published tables that they come from."""

    events: Listed
    catalogue: Listed
    exposure: Exposure | None
    tables: tuple[Table, ...]


def gather(question: Question, catalog: Catalog, ask: Ask, sources: Rows | None = None) -> Gathered:
    """Read what a question is about.

    Args:
        question: the question.
        catalog: the published tables.
        ask: asks for the rows of those that it names.
        sources: the rows of its catalogue, where they come from elsewhere.

    Raises:
        ParameterError: a table lacks what the question needs.
        TooLargeError: one has too many rows.
    """
    rows = ask(query(question.events, question.select))
    listed = events_in(rows, question.events, question.events_share)
    others = sources or ask(query(question.catalogue, question.sources))
    columns = roles.find(others.columns, others.tables, "sources", question.catalogue_share)
    catalogue = read(_name(question.catalogue), others.columns, others.batches, columns, MOST_SOURCES, question.weight)
    runs = _runs_of(question, catalog)
    exposure = _exposure(runs, ask(query(runs, ""))) if runs else None
    return Gathered(listed, catalogue, exposure, tuple(dict.fromkeys([*rows.tables, *others.tables])))


def events_in(rows: Rows, asked: str, share: float | None = None) -> Listed:
    """A list of events; raises as `read` and `roles.find` do. ``asked`` is the table or query, for people."""
    return read(
        _name(asked), rows.columns, rows.batches, roles.find(rows.columns, rows.tables, "events", share), MOST_EVENTS
    )


def _runs_of(question: Question, catalog: Catalog) -> str | None:
    """The table with the live-time of the events, where it is needed and there is one."""
    if question.window is None and question.method != "flare":
        return None
    if question.runs is not None:
        return question.runs
    schema = question.events.partition(".")[0].lower()
    return next((table.qualified for table in catalog.tables if table.qualified == f"{schema}.runs"), None)


def _exposure(name: str, rows: Rows) -> Exposure | None:
    """The live-time of the good runs of a table; None when it has no rows that are seen here.

    Raises:
        ParameterError: it has no columns with the UCDs time.start and time.end, or the runs overlap.
    """
    columns = rows.columns

    def place_of(ucd: str) -> int | None:
        return next((place for place, column in enumerate(columns) if (column.ucd or "").split(";")[0] == ucd), None)

    start, stop = place_of("time.start"), place_of("time.end")
    if start is None or stop is None:
        raise ParameterError(f"{name} has no runs: columns with the UCDs time.start and time.end are needed.")
    batches = list(rows.batches)
    quality = next((place for place, column in enumerate(columns) if column.name == "quality"), None)

    def of(place: int) -> Any:
        return np.concatenate([times(columns[place], batch.column(place)) for batch in batches])

    if not sum(batch.num_rows for batch in batches):
        return None
    good = np.ones(sum(batch.num_rows for batch in batches), dtype=bool)
    if quality is not None:
        good = np.array([cell == "good" for batch in batches for cell in batch.column(quality).to_pylist()])
    return of_runs(of(start)[good], of(stop)[good], f"the good runs of {name}") if good.any() else None


def _name(asked: str) -> str:
    return asked if len(asked.split()) == 1 else f"“{' '.join(asked.split())[:80]}”"
