"""/tap/sync and what lies beside it: the traps of validators and clients (TAP 1.1, DALI 1.1)."""

from __future__ import annotations

import time
import warnings
from io import BytesIO
from typing import Any

import httpx
import pytest
from astropy.io.votable import parse
from lxml import etree

from km3vo.results.formats import FORMATS
from tests.support.server import Server
from tests.support.tap import ENDLESS, QUICK, Client

TABLES = "SELECT table_name FROM tap_schema.tables ORDER BY table_name"


def infos(document: bytes) -> list[tuple[str, str | None, bool]]:
    """Each QUERY_STATUS: its value, its text, and whether it stands before the table."""
    resource = etree.fromstring(document).find("{*}RESOURCE[@type='results']")
    table = resource.find("{*}TABLE")
    return [
        (info.get("value"), info.text, table is not None and resource.index(info) < resource.index(table))
        for info in resource.findall("{*}INFO[@name='QUERY_STATUS']")
    ]


def test_get_and_both_kinds_of_form(client: Client) -> None:
    url, asked = f"{client.tap}/sync", {"QUERY": TABLES, "LANG": "ADQL", "FORMAT": "csv"}
    one = client.http.get(url, params=asked)
    two = client.http.post(url, data=asked)
    three = client.http.post(url, files={name: (None, value) for name, value in asked.items()})
    four = client.http.post(url, params={"FORMAT": "csv", "LANG": "ADQL"}, data={"QUERY": TABLES})
    assert one.status_code == 200
    assert one.text == two.text == three.text == four.text


def test_names_of_parameters_in_any_case_and_useless_ones(client: Client) -> None:
    old = {"QUERy": TABLES, "lang": "ADQL", "Format": "csv", "REQUEST": "doQuery", "VERSION": "1.0", "DUMMY": "x"}
    assert client.http.get(f"{client.tap}/sync", params=old).text == client.sync(TABLES).text


@pytest.mark.parametrize("language", ["ADQL", "ADQL-2.0", "ADQL-2.1", "adql"])
def test_every_declared_language_gives_the_same(client: Client, language: str) -> None:
    assert client.sync(TABLES, LANG=language).text == client.sync(TABLES).text


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"LANG": ""}, "LANG is missing: add LANG=ADQL"),
        ({"LANG": "PQL"}, "query language"),
        ({"LANG": "ADQL-9.0"}, "query language"),
        ({"QUERY": ""}, "QUERY is missing"),
        ({"QUERY": "DROP TABLE x"}, "line 1"),
        ({"FORMAT": "application/pony"}, "application/pony"),
        ({"MAXREC": "-1"}, "MAXREC"),
        ({"MAXREC": "1.5"}, "MAXREC"),
        ({"MAXREC": ["1", "2"]}, "2 times"),
        ({"QUERY": [TABLES, QUICK]}, "2 times"),
        ({"LANG": ["ADQL", "ADQL"]}, "2 times"),
        ({"RUNID": "x" * 65}, "RUNID"),
    ],
)
def test_errors_are_documents(client: Client, parameters: dict[str, Any], says: str) -> None:
    answer = client.http.post(f"{client.tap}/sync", data={"QUERY": TABLES, "LANG": "ADQL", **parameters})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/x-votable+xml"
    ((value, text, _),) = infos(answer.content)
    assert value == "ERROR"
    assert says in (text or "")


def test_rows_are_counted_exactly(client: Client) -> None:
    many = len(client.rows(TABLES))
    for maxrec, rows, marks in (
        (many, many, ["OK"]),
        (many - 1, many - 1, ["OK", "OVERFLOW"]),
        (0, 0, ["OK", "OVERFLOW"]),
    ):
        answer = client.sync(TABLES, FORMAT="votable/td", MAXREC=maxrec)
        assert [value for value, _, _ in infos(answer.content)] == marks
        assert [before for _, _, before in infos(answer.content)] == [True, False][: len(marks)]
        root = etree.fromstring(answer.content)
        assert len(root.findall(".//{*}TR")) == rows
        assert len(root.findall(".//{*}FIELD")) == len(root.findall(".//{*}TABLE")) == 1
    top = client.sync("SELECT TOP 2 table_name FROM tap_schema.tables", FORMAT="votable", MAXREC=2)
    assert [value for value, _, _ in infos(top.content)] == ["OK"]
    top = client.sync("SELECT TOP 3 table_name FROM tap_schema.tables", FORMAT="votable", MAXREC=2)
    assert [value for value, _, _ in infos(top.content)] == ["OK", "OVERFLOW"]


def test_every_declared_format_is_accepted_by_every_name(client: Client) -> None:
    root = etree.fromstring(client.http.get(f"{client.tap}/capabilities").content)
    declared = root.findall(".//outputFormat")
    assert len(declared) == len(FORMATS)
    for form in declared:
        for element in form.findall("mime") + form.findall("alias"):
            answer = client.sync("SELECT TOP 1 table_name FROM tap_schema.tables", FORMAT=element.text)
            assert answer.status_code == 200, element.text
            assert answer.content


@pytest.mark.parametrize("kind", ["text/xml", "application/x-votable+xml"])
def test_the_media_type_asked_for_is_the_one_sent(client: Client, kind: str) -> None:
    assert client.sync(QUICK, FORMAT=kind).headers["content-type"].startswith(kind)
    assert client.sync(QUICK, FORMAT=None, RESPONSEFORMAT=kind).headers["content-type"].startswith(kind)


def test_the_default_is_a_votable_with_the_names_as_written(client: Client) -> None:
    query = 'SELECT table_name AS "My Name", 1+1, 2 AS b, 1+1 FROM tap_schema.tables'
    answer = client.http.post(f"{client.tap}/sync", data={"QUERY": query, "LANG": "ADQL"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fields = parse(BytesIO(answer.content)).get_first_table().fields
    names = [field.name for field in fields]
    assert (names[0], names[2]) == ("My Name", "b")
    assert len(set(names)) == 4


def test_fields_are_what_tap_schema_says(client: Client) -> None:
    declared = client.rows(
        "SELECT column_name, datatype, arraysize, xtype, unit, ucd FROM tap_schema.columns"
        " WHERE table_name = 'km3net.events' ORDER BY column_index"
    )
    answer = client.sync("SELECT TOP 1 * FROM km3net.events", FORMAT="votable/td")
    fields = etree.fromstring(answer.content).findall(".//{*}FIELD")
    assert len(fields) == len(declared)
    for field, column in zip(fields, declared, strict=True):
        assert field.get("name") == column["column_name"].strip('"')
        for name in ("datatype", "arraysize", "xtype", "unit", "ucd"):
            assert (field.get(name) or "") == column[name], (column, name)


def test_bodies_that_are_no_forms(client: Client) -> None:
    url = f"{client.tap}/sync"
    for kind, body in (
        ("application/json", b'{"QUERY": "x"}'),
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=x", b"--y\r\n"),
        ("application/x-www-form-urlencoded", b"\xff\xfe=%zz&&&==="),
    ):
        assert client.http.post(url, content=body, headers={"Content-Type": kind}).status_code == 400, kind


def test_who_leaves_before_the_first_row_leaves_no_query(server: Server, client: Client) -> None:
    with httpx.Client(timeout=1.5) as impatient, pytest.raises(httpx.ReadTimeout):
        impatient.get(f"{server.tap}/sync", params={"LANG": "ADQL", "QUERY": ENDLESS})

    def working() -> int:
        with server.app.state.service.database.connect() as admin:
            (count,) = admin.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE usename = 'km3vo_public' AND state = 'active'"
                " AND datname = current_database()"
            ).fetchone() or (0,)
        return int(count)

    until = time.monotonic() + 15
    while working() and time.monotonic() < until:
        time.sleep(0.1)
    assert working() == 0


# Beside it ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("base", ["/tap", "/__system__/tap/run/tap"])
def test_capabilities_declare_what_is_there(server: Server, client: Client, base: str) -> None:
    root = etree.fromstring(client.http.get(f"{server.url}{base}/capabilities").content)
    by_standard = {c.get("standardID"): c.find("interface/accessURL") for c in root.findall("capability")}
    assert by_standard["ivo://ivoa.net/std/TAP"].text == f"{server.url}{base}"
    assert by_standard["ivo://ivoa.net/std/TAP"].get("use") == "base"
    for standard, path in (
        ("VOSI#capabilities", "capabilities"),
        ("VOSI#availability", "availability"),
        ("VOSI#tables-1.1", "tables"),
        ("DALI#examples", "examples"),
    ):
        url = by_standard[f"ivo://ivoa.net/std/{standard}"]
        assert (url.text, url.get("use")) == (f"{server.url}{base}/{path}", "full")
        assert client.http.get(url.text).status_code == 200
    methods = [method.get("ivo-id").rpartition("#")[2] for method in root.findall(".//uploadMethod")]
    assert methods == ["upload-inline", "upload-http", "upload-https"]
    limits = server.settings.limits
    for name, default, hard in (
        ("uploadLimit", limits.upload_rows, limits.upload_rows),
        ("outputLimit", limits.maxrec, limits.maxrec_hard),
        ("executionDuration", limits.async_seconds, limits.async_seconds_hard),
    ):
        element = root.find(f".//{name}")
        assert (int(element.findtext("default")), int(element.findtext("hard"))) == (default, hard)


def test_examples_are_what_dali_wants(client: Client) -> None:
    answer = client.http.get(f"{client.tap}/examples")
    assert answer.headers["content-type"].startswith("application/xhtml+xml")
    root = etree.fromstring(answer.content)
    assert [element.get("vocab") for element in root.iterfind(".//*[@vocab]")] == ["http://www.ivoa.net/rdf/examples#"]
    examples = root.findall(".//*[@typeof='example']")
    assert len({example.get("id") for example in examples}) == len(examples) > 5
    assert not root.findall(".//{*}body//*[@content]")
    for example in examples:
        assert example.get("resource") == f"#{example.get('id')}"
        for name in ("name", "query"):
            (element,) = example.findall(f".//*[@property='{name}']")
            assert element.text
            assert len(element) == 0
        assert example.findall(".//*[@property='table']")
        query = example.find(".//*[@property='query']").text
        found = client.sync(query, FORMAT="votable", MAXREC=100)
        assert found.status_code == 200, found.text
        assert infos(found.content)[0][0] == "OK"
        run = example.find(".//{*}a").get("href")
        assert client.http.get(f"{client.tap}/{run}").status_code == 200


def test_what_is_not_there(client: Client) -> None:
    for path in ("nonsense", "sync/nonsense", "examples/nonsense", "tables/nonsense"):
        assert client.http.get(f"{client.tap}/{path}").status_code == 404
