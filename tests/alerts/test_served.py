"""Alerts as they are given out: pages, documents, feed."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import html5lib
import httpx
import pytest
from astropy.io import votable
from lxml import etree

from km3vo.alerts import chosen, revision
from km3vo.alerts.intake import Sender, accept
from km3vo.alerts.messages import reader
from km3vo.alerts.skymaps import files
from km3vo.alerts.standard import StandardEvent
from km3vo.alerts.tables import AlertTables
from km3vo.database.logins import SERVICE, Database
from km3vo.followup.places import Place
from km3vo.holdings import obscore
from km3vo.holdings.reader import read
from km3vo.web import alerts as alert_pages
from km3vo.web.contours import Contours
from tests.support import samples
from tests.support.server import Server, serve

OLD = "2023-02-13T01:16:47.703Z"


@pytest.fixture(scope="module")
def alerting(published: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with five alerts: with two revisions, with counterparts, without a position, retracted, a test."""
    other = {"tense": "archival", "time": OLD}
    multiplet = samples.multiplet(**other)
    multiplet["events"] = [one | {"time": OLD} for one in multiplet["events"]]
    with (
        serve(published, tmp_path_factory.mktemp("home"), promote_seconds=0, metadata_seconds=0) as running,
        published.connect(SERVICE, autocommit=True) as connection,
    ):
        outgoing = running.app.state.service.outgoing
        for message in (
            samples.km3_230213a(),
            samples.km3_230213a() | {"type": "update", "energy": 2.2e8, "text": "A better energy."},
            multiplet,
            samples.supernova() | other,
            samples.km3_230213a() | {"alert_id": "r", "event_name": "KM3-230213R"},
            samples.retraction(alert_id="r", tense="archival", pipeline="arca_UHE"),
            samples.km3_230213a() | {"alert_id": "t", "event_name": "TEST-KM3-230213A", "tense": "test"},
        ):
            accept(connection, json.dumps(message).encode(), Sender("tests"), outgoing=outgoing)
        yield running


def get(server: Server, path: str, **options: Any) -> httpx.Response:
    return httpx.get(server.url + path, timeout=60, **options)


@pytest.mark.parametrize(
    "path",
    [
        *("/alerts", "/alerts?test=1", "/alerts?detector=ORCA&far=1e-9&ra=1&dec=1&radius=1", "/alerts/KM3-230213A"),
        *("/alerts/KM3-230213B", "/alerts/KM3-230213C", "/alerts/KM3-230213R", "/alerts/TEST-KM3-230213A"),
    ],
)
def test_a_page_is_html(alerting: Server, path: str) -> None:
    answer = get(alerting, path)
    assert answer.status_code == 200, answer.text
    html5lib.HTMLParser(strict=True).parse(answer.text)


def names(server: Server, query: str) -> set[str]:
    return {one["event_name"] for one in get(server, f"/alerts.json?{query}").json()["alerts"]}


ALL = {"KM3-230213A", "KM3-230213B", "KM3-230213C", "KM3-230213R"}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ALL),
        ("test=1", ALL | {"TEST-KM3-230213A"}),
        ("detector=ORCA", {"KM3-230213B"}),
        ("topology=Track", {"KM3-230213A", "KM3-230213R"}),
        ("since=2024-01-01", set()),
        ("until=2024-01-01&ra=94&dec=-8&radius=1", {"KM3-230213A", "KM3-230213R"}),
        ("ra=94&dec=-8&radius=0.1", set()),
        ("far=1e-7", {"KM3-230213B", "KM3-230213C"}),
        ("state=retraction", {"KM3-230213R"}),
        ("pipeline=km3net_SN", {"KM3-230213C"}),
        ("text=BETTER energy", {"KM3-230213A"}),
        ("text=another", {"KM3-230213B"}),  # a source near it
        ("ra=94&dec=-8", {"KM3-230213A", "KM3-230213R"}),  # whose circles hold the position
        ("ra=94&dec=-12", set()),
        ("page=2", set()),
    ],
)
def test_filters(alerting: Server, query: str, found: set[str]) -> None:
    assert names(alerting, query) == found


@pytest.mark.parametrize(
    "query", ["ra=1", "radius=1", "ra=x&dec=1&radius=1", "since=yesterday", "far=-1", "state=x", "sort=x", "page=x"]
)
def test_wrong_filters(alerting: Server, query: str) -> None:
    assert get(alerting, f"/alerts?{query}").status_code == 400


def test_what_is_unusual_is_said_on_the_page(alerting: Server) -> None:
    assert "Retracted." in get(alerting, "/alerts/KM3-230213R").text
    assert "This is no observation" in get(alerting, "/alerts/TEST-KM3-230213A").text
    page = get(alerting, "/alerts/KM3-230213A").text
    assert "energy: 120000000.0 → 220000000.0" in page and "A better energy." in page


def test_a1_order_and_pages(alerting: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def listed(query: str) -> list[str]:
        return [one["event_name"] for one in get(alerting, f"/alerts.json?{query}").json()["alerts"]]

    assert listed("sort=name&way=asc") == sorted(ALL) and listed("sort=name") == sorted(ALL, reverse=True)
    assert listed("sort=energy")[-1] == "KM3-230213C"  # which has none
    monkeypatch.setattr(chosen, "EACH", 3)
    monkeypatch.setattr(alert_pages, "EACH", 3)
    assert listed("sort=name&way=asc&page=2") == ["KM3-230213R"]
    first = get(alerting, "/alerts?sort=name&way=asc")
    assert "4 alerts, page 1 of 2." in first.text and "sort=name&amp;way=asc&amp;page=2" in first.text
    second = html5lib.parse(get(alerting, "/alerts?sort=name&way=asc&page=2").text, namespaceHTMLElements=False)
    (row,) = second.findall(".//tbody/tr")
    assert row.get("class") == "retracted" and row.findall("td")[1].findtext("strong") == "retracted"
    assert len(row.findall("td")) == len(second.findall(".//thead/tr/th")) - 1


def test_a3_the_page_shows_where_and_when(alerting: Server) -> None:
    page = html5lib.parse(get(alerting, "/alerts/KM3-230213A?date=2026-01-15").text, namespaceHTMLElements=False)
    titles = ["".join(one.itertext()) for one in page.iter() if str(one.tag).endswith("}title")]
    assert {"50% of the probability", "68% of the probability", "90% of the probability"} <= set(titles)
    links = {one.text: str(one.get("href")) for one in page.iter("a")}
    assert links["GCN Circulars"] == "https://gcn.nasa.gov/circulars?query=KM3-230213A" and "SIMBAD" in links
    columns = [one.text for one in page.findall(".//table")[-1].findall(".//th")]
    assert str(columns[1]).startswith("Revision 1") and str(columns[2]).startswith("Revision 2")
    assert "in the night of 2026-01-15" in "".join(page.itertext())
    assert "it has the other sign" in "".join(page.itertext())
    assert "the night of" not in get(alerting, "/alerts/KM3-230213C").text  # without a direction


def test_a3_contours_have_the_area_of_the_map() -> None:
    """In as many cells as a picture has room for; sources are in the contour that holds them."""
    sent = samples.multiplet(tense="archival", time=OLD)
    event = StandardEvent.model_validate(sent | {"events": []})
    one = revision.first(event, event_name="KM3-230213B", received=datetime.now(UTC))
    found = Contours().of(one, None)
    of_map = files.of(one)
    for contour in found:
        assert contour.order is not None and len(contour.cells) <= 1501
        cell = 41252.961 / 12 / 4**contour.order
        assert abs(len(contour.cells) * cell - files.region(of_map, contour.level).sky_fraction * 41252.961) <= cell
        assert len(contour.cells) * cell == pytest.approx(of_map.area_within(contour.level), rel=0.01)
    place = Place(event.ra or 0, event.dec or 0)
    assert [contour.holds(place, place.ra, place.dec) for contour in found] == [True, True, True]
    assert [contour.holds(place, 10.0, 20.8) for contour in found] == [False, False, True]
    assert found[0].radius < found[2].radius < 3


def test_a6_the_feed_has_the_filters_of_the_list(alerting: Server) -> None:
    link = html5lib.parse(get(alerting, "/alerts?state=update").text, namespaceHTMLElements=False)
    (feed,) = [one.get("href") for one in link.iter("link") if one.get("type") == "application/atom+xml"]
    assert str(feed).endswith("?state=update")
    entries = etree.fromstring(httpx.get(str(feed)).content).findall("{http://www.w3.org/2005/Atom}entry")
    assert len(entries) == 1


def test_documents(alerting: Server, gcn: Callable[[Any], list[str]], xsd: Callable[[bytes, str], list[str]]) -> None:
    for name in (*sorted(ALL), "TEST-KM3-230213A"):
        notice = get(alerting, f"/alerts/{name}.json")
        assert gcn(notice.json()) == [] and notice.headers["cache-control"] == "max-age=5"
        packet = get(alerting, f"/alerts/{name}.xml")
        assert xsd(packet.content, "2.0") == [] and packet.headers["content-type"] == "application/xml"
        assert get(alerting, f"/alerts/{name}.txt").text.startswith("TITLE:")
    first, newest = get(alerting, "/alerts/KM3-230213A/1.json"), get(alerting, "/alerts/km3-230213a.json")
    assert (first.json()["record_number"], newest.json()["record_number"]) == (1, 2)
    assert "immutable" in first.headers["cache-control"]
    assert 'KM3-230213A/2.json>; rel="latest-version"' in first.headers["link"]
    assert 'KM3-230213A/1.json>; rel="predecessor-version"' in newest.headers["link"]
    again = get(alerting, "/alerts/KM3-230213A.json", headers={"If-None-Match": newest.headers["etag"]})
    assert again.status_code == 304
    asked = {"application/json": "record_number", "application/xml": "VOEvent", "text/html": "<!doctype html>"}
    for accepted, told in asked.items():
        assert told in get(alerting, "/alerts/KM3-230213A", headers={"Accept": accepted}).text
    assert get(alerting, "/alerts/KM3-230213A.xml?version=2.1").text.count("v2.1") > 1
    assert reader.read(get(alerting, "/alerts/KM3-230213A.xml").content).ra == 94.3


def test_sky_maps(alerting: Server) -> None:
    made = get(alerting, "/alerts/KM3-230213A/1.fits")
    assert made.content[:6] == b"SIMPLE" and "KM3-230213A_1.multiorder.fits" in made.headers["content-disposition"]
    assert gzip.decompress(get(alerting, "/alerts/KM3-230213A/1.fits.gz").content) == made.content
    assert get(alerting, "/alerts/KM3-230213A.moc.fits").content[:6] == b"SIMPLE"
    assert get(alerting, "/alerts/KM3-230213C.fits").status_code == 404


@pytest.mark.parametrize("path", ["/1.pdf", "/3.json", "/0.json", "/x", ".pdf", "Z", "%00", "/1.json.json"])
def test_what_is_not_there(alerting: Server, path: str) -> None:
    assert get(alerting, f"/alerts/KM3-230213A{path}").status_code == 404


def test_the_feed(alerting: Server) -> None:
    answer = get(alerting, "/alerts/feed.atom")
    assert answer.headers["content-type"].startswith("application/atom+xml")
    entries = etree.fromstring(answer.content).findall("{http://www.w3.org/2005/Atom}entry")
    assert len(entries) == 6
    assert "TEST-KM3-230213A" not in answer.text
    assert "TEST-KM3-230213A" in get(alerting, "/alerts/feed.atom?test=1").text
    assert get(alerting, "/alerts/feed.atom", headers={"If-None-Match": answer.headers["etag"]}).status_code == 304


def test_the_schema_of_a_standard_event(alerting: Server) -> None:
    assert get(alerting, "/alerts/schema.json").json()["title"] == "KM3NeT standard event"


def adql(server: Server, query: str) -> list[dict[str, Any]]:
    asked = {"LANG": "ADQL", "QUERY": query, "RESPONSEFORMAT": "json"}
    answer = get(server, "/tap/sync", params=asked).json()
    return [dict(zip([one["name"] for one in answer["metadata"]], row, strict=True)) for row in answer["data"]]


def test_the_tables(alerting: Server) -> None:
    rows = adql(alerting, "SELECT * FROM km3net.alerts ORDER BY alert_key")
    assert len(rows) == 7 and {row["event_name"] for row in rows} == {*ALL, "TEST-KM3-230213A"}
    first = next(row for row in rows if row["alert_key"] == "KM3-230213A_1")
    wanted = samples.km3_230213a()
    for name in ("ra", "dec", "err50", "err68", "err90", "energy", "cos_zenith", "topology", "pipeline"):
        assert first[name] == wanted[name], name
    assert first["mjd"] == pytest.approx(59988.05333, abs=1e-5) and first["latency"] > 1e7
    assert get(alerting, first["notice_url"].removeprefix(alerting.url)).json()["record_number"] == 1
    latest = adql(alerting, "SELECT event_name, revision FROM km3net.alerts_latest")
    assert {(row["event_name"], row["revision"]) for row in latest} == {("KM3-230213A", 2), ("KM3-230213B", 1)}
    events = adql(
        alerting, "SELECT event_id, alert_key FROM km3net.alert_events_online JOIN km3net.alerts USING (alert_key)"
    )
    assert {row["alert_key"] for row in events} == {row["alert_key"] for row in rows if row["n_events"]}
    counterparts = adql(alerting, "SELECT * FROM km3net.alert_counterparts ORDER BY row_key")
    assert [row["name"] for row in counterparts] == ["a <source> & more", "another"]


def test_the_cone_search(alerting: Server) -> None:
    for path in ("/scs/km3net/alerts_latest", "/scs/km3net/alerts"):
        answer = get(alerting, path, params={"RA": "94", "DEC": "-8", "SR": "1", "RESPONSEFORMAT": "csv"})
        assert "KM3-230213A_2" in answer.text and "KM3-230213B" not in answer.text


def test_what_supersedes_and_when_it_was_published(alerting: Server) -> None:
    query = "SELECT alert_key, superseded, published FROM km3net.alerts WHERE received <= published"
    answer = get(alerting, "/tap/sync", params={"LANG": "ADQL", "QUERY": query, "RESPONSEFORMAT": "csv"})
    rows = {key: int(superseded) for key, superseded, _ in (line.split(",") for line in answer.text.split()[1:])}
    assert {key for key, superseded in rows.items() if superseded} == {"KM3-230213A_1", "KM3-230213R_1"}
    assert len(rows) == 7


def test_the_links_of_a_revision(alerting: Server) -> None:
    def links(ivoid: str) -> dict[str, str]:
        answer = get(alerting, "/datalink", params={"ID": ivoid})
        return {
            row["access_url"]: row["semantics"]
            for row in votable.parse(io.BytesIO(answer.content)).get_first_table().to_table()
        }

    found = links("ivo://km3net.org/VOEvent#KM3-230213A_2")
    assert [ending.rpartition("/")[2] for ending, what in found.items() if what == "#this"] == ["2.fits"]
    assert set(found.values()) == {"#this", "#preview", "#auxiliary", "#documentation"}
    assert all(httpx.get(url, timeout=60).status_code == 200 for url in found)
    assert "#this" not in links("ivo://km3net.org/VOEvent#KM3-230213C_1").values()  # without a position
    assert len(links("ivo://km3net.org/VOEvent_test#TEST-KM3-230213A_1")) == len(found)
    for other in ("VOEvent#KM3-230213A_3", "VOEvent#TEST-KM3-230213A_1", "VOEvent#KM3-230213A_0", "VOEvent#none_1"):
        assert list(links(f"ivo://km3net.org/{other}")) == [""], other


def test_maps_are_products(alerting: Server, published: Database) -> None:
    """Of alerts as they stand: no tests, nothing retracted, nothing without a position."""
    running = alerting.app.state.service
    with published.connect(SERVICE, autocommit=True) as service:
        obscore.refresh(service, read(service, running.settings, running.published))
    query = "SELECT * FROM ivoa.obscore WHERE dataproduct_type = 'image' ORDER BY obs_id"
    asked = {"LANG": "ADQL", "QUERY": query, "RESPONSEFORMAT": "votable/td"}
    rows = votable.parse(io.BytesIO(get(alerting, "/tap/sync", params=asked).content)).get_first_table().to_table()
    assert list(rows["obs_id"]) == ["KM3-230213A", "KM3-230213B"]
    row = rows[0]
    assert row["obs_publisher_did"] == "ivo://km3net.org/VOEvent#KM3-230213A_2"
    assert (row["t_min"], row["s_ra"], row["s_fov"]) == (row["t_max"], 94.3, 4.4)
    assert httpx.get(row["datalink_url"]).content.count(row["access_url"].encode()) == 1


def test_the_tables_can_be_made_anew(alerting: Server, published: Database) -> None:
    names = ("alerts", "alerts_latest", "alert_events_online", "alert_counterparts")

    def all_rows() -> list[Any]:
        with published.connect() as admin:
            return [sorted(map(str, admin.execute(f"SELECT * FROM km3net.{name}").fetchall())) for name in names]

    before = all_rows()
    tables = AlertTables(alerting.app.state.service.published)
    with published.connect(SERVICE, autocommit=True) as service:
        tables.fill(service, alerting.settings)
    assert all_rows() == before
    with published.connect(SERVICE) as service:
        tables.forget(service, "KM3-230213B")
        left = [service.execute(f"SELECT count(*) FROM km3net.{name}").fetchall()[0][0] for name in names]
    assert left == [len(rows) - gone for rows, gone in zip(before, (1, 1, 2, 2), strict=True)]
