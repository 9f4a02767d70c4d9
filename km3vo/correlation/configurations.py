"""What each configuration of a detector has: live-time from its runs, numbers of events from its list, and the rate.

Nothing of this is typed in. Events are those that whoever asks may see; live-time follows from the runs alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from km3vo.catalog.model import Catalog, Table
from km3vo.column import Column
from km3vo.correlation.listed import times
from km3vo.correlation.tables import Ask, Rows

SETUP = "instr.setup"


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """A configuration.

    Attributes:
        name: of it.
        n_units: most detection units; None where the runs do not tell.
        first, last: begin of its first run and end of its last, MJD; None where no runs are known.
        livetime: days of good runs; None likewise.
        livetime_public: days of good runs of which the events are public; None likewise.
        n_events, n_up, n_down: events that are seen, in all, from below and from above; None where none is: whether
            there are any that are not seen is not told. n_up and n_down are None where no column tells.
        rate: events that are seen per day of live-time in which they were recorded; None where either is not known.
        release_state: "public", "partly" or "embargoed", by the times of the runs; None without runs.
    """

    name: str
    n_units: int | None
    first: float | None
    last: float | None
    livetime: float | None
    livetime_public: float | None
    n_events: int | None
    n_up: int | None
    n_down: int | None
    rate: float | None
    release_state: str | None


def lists(catalog: Catalog) -> Iterator[tuple[Table, Table | None]]:
    """The event lists with configurations, each with the table of its runs in the same schema, if one is published.

    Simulated runs are not those of measured events.
    """
    for table in catalog.tables:
        if table.position and table.observation and setup(table) is not None:
            beside = (one for one in catalog.tables if one.schema == table.schema and one.intervals)
            yield table, next((runs for runs in beside if table.simulated or not runs.simulated), None)


def setup(table: Table) -> Column | None:
    """The column that names the configuration."""
    return next((column for column in table.columns if column.ucd == SETUP), None)


def configurations(
    table: Table, runs: Table | None, ask: Ask, public_until: float | None, *, everything: bool
) -> list[Configuration]:
    """The configurations of a list.

    Args:
        table: the list of events.
        runs: the table of its runs, or None.
        ask: asks a query in ADQL as whoever wants to know.
        public_until: up to which time (MJD) its events are public; None for all.
        everything: whether whoever asks sees all events, so that rates count all live-time.
    """
    column = setup(table)
    assert column is not None and table.observation is not None
    up = table.observation.up_going
    counts = _counted(ask, table, column, "")
    from_below = _counted(ask, table, column, up) if up else None
    told = _from_runs(runs, ask, public_until) if runs else {}
    return [
        _joined(name, counts.get(name), from_below, told.get(name), everything=everything)
        for name in sorted(counts.keys() | told.keys(), key=lambda one: (told.get(one, {}).get("first") or 0, one))
    ]


def _joined(
    name: str, n_events: int | None, from_below: dict[str, int] | None, runs: dict[str, Any] | None, *, everything: bool
) -> Configuration:
    runs = runs or dict.fromkeys(("n_units", "first", "last", "livetime", "livetime_public", "release_state"))
    days = runs["livetime"] if everything else runs["livetime_public"]
    n_up = None if from_below is None or n_events is None else from_below.get(name, 0)
    return Configuration(
        name=name,
        n_events=n_events,
        n_up=n_up,
        n_down=None if n_up is None or n_events is None else n_events - n_up,
        rate=n_events / days if n_events is not None and days else None,
        **runs,
    )


def _counted(ask: Ask, table: Table, column: Column, condition: str) -> dict[str, int]:
    query = ["SELECT", column.name, "AS c, COUNT(*) AS n FROM", table.qualified]
    query += ["WHERE", condition] if condition else []
    found: Counter[str] = Counter()
    for batch in ask(" ".join([*query, "GROUP BY", column.name])).batches:
        for name, count in zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True):
            found[name or ""] += count  # of some events nobody has said it
    return found


def _from_runs(runs: Table, ask: Ask, public_until: float | None) -> dict[str, dict[str, Any]]:
    """What the runs say of each configuration."""
    column, intervals = setup(runs), runs.intervals
    assert column is not None and intervals is not None
    names = {one.name for one in runs.columns}
    wanted = [column.name, intervals.start, intervals.stop]
    wanted += [name for name in ("livetime", "quality", "n_units") if name in names]
    rows = ask(" ".join(["SELECT", ", ".join(wanted), "FROM", runs.qualified]))
    cells = _cells(rows)
    if not len(cells[column.name]):
        return {}
    start, stop = cells[intervals.start], cells[intervals.stop]
    # Rounded times of one run reach into the next by less than a second, which no sum shows.
    days = cells["livetime"] / 86400 if "livetime" in cells else stop - start
    good = cells["quality"] == "good" if "quality" in cells else np.ones(len(days), dtype=bool)
    released = np.ones(len(days), dtype=bool) if public_until is None else stop <= public_until
    told = {}
    for name in np.unique(cells[column.name]).tolist():
        mine = cells[column.name] == name
        told[str(name)] = {
            "n_units": int(cells["n_units"][mine].max()) if "n_units" in cells else None,
            "first": float(start[mine].min()),
            "last": float(stop[mine].max()),
            "livetime": float(days[mine & good].sum()),
            "livetime_public": float(days[mine & good & released].sum()),
            "release_state": _state(released[mine]),
        }
    return told


def _state(released: Any) -> str:
    return "public" if released.all() else "partly" if released.any() else "embargoed"


def _cells(rows: Rows) -> dict[str, Any]:
    """Columns as arrays: times as MJD, words as texts."""
    batches = list(rows.batches)
    cells: dict[str, list[Any]] = {column.name: [] for column in rows.columns}
    for batch in batches:
        for place, column in enumerate(rows.columns):
            values = batch.column(place)
            if column.time is not None:
                cells[column.name].append(times(column, values))
            elif column.is_string:
                cells[column.name].append(np.array(values.to_pylist(), dtype=object))
            else:
                cells[column.name].append(np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float64))
    return {name: np.concatenate(parts) if parts else np.zeros(0) for name, parts in cells.items()}


COLUMNS: tuple[Column, ...] = (
    Column(name="table_name", datatype="char", arraysize="*", ucd="meta.id;meta.table", description="List of events"),
    Column(name="configuration", datatype="char", arraysize="*", ucd="instr.setup", description="The configuration"),
    Column(name="n_units", datatype="int", ucd="meta.number;instr.det", description="Detection units"),
    Column(
        name="first", datatype="double", unit="d", ucd="time.start;obs", description="Begin of its first run, MJD (UTC)"
    ),
    Column(name="last", datatype="double", unit="d", ucd="time.end;obs", description="End of its last run, MJD (UTC)"),
    Column(name="livetime", datatype="double", unit="d", ucd="time.duration;obs", description="Time of its good runs"),
    Column(
        name="livetime_public",
        datatype="double",
        unit="d",
        ucd="time.duration;obs",
        description="Time of those of its good runs whose events are public",
    ),
    Column(name="n_up", datatype="long", ucd="meta.number", description="Events that came up through the Earth"),
    Column(name="n_down", datatype="long", ucd="meta.number", description="The other events"),
    Column(name="n_events", datatype="long", ucd="meta.number", description="Events that are seen"),
    Column(name="rate", datatype="double", unit="d**-1", ucd="arith.rate", description="Events per day of live-time"),
    Column(
        name="release_state",
        datatype="char",
        arraysize="*",
        ucd="meta.code.status",
        description="Whether its events are public, partly public or embargoed, by the times of its runs",
    ),
)


def rows(found: Iterable[tuple[Table, list[Configuration]]]) -> list[dict[str, Any]]:
    """The configurations of several lists as the rows of one table (`COLUMNS`)."""
    return [
        {"table_name": table.qualified, "configuration": one.name}
        | {column.name: getattr(one, column.name) for column in COLUMNS[2:]}
        for table, several in found
        for one in several
    ]
