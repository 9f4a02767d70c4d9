"""ivoa.obscore and ivoa.obscore_hea: each list of public events, and the sky map of each alert as it stands, as a data
product (ObsCore 1.1, and the draft of its extension for high energies). What schemas/ivoa.yaml describes is filled in
here.
"""

from __future__ import annotations

import math
from urllib.parse import quote

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from km3vo.catalog.model import Table
from km3vo.datatypes import DATATYPES
from km3vo.holdings import kept
from km3vo.holdings.coverage import Coverage
from km3vo.holdings.holdings import Holding, Holdings
from km3vo.holdings.kept import Row
from km3vo.settings import Settings

SCHEMA = "ivoa"
PRODUCTS, EXTENSION = "obscore", "obscore_hea"
HC = 6.62607015e-34 * 299792458.0  # J m, exact
EV = 1.602176634e-19  # J, exact
DAY = 86400.0
# The alerts as they stand, and what is needed of them (schemas/km3net.yaml).
ALERTS = "km3net.alerts_latest"
NEEDED = ("event_name", "revision", "ivoid", "mjd", "ra", "dec", "err90", "detector", "skymap_url")
NEWEST = "SELECT {columns} FROM {table} WHERE skymap_url IS NOT NULL"
MAP_KBYTES = 100  # a map has 60 to 100
# No axis of an event list, nor of a map of cells of many sizes, has pixels (ObsCore 1.1 §4.20).
AXES = ("s_xel1", "s_xel2", "t_xel", "em_xel", "pol_xel")


def refresh(connection: psycopg.Connection, holdings: Holdings) -> list[Table]:
    """Bring the rows up to date. Returns the tables that changed. ``connection`` is the service's."""
    products = [
        holding
        for holding in map(holdings.of, holdings.catalog.tables)
        if holding.table.observation and holding.edition and holding.coverage
    ]
    maps = [sky_map(alert, holdings.settings) for alert in _alerts(connection, holdings)]
    rows = {PRODUCTS: [*map(product, products), *maps], EXTENSION: list(map(extension, products))}
    changed = []
    with connection.transaction():
        for table in (table for table in holdings.catalog.tables if table.name in rows and table.schema == SCHEMA):
            if kept.replace(connection, table, rows[table.name]):
                changed.append(table)
    return changed


def product(holding: Holding) -> Row:
    """The row of ivoa.obscore."""
    table, settings, public = holding.table, holding.settings, holding.coverage
    assert table.observation and public and holding.edition
    about, did = table.observation, holding.ivoid
    circle = bounding_circle(public)
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
        "access_url": f"{settings.base_url}/download/{holding.path}.vot",
        "access_format": "application/x-votable+xml",
        "access_estsize": max(1, holding.edition.rows * _row_bytes(table) // 1000),
        "datalink_url": f"{settings.base_url}/datalink?ID={did}",
        "s_ra": circle and circle[0],
        "s_dec": circle and circle[1],
        "s_fov": circle and 2 * circle[2],
        "s_region": circle and "CIRCLE ICRS {} {} {}".format(*circle),
        "t_min": public.mjd_from,
        "t_max": public.mjd_to,
        "t_exptime": about.livetime and about.livetime * DAY,
        "em_min": public.joule_to and HC / public.joule_to,
        "em_max": public.joule_from and HC / public.joule_from,
        "o_ucd": _observables(table),
        "facility_name": about.facility,
        "instrument_name": about.instrument,
        "publisher_id": settings.ivoid("organisation"),
        "bib_reference": table.citation.bibcode,
        "data_rights": "public",
        **dict.fromkeys(AXES, -1),
    }


def _alerts(connection: psycopg.Connection, holdings: Holdings) -> list[Row]:
    table = next((one for one in holdings.catalog.tables if one.qualified == ALERTS), None)
    if table is None or not {column.name for column in table.columns}.issuperset(NEEDED):
        return []
    columns = sql.SQL(", ").join(map(sql.Identifier, NEEDED))
    statement = sql.SQL(NEWEST).format(columns=columns, table=sql.Identifier(table.schema, table.name))
    return connection.cursor(row_factory=dict_row).execute(statement).fetchall()


def sky_map(alert: Row, settings: Settings) -> Row:
    """The row of ivoa.obscore for the map of an alert, a row of km3net.alerts_latest."""
    return {
        "dataproduct_type": "image",
        "calib_level": 3,
        "obs_collection": "KM3NeT alerts",
        "obs_id": alert["event_name"],
        "obs_publisher_did": alert["ivoid"],
        "obs_title": f"Sky map of {alert['event_name']}, revision {alert['revision']}",
        "obs_creator_name": "KM3NeT Collaboration",
        "access_url": alert["skymap_url"],
        "access_format": "application/fits",
        "access_estsize": MAP_KBYTES,
        "datalink_url": f"{settings.base_url}/datalink?ID={quote(alert['ivoid'], safe='')}",
        "s_ra": alert["ra"],
        "s_dec": alert["dec"],
        "s_fov": 2 * alert["err90"],
        "s_region": f"CIRCLE ICRS {alert['ra']} {alert['dec']} {alert['err90']}",
        "t_min": alert["mjd"],
        "t_max": alert["mjd"],
        "o_ucd": "stat.probability",
        "facility_name": "KM3NeT",
        "instrument_name": alert["detector"],
        "publisher_id": settings.ivoid("organisation"),
        "data_rights": "public",
        **dict.fromkeys(AXES, -1),
    }


def extension(holding: Holding) -> Row:
    """The row of ivoa.obscore_hea."""
    table, public = holding.table, holding.coverage
    assert table.observation and public
    return {
        "obs_publisher_did": holding.ivoid,
        "ev_xel": public.rows,
        "energy_min": public.joule_from and public.joule_from / EV,
        "energy_max": public.joule_to and public.joule_to / EV,
        "t_intervals": _times(public.mjd_from, public.mjd_to),
        "analysis_mode": table.observation.analysis,
        "event_type": table.observation.event_type,
        "messenger_name": "neutrino",
    }


def bounding_circle(found: Coverage) -> tuple[float, float, float] | None:
    """A circle around all cells of a coverage: centre and radius in degrees (ICRS); None where there is no position.

    A telescope that looks through the Earth sees a cap of the sky around a pole, which a circle describes exactly.
    """
    if not found.moc:
        return None
    if found.sky == 1:
        return 0.0, 90.0, 180.0
    # Takes a second to import, and is needed only when something changed.
    from mocpy import MOC

    moc = MOC.from_string(found.moc)
    centre = moc.barycenter()
    radius = moc.largest_distance_from_coo_to_vertices(centre).to_value("deg")
    ra, dec = float(centre.icrs.ra.deg), float(centre.icrs.dec.deg)
    if abs(dec) > 89.99:
        ra, dec = 0.0, math.copysign(90.0, dec)
    # A little more, for what rounding takes away.
    return round(ra, 3), round(dec, 3), min(180.0, round(radius + 0.002, 3))


def _observables(table: Table) -> str:
    parts = ["pos.eq" if table.position else None, "time" if table.time else None]
    energy = any((column.ucd or "").startswith("phys.energy") for column in table.columns)
    return ";".join(filter(None, (*parts, "phys.energy" if energy else None)))


def _row_bytes(table: Table) -> int:
    """About as many as a row takes in a VOTable."""
    widths = (20 if column.is_string else DATATYPES[column.datatype].bytes for column in table.columns)
    return sum(widths) * 4 // 3


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
