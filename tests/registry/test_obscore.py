"""ObsCore 1.1 and its high-energy extension: what STILTS asks, and that rows and services agree."""

from __future__ import annotations

import io
import shutil
import subprocess

import httpx
import pytest
import pyvo
from astropy import constants, units
from astropy.table import Table
from mocpy import TimeMOC

from km3vo.check.schemas import Schemas
from km3vo.database.logins import OWNER, Database
from tests.support.registry import tell
from tests.support.server import Server

pytestmark = pytest.mark.slow

ALL = "SELECT * FROM ivoa.ObsCore NATURAL JOIN ivoa.obscore_hea"


@pytest.fixture(scope="module")
def rows(registered: Server) -> dict[str, pyvo.dal.Record]:
    """The rows of both tables together, by obs_id."""
    return {row["obs_id"]: row for row in pyvo.dal.TAPService(registered.tap).run_sync(ALL)}


def test_each_event_list_is_a_product(rows: dict[str, pyvo.dal.Record], registered: Server) -> None:
    tables = registered.app.state.service.published.tables
    assert set(rows) == {table.qualified for table in tables if table.observation} - {"km3net.offline"}  # has no rows
    for name, row in rows.items():
        assert row["obs_publisher_did"] == f"ivo://km3net.org/{name.replace('.', '/')}"
        assert (row["dataproduct_type"], row["dataproduct_subtype"]) == ("event", "event-list")
        assert row["messenger_name"] == "neutrino"
        assert {row[axis] for axis in ("s_xel1", "s_xel2", "t_xel", "em_xel", "pol_xel")} == {-1}


def test_the_download_has_as_many_events_as_the_row_says(rows: dict[str, pyvo.dal.Record]) -> None:
    for row in rows.values():
        answer = httpx.get(row["access_url"])
        assert answer.headers["content-type"] == row["access_format"]
        assert len(Table.read(io.BytesIO(answer.content), format="votable")) == row["ev_xel"]
        assert 0.2 < row["access_estsize"] * 1000 / len(answer.content) < 5


def test_energies_and_times_are_those_of_the_public_rows(rows: dict[str, pyvo.dal.Record], published: Database) -> None:
    row = rows["km3net.events"]
    with published.connect(OWNER) as owner:
        low, high, first, last = owner.execute(
            "SELECT min(energy), max(energy), min(mjd), max(mjd) FROM km3net.events_public"
        ).fetchall()[0]
    assert row["energy_min"] == pytest.approx((low * units.GeV).to_value("eV"))
    assert row["energy_max"] == pytest.approx((high * units.GeV).to_value("eV"))
    assert row["em_min"] == pytest.approx((constants.h * constants.c / (high * units.GeV)).to_value("m"))
    assert row["em_max"] == pytest.approx((constants.h * constants.c / (low * units.GeV)).to_value("m"))
    assert (row["t_min"], row["t_max"]) == (first, last)
    intervals = TimeMOC.from_string(row["t_intervals"])
    assert intervals.min_time.tdb.mjd <= first
    assert intervals.max_time.tdb.mjd >= last
    assert intervals.total_duration.to_value("d") == pytest.approx(last - first, abs=5)
    assert rows["antares.data"]["t_exptime"] == pytest.approx(1338 * 86400)


def test_it_is_written_only_when_it_changes(registered: Server, published: Database) -> None:
    def versions(owner) -> list[tuple[object, ...]]:  # type: ignore[no-untyped-def]
        return owner.execute(
            "SELECT xmin, ctid FROM ivoa.obscore UNION ALL SELECT xmin, ctid FROM ivoa.obscore_hea"
        ).fetchall()

    with published.connect(OWNER, autocommit=True) as owner:
        before = versions(owner)
        assert tell(registered, published) == []
        assert versions(owner) == before
        owner.execute("UPDATE ivoa.obscore SET obs_title = 'changed by hand' WHERE obs_id = 'antares.data'")
        tell(registered, published)
        assert owner.execute("SELECT count(*) FROM ivoa.obscore WHERE obs_title = 'changed by hand'").fetchone() == (0,)


def test_links_lead_somewhere(rows: dict[str, pyvo.dal.Record], registered: Server, schemas: Schemas) -> None:
    for row in rows.values():
        answer = httpx.get(row["datalink_url"])
        assert answer.headers["content-type"] == "application/x-votable+xml;content=datalink"
        assert schemas.mistakes(answer.content) == []
        links = pyvo.dal.adhoc.DatalinkResults.from_result_url(row["datalink_url"])
        semantics = [link["semantics"] for link in links]
        assert semantics.count("#this") == 5
        assert "#documentation" in semantics
        for link in links:
            assert link["ID"] == row["obs_publisher_did"]
            assert not link["error_message"]
            if link["access_url"].startswith(registered.url):
                got = httpx.get(link["access_url"])
                assert got.status_code == 200, link["access_url"]
                assert got.headers["content-type"].partition(";")[0] == link["content_type"].partition(";")[0]


def test_links_of_several_and_of_none(registered: Server) -> None:
    base = f"{registered.url}/datalink"
    one, unknown = "ivo://km3net.org/antares/data", "ivo://nobody/<nothing>"
    content = httpx.post(base, data={"ID": [one, unknown]}).content
    table = Table.read(io.BytesIO(content), format="votable")
    assert set(table["ID"]) == {one, unknown}
    (row,) = table[table["ID"] == unknown]
    assert row["error_message"].startswith("NotFoundFault: ")
    assert not row["access_url"]
    assert not row["service_def"]
    none = httpx.get(base)
    assert none.status_code == 400
    assert "UsageFault" in none.text
    assert httpx.get(base, params={"ID": one, "RESPONSEFORMAT": "csv"}).status_code == 400
    assert httpx.get(base, params={"id": one.upper()}).status_code == 200


def test_files_that_belong_to_a_table_are_handed_out(published: Database, tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    from tests.support.server import serve

    folder = tmp_path / "data" / "antares_2007_2017"
    folder.mkdir(parents=True)
    (folder / "background_polynomial.txt").write_text("1 2 3\n")
    (folder / "secret.txt").write_text("not described\n")
    with serve(published, tmp_path / "home", data=tmp_path / "data", metadata_seconds=0) as server:
        page = httpx.get(f"{server.url}/browse/ant20_01/main.json").json()
        (link,) = [link for link in page["links"] if "/auxiliary/" in link["url"]]  # the other file is not there
        assert httpx.get(link["url"]).text == "1 2 3\n"
        base = f"{server.url}/auxiliary/ant20_01/main"
        for name in ("secret.txt", "acceptance_vs_gamma_sindec.txt", "..%2Fantares_2007_2017%2Fsecret.txt"):
            assert httpx.get(f"{base}/{name}").status_code == 404


@pytest.mark.client
@pytest.mark.skipif(shutil.which("stilts") is None, reason="STILTS is not installed")
def test_taplint_finds_nothing_wrong_with_obscore(registered: Server) -> None:
    done = subprocess.run(
        ["stilts", "taplint", f"tapurl={registered.tap}", "stages=TMV TMS CPV CAP OBS", "report=EWFS"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    section = done.stdout.partition("Section OBS")[2].partition("\n\n")[0]
    assert "30/30 required" in section
    assert [line for line in section.splitlines() if line[:2] in ("E-", "W-", "F-")] == []


def test_lists_are_found_by_position(registered: Server, published: Database) -> None:
    tap = pyvo.dal.TAPService(registered.tap)

    def lists(condition: str) -> set[str]:
        return {row["obs_id"] for row in tap.run_sync(f"SELECT obs_id FROM ivoa.obscore WHERE {condition}")}

    with published.connect(OWNER) as owner:
        lowest: dict[str, float] = dict(
            owner.execute(
                "SELECT 'antares.data', max(decl) FROM antares.data "
                "UNION ALL SELECT 'ant20_01.main', max(decl) FROM ant20_01.main"
            ).fetchall()
        )
    assert {"antares.data", "ant20_01.main"} <= lists(
        "1 = CONTAINS(POINT(266.4, -29.0), CIRCLE(s_ra, s_dec, s_fov / 2))"
    )
    # ANTARES sees the sky through the Earth: nothing near the north pole.
    assert max(lowest.values()) < 60
    assert not {"antares.data", "ant20_01.main"} & lists("1 = CONTAINS(POINT(0, 89), CIRCLE(s_ra, s_dec, s_fov / 2))")
    assert {"antares.data"} <= lists("s_region LIKE 'CIRCLE ICRS %' AND s_fov > 200")


def test_all_events_lie_in_the_region_of_their_list(registered: Server) -> None:
    tap = pyvo.dal.TAPService(registered.tap)
    for name, ra, dec in (
        ("antares.data", "ra", "decl"),
        ("icecube.ps3yr", "ra", "dec"),
        ("km3net.events", "ra", "dec"),
    ):
        row = tap.run_sync(f"SELECT s_ra, s_dec, s_fov FROM ivoa.obscore WHERE obs_id = '{name}'")[0]
        far = tap.run_sync(f"SELECT MAX(DISTANCE({ra}, {dec}, {row['s_ra']}, {row['s_dec']})) AS far FROM {name}")[0][
            "far"
        ]
        assert far <= row["s_fov"] / 2
