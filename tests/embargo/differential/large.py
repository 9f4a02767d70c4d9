"""Tables beyond what ANALYZE looks at (30,000 rows), and questions to which a changed plan would give another order."""

from __future__ import annotations

import random
from collections.abc import Iterator

from km3vo.catalog.files import read_catalog
from km3vo.database.logins import INGEST, OWNER, SERVICE, Database
from km3vo.embargo import partitions, statistics
from km3vo.registry.refresh import refresh_metadata
from km3vo.settings import Settings
from tests.embargo.differential.question import Question
from tests.embargo.differential.servers import LOOKED, URL
from tests.embargo.lab import SCHEMAS

PUBLIC, WAITING = 45_000, 1_200
DAYS = 5000  # of public events, from MJD 52000 on
# Rows scattered over sky and time, by a rule that gives each database the same.
EVENTS = """
INSERT INTO lab.events (event_id, mjd, obs_time, ra, dec, err50, energy, nhits, tag)
SELECT %(prefix)s || n, 52000 + n * 7919 %% 5000000 / 1000.0, %(observed)s, n * 12347 %% 360000 / 1000.0,
    n * 7877 %% 170000 / 1000.0 - 85, 0.5 + n %% 3, 10 + n %% 977, n %% 500, (n %% 30)::text
FROM generate_series(%(start)s::bigint, %(start)s::bigint + %(rows)s - 1) AS n
"""
QUALITY = "SELECT km3vo.set_quality('lab.events', %s, %s, 'why', 'who')"


# Editions say of which day they are: the two sides make the same files, although not in the same second.
CLOCK = """
CREATE FUNCTION km3vo.day() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$ BEGIN
    NEW.made_at := date_trunc('day', NEW.made_at);
    RETURN NEW;
END $$;
CREATE TRIGGER day BEFORE INSERT ON km3vo.edition FOR EACH ROW EXECUTE FUNCTION km3vo.day()
"""


def insert(database: Database, prefix: str, observed: str, start: int, rows: int) -> None:
    """Load events as a loader does."""
    with database.connect(INGEST) as loader:
        loader.execute(EVENTS, {"prefix": prefix, "observed": observed, "start": start, "rows": rows})


def fill(database: Database) -> None:
    """Many public events, settled, and some that wait for quality control."""
    catalog = read_catalog(SCHEMAS)
    events = catalog.table("lab.events")
    with database.connect() as admin:
        admin.execute(CLOCK)
    insert(database, "e", "2015-01-01", 1, PUBLIC)
    with database.connect(OWNER) as owner:
        owner.execute(QUALITY, ("passed", None))
    with database.connect(SERVICE, autocommit=True) as service:
        for table in catalog.tables:
            if table.release.embargoed:
                partitions.promote(service, table, at=LOOKED)
    statistics.settle(database, [events])
    insert(database, "w", "2016-01-01", 1_000_001, WAITING)
    with database.connect(OWNER, autocommit=True) as owner:
        statistics.analyze_hidden(owner, events)
    refresh_metadata(Settings(schemas=SCHEMAS, url=URL), database, catalog)


def query(text: str, form: str = "csv") -> Question:
    """A query for /tap/sync."""
    return Question("GET", "/tap/sync", {"LANG": "ADQL", "QUERY": text, "RESPONSEFORMAT": form})


def windows(count: int, seed: int, longest: float = 1600) -> list[Question]:
    """Periods of up to so many days, unsorted: near some length PostgreSQL changes its mind about the plan."""
    chooser = random.Random(seed)
    asked = []
    for _ in range(count):
        length = longest ** chooser.random()
        start = 52000 + chooser.uniform(0, DAYS - length)
        asked.append(
            query(f"SELECT mjd, event_id FROM lab.events WHERE mjd BETWEEN {start:.4f} AND {start + length:.4f}")
        )
    return asked


def others(chooser: random.Random) -> Question:
    """Counts, groups, single events, and the beginning of lists that nobody sorted."""
    number = chooser.randint(1, PUBLIC + 2000)
    return query(
        chooser.choice(
            (
                f"SELECT COUNT(*), MIN(mjd), MAX(energy) FROM lab.events WHERE nhits = {number % 510}",
                f"SELECT * FROM lab.events WHERE event_id IN ('e{number}', 'h{number}', 'w{1_000_000 + number}')",
                f"SELECT TOP {1 + number % 40} event_id, nhits FROM lab.events WHERE nhits > {number % 510}",
                f"SELECT tag, COUNT(*) FROM lab.events WHERE mjd < {52000 + number % 300} GROUP BY tag ORDER BY tag",
                f"SELECT event_id FROM lab.events WHERE 1 / (nhits - {number % 510}) > 1 AND mjd < 52200",
                f"SELECT TOP 5 event_id FROM lab.events WHERE mjd > {52000 + number % DAYS} ORDER BY mjd, event_id",
            )
        )
    )


def cone(chooser: random.Random) -> Question:
    """A small cone search; a hundredth of them with more rows than fit on a page."""
    radius = chooser.choice((0.2, 0.5, 1, 1, 2, 3)) if chooser.random() < 0.99 else 15
    place = {"RA": f"{chooser.uniform(0, 360):.3f}", "DEC": f"{chooser.uniform(-90, 90):.3f}", "SR": f"{radius}"}
    return Question("GET", "/scs/lab/events", place | {"VERB": chooser.choice("123")})


def files(chooser: random.Random) -> Question:
    """Whole lists. Not pages about them: the first who asks for a list after a release has it measured."""
    addresses = (
        "/download/lab/events.csv",
        "/download/lab/events.csv.sha256",
        "/download/lab/events.vot.sha256",
        "/tap/availability",
    )
    return Question("GET", chooser.choice(addresses))


def questions(seed: int, *, of_files: bool = True) -> Iterator[Question]:
    """An endless supply, the same for the same seed: mostly cones, which are answered fast.

    Args:
        of_files: whether some are about files and pages, which are made of several statements.
    """
    chooser = random.Random(seed)
    asked = windows(400, seed, 60)
    while True:
        kind = chooser.random()
        if kind < 0.85:
            yield cone(chooser)
        elif kind < 0.92:
            yield chooser.choice(asked)
        elif kind < 0.93 and of_files:
            yield files(chooser)
        else:
            yield others(chooser)
