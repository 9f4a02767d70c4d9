"""Writes docs/conformance.md: what the validators say of a running service.

km3vo up &
.venv/bin/python scripts/conformance.py http://127.0.0.1:8000
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "conformance.md"
HEAD = """# Conformance

What other people's validators say of this service. Written by `scripts/conformance.py URL`, which asks a running one;
the test suite asks the same of a small one each time it runs (`tests/clients`, `tests/tap`).
"""
SECTION = re.compile(r"^Section (\w+): (.*)$")
REPORT = re.compile(r"^([EWF])-(\w+)-(\w+)-\S+ (.*)$")
SERIALIZATIONS = ("votable", "votable/td", "votable/b")
TABLES = ("ant20_01/main", "antares/data", "icecube/ps3yr", "km3net/events")


def taplint(url: str) -> list[str]:
    """A table of the stages of `stilts taplint`, and every complaint with what is to be said of it."""
    command = ["stilts", "taplint", f"tapurl={url}/tap", "report=EWF", "maxrepeat=3"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    stages: dict[str, str] = {}
    counts: Counter[tuple[str, str]] = Counter()
    complaints = []
    for line in printed.splitlines():
        if found := SECTION.match(line):
            stages[found[1]] = found[2]
        elif found := REPORT.match(line):
            counts[found[2], found[1]] += 1
            complaints.append(f"- `{line[:160]}`")
    totals = next(line for line in printed.splitlines() if line.startswith("Totals"))
    lines = ["## stilts taplint, all stages", "", f"`{_version()}`; {totals}", ""]
    lines += ["| stage | what it checks | errors | warnings | failures |", "|---|---|---|---|---|"]
    for stage, about in stages.items():
        lines.append(f"| {stage} | {about} | " + " | ".join(str(counts[stage, kind]) for kind in "EWF") + " |")
    return [*lines, "", *complaints, ""]


def votlint(url: str) -> list[str]:
    """Every kind of VOTable of every cone search, through `stilts votlint`."""
    lines = ["## stilts votlint, cone searches of 30°", "", "| table | serialization | complaints |", "|---|---|---|"]
    for table in TABLES:
        for form in SERIALIZATIONS:
            document = f"{url}/scs/{table}?RA=180&DEC=0&SR=30&VERB=3&RESPONSEFORMAT={form}"
            command = ["stilts", "votlint", f"votable={document}", "validate=true", "ucd=true", "unit=true"]
            said = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
            lines.append(f"| {table} | {form} | {len(said)} {said[0][:100] if said else ''} |")
    return [*lines, ""]


def _version() -> str:
    printed = subprocess.run(["stilts", "-version"], capture_output=True, text=True, check=True).stdout
    return next((line.strip() for line in printed.splitlines() if "STILTS version" in line), "STILTS")


if __name__ == "__main__":
    service = sys.argv[1].rstrip("/") if len(sys.argv) == 2 else sys.exit(__doc__)
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    PAGE.write_text("\n".join([HEAD, f"Last asked on {today}.", "", *taplint(service), *votlint(service)]))
    sys.stdout.write(f"wrote {PAGE}\n")
