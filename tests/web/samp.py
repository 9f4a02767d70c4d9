"""A SAMP hub for tests, with the Web Profile that pages speak."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

JSAMP = Path("/usr/share/java/jsamp.jar")
JAVA = ["java", "-Xmx64m", "-Djava.awt.headless=true", "-jar", str(JSAMP)]
PORT = 21012  # of the Web Profile, one for a computer
needs_jsamp = pytest.mark.skipif(not JSAMP.exists() or shutil.which("java") is None, reason="jsamp is not installed")


@contextmanager
def hub(folder: Path) -> Iterator[dict[str, str]]:
    """A hub that lets every page in; the surroundings by which programs find it."""
    if _answers():
        pytest.skip("a SAMP hub of somebody else runs on this computer")
    file = folder / "hub"
    surroundings = os.environ | {"SAMP_HUB": f"std-lockurl:{file.as_uri()}"}
    command = [*JAVA, "hub", "-mode", "no-gui", "-profiles", "web,std", "-web:auth", "true"]
    running = subprocess.Popen(command, env=surroundings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60
        while not (_answers() and file.exists()):
            assert time.monotonic() < end and running.poll() is None, "the hub did not start"
            time.sleep(0.2)
        yield surroundings
    finally:
        running.terminate()
        running.wait(10)


def _answers() -> bool:
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", PORT)) == 0
