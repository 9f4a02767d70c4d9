"""The tables that an answer becomes: one of the sources, one of the pairs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from km3vo import __version__
from km3vo.column import Column
from km3vo.correlation.listed import DAY, UNIX
from km3vo.correlation.sphere import Floats
from km3vo.results.stream import Info, Result, arrow_type

if TYPE_CHECKING:
    from km3vo.correlation.answer import Answer

SOURCES: tuple[Column, ...] = (
    Column(name="source_id", datatype="unicodeChar", arraysize="*", ucd="meta.id;src", description="The source"),
    Column(name="ra", datatype="double", unit="deg", ucd="pos.eq.ra;meta.main", description="Right ascension (ICRS)"),
    Column(name="dec", datatype="double", unit="deg", ucd="pos.eq.dec;meta.main", description="Declination (ICRS)"),
    Column(name="n_in", datatype="int", ucd="meta.number", description="Events in the circle and the window"),
    Column(name="mu", datatype="double", ucd="meta.number", description="Events that chance puts there"),
    Column(name="ts", datatype="double", ucd="stat.likelihood", description="Test statistic, 2 ln L(n_s)/L(0)"),
    Column(name="n_s", datatype="double", ucd="stat.fit.param", description="Events of the source, as fitted"),
    Column(
        name="p_local",
        datatype="double",
        ucd="stat.probability",
        description="p-value of this source alone, by formula; of flares, from scrambles",
    ),
    Column(
        name="p_scramble",
        datatype="double",
        ucd="stat.probability",
        description="The same from scrambles; missing where fewer than ten reached what was observed",
    ),
    Column(
        name="p_post",
        datatype="double",
        ucd="stat.probability",
        description="p-value after looking at all sources: from scrambles if ten reached it, else 1 - (1 - p_local)^m",
    ),
    Column(
        name="q_fdr",
        datatype="double",
        ucd="stat.probability",
        description="Share of false ones among all sources that are at least as significant",
    ),
    Column(
        name="window_start",
        datatype="char",
        arraysize="*",
        xtype="timestamp",
        ucd="time.start",
        description="Beginning of the window (UTC)",
    ),
    Column(
        name="window_stop",
        datatype="char",
        arraysize="*",
        xtype="timestamp",
        ucd="time.end",
        description="End of the window (UTC)",
    ),
    Column(name="t0", datatype="double", unit="d", ucd="time.epoch", description="Centre of the best flare, MJD (UTC)"),
    Column(name="t_w", datatype="double", unit="d", ucd="time.duration", description="Width of the best flare"),
    Column(
        name="upper_limit",
        datatype="double",
        ucd="meta.number;stat.max",
        description="Upper limit on the number of events of the source, 90 percent",
    ),
)
PAIRS: tuple[Column, ...] = (
    SOURCES[0],
    Column(name="event_id", datatype="unicodeChar", arraysize="*", ucd="meta.id;meta.main", description="The event"),
    Column(name="separation", datatype="double", unit="deg", ucd="pos.angDistance", description="Between the two"),
    Column(
        name="sigma", datatype="double", unit="deg", ucd="stat.error;pos", description="Combined width of their errors"
    ),
    Column(
        name="dt",
        datatype="double",
        unit="s",
        ucd="time.interval",
        description="From the time of the source to that of the event",
    ),
    Column(
        name="s_over_b",
        datatype="double",
        ucd="stat.likelihood",
        description="Density of a signal from there, over that of the background",
    ),
    Column(
        name="p_pair",
        datatype="double",
        ucd="stat.probability",
        description="Chance that this event lies as near, with its right ascension drawn anew",
    ),
)


def sources(answer: Answer, infos: Iterable[Info] = (), table_infos: Iterable[Info] = ()) -> Result:
    """The table of sources, in their order; ``infos`` and ``table_infos`` as in :class:`Result`."""
    listed, none = answer.sources, np.full(len(answer.sources), np.nan)
    cells = (
        listed.ids,
        listed.ra,
        listed.dec,
        answer.number,
        answer.mu,
        answer.ts,
        answer.n_s,
        answer.p_local,
        answer.p_scramble,
        answer.p_post,
        answer.q,
        _timestamps(answer.start, len(listed)),
        _timestamps(answer.stop, len(listed)),
        none if answer.t0 is None else answer.t0,
        none if answer.width is None else answer.width,
        answer.upper,
    )
    return _result("sources", SOURCES, cells, (*facts(answer), *infos), tuple(table_infos))


def pairs(answer: Answer, infos: Iterable[Info] = (), table_infos: Iterable[Info] = ()) -> Result:
    """The table of pairs, by source and event."""
    near = answer.pairs
    delay = np.full(len(near), np.nan) if near.delay is None else near.delay * 86400
    cells = (
        answer.sources.ids.take(pa.array(near.source)),
        answer.events.ids.take(pa.array(near.event)),
        near.separation,
        near.sigma,
        delay,
        answer.s_over_b,
        answer.p_pair,
    )
    return _result("pairs", PAIRS, cells, (*facts(answer), *infos), tuple(table_infos))


def facts(answer: Answer) -> tuple[Info, ...]:
    """What has to be known to get the same again."""
    question, circle = answer.question, answer.question.circle
    told = {
        "method": question.method,
        "events": question.events,
        "catalogue": question.catalogue,
        "select": question.select,
        "sources": question.sources,
        "window": "" if question.window is None else f"{-question.window[0]!r} d, {question.window[1]!r} d",
        "radius": f"{circle.degrees:g} deg" if circle.share is None else f"{circle.share:g} of the error",
        "scrambles": str(question.scrambles),
        "seed": str(question.seed),
        "software": f"km3vo/{__version__}",
        "live_time": answer.exposure or "",
        "response": "none: energies were not used",
    }
    return tuple(Info(name, value) for name, value in told.items() if value)


def _timestamps(mjd: Floats | None, number: int) -> pa.Array:
    if mjd is None:
        return pa.nulls(number, pa.timestamp("us"))
    return pa.array(np.rint((mjd - UNIX) * DAY).astype(np.int64)).cast(pa.timestamp("us"))


def _result(
    name: str,
    columns: tuple[Column, ...],
    cells: tuple[object, ...],
    infos: tuple[Info, ...],
    table_infos: tuple[Info, ...],
) -> Result:
    arrays = [
        pa.array(values, from_pandas=True).cast(arrow_type(column))
        for column, values in zip(columns, cells, strict=True)
    ]
    batch = pa.RecordBatch.from_arrays(arrays, names=[column.name for column in columns])
    return Result(columns=columns, source=[batch], name=name, infos=infos, table_infos=table_infos)
