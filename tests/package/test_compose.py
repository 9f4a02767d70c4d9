"""docker-compose.yml and what it builds from."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from starlette.requests import Request

from km3vo.cluster.settings import settings
from km3vo.protocols.http.addresses import client_network
from km3vo.protocols.http.proxies import Proxies
from tests.support.folders import ROOT

FILE = ROOT / "docker-compose.yml"
MEMORY = {"shared_buffers", "max_wal_size"}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    described: dict[str, Any] = yaml.safe_load(FILE.read_text())["services"]
    return described


def test_the_server_is_set_up_as_the_embedded_cluster(services: dict[str, Any]) -> None:
    told = dict(option.removeprefix("--").split("=") for option in services["database"]["command"][1:])
    ours = settings(Path("/x"), Path("/x"), throwaway=False)
    assert {name: value for name, value in told.items() if name not in MEMORY} == {
        name: ours[name] for name in told if name not in MEMORY
    }


def test_users_behind_a_proxy_are_told_apart(services: dict[str, Any]) -> None:
    """A proxy on the machine of the containers comes by their network; without it all would share one quota."""
    _, _, default = services["service"]["environment"]["KM3VO_PROXIES"].partition(":-")
    believed = Proxies(json.loads(default.removesuffix("}")))
    seen = set()
    for client in ("192.0.2.1", "192.0.2.2"):
        scope = {"client": ("172.18.0.1", 1), "scheme": "http", "headers": [(b"x-forwarded-for", client.encode())]}
        assert believed.apply(scope)
        seen.add(client_network(Request({"type": "http", **scope})))
    assert seen == {"192.0.2.1", "192.0.2.2"}
    assert not believed.trusts("203.0.113.1")


def test_the_images_copy_what_is_there(services: dict[str, Any]) -> None:
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for service in services.values():
        recipe = (ROOT / service["build"]["dockerfile"]).read_text()
        for line in re.findall(r"^COPY (.+)$", recipe, flags=re.MULTILINE):
            for source in line.split()[:-1]:
                assert (ROOT / source).exists()
                assert source in let_through


def test_docker_compose_takes_the_file() -> None:
    docker = shutil.which("docker")
    if not docker or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("there is no docker compose here")
    done = subprocess.run(
        [docker, "compose", "--file", FILE, "config", "--quiet"],
        env={**os.environ, "POSTGRES_PASSWORD": "test"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
