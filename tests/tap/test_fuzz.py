"""Whatever is sent, the service answers, and never that it failed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.server import Server
from tests.support.tap import QUICK

# The server's threads use random numbers of their own meanwhile.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisDeprecationWarning"),
]

NAMES = [
    "QUERY", "LANG", "FORMAT", "RESPONSEFORMAT", "MAXREC", "RUNID", "UPLOAD", "REQUEST", "VERSION", "PHASE", "ACTION",
    "WAIT", "LAST", "AFTER", "EXECUTIONDURATION", "DESTRUCTION", "detail",
]  # fmt: skip
GOOD = [
    QUICK, "ADQL", "csv", "votable", "doQuery", "0", "1", "7", "-1", "RUN", "ABORT", "DELETE", "PENDING", "COMPLETED",
    "t,param:part", "t,http://127.0.0.1/x", "2026-01-01T00:00:00Z", "SELECT * FROM tap_upload.t", "min",
    "SELECT TOP 1 * FROM ant20_01.main WHERE 1=CONTAINS(POINT(ra,decl),CIRCLE(1,2,3))",
]  # fmt: skip
ODD = ["", " ", "\0", "\x01\x7f", "'\"<&>;--", "١٢", "1e400", "9" * 40, "٪", "\ud7ff\uffff", "../..", "a" * 3000]
VALUES = st.one_of(st.sampled_from(GOOD), st.sampled_from(ODD), st.text(max_size=30))
PARAMETERS = st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=6)
PATHS = [
    "/sync", "/async", "/async/{id}", "/async/{id}/phase", "/async/{id}/parameters", "/async/{id}/executionduration",
    "/async/{id}/destruction", "/async/{id}/quote", "/async/{id}/owner", "/async/{id}/error", "/async/{id}/results",
    "/async/{id}/results/result", "/async/{id}/uploads/t", "/tables", "/capabilities", "/examples", "/availability",
]  # fmt: skip
FILES = [None, b"a,b\n1,2\n", b"", b"\x00", b"<VOTABLE/>", b"PAR1", b"SIMPLE  =" + b" " * 100]


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["GET", "POST", "POST", "DELETE", "HEAD", "PUT"]),
    path=st.sampled_from(PATHS),
    pairs=PARAMETERS,
    part=st.sampled_from(FILES),
)
def test_no_answer_is_a_failure_of_the_service(
    server: Server, method: str, path: str, pairs: list[tuple[str, str]], part: bytes | None
) -> None:
    with httpx.Client(base_url=server.tap, timeout=90) as http:
        if "{id}" in path:
            url = http.post("/async", data={"LANG": "ADQL", "QUERY": QUICK}).headers["location"]
            path = path.replace("{id}", url.rpartition("/")[2])
        wait = [(name, "1" if name == "WAIT" and value in ("-1", "7") else value) for name, value in pairs]
        fields = [(name, (None, value)) for name, value in wait]
        if method == "POST" and part is not None:
            answer = http.post(path, files=[*fields, ("part", ("f", part))])
        elif method == "POST":
            form: dict[str, list[str]] = {}
            for name, value in wait:
                form.setdefault(name, []).append(value)
            answer = http.post(path, data=form)
        else:
            answer = http.request(method, path, params=[*wait])
    assert answer.status_code < 500, (method, path, pairs, part, answer.text)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from(PATHS),
    kind=st.sampled_from(
        ["", "text/plain", "application/json", "multipart/form-data; boundary=b", "application/x-www-form-urlencoded"]
    ),
    body=st.one_of(
        st.binary(max_size=200),
        st.builds(lambda inner: b"--b\r\n" + inner + b"\r\n--b--\r\n", st.binary(max_size=100)),
    ),
)
def test_bodies_of_any_kind(server: Server, path: str, kind: str, body: bytes) -> None:
    headers = {"Content-Type": kind} if kind else {}
    with httpx.Client(timeout=90) as http:
        answer = http.post(server.tap + path.replace("{id}", "0" * 32), content=body, headers=headers)
    assert answer.status_code < 500, answer.text


# The cones of all tables have the same routes; those of one are asked.
SAME = "__system__|/scs/(?!ant20_01)"


def test_the_openapi_description_leads_to_no_failure(server: Server, tmp_path: Path) -> None:
    """schemathesis asks for all that is described, with values at and beyond the edges of it."""
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "run", f"{server.url}/openapi.json",
        "--checks", "not_a_server_error", "--phases", "coverage,fuzzing", "--max-examples", "10",
        "--request-timeout", "10", "--exclude-path-regex", SAME, "--seed", "1", "--workers", "8",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-1000:]
    assert "Tested: 0" not in done.stdout
