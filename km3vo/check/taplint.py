"""taplint, the validator of TAP services in STILTS, where it is installed."""

from __future__ import annotations

import re
import shutil
import subprocess

from km3vo.check.report import Report

SECONDS = 1800
_TOTALS = re.compile(r"Totals: .*")
# It asks every service for a table of planned observations, which a service of events rightly lacks, and STILTS 3.4
# does not know the key by which COALESCE is declared (ADQL 2.1 §4.8).
_EXPECTED = re.compile(r"F-LOC-NOTP|E-CAP-KEYX-\d+ .*#features-adql-conditional")


def check_taplint(base: str, report: Report) -> None:
    """Run all stages against the TAP service and tell what it finds."""
    report.section("taplint")
    program = shutil.which("stilts")
    if program is None:
        report.note("STILTS is not installed here", ["install the package stilts to run taplint"], warning=True)
        return
    try:
        done = subprocess.run(
            [program, "taplint", f"tapurl={base}/tap", "report=EWF"],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        report.note("taplint", [f"not done after {SECONDS} s"])
        return
    found = _TOTALS.search(done.stdout)
    if found is None:
        report.note("taplint", ["it did not end with its totals"])
        return
    lines = [line for line in done.stdout.splitlines() if line.startswith(("E-", "F-")) and not _EXPECTED.match(line)]
    warnings = [line for line in done.stdout.splitlines() if line.startswith("W-")]
    report.note(found[0], lines)
    if warnings:
        report.note("taplint's warnings", warnings, warning=True)
