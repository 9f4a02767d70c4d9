"""STILTS, the batch form of TOPCAT, asks the way its users do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.support.databases import ROWS
from tests.support.server import Server

pytestmark = pytest.mark.client


def rows(csv: str) -> list[str]:
    return csv.splitlines()[1:]


def test_tapquery_sync_and_async(server: Server, stilts: Callable[..., str]) -> None:
    query = "SELECT id, nhit FROM ant20_01.main WHERE nhit > 40"
    expected = httpx.get(f"{server.tap}/sync", params={"LANG": "ADQL", "QUERY": query, "FORMAT": "csv"}).text
    for sync in ("true", "false"):
        got = stilts("tapquery", f"tapurl={server.tap}", f"adql={query}", f"sync={sync}", "ofmt=csv")
        assert sorted(rows(got)) == sorted(rows(expected))
        assert rows(got)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file with ten positions."""
    file = tmp_path_factory.mktemp("sources") / "sources.csv"
    file.write_text("\n".join(["name,ra,dec", *(f"s{i},{36 * i},{9 * i - 45}" for i in range(10)), ""]))
    return str(file)


def test_tapquery_with_an_upload(server: Server, stilts: Callable[..., str], sources: str) -> None:
    got = stilts(
        "tapquery", f"tapurl={server.tap}", "nupload=1", f"upload1={sources}", "ufmt1=csv", "upname1=grid", "ofmt=csv",
        "adql=SELECT COUNT(*) AS n FROM TAP_UPLOAD.grid AS g JOIN icecube.ps3yr AS e "
        "ON 1 = CONTAINS(POINT(e.ra, e.dec), CIRCLE(g.ra, g.dec, 180))",
    )  # fmt: skip
    assert rows(got) == [str(10 * ROWS["icecube.ps3yr"])]


def test_tapquery_sends_an_upload_with_a_job(server: Server, stilts: Callable[..., str], sources: str) -> None:
    got = stilts(
        "tapquery", f"tapurl={server.tap}", "sync=false", "nupload=1", f"upload1={sources}", "ufmt1=csv",
        "upname1=grid", "adql=SELECT name, ra FROM TAP_UPLOAD.grid WHERE ra > 100 ORDER BY name", "ofmt=csv",
    )  # fmt: skip
    assert rows(got)[0] == "s3,108"


@pytest.mark.parametrize("form", ["votable-tabledata", "votable-binary-inline", "votable-binary2-inline",
                                  "votable-fits-inline"])  # fmt: skip
def test_votables_of_stilts_can_be_uploaded(
    server: Server, stilts: Callable[..., str], sources: str, tmp_path: Path, form: str
) -> None:
    file = tmp_path / "sources.vot"
    stilts("tpipe", f"in={sources}", "ifmt=csv", f"ofmt={form}", f"out={file}")
    answer = httpx.post(
        f"{server.tap}/sync",
        data={"LANG": "ADQL", "QUERY": "SELECT * FROM TAP_UPLOAD.t ORDER BY name", "FORMAT": "csv",
              "UPLOAD": "t,param:t"},
        files={"t": file.read_bytes()},
    )  # fmt: skip
    assert answer.text.splitlines()[:2] == ["name,ra,dec", "s0,0,-45"]


def test_tapresume(server: Server, stilts: Callable[..., str]) -> None:
    data = {"LANG": "ADQL", "QUERY": "SELECT TOP 3 id FROM ant20_01.main", "PHASE": "RUN"}
    job = httpx.post(f"{server.tap}/async", data=data).headers["location"]
    assert len(rows(stilts("tapresume", f"joburl={job}", "ofmt=csv", "delete=finished"))) == 3
    assert httpx.get(job).status_code == 404


def test_tapskymatch(server: Server, stilts: Callable[..., str], sources: str) -> None:
    got = stilts(
        "tapskymatch", f"tapurl={server.tap}", "taptable=icecube.ps3yr", "taplon=ra", "taplat=dec", f"in={sources}",
        "ifmt=csv", "inlon=ra", "inlat=dec", "sr=10", "find=all", "ofmt=csv",
    )  # fmt: skip
    assert len(rows(got)) > 100


def test_cone(server: Server, stilts: Callable[..., str]) -> None:
    url = f"{server.url}/scs/icecube/ps3yr"
    got = stilts("cone", f"serviceurl={url}", "lon=180", "lat=0", "radius=20", "ofmt=csv")
    expected = httpx.get(url, params={"RA": 180, "DEC": 0, "SR": 20, "RESPONSEFORMAT": "csv"}).text
    assert len(rows(got)) == len(rows(expected)) > 0


def test_coneskymatch(server: Server, stilts: Callable[..., str], sources: str) -> None:
    got = stilts(
        "coneskymatch", "servicetype=cone", f"serviceurl={server.url}/scs/icecube/ps3yr", f"in={sources}", "ifmt=csv",
        "ra=ra", "dec=dec", "sr=10", "find=all", "ofmt=csv",
    )  # fmt: skip
    assert len(rows(got)) > 100


@pytest.mark.parametrize("verbosity", [1, 2, 3])
@pytest.mark.parametrize("form", ["votable", "votable/td", "votable/b"])
def test_votlint_finds_nothing_in_a_cone_search(
    server: Server, stilts: Callable[..., str], verbosity: int, form: str
) -> None:
    url = f"{server.url}/scs/km3net/events?RA=180&DEC=0&SR=30&VERB={verbosity}&RESPONSEFORMAT={form}"
    assert stilts("votlint", f"votable={url}", "validate=true", "ucd=true", "unit=true") == ""
