"""Writes docs/conformance.md: what the validators say of a running service.

km3vo up &
.venv/bin/python scripts/conformance.py http://127.0.0.1:8000
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import httpx

PAGE = Path(__file__).parent.parent / "docs" / "conformance.md"
HEAD = """# Conformance

What other people's validators say of this service. Written by `scripts/conformance.py URL`, which asks a running one;
the test suite asks the same of a small one each time it runs (`tests/clients`, `tests/tap`).

Debian 12's STILTS 3.4.7 is the measure; 3.5.4, asked on the same day, had nothing to add. What stands to the account of
the validators:

- taplint's stage LOC wants `ivoa.obsplan`, schedules of observations, which a service of events has not.
- taplint 3.4.7 takes the key `features-adql-conditional` for a mistake (E-CAP-KEYX). It belongs to ADQL 2.1, and
  without it STILTS 3.5 and today's TOPCAT mark `COALESCE` as unsupported.
- votlint 3.4.7 fails on BINARY and BINARY2 after a polygon, also one that STILTS wrote, and takes the empty cell of a
  missing point for an error in TABLEDATA; 3.5.4 does neither.
- votlint warns of the xtype `moc` (`ivoa.obscore_hea.t_intervals`), which came with DALI 1.2.

TOPCAT 4.8.7 was given a cone search and a TAP query by their addresses, and looked at: both tables are there, with all
columns. Aladin 12 could not be looked at so far: without the servers of the CDS, which the machine could not reach, it
stops while it starts, whatever it is given. pyvo, astroquery and STILTS do their whole repertoire in the tests.
"""
SECTION = re.compile(r"^Section (\w+): (.*)$")
REPORT = re.compile(r"^([EWF])-(\w+)-(\w+)-\S+ (.*)$")
SERIALIZATIONS = ("votable", "votable/td", "votable/b")
TABLES = ("ant20_01/main", "antares/data", "icecube/ps3yr", "km3net/events")
QUERIES = {
    "a hundred events": {"QUERY": "SELECT TOP 100 * FROM km3net.events"},
    "no events": {"QUERY": "SELECT * FROM km3net.events WHERE energy < 0"},
    "more events than MAXREC": {"QUERY": "SELECT * FROM ant20_01.main", "MAXREC": "10"},
    "columns of all tables": {"QUERY": "SELECT * FROM tap_schema.columns"},
    "ObsCore": {"QUERY": "SELECT * FROM ivoa.obscore"},
    "points, circles, distances": {
        "QUERY": "SELECT TOP 9 POINT(ra, dec) AS p, CIRCLE(ra, dec, 1) AS c, DISTANCE(ra, dec, 1, 2) FROM icecube.ps3yr"
    },
    "times before 1970, letters beyond ASCII, arrays, no values": {
        "QUERY": "SELECT CAST('1969-12-31T23:59:59.123456' AS TIMESTAMP) AS t, 'K\u03c0 <&>' AS u,"
        " ivo_histogram(nhit, 0, 100, 9) AS h, CAST(NULL AS BIGINT) AS n FROM ant20_01.main"
    },
    "an error": {"QUERY": "SELECT <b> & FROM nowhere"},
}


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
    """Every kind of VOTable of every cone search and of TAP, through `stilts votlint`."""
    lines = ["## stilts votlint, cone searches of 30°", "", "| table | serialization | complaints |", "|---|---|---|"]
    for table in TABLES:
        lines += _linted(table, f"{url}/scs/{table}?RA=180&DEC=0&SR=30&VERB=3")
    lines += ["", "## stilts votlint, TAP", "", "| answer | serialization | complaints |", "|---|---|---|"]
    for name, parameters in QUERIES.items():
        lines += _linted(name, f"{url}/tap/sync?" + urlencode({"LANG": "ADQL", **parameters}))
    return [*lines, ""]


def _linted(name: str, document: str) -> Iterable[str]:
    """A row for each serialization of a document. (An error comes with status 400, which votlint cannot open.)"""
    for form in SERIALIZATIONS:
        answer = httpx.get(f"{document}&RESPONSEFORMAT={form}", timeout=60)
        command = ["stilts", "votlint", "votable=-", "validate=true", "ucd=true", "unit=true"]
        said = subprocess.run(command, input=answer.content, capture_output=True, check=False).stdout.decode()
        first = said.partition("\n")[0][:100]
        yield f"| {name} | {form} | {len(said.splitlines())} {first} |"


def _version() -> str:
    printed = subprocess.run(["stilts", "-version"], capture_output=True, text=True, check=True).stdout
    return next((line.strip() for line in printed.splitlines() if "STILTS version" in line), "STILTS")


if __name__ == "__main__":
    service = sys.argv[1].rstrip("/") if len(sys.argv) == 2 else sys.exit(__doc__)
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    PAGE.write_text("\n".join([HEAD, f"Last asked on {today}.", "", *taplint(service), *votlint(service)]))
    sys.stdout.write(f"wrote {PAGE}\n")
