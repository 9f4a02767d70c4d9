"""How many public rows of a table each protocol tells of."""

from __future__ import annotations

import csv
import io
import re

import httpx
from mocpy import MOC

from km3vo.catalog.model import Table
from km3vo.database.logins import PUBLIC, SERVICE, Database
from km3vo.holdings import reader
from tests.support.registry import Registry
from tests.support.server import Server


def told(server: Server, database: Database, table: Table) -> dict[str, int]:
    """How many public rows each of them says that there are."""

    def query(text: str) -> int:
        answer = httpx.get(f"{server.tap}/sync", params={"LANG": "ADQL", "QUERY": text, "FORMAT": "csv"}, timeout=60)
        return int(answer.text.splitlines()[1])

    path = f"{table.schema}/{table.name}"
    cone = httpx.get(
        f"{server.url}/scs/{path}", params={"RA": "0", "DEC": "0", "SR": "180", "MAXREC": "9000"}, timeout=60
    )
    page = httpx.get(f"{server.url}/browse/{path}", timeout=60).text
    listed = httpx.get(f"{server.url}/download/{path}.csv", timeout=60)
    shown = re.search(r"<dt>Public rows</dt><dd>([\d,]+)", page)
    record = Registry(server.url).get(verb="GetRecord", metadataPrefix="ivo_vor", identifier=f"ivo://km3net.org/{path}")
    spatial = record.find(".//coverage/spatial")
    with database.connect(SERVICE) as service, database.connect(PUBLIC) as public:
        found = reader.read(service, server.settings, server.app.state.service.catalog).coverages[table.qualified]
        name = f"{table.name}_public" if table.release.embargoed else table.name
        inside = public.execute(
            f"SELECT count(DISTINCT healpix_nest({found.moc_order}, _pos)) FROM {table.schema}.{name}"
        ).fetchone()
    moc = MOC.from_string(spatial.text if spatial is not None else "0/")
    assert inside is not None and moc == MOC.from_string(str(found.moc))
    assert len(moc.flatten()) == inside[0]
    return {
        "TAP": query(f"SELECT COUNT(*) FROM {table.qualified}"),
        "cone": cone.text.count("<TR>"),
        "page": int(shown[1].replace(",", "")) if shown else -1,
        "list": len(list(csv.reader(io.StringIO(listed.text)))) - 1,
        "ObsCore": query(f"SELECT ev_xel FROM ivoa.obscore_hea WHERE obs_publisher_did = 'ivo://km3net.org/{path}'"),
        "measured": found.rows,
    }
