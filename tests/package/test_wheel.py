"""What `pip install km3vo-*.whl` brings into an environment that has no checkout beside it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from km3vo.cluster.embedded import Cluster
from tests.support.folders import ROOT

FOLDERS = ("km3vo", "migrations", "schemas")
SECONDS = 300
COUNT = "SELECT count(*) AS n FROM antares.data"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, made as in docker/service.Dockerfile from a copy: a build leaves files behind."""
    source, made = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w"]
    subprocess.run([*command, made, source], check=True)
    (file,) = made.glob("km3vo-*.whl")
    return file


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command km3vo of an environment that has the wheel, and what it depends on from this one."""
    place = tmp_path_factory.mktemp("environment")
    venv.create(place, with_pip=False)
    # A folder that is named in a .pth file is searched, but not for further .pth files: not for this checkout.
    (site,) = place.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    python = place / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", "--no-index"]
    subprocess.run([*command, wheel], check=True)
    where = subprocess.run(
        [python, "-P", "-c", "import km3vo; print(km3vo.__file__)"],
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(where.stdout.strip()).is_relative_to(place)
    return place / "bin" / "km3vo"


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that PostgreSQL can get to, also as another user."""
    folder = Path(tempfile.mkdtemp(prefix="km3vo-wheel-"))
    folder.chmod(0o711)
    yield folder
    Cluster(folder / "cluster").destroy()
    shutil.rmtree(folder)


def test_it_holds_what_is_tracked(wheel: Path) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "--", *FOLDERS], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    expected = {
        name if name.startswith("km3vo/") else f"km3vo/{name}" for name in tracked if not (ROOT / name).is_symlink()
    }
    with zipfile.ZipFile(wheel) as opened:
        assert {name for name in opened.namelist() if name.startswith("km3vo/")} == expected


def test_it_serves(program: Path, home: Path) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("KM3VO_", "PYTHON"))}
    environment |= {"KM3VO_HOME": str(home), "KM3VO_PORT": str(port), "KM3VO_SIMULATED_EVENTS": "100"}
    log = home / "log"
    with log.open("w") as out, subprocess.Popen([program, "up"], cwd="/", env=environment, stderr=out) as running:
        try:
            deadline = time.monotonic() + SECONDS
            while _refused(url):
                assert running.poll() is None and time.monotonic() < deadline, log.read_text()
                time.sleep(0.2)
            answer = httpx.get(f"{url}/tap/sync", params={"LANG": "ADQL", "QUERY": COUNT, "FORMAT": "csv"})
            assert answer.text.splitlines() == ["n", "100"]
            assert "km3net" in httpx.get(url, headers={"Accept": "text/html"}).text
        finally:
            running.send_signal(signal.SIGINT)
    assert "Traceback" not in log.read_text()


def _refused(url: str) -> bool:
    try:
        httpx.get(f"{url}/tap/availability")
    except httpx.TransportError:
        return True
    return False
