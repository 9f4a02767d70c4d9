"""Pages of single events: what they say, how it is reached, and that it is right."""

from __future__ import annotations

import io
import json
from html import unescape
from urllib.parse import parse_qs, quote, unquote, urlsplit

import html5lib
import httpx
import pytest
from astropy.coordinates import BarycentricMeanEcliptic, SkyCoord
from astropy.io.votable import parse_single_table
from lxml import etree

from km3vo.alerts.intake import Sender, accept
from km3vo.database.logins import INGEST, MEMBER, SERVICE, Database
from km3vo.followup.neighbours import SHARE
from tests.support import samples
from tests.support.axe import violations
from tests.support.chromium import Page, look, needs_chromium
from tests.support.server import Server
from tests.support.tap import member

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
STRANGE = ["a+b", "a/b", "a//b/", "50%", "100%25", "a.b.json", "é ∂", "<i>&\"'", "a?b#c", " x ", "..."]


def page_of(server: Server, table: str, id: str, query: str = "") -> httpx.Response:
    return httpx.get(f"{server.url}/events/{table}/{quote(id, safe='')}{query}", headers=BROWSER, timeout=60)


@pytest.fixture(scope="module")
def events(registered: Server, published: Database) -> dict[str, str]:
    """A public event, and one under embargo, which has made an alert that was revised and taken back."""
    with published.connect(MEMBER) as reader:
        query = "SELECT event_id FROM km3net.events WHERE _access = %s ORDER BY event_id LIMIT 1"
        found = {
            name: reader.execute(query, (kind,)).fetchall()[0][0] for name, kind in (("public", "p"), ("hidden", "e"))
        }
    with published.connect(SERVICE, autocommit=True) as service:
        for message in (
            samples.km3_230213a() | {"alert_id": "own", "event_name": "KM3-230213Q"},
            samples.km3_230213a() | {"alert_id": "own", "event_name": "KM3-230213Q", "type": "update", "energy": 2.2e8},
            samples.retraction(alert_id="own", tense="archival", pipeline="arca_UHE"),
            samples.km3_230213a() | {"alert_id": "off", "event_name": "KM3-230213V"},
        ):
            if "events" in message:
                id = found["hidden" if message["alert_id"] == "off" else "public"]
                message["events"] = [message["events"][0] | {"id": id}]
            accept(
                service, json.dumps(message).encode(), Sender("tests"), outgoing=registered.app.state.service.outgoing
            )
    return found


@pytest.fixture(scope="module")
def strange(registered: Server, published: Database) -> list[str]:
    """Sources with names that addresses, HTML and formats have other uses for; at a pole, and at 0°."""
    with published.connect(INGEST, autocommit=True) as loader:
        for number, name in enumerate(STRANGE):
            loader.execute(
                "INSERT INTO cat.gamma_cat (name, ra, dec) VALUES (%s, %s, %s)", (name, number % 2 * 359.9, 90 - number)
            )
    return STRANGE


def test_e1_every_value_has_its_meaning(registered: Server, events: dict[str, str]) -> None:
    answer = page_of(registered, "km3net/events", events["public"])
    assert answer.status_code == 200, answer.text
    html5lib.HTMLParser(strict=True).parse(answer.text)
    assert answer.text.index("<strong>Simulated.</strong>") < answer.text.index('class="lead"')
    for column in registered.app.state.service.published.table("km3net.events").columns:
        assert f"<code>{column.name}</code>" in answer.text and str(column.description) in unescape(answer.text)
    page = page_of(registered, "km3net/events", events["public"], "?format=json").json()
    place, values = page["position"], {one["name"]: one["value"] for one in page["values"]}
    wanted = SkyCoord(values["ra"], values["dec"], unit="deg")
    hours, degrees = (text.replace(":", " ") for text in place["sexagesimal"])
    assert SkyCoord(hours, degrees, unit=("hourangle", "deg")).separation(wanted).arcsec < 0.15
    assert SkyCoord(*place["galactic"], unit="deg", frame="galactic").separation(wanted).arcsec < 0.01
    ecliptic = SkyCoord(*place["ecliptic"], unit="deg", frame=BarycentricMeanEcliptic).transform_to("icrs")
    assert ecliptic.separation(wanted).arcsec < 0.1
    assert place["err50"] == pytest.approx(values["err50"], abs=1e-6) and place["err90"] > place["err50"]
    assert page["time"]["utc"][:19] == values["obs_time"][:19]
    assert page["state"] == "public" and page["table"]["edition"]["number"] == 1 and page["simulated"]


def test_e1_a_row_of_every_table(registered: Server) -> None:
    with httpx.Client(base_url=registered.url, timeout=60) as client:
        for table in registered.app.state.service.published.tables:
            asked = {
                "LANG": "ADQL",
                "QUERY": f"SELECT TOP 1 {table.id} FROM {table.qualified}",
                "RESPONSEFORMAT": "json",
            }
            for (id,) in client.get("/tap/sync", params=asked).json()["data"]:
                path = f"/events/{table.schema}/{table.name}/{quote(str(id), safe='')}"
                answer = client.get(path)
                assert answer.status_code == 200, (table.qualified, id, answer.text)
                html5lib.HTMLParser(strict=True).parse(answer.text)


def test_e1_any_identifier(registered: Server, strange: list[str]) -> None:
    for name in strange:
        told = page_of(registered, "cat/gamma_cat", name, "?format=json")
        assert told.status_code == 200 and told.json()["id"] == name, name
        page = page_of(registered, "cat/gamma_cat", name)
        html5lib.HTMLParser(strict=True).parse(page.text)
        assert "<i>" not in page.text
        # The address that the page gives leads back to it.
        assert f'rel="canonical" href="{told.json()["url"]}"' in page.text
        assert unquote(urlsplit(told.json()["url"]).path).endswith(f"/events/cat/gamma_cat/{name}")


@pytest.mark.parametrize("accept", ["text/html", "*/*"])
def test_e2_not_there_and_not_for_you_are_the_same(registered: Server, events: dict[str, str], accept: str) -> None:
    hidden, absent = events["hidden"], "X" + events["hidden"][1:]

    def told(id: str) -> tuple[int, list[tuple[str, str]], str]:
        answer = httpx.get(
            f"{registered.url}/events/km3net/events/{id}", headers={"Accept": accept, "Accept-Encoding": "identity"}
        )
        left = ("date", "x-request-id")
        headers = [(name, value.replace(id, "ID")) for name, value in answer.headers.items() if name not in left]
        return answer.status_code, headers, answer.text.replace(id, "ID")

    assert told(hidden) == told(absent)
    assert told(hidden)[0] == 404
    for query in ("?format=json", "?format=votable", "?format=jsonld", "?radius=3"):
        assert page_of(registered, "km3net/events", hidden, query).status_code == 404
    assert httpx.get(f"{registered.url}/events/{hidden}").status_code == 404
    assert (
        page_of(registered, "icecube/ps3yr", "x").status_code
        == page_of(registered, "km3net/runs", "").status_code
        == 404
    )


def test_e2_e7_a_member_sees_it_marked_and_is_asked_before_others_are_told(
    registered: Server, published: Database, events: dict[str, str]
) -> None:
    path, headers = f"{registered.url}/events/km3net/events/{events['hidden']}", member(registered, "ada")
    answer = httpx.get(path, headers=headers | BROWSER, timeout=60)
    assert answer.status_code == 200 and answer.headers["cache-control"] == "private, no-store"
    html5lib.HTMLParser(strict=True).parse(answer.text)
    assert "<strong>Under embargo.</strong>" in answer.text and "is not to be cited" in answer.text
    page = html5lib.parse(answer.text, treebuilder="lxml", namespaceHTMLElements=False)
    outside = [link for link in page.iter("a") if "rel" in link.attrib and "nofollow" in link.get("rel", "")]
    assert len(outside) == 9
    assert all("the position of an event under embargo" in "".join(link.getparent().itertext()) for link in outside)
    assert all(link.getparent().getparent().tag == "details" for link in outside)
    told = httpx.get(f"{path}?format=json", headers=headers, timeout=60).json()
    assert told["state"] == "under embargo" and told["table"]["edition"] is None
    votable = httpx.get(f"{path}?format=votable", headers=headers)
    assert "-EMBARGOED" in votable.headers["content-disposition"] and 'name="embargo"' in votable.text
    public = httpx.get(
        f"{registered.url}/events/km3net/events/{events['public']}", headers=headers | BROWSER, timeout=60
    )
    assert "<strong>Under embargo.</strong>" not in public.text


def test_e3_twins(registered: Server, events: dict[str, str]) -> None:
    text = page_of(registered, "km3net/events", events["public"]).text
    page = html5lib.parse(text, treebuilder="lxml", namespaceHTMLElements=False)
    twins = {link.get("type"): link.get("href") for link in page.iter("link") if link.get("rel") == "alternate"}
    assert len(twins) == 3
    told = {kind: httpx.get(url, timeout=60) for kind, url in twins.items()}
    assert all(answer.headers["content-type"].startswith(str(kind)) for kind, answer in told.items())
    row = parse_single_table(io.BytesIO(told["application/x-votable+xml"].content), verify="exception").array[0]
    values = {one["name"]: one["value"] for one in told["application/json"].json()["values"]}
    assert row["event_id"] == values["event_id"] and row["energy"] == values["energy"]
    data = told["application/ld+json"].json()
    assert data["isPartOf"]["@id"].endswith("/browse/km3net/events") and data["description"].startswith("SIMULATED")
    (inside,) = [one.text for one in page.iter("script") if one.get("type") == "application/ld+json"]
    assert json.loads(inside) == data
    assert page_of(registered, "km3net/events", events["public"], "?format=xml").status_code == 400


def test_e4_the_view_of_the_sky(registered: Server, strange: list[str]) -> None:
    page = html5lib.parse(
        page_of(registered, "cat/gamma_cat", "a+b").text, treebuilder="lxml", namespaceHTMLElements=False
    )
    picture, _ = [one for one in page.iter() if str(one.tag).endswith("svg")]
    assert picture.get("role") == "img" and "degrees" in picture.get("aria-label")
    assert "NaN" not in etree.tostring(picture).decode()


def test_e5_numbers_are_those_of_adql(registered: Server, events: dict[str, str]) -> None:
    page = page_of(registered, "km3net/events", events["public"], "?format=json&radius=12").json()
    place, seen = page["position"], 0
    for one in page["neighbours"]:
        table = registered.app.state.service.published.table(one["table"])

        def count(radius: float, one: dict[str, str] = one, table: object = table) -> int:
            position = table.position  # type: ignore[attr-defined]
            query = (
                f"SELECT COUNT(*) AS n FROM {one['table']} WHERE 1 = CONTAINS(POINT({position.ra}, {position.dec}), "
            )
            query += f"CIRCLE({place['ra']}, {place['dec']}, {radius}))"
            asked = {"LANG": "ADQL", "QUERY": query, "RESPONSEFORMAT": "json"}
            number = httpx.get(f"{registered.tap}/sync", params=asked).json()["data"][0][0]
            return int(number) - (one["table"] == "km3net.events")

        assert (one["within"], one["within"] + one["around"]) == (count(12), count(one["reach"])), one["table"]
        seen += one["within"]
        distances = [row["distance"] for row in one["rows"]]
        assert distances == sorted(distances) and all(distance <= 12 for distance in distances)
    assert seen > 5
    # What lies evenly is as many as are expected by chance.
    events_near = next(one for one in page["neighbours"] if one["table"] == "icecube.ps3yr")
    assert abs(events_near["within"] - events_near["expected"]) < 6 * max(1, events_near["expected"]) ** 0.5
    narrow = page_of(registered, "km3net/events", events["public"], "?format=json").json()
    assert narrow["radius"] == pytest.approx(place["err90"], abs=1e-5) and SHARE == 0.9
    for wrong in ("0", "46", "x", "nan", "-1"):
        assert page_of(registered, "km3net/events", events["public"], f"?radius={wrong}").status_code == 400


def test_e6_links_elsewhere(registered: Server, strange: list[str]) -> None:
    page = page_of(registered, "cat/gamma_cat", "...", "?format=json&radius=30").json()
    links = {one["name"]: one for one in page["elsewhere"]}
    simbad = parse_qs(urlsplit(links["SIMBAD"]["url"]).query)
    assert (
        simbad["Coord"] == ["0.000000 +80.000000"] and simbad["Radius"] == ["20"] and links["SIMBAD"]["clipped"] == 20
    )
    assert links["VizieR"]["url"].count("%2B80") == 1 and "%252B" not in str(links)
    assert {urlsplit(one["url"]).scheme for one in links.values()} == {"https"} and len(links) == 8


def test_e8_when_it_can_be_observed(registered: Server, events: dict[str, str]) -> None:
    query = "?site=H.E.S.S.&date=2026-01-15&airmass=2&radius=3"
    page = page_of(registered, "km3net/events", events["public"], query)
    html5lib.HTMLParser(strict=True).parse(page.text)
    assert "H.E.S.S. in the night of 2026-01-15" in page.text and 'type="hidden" name="radius" value="3"' in page.text
    told = page_of(registered, "km3net/events", events["public"], f"{query}&format=json").json()
    place, found = told["position"], told["visibility"]
    asked = {"ra": place["ra"], "dec": place["dec"], "radius": place["err90"], "date": "2026-01-15", "airmass": 2}
    alone = httpx.get(f"{registered.url}/visibility.json", params=asked | {"site": "h.e.s.s."}).json()
    assert [alone[name] for name in ("site", "nights", "next")] == [found[name] for name in ("site", "nights", "next")]
    assert len(found["nights"]) == 13 and len(found["moments"]) == 25
    staralt = parse_qs(urlsplit(found["staralt"]).query)
    assert staralt["form[coordlist]"] == [f"{events['public']} {place['ra']:.5f} {place['dec']:+.5f}"]
    assert staralt["form[sitecoord]"] == ["16.5003 -23.2717 1835 0"]
    for wrong in ("site=x", "date=yesterday", "date=1900-01-01", "airmass=0.5", "airmass=x"):
        assert page_of(registered, "km3net/events", events["public"], f"?{wrong}").status_code == 400


def test_e10_alerts_that_it_made(registered: Server, events: dict[str, str]) -> None:
    page = page_of(registered, "km3net/events", events["public"])
    told = page_of(registered, "km3net/events", events["public"], "?format=json").json()
    ((alert),) = told["alerts"]
    assert [one["type"] for one in alert["revisions"]] == ["retraction", "update", "initial"] and alert["retracted"]
    assert alert["revisions"][1]["changed"]["energy"] == [120000000.0, 220000000.0]
    assert page.text.index("<strong>Retracted.</strong>") < page.text.index('class="lead"')
    assert "/alerts/KM3-230213Q/2.json" in page.text and alert["revisions"][2]["delay"] > 0


def test_a5_the_event_of_an_alert_appears_when_one_may_see_it(registered: Server, events: dict[str, str]) -> None:
    for name, id, seen in (("KM3-230213V", "hidden", False), ("KM3-230213Q", "public", True)):
        address = f"{registered.url}/alerts/{name}"
        public = httpx.get(address, headers=BROWSER, timeout=60)
        own = httpx.get(address, headers=BROWSER | member(registered, "ada"), timeout=60)
        html5lib.HTMLParser(strict=True).parse(own.text)
        assert (f"/events/km3net/events/{events[id]}" in public.text) == ("In lists of events" in public.text) == seen
        assert f"/events/km3net/events/{events[id]}" in own.text
        assert own.headers["cache-control"] == "private, no-store"


def test_where_an_identifier_leads(registered: Server, events: dict[str, str], strange: list[str]) -> None:
    for path in (f"/events?id={events['public']}", f"/events/{events['public']}"):
        assert (
            httpx.get(registered.url + path).headers["location"].endswith(f"/events/km3net/events/{events['public']}")
        )
    led = httpx.get(f"{registered.url}/events", params={"id": "a//b/", "table": "cat.gamma_cat"}, follow_redirects=True)
    assert led.status_code == 200 and "a//b/" in led.text
    assert httpx.get(f"{registered.url}/events").status_code == 400


@pytest.mark.client
@needs_chromium
@pytest.mark.parametrize("width", [1280, 320])
def test_the_page_is_for_everybody(registered: Server, browser: str, events: dict[str, str], width: int) -> None:
    async def visit(page: Page) -> None:
        await page.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 500
        )
        await page.call("Network.enable")
        await page.open(f"{registered.url}/events/km3net/events/{events['public']}?radius=12")
        assert await page.value("document.documentElement.scrollWidth") <= width
        assert await violations(page) == []
        assert page.complaints == []
        assert all(address.startswith((registered.url, "data:")) for address in page.asked) and page.asked

    look(browser, visit)
