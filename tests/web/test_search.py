"""The form of a table: what is filled in becomes ADQL, and its rows are those that were meant."""

from __future__ import annotations

import asyncio
import csv
import math
import random
import re
import time
from collections.abc import Callable
from html import unescape
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from km3vo.database.logins import OWNER, Database
from tests.support.axe import violations
from tests.support.chromium import Page, look, needs_chromium
from tests.support.server import Server

FORM = "/browse/km3net/events/search"
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
Row = dict[str, str]


def get(server: Server, **asked: str | list[str]) -> httpx.Response:
    fields = {name.replace("c_", "c.", 1): value for name, value in asked.items()}
    return httpx.get(server.url + FORM, params=fields, headers=BROWSER)


def adql(page: httpx.Response) -> str:
    assert page.status_code == 200, page.text
    found = re.search(r'<div class="copyable" data-what="the query"><pre[^>]*><code>(.*?)</code>', page.text, re.S)
    assert found, page.text
    return unescape(found[1])


def rows(server: Server, query: str) -> list[Row]:
    answer = httpx.post(f"{server.tap}/sync", data={"LANG": "ADQL", "QUERY": query, "FORMAT": "csv"}, timeout=60)
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(answer.text.splitlines()))


def apart(row: Row, ra: float, dec: float) -> float:
    a, b, c, d = map(math.radians, (float(row["ra"]), float(row["dec"]), ra, dec))
    haversine = math.sin((d - b) / 2) ** 2 + math.cos(b) * math.cos(d) * math.sin((c - a) / 2) ** 2
    return math.degrees(2 * math.asin(math.sqrt(haversine)))


def mistakes(page: httpx.Response) -> dict[str, str]:
    return {name: unescape(text) for name, text in re.findall(r'id="mistake-([^"]+)">([^<]+)<', page.text)}


def test_f1_a_row_for_each_column_the_principal_first(server: Server) -> None:
    page = get(server).text
    table = next(one for one in server.app.state.service.published.tables if one.qualified == "km3net.events")
    named = re.findall(r'name="show" value="([^"]+)"( checked)?', page)
    assert {name for name, _ in named} == {column.name for column in table.columns}
    principal = {column.name for column in table.columns if column.principal}
    assert {name for name, checked in named if checked} == principal
    assert {name for name, _ in named[: len(principal)]} == principal
    for column in table.columns:
        assert f'name="c.{column.name}"' in page


def test_f1_the_ticked_columns_are_shown(server: Server) -> None:
    assert adql(get(server, show=["run", "energy"], columns="chosen")).startswith("SELECT TOP 100 energy, run\n")
    assert "choose a column" in get(server, columns="chosen").text
    assert adql(get(server, show=["run"], columns="all")).count(",") == 19
    # Whatever was chosen, the ticks say it, and the next one counts.
    assert '<option value="chosen">' in get(server, columns="all").text


@pytest.mark.parametrize(
    ("column", "text", "fits"),
    [
        ("energy", ">1 TeV", lambda x: float(x) > 1000),
        ("energy", "100..1000", lambda x: 100 <= float(x) <= 1000),
        ("energy", "0.1 .. 1 TeV", lambda x: 100 <= float(x) <= 1000),
        ("energy", "<1e2, ≥5000", lambda x: float(x) < 100 or float(x) >= 5000),
        ("multiplicity", "!20", lambda x: int(x) != 20),
        ("multiplicity", "20,21, 30..40, !31", lambda x: int(x) in (20, 21, *range(30, 41)) and int(x) != 31),
        ("multiplicity", "50..", lambda x: int(x) >= 50),
        ("dec", "−10..10", lambda x: -10 <= float(x) <= 10),
        ("dec", "<-600 arcmin", lambda x: float(x) < -10),
        ("topology", "track", lambda x: x == "track"),
        ("topology", "!track", lambda x: x != "track"),
        ("topology", "t*, !*z", lambda x: x.startswith("t") and not x.endswith("z")),
        ("mjd", "2023-05-01", lambda x: 60065 <= float(x) < 60066),
        ("mjd", "2023-05-01..2023-05-31", lambda x: 60065 <= float(x) < 60096),
        ("mjd", ">2023-05-01", lambda x: float(x) >= 60066),
        ("mjd", ">60065.5", lambda x: float(x) > 60065.5),
        ("obs_time", "2023-05-01..2023-05-31", lambda x: "2023-05-01" <= x < "2023-06-01"),
        ("obs_time", "<60065", lambda x: x < "2023-05-01"),
        ("energy", "null", lambda x: x == ""),
        ("energy", "!null", lambda x: x != ""),
    ],
)
def test_f2_a_constraint_means_what_it_says(
    server: Server, column: str, text: str, fits: Callable[[str], bool]
) -> None:
    query = adql(get(server, **{f"c_{column}": text, "columns": "all", "limit": "100000"}))
    everything = rows(server, "SELECT * FROM km3net.events")
    wanted = {row["event_id"] for row in everything if (row[column] or "null" in text) and fits(row[column])}
    assert {row["event_id"] for row in rows(server, query)} == wanted


def test_f2_random_constraints_find_what_python_finds(server: Server) -> None:
    chooser = random.Random(2)
    everything = rows(server, "SELECT * FROM km3net.events")

    def one(column: str) -> tuple[str, Callable[[float], bool]]:
        a, b = sorted(float(chooser.choice(everything)[column]) for _ in range(2))
        kind = chooser.choice(["<", "<=", ">", ">=", "=", "..", "!"])
        if kind == "..":
            return f"{a!r}{chooser.choice(['..', ' .. '])}{b!r}", lambda x: a <= x <= b
        tests: dict[str, Callable[[float], bool]] = {
            "<": lambda x: x < a, "<=": lambda x: x <= a, ">": lambda x: x > a, ">=": lambda x: x >= a,
            "=": lambda x: x == a, "!": lambda x: x != a,
        }  # fmt: skip
        return f"{kind}{a!r}", tests[kind]

    for _ in range(25):
        asked: dict[str, str | list[str]] = {"columns": "all", "limit": "100000"}
        fits: list[tuple[str, list[tuple[bool, Callable[[float], bool]]]]] = []
        for column in chooser.sample(["energy", "multiplicity", "dec", "mjd", "cos_zenith"], 2):
            members = [one(column) for _ in range(chooser.randrange(1, 3))]
            asked[f"c_{column}"] = ",".join(text for text, _ in members)
            fits.append((column, [(text.startswith("!"), test) for text, test in members]))
        wanted = {
            row["event_id"]
            for row in everything
            if all(
                all(test(float(row[column])) for negated, test in tests if negated)
                and (all(negated for negated, _ in tests) or any(t(float(row[column])) for n, t in tests if not n))
                for column, tests in fits
            )
        }
        assert {row["event_id"] for row in rows(server, adql(get(server, **asked)))} == wanted, asked


@pytest.mark.parametrize(
    ("column", "text", "told"),
    [
        ("energy", ">5 deg", "cannot be converted"),
        ("energy", ">", "a value is missing"),
        ("energy", "..", "a range has an end"),
        ("energy", "many", "is no number"),
        ("energy", ">1..5", "without >"),
        ("quality", ">5 m", "has no unit"),
        ("topology", "Track", "did you mean track"),
        ("topology", ">a", "holds words"),
        ("mjd", "2023-13-01", "calendar"),
        ("detector", '"ARCA', "not closed"),
    ],
)
def test_f2_what_is_no_constraint_is_refused(server: Server, column: str, text: str, told: str) -> None:
    page = get(server, **{f"c_{column}": text})
    assert page.status_code == 400
    assert told in mistakes(page)[f"c.{column}"]


def test_f3_all_mistakes_stand_beside_their_fields(server: Server) -> None:
    page = get(server, target="83 95", c_energy="many", limit="none", c_dec="<0")
    assert page.status_code == 400
    assert set(mistakes(page)) == {"target", "c.energy", "limit"}
    assert page.text.count('aria-invalid="true"') == 3
    first = re.search(r'<(?:input|select)[^>]*name="([^"]+)"[^>]*autofocus', page.text)
    assert first and first[1] == "target"
    for kept in ('value="83 95"', 'value="many"', 'value="none"', 'value="&lt;0"'):
        assert kept in page.text


def test_f5_what_was_understood_is_shown(server: Server) -> None:
    page = get(server, target="05:34:31.9 +22:00:52").text
    assert "83.6329 +22.0144 ICRS, 184.56 -5.78 Galactic" in page
    assert "degrees, ICRS" in get(server, target="12.5 10").text


def test_f7_names_of_what_is_here_and_others(server: Server, published: Database) -> None:
    here = rows(server, "SELECT TOP 1 event_id, ra, dec FROM km3net.events")[0]
    assert f"{float(here['ra']):.4f}" in get(server, target=here["event_id"]).text
    with published.connect(OWNER) as owner:
        hidden = owner.execute("SELECT event_id FROM km3net.events_embargo LIMIT 1").fetchone()
    assert hidden
    for name in (str(hidden[0]), "no such 100% 'object'"):
        page = get(server, target=name, c_energy=">5")
        assert page.status_code == 200
        assert "is in no table here: let CDS be asked for it" in page.text
        assert 'value="&gt;5"' in page.text


@pytest.mark.parametrize("times", [1, 2.5])
def test_f8_within_the_events_own_errors(server: Server, times: float) -> None:
    query = adql(get(server, target="266.4 -29", shape="error", times=str(times), columns="all", limit="100000"))
    wanted = {
        row["event_id"]
        for row in rows(server, "SELECT * FROM km3net.events")
        if row["err50"] and apart(row, 266.4, -29) <= times * float(row["err50"])
    }
    assert {row["event_id"] for row in rows(server, query)} == wanted


@pytest.mark.parametrize(("radius", "unit"), [("20", "deg"), ("1200", "arcmin"), ("72000", "arcsec")])
def test_f8_a_radius_has_a_unit(server: Server, radius: str, unit: str) -> None:
    query = adql(get(server, target="266.4 -29", radius=radius, unit=unit, limit="100000", sort="target_distance"))
    found = rows(server, query)
    cone = httpx.get(f"{server.url}/scs/km3net/events?RA=266.4&DEC=-29&SR=20&RESPONSEFORMAT=csv&VERB=3").text
    assert {row["event_id"] for row in found} == {row["event_id"] for row in csv.DictReader(cone.splitlines())}
    distances = [float(row["target_distance"]) for row in found]
    assert distances == sorted(distances)


def test_f8_a_box(server: Server) -> None:
    found = rows(server, adql(get(server, target="180 0", radius="10", shape="box", limit="100000")))
    assert found
    assert all(abs(float(row["dec"])) <= 10.2 and abs(float(row["ra"]) - 180) <= 10.2 for row in found)
    assert "a pole" in mistakes(get(server, target="180 85", radius="10", shape="box"))["radius"]


def test_f10_two_keys_of_order_and_a_number_of_rows(server: Server) -> None:
    asked = {"sort": "topology", "way": "desc", "sort2": "energy", "limit": "50", "columns": "all"}
    found = [(row["topology"], float(row["energy"])) for row in rows(server, adql(get(server, **asked)))]
    assert len(found) == 50
    assert found == sorted(found, key=lambda one: ([-ord(letter) for letter in one[0]], one[1]))


def test_f12_the_address_of_the_form_runs_the_query(server: Server) -> None:
    asked = {"target": "266.4 -29", "radius": "30", "c.energy": ">10", "format": "csv", "run": "1"}
    answer = httpx.get(server.url + FORM, params=asked, follow_redirects=False)
    assert answer.status_code == 303
    sent = parse_qs(urlsplit(answer.headers["location"]).query)
    assert sent["QUERY"] == [adql(get(server, target="266.4 -29", radius="30", c_energy=">10"))]
    followed = httpx.get(server.url + FORM, params=asked, follow_redirects=True)
    assert followed.headers["content-type"].startswith("text/csv")


def test_v6_what_is_written_stays_text(server: Server) -> None:
    evil = '"><img src=x onerror=alert(1)>\u202e'
    for page in (get(server, target=evil), get(server, c_energy=evil), get(server, sort=evil, limit=evil)):
        assert "<img src=x" not in page.text


def test_f4_extents_are_those_of_the_public_rows(registered: Server) -> None:
    everything = rows(registered, "SELECT mjd, energy FROM km3net.events")
    page = httpx.get(registered.url + FORM).text
    mjd, energy = ([float(row[name]) for row in everything] for name in ("mjd", "energy"))
    assert f"{min(mjd):.2f} … {max(mjd):.2f}" in page
    assert f"{min(energy):.4g} … {max(energy):.4g}" in page


@pytest.mark.client
@needs_chromium
def test_w2_a_search_by_keyboard_alone_and_without_scripts(server: Server, browser: str) -> None:
    async def visit(page: Page) -> None:
        await page.call("Emulation.setScriptExecutionDisabled", value=True)
        await page.open(f"{server.url}{FORM}?target=83%2095")  # a mistake: the focus is on it
        await page.press("a", "KeyA", 2)
        await page.call("Input.insertText", text="266.4 -29")
        await page.press("Tab", "Tab")  # past the shape to the radius
        await page.press("Tab", "Tab")
        await page.press("a", "KeyA", 2)
        await page.call("Input.insertText", text="20")
        await page.press("Enter", "Enter")
        end = time.monotonic() + 20
        address = ""
        while "/tap/sync?" not in address:
            assert time.monotonic() < end, address
            await asyncio.sleep(0.2)
            history = await page.call("Page.getNavigationHistory")
            address = history["entries"][history["currentIndex"]]["url"]
        assert "CIRCLE(266.4, -29.0, 20.0)" in parse_qs(urlsplit(address).query)["QUERY"][0]

    look(browser, visit)


@pytest.mark.client
@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400, 320])
def test_w1_w5_the_form_is_for_everybody(server: Server, browser: str, width: int, scheme: str) -> None:
    async def visit(page: Page) -> None:
        await page.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 500
        )
        await page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        for asked in ("", "?target=83%2095&c.energy=many", "?target=83%2022"):
            await page.open(server.url + FORM + asked)
            assert await page.value("document.documentElement.scrollWidth") <= width
            assert await violations(page) == []

    look(browser, visit)
