"""What other servers' test suites ask of a TAP server over HTTP, beside what test_sync.py and test_uws.py ask."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from lxml import etree

from km3vo.check.schemas import Schemas
from tests.support.server import Server
from tests.support.tap import QUICK, UWS, Client, Job

pytestmark = pytest.mark.slow

TABLE = (
    b"<VOTABLE version='1.3' xmlns='http://www.ivoa.net/xml/VOTable/v1.3'><RESOURCE><TABLE>"
    b"<FIELD name='a' datatype='int'/><DATA><TABLEDATA><TR><TD>1</TD></TR></TABLEDATA></DATA>"
    b"</TABLE></RESOURCE></VOTABLE>"
)


def status(document: bytes) -> tuple[str, str]:
    """QUERY_STATUS and its text, of a well-formed document."""
    info = etree.fromstring(document).find(".//{*}RESOURCE[@type='results']/{*}INFO[@name='QUERY_STATUS']")
    return str(info.get("value")), info.text or ""


# Methods and addresses ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "/sync", "/async", "/tables", "/capabilities", "/availability", "/examples"])
def test_head_is_get_without_a_body(client: Client, path: str) -> None:
    parameters = {"LANG": "ADQL", "QUERY": QUICK} if path == "/sync" else {}
    got, head = (client.http.request(method, client.tap + path, params=parameters) for method in ("GET", "HEAD"))
    assert got.status_code == head.status_code == 200
    assert got.headers["content-type"] == head.headers["content-type"]
    assert (head.content, bool(got.content)) == (b"", True)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/sync", "GET, HEAD, OPTIONS, POST"),
        ("/async", "GET, HEAD, OPTIONS, POST"),
        ("/tables", "GET, HEAD, OPTIONS"),
        ("{job}", "DELETE, GET, HEAD, OPTIONS, POST"),
        ("{job}/phase", "GET, HEAD, OPTIONS, POST"),
        ("{job}/results/result", "GET, HEAD, OPTIONS"),
    ],
)
def test_other_methods_are_told_which_there_are(client: Client, path: str, allowed: str) -> None:
    url = client.tap + path if path.startswith("/") else path.replace("{job}", client.job().url)
    answer = client.http.options(url)
    assert (answer.status_code, answer.headers["allow"], answer.content) == (204, allowed, b"")
    for method in {"PUT", "PATCH", "DELETE", "POST"} - set(allowed.split(", ")):
        answer = client.http.request(method, url)
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed), method


def test_pages_elsewhere_may_ask(client: Client) -> None:
    headers = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"}
    assert client.http.options(f"{client.tap}/sync", headers=headers).headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("base", ["{tap}/", "{tap}//", "{root}//tap"])
def test_slashes_too_many_before_the_last_name(client: Client, server: Server, base: str) -> None:
    """pyvo, astroquery and STILTS append /sync to whatever address they are given."""
    base = base.format(tap=client.tap, root=server.url)
    data = {"LANG": "ADQL", "QUERY": QUICK, "FORMAT": "csv"}
    assert client.http.post(f"{base}/sync", data=data).text == client.sync(QUICK).text
    location = client.http.post(f"{base}/async", data=data).headers["location"]
    assert location.startswith(f"{client.tap}/async/")


def test_a_slash_at_the_end(client: Client) -> None:
    data = {"LANG": "ADQL", "QUERY": QUICK, "FORMAT": "csv"}
    assert client.http.post(f"{client.tap}/sync/", data=data).text == client.sync(QUICK).text
    job = client.http.post(f"{client.tap}/async/", data=data).headers["location"]
    assert client.http.post(f"{job}/phase/", data={"PHASE": "RUN"}).status_code == 303
    moved = client.http.get(f"{client.tap}/sync/", params=data)
    assert moved.status_code == 307
    assert client.http.get(moved.headers["location"]).text == client.sync(QUICK).text
    for nothing in ("/nonsense/", "//nonsense", "/sync//nonsense/"):
        answer = client.http.get(client.tap + nothing, follow_redirects=True)
        assert answer.status_code == 404


# Formats --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "sent"),
    [
        ("text/csv", "text/csv;header=present;charset=utf-8"),
        ("application/json", "application/json"),
        ("text/tab-separated-values, application/json;q=0.5", "text/tab-separated-values;charset=utf-8"),
        ("text/csv;q=0.1, application/x-votable+xml; q=0.9", "application/x-votable+xml"),
        ("application/pony", "application/x-votable+xml;serialization=BINARY2"),
        ("*/*", "application/x-votable+xml;serialization=BINARY2"),
        ("", "application/x-votable+xml;serialization=BINARY2"),
        # What Java, astroquery and browsers send without being told.
        ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", "application/x-votable+xml;serialization=BINARY2"),
        ("text/plain", "application/x-votable+xml;serialization=BINARY2"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "application/x-votable+xml;serialization=BINARY2"),
        ("text/csv;q=x", "application/x-votable+xml;serialization=BINARY2"),
    ],
)
def test_accept_counts_where_no_format_is_named(client: Client, accept: str, sent: str) -> None:
    url, asked = f"{client.tap}/sync", {"LANG": "ADQL", "QUERY": QUICK}
    answer = client.http.get(url, params=asked, headers={"Accept": accept})
    assert answer.headers["content-type"] == sent
    assert "Accept" in answer.headers["vary"].split(", ")
    answer = client.http.get(url, params={**asked, "RESPONSEFORMAT": "fits"}, headers={"Accept": accept})
    assert answer.headers["content-type"] == "application/fits"


def test_results_have_names(client: Client) -> None:
    for form, ending in (("votable", "vot"), ("csv", "csv"), ("parquet", "parquet")):
        answer = client.sync("SELECT TOP 1 * FROM ant20_01.main", FORMAT=form)
        assert answer.headers["content-disposition"] == f'inline; filename="ant20_01.main.{ending}"'


def test_both_names_of_the_format(client: Client) -> None:
    assert client.sync(QUICK, FORMAT="csv", RESPONSEFORMAT="csv").status_code == 200
    assert client.sync(QUICK, FORMAT=["csv", "csv"]).status_code == 400


# Parameters -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"MAXREC": " 1 "}, 200),
        ({"MAXREC": "99999999999999999999"}, 200),
        ({"MAXREC": ""}, 200),
        ({"MAXREC": "1e3"}, 400),
        ({"MAXREC": "+3"}, 400),
        ({"MAXREC": "٣"}, 400),
        ({"VERSION": "1.0"}, 200),
        ({"VERSION": "1.1"}, 200),
        ({"VERSION": ""}, 200),
        ({"VERSION": "0.1"}, 400),
        ({"VERSION": "9.9"}, 400),
        ({"REQUEST": "anything"}, 200),
        ({"REQUEST": "getCapabilities"}, 200),
        ({"LANG": " adql-2.0 "}, 200),
        ({"LANG": ""}, 400),
        ({"LANG": "ADQL-3.0"}, 400),
        ({"QUERY": " \n "}, 400),
        ({"QUERY": QUICK + ";"}, 200),
        ({"QUERY": QUICK + " -- and no more"}, 200),
        ({"QUERY": QUICK + "; SELECT 1"}, 400),
        ({"QUERY": QUICK + "; DROP TABLE ant20_01.main"}, 400),
        ({"QUERY": "DELETE FROM ant20_01.main"}, 400),
        ({"QUERY": "SELECT * FROM NO_SUCH_TABLE"}, 400),
        ({"QUERY": "SELECT '\"]]><b>&' AS x FROM nowhere"}, 400),
        ({"RUNID": "x" * 64}, 200),
    ],
)
def test_values(client: Client, parameters: dict[str, str], code: int) -> None:
    answer = client.http.post(f"{client.tap}/sync", data={"LANG": "ADQL", "QUERY": QUICK, **parameters})
    assert answer.status_code == code, answer.text
    value, text = status(answer.content)
    assert (value, bool(text.strip())) == (("OK", False) if code == 200 else ("ERROR", True))
    if code != 200:
        assert answer.headers["content-type"] == "application/x-votable+xml"


def test_capabilities_as_tap_1_0_asked_for_them(client: Client) -> None:
    answer = client.http.get(f"{client.tap}/sync", params={"REQUEST": "getCapabilities"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"{client.tap}/capabilities")


@pytest.mark.parametrize(
    ("upload", "works"),
    [
        ("t,param:t", True),
        ("T,PARAM:t", True),
        (" t, param:t", True),
        ("t,param:t;", True),
        ("t", False),
        ("t,", False),
        ("t,param:", False),
        ("t,param:elsewhere", False),
        (",param:t", False),
        ("t;param:t", False),
        ("t,param:t;T,param:t", False),
        ("schema.t,param:t", False),
        ('"t",param:t', False),
        ("1t,param:t", False),
        ("select,param:t", False),
        ("t,file:///etc/passwd", False),
        ("t,vos:somewhere", False),
        ("t,ftp://example.org/t", False),
        ("t,http://", False),
        ("t,http://127.0.0.1:65000", False),
        ("http://fit://file://x.ab", False),
    ],
)
def test_ways_to_write_upload(client: Client, upload: str, works: bool) -> None:
    answer = client.sync("SELECT * FROM TAP_UPLOAD.t", UPLOAD=upload, FORMAT="votable", files={"t": ("t.xml", TABLE)})
    assert (answer.status_code, status(answer.content)[0]) == ((200, "OK") if works else (400, "ERROR")), answer.text


def test_an_upload_that_was_not_sent(client: Client) -> None:
    query = "SELECT * FROM TAP_UPLOAD.t"
    for answer in (client.sync(query), client.sync(query, UPLOAD="t,param:t")):
        assert answer.status_code == 400
        assert status(answer.content)[0] == "ERROR"


def test_a_connection_serves_on_after_errors(client: Client) -> None:
    for _ in range(3):
        assert client.sync("SELECT nonsense").status_code == 400
        assert client.http.post(f"{client.tap}/nowhere", content=b"x" * 100_000).status_code == 404
        assert client.sync(QUICK).status_code == 200
        assert client.http.put(f"{client.tap}/sync", content=b"x" * 100_000).status_code == 405


# Jobs -----------------------------------------------------------------------------------------------------------------


def test_limits_of_time_with_the_creating_post(client: Client) -> None:
    job = client.job(EXECUTIONDURATION="5", DESTRUCTION="2999-01-01")
    assert job.get("/executionduration").text == "5"
    assert job.get("/destruction").text < "2999"
    assert [p.get("id") for p in job.xml().find("uws:parameters", UWS)] == ["LANG", "QUERY"]
    for wrong in ({"EXECUTIONDURATION": "soon"}, {"DESTRUCTION": "later"}, {"PHASE": "ABORT"}):
        assert client.http.post(f"{client.tap}/async", data=wrong).status_code == 400


def test_a_job_from_the_address_alone(client: Client) -> None:
    asked = {"LANG": "ADQL", "QUERY": QUICK, "FORMAT": "csv", "PHASE": "RUN"}
    answer = client.http.post(f"{client.tap}/async", params=asked)
    assert answer.status_code == 303
    job = Job(client.http, answer.headers["location"])
    assert job.end() == "COMPLETED"
    assert job.xml(WAIT="999999999999").findtext("uws:phase", namespaces=UWS) == "COMPLETED"


def test_get_changes_nothing(client: Client) -> None:
    job = client.job()
    assert job.get("/phase", PHASE="RUN").text == "PENDING"
    assert job.get("", ACTION="DELETE").status_code == 200
    assert job.phase == "PENDING"


def test_what_a_job_has_not(client: Client) -> None:
    job = client.job()
    for path in ("/nonsense", "/results/nonsense", "/results/result", "/error", "/uploads/t", "/parameters/QUERY"):
        assert job.get(path).status_code == 404, path
    for parameters in ({}, {"PHASE": "RUN"}, {"QUERY": "x"}, {"ACTION": "FLY"}):
        assert job.post("", **parameters).status_code == 400, parameters
    assert job.phase == "PENDING"


def test_an_aborted_job_stays_aborted(client: Client, schemas: Schemas) -> None:
    job = client.job()
    assert job.post("/phase", PHASE="ABORT").status_code == 303
    for phase in ("RUN", "ABORT"):
        assert job.post("/phase", PHASE=phase).status_code == 403
    assert job.post("/parameters", MAXREC="1").status_code == 403
    assert job.phase == "ABORTED"
    assert not schemas.mistakes(job.get().content)


def test_job_documents_are_never_compressed_unasked(client: Client) -> None:
    job = client.job("SELECT 1" + " " * 5000)
    plain = client.http.get(job.url, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    asked = client.http.get(job.url, headers={"Accept-Encoding": "gzip"})
    assert asked.headers["content-encoding"] == "gzip"
    assert asked.content == plain.content


# Tables ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ant20_01.main", "ANT20_01.Main", '"ant20_01"."main"', "TAP_SCHEMA.columns"])
def test_a_table_by_its_name_however_it_is_written(client: Client, name: str, schemas: Schemas) -> None:
    answer = client.http.get(f"{client.tap}/tables/{name}")
    assert answer.status_code == 200
    found = etree.fromstring(answer.content)
    assert found.findtext("name").lower() == name.replace('"', "").lower()
    assert not schemas.mistakes(answer.content)


@pytest.mark.parametrize(("parameters", "columns"), [({"detail": "min"}, False), ({"DETAIL": "MAX"}, True), ({}, True)])
def test_how_much_of_the_tables(client: Client, parameters: dict[str, Any], columns: bool) -> None:
    found = etree.fromstring(client.http.get(f"{client.tap}/tables", params=parameters).content)
    assert bool(found.findall(".//column")) == columns
    assert client.http.get(f"{client.tap}/tables", params={"detail": "x"}).status_code == 400


def test_documents_are_valid_and_answer_304(client: Client, schemas: Schemas) -> None:
    for path in ("/tables", "/availability"):
        answer = client.http.get(client.tap + path)
        assert answer.headers["content-type"].startswith("text/xml")
        assert not schemas.mistakes(answer.content)
    for path in ("/capabilities", "/tables", "/examples"):
        first = client.http.get(client.tap + path)
        again = client.http.get(client.tap + path, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


def test_every_answer_says_what_software_it_is(client: Client) -> None:
    """In the form of the softID note, for errors and redirects too."""
    job = client.job()
    for answer in (client.sync(QUICK), client.sync("nonsense"), job.get(), job.post("/phase", PHASE="ABORT"),
                   client.http.get(f"{client.tap}/nothing"), client.http.put(f"{client.tap}/sync")):  # fmt: skip
        assert re.fullmatch(r"km3vo/\S+ IVOA-TAP/1\.1", answer.headers["server"])


def test_every_table_has_the_fields_that_tap_schema_declares(client: Client) -> None:
    names = ("column_name", "datatype", "arraysize", "xtype", "unit", "ucd", "utype")
    declared: dict[str, list[list[str]]] = {}
    query = f"SELECT table_name, {', '.join(names)} FROM tap_schema.columns ORDER BY table_name, column_index"
    for row in client.rows(query):
        declared.setdefault(row["table_name"], []).append([row[name].strip('"') for name in names])
    assert len(declared) > 9
    for table, columns in declared.items():
        answer = client.sync(f"SELECT TOP 1 * FROM {table}", FORMAT="votable/td")
        fields = etree.fromstring(answer.content).findall(".//{*}FIELD")
        found = [[field.get("name"), *(field.get(name) or "" for name in names[1:])] for field in fields]
        assert found == columns, table


def test_the_service_is_where_it_was_asked(client: Client) -> None:
    """Validators compare the addresses that a service declares with the one they came to."""
    asked = client.tap.replace("127.0.0.1", "localhost")
    assert asked != client.tap
    document = client.http.get(f"{asked}/capabilities").text
    assert f'<accessURL use="base">{asked}</accessURL>' in document
    assert "127.0.0.1" not in document
    assert client.http.post(f"{asked}/async").headers["location"].startswith(f"{asked}/async/")


def test_nobody_knows_how_long_an_answer_will_be(client: Client) -> None:
    answer = client.http.head(f"{client.tap}/sync", params={"LANG": "ADQL", "QUERY": QUICK})
    assert answer.status_code == 200
    assert "content-length" not in answer.headers


def test_a_table_as_an_ordinary_field(client: Client) -> None:
    for label in ("mine", "MINE", "Mine"):
        fields = {"LANG": "ADQL", "QUERY": "SELECT * FROM TAP_UPLOAD.t", "UPLOAD": f"t,param:{label}", "FORMAT": "csv"}
        parts = {name: (None, value) for name, value in {**fields, label: "a,b\n1,2\n"}.items()}
        answer = client.http.post(f"{client.tap}/sync", files=parts)
        assert answer.text.split() == ["a,b", "1,2"]


def test_fields_of_a_form_are_utf8_or_refused(client: Client) -> None:
    def asked(text: bytes, charset: str = "") -> httpx.Response:
        query = b"SELECT TOP 1 '%b' AS t FROM tap_schema.tables" % text
        fields = {b"LANG": b"ADQL", b"FORMAT": b"csv", b"QUERY": query}
        parts = b"".join(
            b'--x\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % pair for pair in fields.items()
        )
        kind = {"Content-Type": f"multipart/form-data; boundary=x{charset}"}
        return client.http.post(f"{client.tap}/sync", content=parts + b"--x--\r\n", headers=kind)

    assert asked("Kπ".encode()).text.splitlines()[1] == "Kπ"
    refused = asked(b"K\xe9")
    assert refused.status_code == 400 and "not UTF-8" in refused.text
    assert asked(b"K\xe9", "; charset=iso-8859-1").text.splitlines()[1] == "Ké"
