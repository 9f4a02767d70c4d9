"""The databases behind the servers: few events, and all values that could raise an error or change a result."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from km3vo.alerts import intake
from km3vo.alerts.sending.outbox import Outgoing
from km3vo.alerts.tables import AlertTables
from km3vo.catalog.files import read_catalog
from km3vo.catalog.model import Catalog
from km3vo.database.logins import INGEST, MEMBER, OWNER, PUBLIC, SERVICE, Database
from km3vo.registry.refresh import refresh_metadata
from km3vo.settings import Settings
from tests.embargo.lab import SCHEMAS
from tests.support import samples
from tests.support.server import Server, serve

URL = "http://vo.test"
LOOKED = datetime(2025, 6, 1, tzinfo=UTC)  # the clock of the last look, which is public

# Events that became public long ago; what is in them is harmless.
PUBLIC_EVENTS = """
INSERT INTO {} (event_id, mjd, obs_time, ra, dec, err50, energy, nhits, tag)
SELECT 'e' || n, 57000 + n, timestamp '2014-12-09' + n * interval '1 day', mod(10 + n * 0.37, 360),
    20 - mod(n * 0.11, 70), 0.5 + n % 3, 10 + n, 200 + n % 50, (n % 30)::text FROM generate_series(1, 400) AS n
"""
# Events under embargo: every value that could raise an error or change a result somewhere.
HIDDEN_EVENTS = """
INSERT INTO lab.events (event_id, mjd, obs_time, ra, dec, err50, energy, nhits, tag)
SELECT CASE WHEN n % 5 = 0 THEN 'h' ELSE 'secret' END || n, 60000.5, timestamp '2090-01-01' + n * interval '1 day',
    mod(10 + n * 0.01, 360), 20, CASE n % 4 WHEN 0 THEN 89 ELSE 1 END, CASE n % 3 WHEN 0 THEN -5 WHEN 1 THEN 1e300 END,
    CASE n % 4 WHEN 0 THEN 123 WHEN 1 THEN 2000000000 ELSE 200 + n % 50 END,
    CASE n % 4 WHEN 0 THEN 'secret' WHEN 1 THEN '%' WHEN 2 THEN '99999999999' END FROM generate_series(1, 2000) AS n
"""
# Under embargo as well: so many in one cone that a share in anything would show.
CROWD = """
INSERT INTO lab.events (event_id, mjd, obs_time, ra, dec, err50, energy, nhits, tag)
SELECT 'h' || n, 60000.5, '2090-01-01', 200 + n % 100 * 0.003, -40 + n / 100 * 0.003, 0.5, 5, 7, 'x'
FROM generate_series(1, 20000) AS n
"""
PUBLIC_ALERTS = """
INSERT INTO lab.alerts (number, obs_time, event_id)
SELECT n, timestamp '2020-01-01' + n * interval '1 hour', CASE n % 3 WHEN 0 THEN 'e' || n WHEN 1 THEN 'h' || n * 5 END
FROM generate_series(1, 100) AS n
"""
HIDDEN_ALERTS = """
INSERT INTO lab.alerts (number, obs_time, event_id)
SELECT CASE WHEN n = 1 THEN 9223372036854775807 ELSE 100 + n END, timestamp '2090-01-01', 'e' || n
FROM generate_series(1, 300) AS n
"""
# Of the same alert: a link to a public event, and what lies behind the embargo: links to events that do, one of them so
# old that its event alone keeps it back, and candidates.
PUBLIC_LINKS = """
INSERT INTO km3net.alert_links (link_id, event_name, event_id, obs_time)
VALUES ('l1', 'KM3-230213A', 'e17', '2014-12-26')
"""
HIDDEN_LINKS = """
INSERT INTO km3net.alert_links (link_id, event_name, event_id, obs_time)
SELECT 'h' || n, 'KM3-230213A', CASE n % 2 WHEN 0 THEN 'h5' ELSE 'nothing' END,
    CASE n % 3 WHEN 0 THEN timestamp '2015-01-01' ELSE '2090-01-01' END FROM generate_series(1, 300) AS n
"""
HIDDEN_CANDIDATES = """
INSERT INTO km3net.candidates (candidate_id, candidate_time, energy)
VALUES ('c1', '2015-01-01', 5), ('c2', '2090-01-01', 5)
"""
EMBARGOED = ("lab.events", "lab.alerts", "km3net.alert_links", "km3net.candidates")


def fill(database: Database) -> None:
    """Load what is public, and release it."""
    with database.connect(INGEST, autocommit=True) as loader:
        for statement in (
            PUBLIC_EVENTS.format("lab.events"),
            PUBLIC_EVENTS.format("lab.known"),
            PUBLIC_ALERTS,
            PUBLIC_LINKS,
        ):
            loader.execute(statement)
        loader.execute(
            "INSERT INTO km3vo.load (number, published, sha256, file, rows) VALUES (1, 'lab.events', 'x', 'x', 400), "
            "(2, 'lab.alerts', 'x', 'x', 100), (3, 'lab.known', 'x', 'x', 400)"
        )
    release(database)
    send_alerts(database)
    refresh_metadata(Settings(schemas=SCHEMAS, url=URL), database, read_catalog(SCHEMAS))


def send_alerts(database: Database) -> None:
    """Publish alerts, whose offline events may lie under the embargo: one with two revisions, and a test."""
    outgoing = Outgoing(Settings(schemas=SCHEMAS, url=URL), tables=AlertTables(read_catalog(SCHEMAS)))
    with database.connect(SERVICE, autocommit=True) as service:
        for message in (
            samples.km3_230213a(),
            samples.km3_230213a() | {"type": "update", "energy": 2.2e8},
            samples.km3_230213a() | {"alert_id": "t-1", "event_name": "TEST-KM3-230213A", "tense": "test"},
        ):
            intake.accept(service, json.dumps(message).encode(), intake.Sender("tests"), outgoing=outgoing)


def hide(database: Database) -> None:
    """Load what is under embargo, as a loader does."""
    with database.connect(INGEST, autocommit=True) as loader:
        loader.execute(HIDDEN_EVENTS)
        loader.execute(HIDDEN_ALERTS)
        loader.execute(HIDDEN_LINKS)
        loader.execute(HIDDEN_CANDIDATES)
        loader.execute(
            "INSERT INTO km3vo.load (number, published, sha256, file, rows) VALUES (4, 'lab.events', 'y', 'y', 2000)"
        )
    release(database)


def crowd(database: Database) -> None:
    """Load 20,000 embargoed events into one cone; quality control passes them."""
    with database.connect(OWNER, autocommit=True) as owner:
        owner.execute(CROWD)
        owner.execute("SELECT km3vo.set_quality('lab.events', 'passed', NULL, '', '')")


def release(database: Database) -> None:
    """Release what is due and analyse everything."""
    with database.connect(OWNER, autocommit=True) as owner:
        owner.execute("SELECT km3vo.set_quality('lab.events', 'passed', NULL, '', '')")
        for name in EMBARGOED:
            owner.execute("SELECT km3vo.promote(%s, 10000, %s)", (name, LOOKED))
        owner.execute("ANALYZE")


@contextmanager
def served(database: Database, home: Path, catalog: Catalog, **more: Any) -> Iterator[Server]:
    """A server for a database, with its metadata up to date."""
    home.mkdir(exist_ok=True)
    changes: dict[str, Any] = {"schemas": SCHEMAS, "promote_seconds": 0, "metadata_seconds": 0, "url": URL}
    with serve(database, home, **changes | more) as server:
        refresh_metadata(server.settings, database, catalog)
        yield server


def sizes(database: Database) -> tuple[int, int]:
    """How many events a member sees, and the public."""
    with database.connect(MEMBER) as member, database.connect(PUBLIC) as public:
        seen = member.execute("SELECT count(*) FROM lab.events").fetchone()
        shown = public.execute("SELECT count(*) FROM lab.events_public").fetchone()
    assert seen and shown
    return seen[0], shown[0]
