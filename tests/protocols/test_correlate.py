"""Correlations as jobs and as pages."""

from __future__ import annotations

import csv
import io
import json
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import html5lib
import httpx
import numpy as np
import psutil
import pytest
from astropy.io.votable import parse_single_table
from click.testing import CliRunner
from lxml import etree

from km3vo.check.schemas import Schemas
from km3vo.commands.main import main
from km3vo.database.logins import Database
from tests.support.server import Server
from tests.support.tap import HREF, QUICK, UWS, Client, Job, member

QUESTION = {"EVENTS": "ant20_01.main", "CATALOGUE": "antares.data", "METHOD": "likelihood", "SCRAMBLES": "5"}


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=120) as client:
        yield client


def made(http: httpx.Client, files: Any = None, **parameters: str) -> Job:
    answer = http.post("/correlate/async", data={"PHASE": "RUN", **parameters}, files=files)
    assert answer.status_code == 303, answer.text
    return Job(http, answer.headers["location"])


def test_a_job_leaves_tables_a_report_and_a_picture(http: httpx.Client, schemas: Schemas) -> None:
    job = made(http, **QUESTION)
    assert job.end() == "COMPLETED", job.get("/error").text
    assert not schemas.mistakes(job.get().content)
    results = {one.get("id"): one.get(HREF) for one in job.xml().iterfind("uws:results/uws:result", UWS)}
    assert list(results) == ["result", "pairs", "report", "picture", "image", "summary"]
    sources = parse_single_table(io.BytesIO(http.get(str(results["result"])).content), verify="exception")
    assert len(sources.array) == 200 and np.isfinite(np.ma.filled(sources.array["ts"], np.nan)).sum() > 150
    pairs = parse_single_table(io.BytesIO(http.get(str(results["pairs"])).content), verify="exception")
    assert sources.array["n_in"].sum() == len(pairs.array) > 0
    document = etree.fromstring(job.get("/results/result").content)
    infos = {info.get("name"): info.get("value") for info in document.iterfind(".//{*}INFO")}
    assert infos["seed"] == "1" and infos["citation"]
    told = json.loads(http.get(str(results["summary"])).content)
    assert any("simulated" in line for line in told["citations"])
    assert etree.fromstring(http.get(str(results["picture"])).content) is not None
    assert http.get(str(results["image"])).content.startswith(b"\x89PNG")
    assert b"What it does not mean" in http.get(str(results["report"])).content
    assert job.get("/results/other").status_code == 404

    again = made(http, **QUESTION)
    assert again.end() == "COMPLETED"
    for name in results:
        assert job.get(f"/results/{name}").content == again.get(f"/results/{name}").content, name
    # It is no query, and queries are none of these.
    assert http.get(f"/tap/async/{job.id}").status_code == 404


def test_an_uploaded_catalogue_and_a_window(http: httpx.Client) -> None:
    table = (
        '<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE><TABLE>'
        '<FIELD name="name" datatype="char" arraysize="*" ucd="meta.id;meta.main"/>'
        '<FIELD name="x" datatype="double" unit="deg" ucd="pos.eq.ra;meta.main"/>'
        '<FIELD name="y" datatype="double" unit="deg" ucd="pos.eq.dec;meta.main"/>'
        '<FIELD name="t" datatype="double" unit="d" ucd="time.epoch"/><DATA><TABLEDATA>'
        "<TR><TD>X</TD><TD>83.6</TD><TD>-22</TD><TD>56000</TD></TR>"
        "<TR><TD>Y</TD><TD>35</TD><TD>-5</TD><TD>56500</TD></TR></TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>"
    )
    job = made(
        http,
        files={"mine": ("mine.vot", table.encode())},
        EVENTS="ant20_01.main",
        CATALOGUE="TAP_UPLOAD.mine",
        UPLOAD="mine,param:mine",
        WINDOW="-300d,300d",
        RADIUS="20",
        SCRAMBLES="20",
        RESPONSEFORMAT="csv",
    )
    assert job.end() == "COMPLETED", job.get("/error").text
    rows = list(csv.DictReader(io.StringIO(job.get("/results/result").text)))
    assert [row["source_id"] for row in rows] == ["X", "Y"]
    assert rows[0]["window_start"].startswith("2011-05-") and float(rows[0]["mu"]) > 0


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"METHOD": "magic"}, "write one of count, likelihood"),
        ({"EVENTS": "nothing.there"}, "nothing.there"),
        ({"CATALOGUE": "tap_schema.tables"}, "no position"),
        ({"SELECT": "nhit >"}, "line 1"),
        ({"WINDOW": "-1d,1d", "RUNS": "antares.data"}, "time.start"),
    ],
)
def test_what_cannot_be_done_is_said(http: httpx.Client, changed: dict[str, str], said: str) -> None:
    job = made(http, **{**QUESTION, **changed})
    assert job.end() == "ERROR"
    assert said in job.get("/error").text
    assert not re.search("psycopg|postgres|Traceback", job.get("/error").text, re.IGNORECASE)


def test_the_public_and_members_see_their_own_rows(http: httpx.Client, server: Server, published: Database) -> None:
    question = {**QUESTION, "EVENTS": "km3net.events", "METHOD": "count", "RESPONSEFORMAT": "csv"}
    with httpx.Client(base_url=server.url, timeout=120, headers=member(server, "ada")) as known:
        jobs = [made(http, **question), made(known, **question)]
        assert [job.end() for job in jobs] == ["COMPLETED", "COMPLETED"]
        told = [json.loads(job.get("/results/summary").content) for job in jobs]
        assert http.get(f"/correlate/async/{jobs[1].id}").status_code == 404
        assert http.get(f"/correlate/{jobs[1].id}").status_code == 404
    with published.connect() as admin:
        counts = [
            admin.execute(f"SELECT count(*) FROM km3net.{name}").fetchone() for name in ("events_public", "events")
        ]
    seen = [int(re.sub(r"\D", "", one["done"][0].split(" events")[0])) for one in told]
    assert seen == [count[0] for count in counts if count]
    assert seen[0] < seen[1]


def test_correlations_of_one_user_leave_others_their_turn(http: httpx.Client, server: Server) -> None:
    """Three that take minutes, and meanwhile queries, jobs and cones; nothing is said of how fast, since machines are
    shared."""
    long = {**QUESTION, "METHOD": "flare", "SCRAMBLES": "499"}
    jobs = [made(http, **long) for _ in range(3)]
    while not (children := at_work()):
        time.sleep(0.05)
    assert len(children) == 1, "one address has one long job at a time"
    while children[0].nice() < min(19, psutil.Process().nice() + 10):  # once it has read its task
        time.sleep(0.05)
    client = Client(server)
    assert client.sync(QUICK).status_code == 200
    assert client.job(QUICK, PHASE="RUN").end() == "COMPLETED"
    assert http.get("/scs/ant20_01/main", params={"RA": 10, "DEC": -20, "SR": 5}).status_code == 200
    assert {job.phase for job in jobs} == {"EXECUTING", "QUEUED"}
    for job in reversed(jobs):
        job.post("/phase", PHASE="ABORT")
    client.http.close()
    while at_work():
        time.sleep(0.05)


def at_work() -> list[psutil.Process]:
    """The processes that correlate just now."""
    found = []
    for child in psutil.Process().children():
        with suppress(psutil.Error):  # it may end just now
            if "km3vo.correlation.process" in child.cmdline():
                found.append(child)
    return found


def test_the_pages(http: httpx.Client) -> None:
    form = http.get("/correlate")
    assert form.status_code == 200 and 'value="ant20_01.main"' in form.text
    begun = http.post("/correlate", data={**QUESTION, "METHOD": "count"})
    assert begun.status_code == 303
    address = begun.headers["location"]
    while "refresh" in (page := http.get(address)).text:
        time.sleep(0.2)
    for one in (form, page):
        html5lib.HTMLParser(strict=True).parse(one.text)
    assert "What came out" in page.text and "no flux" in page.text
    assert page.headers["cache-control"] == "private, no-store"
    assert http.post("/correlate", data={"EVENTS": "ant20_01.main"}).status_code == 400
    assert http.get("/correlate/nothing").status_code == 404


def test_the_command(published: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "passwords.json").write_text(json.dumps(published.passwords))
    monkeypatch.setenv("KM3VO_HOME", str(tmp_path))
    monkeypatch.setenv("KM3VO_DATABASE_URL", published.admin)
    words = ["correlate", "ant20_01.main", "antares.data", "--method", "likelihood", "--scrambles", "5"]
    done = CliRunner().invoke(main, [*words, "--select", "decl < 0", "-o", str(tmp_path / "found.csv")])
    assert done.exit_code == 0, done.output
    assert "What" not in done.stdout and "scrambles of right ascensions" in done.stdout
    rows = (tmp_path / "found.csv").read_text().splitlines()
    assert rows[0].startswith("source_id,ra,dec,n_in,mu") and len(rows) == 201
    assert (tmp_path / "found-pairs.csv").exists() and (tmp_path / "found.svg").exists()
    assert (tmp_path / "found.png").exists()
    wrong = CliRunner().invoke(main, ["correlate", "ant20_01.main", "tap_schema.tables"])
    assert wrong.exit_code == 1
