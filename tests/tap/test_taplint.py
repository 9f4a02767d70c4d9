"""STILTS' validator of TAP services finds nothing but what is named here."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from km3vo.database.logins import Database
from tests.support import samples
from tests.support.server import Server

# STILTS 3.4 does not know COALESCE's key; and there is no table of observation schedules in a service of events.
ALLOWED = [
    'E-CAP-KEYX-1 Unknown standard feature key "ivo://ivoa.net/std/TAPRegExt#features-adql-conditional"'
    " for language ADQL",
    "F-LOC-NOTP-1 No table with name ivoa.obsplan",
]


@pytest.mark.client
@pytest.mark.slow
def test_taplint(server: Server, published: Database) -> None:
    program = shutil.which("stilts")
    if program is None:
        pytest.skip("STILTS is not installed")
    samples.send_alerts(published, server.app.state.service.outgoing)
    done = subprocess.run(
        [program, "taplint", f"tapurl={server.tap}", "report=EWF", "maxrepeat=9"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert "Totals:" in done.stdout, done.stdout + done.stderr
    found = re.findall(r"^[EWF]-\w+-\w+.*$", done.stdout, re.MULTILINE)
    assert found in (ALLOWED, ALLOWED[1:])
