"""STILTS' validator of TAP services finds nothing, but for what is named here."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from tests.conftest import Server

# Reports of the version in Debian 12 (3.4.7) that say nothing of this service:
ALLOWED = {
    "W-CAP-CULF",  # features of ADQL 2.1, which it does not know yet; later versions only mention them
    "W-EXA-EXVL",  # example queries in ADQL 2.1, which its own parser does not know; they run all the same
    "F-LOC-NOTP",  # a table of observation schedules, which a service of events has not
}


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
    assert [line for line in found if line[:10] not in ALLOWED] == []
