"""ivoa.obscore and ivoa.obscore_hea: each list of public events as a data product (ObsCore 1.1, and the draft of its
extension for high energies). What schemas/ivoa.yaml describes is filled in here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from km3vo.catalog.model import Catalog, Table
from km3vo.settings import Settings
from km3vo.store.coverage import Coverage
from km3vo.store.editions import Edition

SCHEMA = "ivoa"
PRODUCTS, EXTENSION = "obscore", "obscore_hea"
HC = 6.62607015e-34 * 299792458.0  # J m, exact
EV = 1.602176634e-19  # J, exact
DAY = 86400.0
# No axis of an event list has pixels (ObsCore 1.1 §4.20).
AXES = ("s_xel1", "s_xel2", "t_xel", "em_xel", "pol_xel")

Row = dict[str, Any]


def is_ours(table: Table) -> bool:
    """Whether the rows of a table are written here."""
    return table.schema == SCHEMA and table.name in (PRODUCTS, EXTENSION)


def grant(connection: psycopg.Connection, catalog: Catalog) -> None:
    """Let the service write these tables, where they are published. ``connection`` belongs to the owner."""
    for table in filter(is_ours, catalog.tables):
        names = {"schema": sql.Identifier(table.schema), "table": sql.Identifier(table.schema, table.name)}
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA {schema} TO km3vo_service").format(**names))
        connection.execute(sql.SQL("GRANT SELECT, INSERT, DELETE ON {table} TO km3vo_service").format(**names))


def refresh(
    connection: psycopg.Connection,
    settings: Settings,
    catalog: Catalog,
    coverages: Mapping[str, Coverage],
    editions: Mapping[str, Edition],
) -> list[Table]:
    """Bring the rows up to date. Returns the tables that changed. ``connection`` is the service's."""
    found = [
        (
            product(settings, table, coverages[table.qualified], editions[table.qualified]),
            extension(settings, table, coverages[table.qualified]),
        )
        for table in catalog.tables
        if table.observation and table.qualified in editions and table.qualified in coverages
    ]
    changed = []
    with connection.transaction():
        for table in filter(is_ours, catalog.tables):
            rows = [pair[table.name == EXTENSION] for pair in found]
            if _agree(connection, table, rows):
                changed.append(table)
    return changed


def _agree(connection: psycopg.Connection, table: Table, rows: list[Row]) -> bool:
    names = [column.name for column in table.columns]
    wanted = sorted(({name: row.get(name) for name in names} for row in rows), key=_did)
    parts = {
        "table": sql.Identifier(table.schema, table.name),
        "columns": sql.SQL(", ").join(map(sql.Identifier, names)),
        "values": sql.SQL(", ").join(map(sql.Placeholder, names)),
    }
    cursor = connection.cursor(row_factory=dict_row)
    # One writer at a time; readers go on.
    cursor.execute(sql.SQL("LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE").format(**parts))
    present = cursor.execute(sql.SQL("SELECT {columns} FROM {table}").format(**parts)).fetchall()
    if sorted(present, key=_did) == wanted:
        return False
    cursor.execute(sql.SQL("DELETE FROM {table}").format(**parts))
    cursor.executemany(sql.SQL("INSERT INTO {table} ({columns}) VALUES ({values})").format(**parts), wanted)
    return True


def _did(row: Row) -> str:
    return str(row["obs_publisher_did"])


def _identifier(settings: Settings, table: Table) -> str:
    return f"ivo://{settings.publisher.authority}/{table.schema}/{table.name}"


def product(settings: Settings, table: Table, found: Coverage, edition: Edition) -> Row:
    """The row of ivoa.obscore."""
    assert table.observation is not None
    about, path = table.observation, f"{table.schema}/{table.name}"
    did = _identifier(settings, table)
    return {
        # The words of ObsCore 1.1 §4.1; the newer vocabulary's "event-list" is the subtype until ObsCore takes it up.
        "dataproduct_type": "event",
        "dataproduct_subtype": "event-list",
        "calib_level": about.level,
        "obs_collection": about.facility,
        "obs_id": table.qualified,
        "obs_publisher_did": did,
        "obs_title": table.title,
        "obs_creator_name": ", ".join(table.citation.creators) or None,
        "access_url": f"{settings.base_url}/download/{path}.vot",
        "access_format": "application/x-votable+xml",
        "access_estsize": max(1, edition.rows * _row_bytes(table) // 1000),
        "datalink_url": f"{settings.base_url}/datalink?ID={did}",
        "s_fov": 360.0 if (found.sky or 0) > 0.5 else None,
        "t_min": found.mjd_from,
        "t_max": found.mjd_to,
        "t_exptime": about.livetime and about.livetime * DAY,
        "em_min": found.joule_to and HC / found.joule_to,
        "em_max": found.joule_from and HC / found.joule_from,
        "o_ucd": _observables(table),
        "facility_name": about.facility,
        "instrument_name": about.instrument,
        "publisher_id": f"ivo://{settings.publisher.authority}/organisation",
        "bib_reference": table.citation.bibcode,
        "data_rights": "public",
        **dict.fromkeys(AXES, -1),
    }


def extension(settings: Settings, table: Table, found: Coverage) -> Row:
    """The row of ivoa.obscore_hea."""
    assert table.observation is not None
    return {
        "obs_publisher_did": _identifier(settings, table),
        "ev_xel": found.rows,
        "energy_min": found.joule_from and found.joule_from / EV,
        "energy_max": found.joule_to and found.joule_to / EV,
        "t_intervals": _times(found.mjd_from, found.mjd_to),
        "analysis_mode": table.observation.analysis,
        "event_type": table.observation.event_type,
        "messenger_name": "neutrino",
    }


def _observables(table: Table) -> str:
    parts = ["pos.eq" if table.position else None, "time" if table.time else None]
    energy = any((column.ucd or "").startswith("phys.energy") for column in table.columns)
    return ";".join(filter(None, (*parts, "phys.energy" if energy else None)))


def _row_bytes(table: Table) -> int:
    """About as many as a row takes in a VOTable."""
    widths = {"boolean": 1, "unsignedByte": 1, "short": 2, "int": 4, "float": 4, "long": 8, "double": 8}
    return sum(widths.get(column.datatype, 20) for column in table.columns) * 4 // 3


def _times(start: float | None, end: float | None) -> str | None:
    """The days from start to end as a MOC in time (MOC 2.0 §4.2)."""
    if start is None or end is None:
        return None
    # Takes a second to import, and is needed only when something changed.
    from astropy.time import Time, TimeDelta
    from mocpy import TimeMOC

    first, last = (Time([mjd], format="mjd", scale="tdb") for mjd in (start, end))
    days = TimeMOC.from_time_ranges(first, last, delta_t=TimeDelta(1, format="jd", scale="tdb"))
    return " ".join(str(days.to_string("ascii")).split())
