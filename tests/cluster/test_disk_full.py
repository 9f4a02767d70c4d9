"""The disk is full: what is read goes on, what is written is refused in words, and room is enough to go on."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from km3vo.catalog.files import read_catalog
from km3vo.cluster.embedded import Cluster
from km3vo.database.logins import INGEST, Database, read_passwords
from km3vo.errors import Km3voError
from km3vo.jobs import quota
from km3vo.loading import loads
from km3vo.simulation import simulate
from tests.support.databases import make_published
from tests.support.folders import ROOT
from tests.support.server import serve
from tests.support.tap import QUICK, Client

pytestmark = pytest.mark.slow

SORT = "SELECT a.id, b.id FROM icecube.ps3yr AS a, icecube.ps3yr AS b ORDER BY a.ra * b.dec"


@pytest.fixture
def small() -> Iterator[Path]:
    """A disk of 300 MB."""
    with tempfile.TemporaryDirectory(prefix="km3vo-test-") as folder:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300m", "tmpfs", folder], capture_output=True)
        if mounted.returncode:
            pytest.skip("only root may mount a file system")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path) -> Path:
    file = folder / "rubbish"
    with file.open("wb", buffering=0) as out:
        for size in (2**20, 2**12, 1):
            try:
                while True:
                    out.write(bytes(size))
            except OSError:
                pass
    return file


def test_while_the_disk_is_full(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quota, "RESERVE", 2**20)
    monkeypatch.setattr(quota, "YOUNG_SECONDS", 0)
    small.chmod(0o755)
    with Cluster(small / "cluster", throwaway=True).kept() as cluster:
        name = make_published(cluster)
        database = Database(cluster.conninfo(name), read_passwords(cluster.folder))
        with serve(database, small / "home") as server, (client := Client(server)).http:
            rubbish = fill(small)
            cone = f"{server.url}/scs/icecube/ps3yr?RA=180&DEC=0&SR=20"
            for _ in range(3):
                assert httpx.get(cone).status_code == 200
                assert client.sync(QUICK).status_code == 200
                assert httpx.get(f"{server.url}/browse/icecube").status_code == 200
            assert "The service is at work." in httpx.get(f"{server.tap}/availability").text
            sorted_ = client.sync(SORT, MAXREC=4_000_000)
            assert sorted_.status_code == 503
            assert "the disk of the database is full" in sorted_.text
            assert sorted_.headers["retry-after"]
            made = client.http.post(f"{server.tap}/async", data={"LANG": "ADQL", "QUERY": QUICK, "PHASE": "RUN"})
            assert made.status_code == 503
            table = read_catalog(ROOT / "schemas").table("km3net.events")
            with database.connect(INGEST) as loader, pytest.raises(Km3voError) as refused:
                loads.load_batches(loader, table, simulate(table, 200_000, seed=9), name="full", rows=200_000)
            assert "disk" in str(refused.value)
            rubbish.unlink()
            assert client.job(QUICK, PHASE="RUN").end() == "COMPLETED", "without a restart"
            assert httpx.get(cone).status_code == 200
