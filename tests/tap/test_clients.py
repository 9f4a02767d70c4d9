"""pyvo and astroquery use the whole of it, as notebooks do."""

from __future__ import annotations

import gc
import io
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import pyvo
import requests
from astropy.table import Table
from astroquery.utils.tap.core import TapPlus

from tests.support.server import Server
from tests.support.tap import ENDLESS, member

pytestmark = [pytest.mark.client, pytest.mark.filterwarnings("ignore")]
QUERY = "SELECT TOP 5 id, ra, decl FROM ant20_01.main ORDER BY id"
SOURCES = Table({"name": ["a", "b"], "ra": [10.0, 350.0], "dec": [20.0, -20.0]})


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """What these clients leave open is collected here, where nobody minds."""
    yield
    gc.collect()


@pytest.fixture
def service(server: Server) -> Any:
    return pyvo.dal.TAPService(server.tap)


def test_pyvo_knows_the_service(service: Any) -> None:
    assert service.available
    assert "km3net.events" in service.tables
    assert service.maxrec > 0
    assert {method.ivo_id.rpartition("#")[2] for method in service.upload_methods} >= {"upload-inline", "upload-http"}
    assert len(service.examples) > 5
    assert service.examples[0].execute().fieldnames


def test_pyvo_sync_async_and_overflow(service: Any) -> None:
    assert service.run_sync(QUERY)["id"].tolist() == service.run_async(QUERY)["id"].tolist()
    cut = service.run_sync("SELECT id FROM ant20_01.main", maxrec=3)
    assert len(cut) == 3
    assert cut.status[0] == "OVERFLOW"


def test_pyvo_jobs(service: Any) -> None:
    job = service.submit_job(QUERY, maxrec=2)
    assert job.phase == "PENDING"
    job.execution_duration = 100
    assert job.execution_duration.to_value("s") == 100
    job.query = "SELECT TOP 1 id FROM ant20_01.main"
    job.run().wait(timeout=60)
    job.raise_if_error()
    assert len(job.fetch_result()) == 1
    assert job.result_uri.startswith("http")
    url = job.url
    assert pyvo.dal.AsyncTAPJob(url).phase == "COMPLETED"
    job.delete()
    with pytest.raises(pyvo.dal.DALServiceError, match="no such job"):
        pyvo.dal.AsyncTAPJob(url)


def test_pyvo_errors_and_abort(service: Any) -> None:
    with pytest.raises(pyvo.dal.DALQueryError, match="nothing"):
        service.run_sync("SELECT nothing FROM ant20_01.main")
    job = service.submit_job("SELECT nothing FROM ant20_01.main").run().wait(timeout=60)
    with pytest.raises(pyvo.dal.DALQueryError, match="nothing"):
        job.raise_if_error()
    job.delete()
    job = service.submit_job(ENDLESS).run()
    while job.phase == "QUEUED":
        pass
    job.abort()
    assert job.phase == "ABORTED"
    job.delete()


def test_pyvo_uploads(service: Any) -> None:
    query = "SELECT name, ra FROM TAP_UPLOAD.sources WHERE name <> 'x' ORDER BY name"
    assert service.run_sync(query, uploads={"sources": SOURCES})["name"].tolist() == ["a", "b"]
    assert service.run_async(query, uploads={"sources": SOURCES})["name"].tolist() == ["a", "b"]
    again = service.run_sync(QUERY)
    assert len(service.run_sync("SELECT * FROM TAP_UPLOAD.again", uploads={"again": again})) == 5


@pytest.fixture
def tap_plus(server: Server) -> Iterator[TapPlus]:
    yield TapPlus(url=server.tap)


def test_tap_plus_knows_the_tables(tap_plus: TapPlus, server: Server) -> None:
    names = {table.get_qualified_name() for table in tap_plus.load_tables(only_names=True)}
    tables = {table.get_qualified_name(): table for table in tap_plus.load_tables()}
    assert names == set(tables)
    assert [column.name for column in tap_plus.load_table("ant20_01.main").columns][:2] == ["id", "ra"]
    assert all(table.columns for table in tables.values())
    with pytest.raises(Exception, match="no table"):
        tap_plus.load_table("ant20_01.nothing")
    # What it needs is not for others: it is unknown to the schemas of the IVOA.
    assert b"esatapplus" not in httpx.get(f"{server.tap}/tables").content


def test_tap_plus_formats(tap_plus: TapPlus) -> None:
    for form in ("votable", "csv", "ecsv", "json"):
        found = tap_plus.launch_job(QUERY, output_format=form).get_results()
        assert len(found) == 5
        assert str(found["ra"].unit) == ("None" if form == "csv" else "deg")


@pytest.mark.parametrize("form", ["votable", "csv"])
@pytest.mark.parametrize("kind", ["launch_job", "launch_job_async"])
def test_tap_plus_uploads_tables(tap_plus: TapPlus, kind: str, form: str) -> None:
    """It sends FORMAT=votable and format=csv, both of them."""
    query = "SELECT u.name, u.ra FROM TAP_UPLOAD.mine AS u ORDER BY u.name"
    job = getattr(tap_plus, kind)(query, upload_resource=SOURCES, upload_table_name="mine", output_format=form)
    assert job.get_results()["ra"].tolist() == [10.0, 350.0]


def test_tap_plus_finds_and_removes_jobs(tap_plus: TapPlus, server: Server) -> None:
    done = tap_plus.launch_job_async(QUERY)
    running = tap_plus.launch_job_async(ENDLESS, background=True)
    assert len(tap_plus.load_async_job(jobid=done.jobid).get_results()) == 5
    assert tap_plus.list_async_jobs() == []  # of nobody in particular
    with pytest.raises(Exception, match="no such job"):
        tap_plus.remove_jobs([done.jobid, "0" * 32])
    assert done.get_phase(update=True) == "COMPLETED"
    tap_plus.remove_jobs([done.jobid, running.jobid])
    for job in (done, running):
        assert httpx.get(f"{server.tap}/async/{job.jobid}").status_code == 404


def test_tap_plus(tap_plus: TapPlus, tmp_path: Any) -> None:
    sync = tap_plus.launch_job(QUERY).get_results()
    # It posts PHASE=RUN with the job, and waits for ever where that is not heard.
    background = tap_plus.launch_job_async(QUERY, background=True)
    job = tap_plus.launch_job_async(QUERY)
    assert job.get_phase() == "COMPLETED"
    assert list(job.get_results()["id"]) == list(sync["id"])
    background.wait_for_job_end()
    assert list(background.get_results()["id"]) == list(sync["id"])
    file = tmp_path / "sources.vot"
    SOURCES.write(str(file), format="votable")
    for launch in (tap_plus.launch_job, tap_plus.launch_job_async):
        found = launch("SELECT name FROM tap_upload.mine", upload_resource=str(file), upload_table_name="mine")
        assert sorted(found.get_results()["name"]) == ["a", "b"]


def test_tap_plus_says_what_is_wrong(tap_plus: TapPlus) -> None:
    with pytest.raises(Exception, match="nothing"):
        tap_plus.launch_job("SELECT nothing FROM ant20_01.main")
    with pytest.raises(Exception, match="nothing"):
        tap_plus.launch_job_async("SELECT nothing FROM ant20_01.main")


def test_a_table_in_memory_becomes_every_serialization(service: Any) -> None:
    for form in ("tabledata", "binary", "binary2"):
        out = io.BytesIO()
        SOURCES.write(out, format="votable", tabledata_format=form)
        out.seek(0)
        found = service.run_sync("SELECT * FROM TAP_UPLOAD.t", uploads={"t": out})
        assert found["ra"].tolist() == [10.0, 350.0]


def test_pyvo_lists_the_jobs_of_whoever_has_a_token(server: Server) -> None:
    session = requests.Session()
    session.headers.update(member(server, "vera"))
    mine, nobodys = pyvo.dal.TAPService(server.tap, session=session), pyvo.dal.TAPService(server.tap)
    done, waiting = mine.submit_job(QUERY).run().wait(timeout=60), mine.submit_job(QUERY)
    assert [job.jobid for job in mine.get_job_list()] == [waiting.job_id, done.job_id]
    assert [job.jobid for job in mine.get_job_list(phases="COMPLETED")] == [done.job_id]
    assert [job.jobid for job in mine.get_job_list(last=1)] == [waiting.job_id]
    assert nobodys.get_job_list() == []
    assert done.owner == "vera"
    assert len(done.fetch_result()) == 5
