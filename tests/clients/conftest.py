"""Running the programs that astronomers use."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable

import pytest


@pytest.fixture(scope="session")
def stilts() -> Callable[..., str]:
    """A function that runs STILTS with these arguments and returns what it prints; it must succeed."""
    if shutil.which("stilts") is None:
        pytest.skip("STILTS is not installed: scripts/install.sh --test")

    def run(*arguments: str) -> str:
        done = subprocess.run(["stilts", *arguments], capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run
