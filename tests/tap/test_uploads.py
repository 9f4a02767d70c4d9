"""Tables that come with a query: in the query, in the database, and gone afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import numpy as np
import psycopg
import pytest
from astropy.io.votable import parse
from astropy.table import Table

from km3vo.database.logins import MEMBER, PUBLIC, UPLOAD
from km3vo.uploads.tables import Uploads, read
from tests.support.server import Server
from tests.support.tap import ENDLESS, HREF, UWS, Client
from tests.tap.votables import SERIALIZATIONS, votable, written

ONE = {"UPLOAD": "t,param:part"}
CSV = b"name,ra,dec\nhere,10,20\nthere,350,-20\n"


def left(server: Server) -> list[str]:
    """Uploaded tables in the database."""
    with server.app.state.service.database.connect() as admin:
        found = admin.execute("SELECT relname FROM pg_class WHERE relnamespace = 'tap_upload'::regnamespace").fetchall()
    return [name for (name,) in found]


def until(true: Callable[[], object], seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


@pytest.mark.parametrize("serialization", SERIALIZATIONS)
@pytest.mark.parametrize("answer", ["votable/td", "votable/b2"])
def test_what_goes_in_comes_out(client: Client, serialization: str, answer: str) -> None:
    document = written(serialization)
    found = client.sync("SELECT * FROM TAP_UPLOAD.t", files={"part": document}, **ONE, FORMAT=answer)
    assert found.status_code == 200, found.text
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = parse(io.BytesIO(document)).get_first_table()
        after = parse(io.BytesIO(found.content)).get_first_table()
    assert [f.name for f in after.fields] == [f.name for f in before.fields]
    d = after.get_field_by_id("d")
    assert (d.datatype, d.unit.to_string(), d.ucd, d.description) == ("double", "deg", "pos.eq.ra", "a number")
    for name in ("b", "s", "i", "l"):
        assert after.array[name].tolist() == before.array[name].tolist(), name
    assert after.array["f"].tolist()[:2] == [1.5, np.inf]
    assert after.array["d"].tolist()[:2] == [1 / 3, -np.inf]
    assert list(after.array["text"])[:2] == ["a<&>\"'", "ünïcödé ☃"]
    assert np.array_equal(after.array["vector"].data, before.array["vector"].data)


def test_xtypes_come_back(client: Client) -> None:
    fields = [
        'name="t" datatype="char" arraysize="*" xtype="timestamp"',
        'name="p" datatype="double" arraysize="2" xtype="point"',
        'name="c" datatype="double" arraysize="3" xtype="circle"',
        'name="q" datatype="double" arraysize="*" xtype="polygon"',
        'name="v" datatype="double" arraysize="2" xtype="interval"',
    ]
    cells = [["2026-01-31T12:00:00.250", "1.5 2.0", "1.0 2.0 3.0", "1.0 1.0 2.0 1.0 2.0 2.0", "0.0 1.0"], [""] * 5]
    found = client.sync("SELECT * FROM TAP_UPLOAD.t", files={"part": votable(fields, cells)}, **ONE, FORMAT="votable")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        after = parse(io.BytesIO(found.content)).get_first_table()
    assert [f.xtype for f in after.fields] == ["timestamp", "point", "circle", "polygon", "interval"]
    assert str(after.array["t"][0]).startswith("2026-01-31T12:00:00.25")
    assert after.array["c"][0].tolist() == [1.0, 2.0, 3.0]
    assert list(after.array["q"][0]) == [1.0, 1.0, 2.0, 1.0, 2.0, 2.0]
    query = "SELECT COUNT(*) AS n FROM TAP_UPLOAD.t WHERE CONTAINS(p, c) = 1"
    assert client.rows(query, files={"part": votable(fields, cells)}, **ONE) == [{"n": "1"}]


def test_names_that_are_no_identifiers(client: Client) -> None:
    odd = b'"a b","x""y",SELECT,RA\n1,2,3,4\n'
    (row,) = client.rows('SELECT "a b", "x""y", "SELECT", ra FROM TAP_UPLOAD.t', files={"part": odd}, **ONE)
    assert list(row.values()) == ["1", "2", "3", "4"]


def test_several_tables_in_both_ways_of_writing(client: Client) -> None:
    query = "SELECT a.name, b.name AS other FROM TAP_UPLOAD.one AS a, tap_upload.two AS b WHERE a.name <> b.name"
    files = {"x": CSV, "y": CSV}
    old = client.rows(query, files=files, UPLOAD="one,param:x;two,param:y")
    new = client.rows(query, files=files, UPLOAD=["one,param:x", "two,param:y"])
    assert old == new
    assert len(old) == 2


def test_a_crossmatch(client: Client) -> None:
    positions = client.rows('SELECT TOP 200 id, ra, decl AS "dec" FROM ant20_01.main ORDER BY id')
    file = "id,ra,dec\n" + "\n".join(f"{row['id']},{row['ra']},{row['dec']}" for row in positions)
    for condition in (
        "CONTAINS(POINT(m.ra, m.decl), CIRCLE(u.ra, u.dec, 0.001)) = 1",
        "CONTAINS(POINT(u.ra, u.dec), CIRCLE(m.ra, m.decl, 0.001)) = 1",
        "DISTANCE(POINT(m.ra, m.decl), POINT(u.ra, u.dec)) < 0.001",
    ):
        query = f"SELECT u.id FROM TAP_UPLOAD.t AS u JOIN ant20_01.main AS m ON {condition} WHERE m.id = u.id"
        assert len(client.rows(query, files={"part": file.encode()}, **ONE)) == 200, condition


def test_a_crossmatch_of_uploads_alone_has_an_index(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    load = Uploads.load

    def noted(*arguments: Any, indexed: Any) -> None:
        made.append(indexed)
        load(*arguments, indexed=indexed)

    monkeypatch.setattr(Uploads, "load", noted)
    places = np.random.default_rng(1).uniform(-90, 90, (600, 2))
    file = "id,ra,dec\n" + "\n".join(f"{number},{ra},{dec}" for number, (ra, dec) in enumerate(places))
    query = (
        "SELECT COUNT(*) AS n FROM TAP_UPLOAD.t AS u JOIN TAP_UPLOAD.t AS v"
        " ON DISTANCE(POINT(u.ra, u.dec), POINT(v.ra, v.dec)) < 0.000001 WHERE u.id = v.id"
    )
    assert client.rows(query, files={"part": file.encode()}, **ONE) == [{"n": "600"}]
    assert made == [True]


def test_impossible_positions_give_no_silently_wrong_answer(client: Client) -> None:
    file = b"ra,dec\n" + b"10,20\n" * 600 + b"10,91\n"
    query = (
        "SELECT COUNT(*) AS n FROM TAP_UPLOAD.t AS u JOIN TAP_UPLOAD.t AS v"
        " ON DISTANCE(POINT(u.ra, u.dec), POINT(v.ra, v.dec)) < 1"
    )
    answer = client.sync(query, files={"part": file}, **ONE)
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"UPLOAD": "t"}, "URI"),
        ({"UPLOAD": "t,"}, "URI"),
        ({"UPLOAD": "t,param:other"}, "no part of that name"),
        ({"UPLOAD": "1t,param:part"}, "letter"),
        ({"UPLOAD": "tap_upload.t,param:part"}, "no schema"),
        ({"UPLOAD": "select,param:part"}, "reserved"),
        ({"UPLOAD": "t,ftp://example.org/x"}, "http"),
        ({"UPLOAD": "t,file:///etc/passwd"}, "http"),
        ({"UPLOAD": ["t,param:part", "T,param:part"]}, "twice"),
    ],
)
def test_wrong_uploads(client: Client, parameters: dict[str, str], says: str) -> None:
    answer = client.sync("SELECT * FROM TAP_UPLOAD.t", files={"part": CSV}, **parameters)
    assert answer.status_code == 400
    assert says in answer.text


def test_errors_name_the_table(client: Client) -> None:
    answer = client.sync("SELECT * FROM TAP_UPLOAD.t", files={"part": b"a,b\n1\n"}, **ONE)
    assert answer.status_code == 400
    assert "upload t: it cannot be read" in answer.text
    answer = client.sync("SELECT nothing FROM TAP_UPLOAD.t", files={"part": CSV}, **ONE)
    assert answer.status_code == 400
    assert "nothing" in answer.text


def test_limits_of_rows_and_bytes(client: Client, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    small = server.settings.limits.model_copy(update={"upload_rows": 1, "upload_bytes": 1000})
    monkeypatch.setitem(server.settings.__dict__, "limits", small)
    answer = client.sync("SELECT * FROM TAP_UPLOAD.t", files={"part": CSV}, **ONE)
    assert answer.status_code == 413
    assert "1 rows" in answer.text
    answer = client.sync("SELECT * FROM TAP_UPLOAD.t", files={"part": b"a\n" + b"1" * 1000}, **ONE)
    assert answer.status_code == 413
    assert "1000 bytes" in answer.text

    # Not everybody says beforehand how much will come.
    def long() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="part"; filename="a"\r\n\r\n'
        yield from (bytes(1 << 20) for _ in range(40))
        yield b"\r\n--x--\r\n"

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    with contextlib.suppress(httpx.WriteError, httpx.RemoteProtocolError):  # the server may hang up before the end
        assert client.http.post(f"{client.tap}/sync", content=long(), headers=headers).status_code == 413


@pytest.mark.parametrize("end", [b"", b"\r\n", b"\r\n--x", b"\r\n--x\r\n"])
def test_a_form_that_ends_within_a_part_is_refused(client: Client, end: bytes) -> None:
    """Its last table was left out without a word, and its temporary file left open (which ends a test here)."""
    body = b'--x\r\nContent-Disposition: form-data; name="part"; filename="a"\r\n\r\na\n1' + end
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = client.http.post(f"{client.tap}/sync", content=body, headers=headers)
    assert answer.status_code == 400 and "the form ends within a part" in answer.text
    gc.collect()


def test_uploads_are_gone_afterwards(client: Client, server: Server) -> None:
    client.rows("SELECT * FROM TAP_UPLOAD.t", files={"part": CSV}, **ONE)
    client.sync("SELECT 1/(ra-10) FROM TAP_UPLOAD.t", files={"part": CSV}, **ONE)
    with pytest.raises(httpx.ReadTimeout), httpx.Client(timeout=1) as impatient:
        query = ENDLESS.replace(" WHERE", ", TAP_UPLOAD.t AS t WHERE")
        impatient.post(f"{client.tap}/sync", data={"LANG": "ADQL", "QUERY": query, **ONE}, files={"part": CSV})
    until(lambda: not left(server))
    assert "tap_upload" not in str(client.rows("SELECT * FROM tap_schema.tables")).lower()
    assert client.sync("SELECT * FROM TAP_UPLOAD.t").status_code == 400


def test_only_its_audience_can_read_an_upload(server: Server) -> None:
    running = server.app.state.service
    upload = read("t", io.BytesIO(CSV), running.settings.limits)
    running.uploads.assign(upload)
    running.uploads.load(upload, "member", indexed=False)
    statement = psycopg.sql.SQL("SELECT * FROM {}").format(psycopg.sql.Identifier("tap_upload", upload.relation))
    try:
        with running.database.connect(MEMBER) as member:
            assert len(member.execute(statement).fetchall()) == 2
        with running.database.connect(PUBLIC) as public, pytest.raises(psycopg.errors.InsufficientPrivilege):
            public.execute(statement)
        with running.database.connect(PUBLIC) as public, pytest.raises(psycopg.errors.InsufficientPrivilege):
            public.execute("SET TRANSACTION READ WRITE")
            public.execute("CREATE TABLE tap_upload.mine (a int)")
        # Names that say nothing, and cannot be guessed.
        assert len(upload.relation) > 30
        assert "name" not in upload.relation
    finally:
        running.uploads.drop(upload)


def test_tables_of_dead_processes_are_swept_away(server: Server, client: Client) -> None:
    running = server.app.state.service
    with running.database.connect(UPLOAD, autocommit=True) as dead:
        dead.execute("CREATE TABLE tap_upload.u_7b_00ff (a int)")
        dead.execute("CREATE TABLE tap_upload.other (a int)")
    workers = server.app.state.workers
    asyncio.run_coroutine_threadsafe(workers.clean(), workers.loop).result(20)
    assert left(server) == ["other"]
    with running.database.connect(UPLOAD, autocommit=True) as owner:
        owner.execute("DROP TABLE tap_upload.other")


# With jobs -----------------------------------------------------------------------------------------------------------


def test_a_job_keeps_its_uploads_and_shows_where(client: Client) -> None:
    job = client.job("SELECT name FROM TAP_UPLOAD.t ORDER BY name", files={"part": CSV}, FORMAT="csv", **ONE)
    shown = {p.get("id"): p.text for p in job.xml().find("uws:parameters", UWS)}
    name, _, address = shown["UPLOAD"].partition(",")
    assert (name, address) == ("t", f"{job.url}/uploads/t")
    assert client.http.get(address).content == CSV
    job.post("/phase", PHASE="RUN")
    assert job.end() == "COMPLETED"
    assert job.get("/results/result").text.split() == ["name", "here", "there"]
    client.http.delete(job.url)
    assert client.http.get(address).status_code == 404


def test_uploads_accumulate_until_the_job_runs(client: Client) -> None:
    job = client.job("SELECT a.name, b.x FROM TAP_UPLOAD.t AS a, TAP_UPLOAD.s AS b", files={"part": b"x\n1\n"}, **ONE)
    job.post("/parameters", files={"part": CSV}, UPLOAD="t,param:part", FORMAT="csv")
    job.post("/parameters", files={"more": b"x\n7\n"}, UPLOAD="s,param:more")
    shown = [p.text for p in job.xml().find("uws:parameters", UWS) if p.get("id") == "UPLOAD"]
    assert shown == [f"t,{job.url}/uploads/t;s,{job.url}/uploads/s"]
    job.post("/phase", PHASE="RUN")
    assert job.end() == "COMPLETED"
    assert job.get("/results/result").text.splitlines() == ["name,x", "here,7", "there,7"]


def test_a_result_can_be_uploaded_again(client: Client, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """By URL, as TOPCAT's users do with a job's result; this host is local, so it has to be allowed."""
    allowed = server.settings.limits.model_copy(update={"upload_hosts": ["127.0.0.1"]})
    job = client.job("SELECT TOP 5 id, ra FROM ant20_01.main", PHASE="RUN")
    job.end()
    address = job.xml().find("uws:results/uws:result", UWS).get(HREF)
    query = "SELECT COUNT(*) AS n FROM TAP_UPLOAD.again"
    answer = client.sync(query, UPLOAD=f"again,{address}")
    assert answer.status_code == 400
    assert "could not be fetched" in answer.text
    monkeypatch.setitem(server.settings.__dict__, "limits", allowed)
    assert client.rows(query, UPLOAD=f"again,{address}") == [{"n": "5"}]


def test_a_table_of_astropy_by_every_format(client: Client) -> None:
    table = Table({"a": [1, 2], "b": [0.5, np.nan]})
    for form in ("votable", "fits", "ascii.ecsv", "ascii.csv"):
        out: io.BytesIO | io.StringIO = io.StringIO() if form.startswith("ascii") else io.BytesIO()
        table.write(out, format=form)
        content = out.getvalue()
        file = content.encode() if isinstance(content, str) else content
        rows = client.rows("SELECT a, b FROM TAP_UPLOAD.t ORDER BY a", files={"part": file}, **ONE)
        assert [list(row.values()) for row in rows] == [["1", "0.5"], ["2", ""]], form
