"""STILTS' validator of TAP services finds nothing but the one thing named here."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from tests.conftest import Server

# A table of observation schedules, which a service of events has not.
ALLOWED = "F-LOC-NOTP-1 No table with name ivoa.obsplan"


@pytest.mark.client
@pytest.mark.slow
def test_taplint(server: Server) -> None:
    program = shutil.which("stilts")
    if program is None:
        pytest.skip("STILTS is not installed")
    done = subprocess.run(
        [program, "taplint", f"tapurl={server.tap}", "report=EWF", "maxrepeat=9"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert "Totals:" in done.stdout, done.stdout + done.stderr
    found = re.findall(r"^[EWF]-\w+-\w+.*$", done.stdout, re.MULTILINE)
    assert found == [ALLOWED]
