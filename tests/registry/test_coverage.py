"""Coverage is of what the public sees, and of nothing more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import numpy as np
import pytest
from astropy import units
from astropy.coordinates import Latitude, Longitude
from mocpy import MOC

from km3vo.catalog.files import read_catalog
from km3vo.catalog.model import Catalog, Table
from km3vo.database.logins import OWNER, PUBLIC, SERVICE, Database
from km3vo.embargo import decisions, release
from km3vo.holdings import coverage, reader
from km3vo.holdings.coverage import Coverage
from km3vo.settings import Settings
from km3vo.web.coverage import cells
from tests.support import changes
from tests.support.folders import ROOT
from tests.support.registry import OAI, Registry, tell
from tests.support.server import Server, serve

pytestmark = pytest.mark.slow

PARTS = {"public": "km3net.events_public", "hidden": "km3net.events_embargo"}


@pytest.fixture
def running(copy_published: Database, tmp_path: Path) -> Iterator[tuple[Server, Database]]:
    """A service of a database that the test may change."""
    with serve(copy_published, tmp_path, metadata_seconds=0, promote_seconds=0) as server:
        tell(server, copy_published)
        yield server, copy_published


def known(database: Database) -> Mapping[str, Coverage]:
    with database.connect(SERVICE) as service:
        return reader.read(service, Settings(), Catalog(())).coverages


def positions(database: Database, relation: str) -> tuple[Longitude, Latitude]:
    with database.connect(OWNER) as owner:
        rows = owner.execute(f"SELECT degrees(long(_pos)), degrees(lat(_pos)) FROM {relation}").fetchall()
    lon, lat = np.array(rows).T
    return Longitude(lon, unit="deg"), Latitude(lat, unit="deg")


def events(server: Server) -> Table:
    table: Table = server.app.state.service.published.table("km3net.events")
    return table


def test_each_cell_holds_a_public_event_and_each_event_is_in_a_cell(running: tuple[Server, Database]) -> None:
    _, database = running
    found = known(database)["km3net.events"]
    moc = MOC.from_string(str(found.moc))
    lon, lat = positions(database, PARTS["public"])
    assert moc.contains_lonlat(lon, lat).all()
    assert found.moc_order == moc.max_order
    exact = MOC.from_lonlat(lon, lat, max_norder=moc.max_order)
    assert moc == exact
    assert found.sky == pytest.approx(moc.sky_fraction)


def test_events_where_pgsphere_errs(copy_published: Database) -> None:
    """At the pole and where cells meet it names one at the other side of the sky."""
    table = read_catalog(ROOT / "schemas").table("icecube.ps3yr")
    places = [(0, 90), (77, 90), (0, 60), (90, 45), (180, 89.95), (270, 80), (45, 0), (135, 0), (225, 0), (10, -90)]
    with copy_published.connect(OWNER) as owner:
        changes.begin(owner, "icecube.ps3yr")
        owner.execute(
            "DELETE FROM icecube.ps3yr WHERE id NOT IN (SELECT id FROM icecube.ps3yr LIMIT %s)", (len(places),)
        )
        ids = [id for (id,) in owner.execute("SELECT id FROM icecube.ps3yr").fetchall()]
        for id, (ra, dec) in zip(ids, places, strict=True):
            owner.execute("UPDATE icecube.ps3yr SET ra = %s, dec = %s WHERE id = %s", (ra, dec, id))
    with copy_published.connect(PUBLIC) as public:
        found = coverage.measure(public, table)
    assert found is not None
    moc = MOC.from_string(str(found.moc))
    beside = np.array([(ra + 0.002, min(dec, 89.9)) for ra, dec in places])
    assert moc.contains_lonlat(Longitude(beside[:, 0], unit="deg"), Latitude(beside[:, 1], unit="deg")).all()
    assert len(moc.flatten()) <= len(places)


def test_embargoed_events_have_no_share_in_it(running: tuple[Server, Database]) -> None:
    server, database = running
    with_them = known(database)["km3net.events"]
    before = Registry(server.url).raw(
        verb="GetRecord", metadataPrefix="ivo_vor", identifier="ivo://km3net.org/km3net/events"
    )
    picture = httpx.get(f"{server.url}/coverage/km3net/events?format=svg")
    with database.connect(OWNER, autocommit=True) as owner:
        assert owner.execute("DELETE FROM km3net.events WHERE _access = 'e'").rowcount > 100
    with database.connect(PUBLIC) as public:
        without = coverage.measure(public, events(server))
    assert without is not None
    for name in Coverage.__slots__:
        if name != "computed_at":
            assert getattr(without, name) == getattr(with_them, name), name
    assert not coverage.refresh(database, events(server), force=True)
    assert tell(server, database) == []
    after = Registry(server.url).raw(
        verb="GetRecord", metadataPrefix="ivo_vor", identifier="ivo://km3net.org/km3net/events"
    )
    assert before.partition(b"<oai:request")[2] == after.partition(b"<oai:request")[2]
    again = httpx.get(f"{server.url}/coverage/km3net/events?format=svg")
    assert (picture.content, picture.headers["etag"]) == (again.content, again.headers["etag"])


def test_a_release_changes_coverage_edition_and_records(running: tuple[Server, Database]) -> None:
    server, database = running
    registry = Registry(server.url)
    ivoid = "ivo://km3net.org/km3net/events"

    def record() -> str:
        found = registry.get(verb="GetRecord", metadataPrefix="ivo_vor", identifier=ivoid).find(f".//{OAI}metadata")[0]
        return str(found.findtext("coverage/temporal"))

    before, said = known(database)["km3net.events"], record()
    with database.connect(OWNER, autocommit=True) as owner:
        # One of the next events in time is released early, with the right that a data manager has.
        row = owner.execute(
            "SELECT event_id, mjd FROM km3net.events WHERE _access = 'e' ORDER BY mjd DESC LIMIT 1"
        ).fetchone()
        assert row is not None
        decisions.release_early(owner, events(server), row[0], at=None, reason="test", who="test")
    with database.connect(SERVICE, autocommit=True) as service:
        (done,) = release.run(service, [events(server)])
        assert done.moved == 1
    changed = tell(server, database)
    assert ivoid in changed
    assert "ivo://km3net.org/ant20_01/main" not in changed
    after = known(database)["km3net.events"]
    assert after.rows == before.rows + 1
    assert after.mjd_to == row[1]
    assert record() != said
    page = httpx.get(f"{server.url}/browse/km3net/events.json").json()
    assert [edition["number"] for edition in page["editions"]] == [2, 1]
    assert page["rows"] == after.rows
    assert tell(server, database) == []
    with database.connect(SERVICE, autocommit=True) as service:
        release.run(service, [events(server)])
    assert tell(server, database) == []  # a look that moves nothing changes nothing


def test_it_is_handed_out_as_mocs_that_others_read(registered: Server, tmp_path: Path) -> None:
    url = f"{registered.url}/coverage/ant20_01/main"
    fits = httpx.get(url)
    assert fits.headers["content-type"] == "application/fits"
    (tmp_path / "moc.fits").write_bytes(fits.content)
    moc = MOC.load(tmp_path / "moc.fits", "fits")
    text = httpx.get(f"{url}?format=ascii")
    assert MOC.from_string(text.text) == moc
    assert MOC.from_json(httpx.get(f"{url}?FORMAT=json").json()) == moc
    assert httpx.get(url, headers={"If-None-Match": fits.headers["etag"]}).status_code == 304
    assert httpx.get(f"{url}?format=gif").status_code == 400
    assert httpx.get(f"{registered.url}/coverage/ant20_01/none").status_code == 404
    assert httpx.get(f"{registered.url}/coverage/ivoa/obscore").status_code == 404


def test_the_ascii_form_is_understood() -> None:
    assert cells("5/1-3,7 6/100 29/") == {"5": [1, 2, 3, 7], "6": [100], "29": []}


def test_time_and_energy_are_those_of_the_public_rows(running: tuple[Server, Database]) -> None:
    _, database = running
    found = known(database)["km3net.events"]
    with database.connect(OWNER) as owner:
        low, high, least, most = owner.execute(
            f"SELECT min(mjd), max(mjd), min(energy), max(energy) FROM {PARTS['public']}"
        ).fetchall()[0]
    assert (found.mjd_from, found.mjd_to) == (low, high)
    assert found.joule_from == pytest.approx((least * units.GeV).to_value("J"))
    assert found.joule_to == pytest.approx((most * units.GeV).to_value("J"))


def test_nothing_public_covers_nothing(running: tuple[Server, Database]) -> None:
    server, database = running
    with database.connect(OWNER) as owner:
        changes.begin(owner, "km3net.events")
        owner.execute("DELETE FROM km3net.events")
    coverage.refresh(database, events(server), force=True)
    tell(server, database)
    found = known(database)["km3net.events"]
    assert (found.rows, found.moc, found.mjd_from, found.pixel) == (0, None, None, None)
    assert httpx.get(f"{server.url}/coverage/km3net/events").status_code == 404
    assert httpx.get(f"{server.url}/browse/km3net/events").status_code == 200
    (record,) = (
        Registry(server.url)
        .get(verb="GetRecord", metadataPrefix="ivo_vor", identifier="ivo://km3net.org/km3net/events")
        .iter("{http://www.ivoa.net/xml/RegistryInterface/v1.0}Resource")
    )
    assert record.find("coverage/spatial") is None


def test_one_event_covers_one_small_cell(running: tuple[Server, Database]) -> None:
    server, database = running
    with database.connect(OWNER) as owner:
        changes.begin(owner, "antares.data")
        owner.execute("DELETE FROM antares.data WHERE id <> (SELECT min(id) FROM antares.data)")
    table = server.app.state.service.published.table("antares.data")
    assert coverage.refresh(database, table, force=True)
    found = known(database)["antares.data"]
    assert found.sky == pytest.approx(1 / (12 * 4**coverage.FINEST))


def test_the_test_query_stays_where_it_was_as_long_as_it_can(running: tuple[Server, Database]) -> None:
    server, database = running
    table = server.app.state.service.published.table("antares.data")
    before = known(database)["antares.data"]
    with database.connect(OWNER) as owner:
        changes.begin(owner, "antares.data")
        lon, lat = positions(database, "antares.data")
        far = int(np.argmax(np.abs(lat.deg - float(before.dec or 0))))
        owner.execute("DELETE FROM antares.data WHERE abs(ra - %s) < 1e-9", (float(lon.deg[far]),))
    assert coverage.refresh(database, table, force=True)
    after = known(database)["antares.data"]
    assert after.fingerprint != before.fingerprint
    assert after.pixel == before.pixel
