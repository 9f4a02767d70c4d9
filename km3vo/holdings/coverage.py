"""What the public part of each table covers: sky, time, energy. Measured as the public login, so that no embargoed
event can have a share in it; kept in km3vo.coverage for pages, registry records and test queries.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from km3vo.catalog.model import Column, Table
from km3vo.database.logins import PUBLIC, SERVICE, Database
from km3vo.embargo import partitions

# VODataService 1.2 §3.2: "at least to order 6", and "smaller than a few dozens of kB".
FINEST = 6
LONGEST = 24_000
PICTURE_ORDER = 4
# Goes into every fingerprint: raise it when the measuring changes, and all tables are measured anew.
RULES = 2

# What can change the public rows of a table without embargo: loads, and changes by `km3vo withdraw` and the like. Where
# there is one only releases and such changes can, which are noted alike, and loads must not show here: anybody could
# see that an edition is measured anew.
LOADS = """
SELECT concat_ws(' ', count(*), sum(rows), max(loaded_at), (SELECT changed_at FROM km3vo.versioned AS one
    WHERE one.published = %(published)s)) FROM km3vo.load WHERE published = %(published)s
"""
RELEASES = "SELECT coalesce(max(released_at)::text, '') FROM km3vo.embargoed WHERE published = %(published)s"

# The last measurement of a table, and what its rows followed from (`_basis`).
KNOWN = "SELECT fingerprint, pixel, basis FROM km3vo.coverage WHERE published = %s"
KNOWN_LOCKED = "SELECT fingerprint, pixel, basis FROM km3vo.coverage WHERE published = %s FOR UPDATE"
STATE = "SELECT rows, fingerprint, released_to FROM km3vo.coverage WHERE published = %s"
ADD = """
INSERT INTO km3vo.coverage (published, rows, fingerprint, computed_at) VALUES (%s, 0, '', now()) ON CONFLICT DO NOTHING
"""
KEEP = "UPDATE km3vo.coverage SET {assignments}, computed_at = now() WHERE published = %(published)s"
KEEP_BASIS = "UPDATE km3vo.coverage SET basis = %s WHERE published = %s"
FORGET = "DELETE FROM km3vo.coverage WHERE NOT published = ANY(%s)"

# One moment for several connections. A measurement takes minutes where there are hundreds of millions of rows.
WAIT = ("SET LOCAL lock_timeout = '15min'", "SET LOCAL statement_timeout = '15min'")
READ_ONLY = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
EXPORT_SNAPSHOT = "SELECT pg_export_snapshot()"
USE_SNAPSHOT = "SET TRANSACTION SNAPSHOT {}"

# The public rows in one reading. Identifiers are unique, so that no two equal rows cancel each other in the hash; NaN
# and infinity sort above all numbers, and say nothing about what is covered.
FACTS = "SELECT {facts} FROM {public}"
HASH = "bit_xor(hash_record_extended(ROW({}), 0))"
FINITE = "{extreme}({cell}) FILTER (WHERE {cell} > '-Infinity' AND {cell} < 'Infinity')"

PIXELS = "SELECT healpix_nest({order}, {place}) AS pixel, count(*) FROM {public} GROUP BY 1 ORDER BY 1"
# pgSphere 1.2 puts the north pole, and longitudes of whole multiples of 45 degrees, into cells at the other side of the
# sky: 0.001 degrees to the east they are in one that touches them.
PLACE = """
CASE WHEN abs({ra} - 45 * round({ra} / 45)) < 1e-6 OR {dec} > 89.9
THEN spoint(radians({ra} + 0.001), radians(least({dec}, 89.9))) ELSE _pos END
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What the public rows of a table cover.

    Attributes:
        published: name of the table.
        rows: how many there are.
        moc: the cells that hold at least one row, as an ASCII MOC (MOC 2.0 §4.3.2); None without positions or rows.
        moc_fits: the same as a FITS file.
        moc_order: order of its smallest cells.
        sky: fraction of the sky that the MOC covers.
        density: rows in each HEALPix pixel of order 4 (nested, ICRS).
        mjd_from, mjd_to: first and last time, MJD (UTC).
        joule_from, joule_to: lowest and highest energy in joule.
        pixel: a pixel of order 6 with rows in it; ra, dec: its centre in degrees.
        released_to: the latest release time among the rows of an embargoed table.
        fingerprint: changes when and only when the rows change.
        computed_at: when it changed last.
    """

    published: str
    rows: int
    moc: str | None = None
    moc_fits: bytes | None = None
    moc_order: int | None = None
    sky: float | None = None
    density: list[int] | None = None
    mjd_from: float | None = None
    mjd_to: float | None = None
    joule_from: float | None = None
    joule_to: float | None = None
    pixel: int | None = None
    ra: float | None = None
    dec: float | None = None
    released_to: datetime | None = None
    fingerprint: str
    computed_at: datetime | None = None


def refresh(database: Database, table: Table, *, force: bool = False) -> bool:
    """Measure the public rows of a table if they may have changed.

    Costs next to nothing when nothing was released since the last time, or loaded into a table without embargo.

    Args:
        force: measure anyhow, since the rows may have been changed by hand.

    Returns:
        whether the rows have changed.
    """
    if not force:
        with database.connect(SERVICE) as own:
            if is_fresh(own, table):
                return False
    with present(database, table, force=force) as found:
        return found.changed


@dataclass(frozen=True, slots=True)
class Present:
    """The public rows of a table at one moment.

    Attributes:
        snapshot: the name of the moment, at which other connections can look (SET TRANSACTION SNAPSHOT).
        state: how many rows there are, and what they are.
        changed: whether they are others than were known before.
        service: a connection of the service's login, in a transaction that keeps what was measured, and anything else
            that belongs to it, when the context ends.
    """

    snapshot: str
    state: State
    changed: bool
    service: psycopg.Connection


@contextmanager
def present(database: Database, table: Table, *, force: bool = False) -> Iterator[Present]:
    """The public rows of a table as they are now, measured if need be; other connections can look at them meanwhile.

    One at a time: others who measure, or make something of what was measured here, wait until the end.
    """
    with database.connect(SERVICE) as own, database.connect(SERVICE) as moment:
        for setting in WAIT:
            own.execute(setting)
        own.execute(ADD, (table.qualified,))
        # One at a time for each table, so that an earlier measurement never replaces a later one.
        fingerprint, pixel, known_basis = _known(own, table, lock=True)
        moment.execute(READ_ONLY)
        (snapshot,) = moment.execute(EXPORT_SNAPSHOT).fetchone() or ("",)
        basis = _basis(moment, table)
        measured = None
        if force or basis != known_basis:
            with database.connect(PUBLIC) as public:
                look_at(public, snapshot)
                measured = measure(public, table, known=fingerprint, pixel=pixel)
            own.execute(KEEP_BASIS, (basis, table.qualified))
        if measured is not None:
            _keep(own, measured)
        yield Present(snapshot, state_of(own, table), measured is not None, own)


def look_at(connection: psycopg.Connection, snapshot: str) -> None:
    """Begin a transaction that sees the database as it was at a moment (`Present`)."""
    connection.execute(READ_ONLY)
    connection.execute(sql.SQL(USE_SNAPSHOT).format(sql.Literal(snapshot)))


def _keep(own: psycopg.Connection, measured: Coverage) -> None:
    names = [field.name for field in fields(measured) if field.name not in ("published", "computed_at")]
    assignments = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in names
    )
    own.execute(
        sql.SQL(KEEP).format(assignments=assignments),
        {name: getattr(measured, name) for name in (*names, "published")},
    )


def is_fresh(connection: psycopg.Connection, table: Table) -> bool:
    """Whether nothing was released, or loaded without embargo, since the rows were measured.

    ``connection`` is the service's.
    """
    return _basis(connection, table) == _known(connection, table)[2]


def _known(connection: psycopg.Connection, table: Table, *, lock: bool = False) -> tuple[str, int | None, str]:
    """Fingerprint, pixel and basis of the last measurement."""
    row = connection.execute(KNOWN_LOCKED if lock else KNOWN, (table.qualified,)).fetchone()
    return row or ("", None, "")


@dataclass(frozen=True, slots=True)
class State:
    """Which public rows a table has: how many, a fingerprint of them alone, and the latest release time among them."""

    rows: int
    fingerprint: str
    released_to: datetime | None


def state_of(connection: psycopg.Connection, table: Table) -> State:
    """The rows that were measured last. ``connection`` is the service's."""
    rows, fingerprint, released_to = connection.execute(STATE, (table.qualified,)).fetchone() or (0, "", None)
    return State(rows, fingerprint.partition(".")[2], released_to)  # without the rules of measuring


def _basis(connection: psycopg.Connection, table: Table) -> str:
    statement = RELEASES if table.release.embargoed else LOADS
    row = connection.execute(statement, {"published": table.qualified}).fetchone()
    assert row is not None
    described = (RULES, table.columns, table.position, table.time)
    return f"{row[0]} {hashlib.sha256(repr(described).encode()).hexdigest()[:16]}"


def forget(database: Database, published: set[str]) -> None:
    """Drop what is known of tables that are no longer among the published ones."""
    with database.connect(SERVICE) as own:
        own.execute(FORGET, (sorted(published),))


def measure(
    connection: psycopg.Connection, table: Table, *, known: str = "", pixel: int | None = None
) -> Coverage | None:
    """What the rows cover that the login of ``connection`` may read; None when their fingerprint is ``known``.

    Args:
        pixel: the pixel for test queries; it is kept as long as it holds rows.
    """
    facts = _facts(connection, table)
    fingerprint = f"{RULES}.{facts.pop('rows')}.{(facts.pop('hash') or 0) & (2**64 - 1):016x}"
    if fingerprint == known:
        return None
    rows = int(fingerprint.split(".")[1])
    sky = _sky(connection, table, pixel) if table.position and rows else {}
    return Coverage(published=table.qualified, rows=rows, fingerprint=fingerprint, **facts, **sky)


def _facts(connection: psycopg.Connection, table: Table) -> dict[str, Any]:
    """Count, hash and ranges of the rows, in one reading of them."""
    everything = sql.SQL(", ").join(sql.Identifier(column.sql) for column in table.columns)
    parts = {
        "rows": sql.SQL("count(*)"),
        "hash": sql.SQL(HASH).format(everything),
    }
    ranges = {"mjd": table.time and table.column(table.time), "joule": energy(table)}
    for name, column in ranges.items():
        if column:
            for end, extreme in (("from", sql.SQL("min")), ("to", sql.SQL("max"))):
                parts[f"{name}_{end}"] = sql.SQL(FINITE).format(extreme=extreme, cell=sql.Identifier(column.sql))
    if table.release.embargoed:
        parts["released_to"] = sql.SQL("max(_release_time)")
    query = sql.SQL(FACTS).format(
        facts=sql.SQL(", ").join(
            sql.SQL("{} AS {}").format(part, sql.Identifier(name)) for name, part in parts.items()
        ),
        public=sql.Identifier(*partitions.relation(table, "public")),
    )
    facts = connection.cursor(row_factory=dict_row).execute(query).fetchone()
    assert facts is not None
    if column := ranges["joule"]:
        factor = joules(str(column.unit))
        for name in ("joule_from", "joule_to"):
            facts[name] = None if facts[name] is None else facts[name] * factor
    return facts


def _sky(connection: psycopg.Connection, table: Table, pixel: int | None) -> dict[str, Any]:
    # Seconds to import, and needed only here.
    import numpy as np
    from astropy.coordinates import ICRS
    from astropy_healpix import HEALPix

    assert table.position is not None
    columns = {"ra": sql.Identifier(table.position.ra), "dec": sql.Identifier(table.position.dec)}
    query = sql.SQL(PIXELS).format(
        order=sql.Literal(FINEST),
        place=sql.SQL(PLACE).format(**columns),
        public=sql.Identifier(*partitions.relation(table, "public")),
    )
    rows = connection.execute(query).fetchall()
    pixels, counts = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    density = np.bincount(pixels >> 2 * (FINEST - PICTURE_ORDER), counts, minlength=12 * 4**PICTURE_ORDER)
    if pixel not in pixels:
        pixel = int(pixels[counts.argmax()])
    centre = HEALPix(2**FINEST, order="nested", frame=ICRS()).healpix_to_skycoord(pixel)
    return {
        **_moc(pixels),
        "density": density.astype(int).tolist(),
        "pixel": pixel,
        "ra": round(float(centre.ra.deg), 4),
        "dec": round(float(centre.dec.deg), 4),
    }


def _moc(pixels: Any) -> dict[str, Any]:
    """The MOC of the cells with rows in them, as fine as a registry record can bear."""
    import numpy as np
    from mocpy import MOC

    for order in range(FINEST, -1, -1):
        cells = np.unique(pixels >> 2 * (FINEST - order)).astype(np.uint64)
        moc = MOC.from_healpix_cells(cells, np.full(cells.shape, order, np.uint8), max_depth=order)
        text = moc.to_string("ascii").strip()
        if len(text) <= LONGEST:
            break
    file = io.BytesIO()
    moc.serialize("fits").writeto(file)
    return {"moc": text, "moc_fits": file.getvalue(), "moc_order": order, "sky": float(moc.sky_fraction)}


def energy(table: Table) -> Column | None:
    """The column with the energy of each event, or None: the first with that UCD and a unit."""
    for column in table.columns:
        meaning = (column.ucd or "").split(";")[0]
        if meaning in ("phys.energy", "em.energy") and column.unit and not column.arraysize:
            return column
    return None


def joules(unit: str) -> float:
    """How many joules a VOUnits energy unit is."""
    from astropy.units import Unit

    return float(Unit(unit, format="vounit").to("J"))
