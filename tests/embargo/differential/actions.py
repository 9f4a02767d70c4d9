"""What is done while both servers answer: to embargoed events of one of them, or the same to both.

An action is a generator. Where it yields None, embargoed events of one side are in another state than before, and no
answer may tell; where it yields a change, that is made on both sides, since it is public by nature.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from psycopg import sql

from km3vo.catalog.files import read_catalog
from km3vo.catalog.model import Catalog, Table
from km3vo.database.logins import INGEST, MEMBER, OWNER, SERVICE, Database
from km3vo.embargo import corrections, decisions, grants, partitions, statistics
from km3vo.loading import loads
from km3vo.registry.refresh import refresh_metadata
from km3vo.settings import Settings
from tests.embargo.differential import large
from tests.embargo.differential.servers import LOOKED, URL
from tests.embargo.lab import SCHEMAS, allow

HIDDEN = 4_000  # events of one load
ALL_ROWS = "ALTER DATABASE {} SET default_statistics_target TO {}"
ROWS_PER_TARGET = 300  # that ANALYZE looks at
Change = Callable[[Database], None]


@dataclass
class Sides:
    """The two databases, and what the actions need beside them."""

    bare: Database
    loaded: Database
    catalog: Catalog
    folder: Path
    loads: int = 0

    @property
    def both(self) -> tuple[Database, Database]:
        return self.bare, self.loaded

    @property
    def events(self) -> Table:
        return self.catalog.table("lab.events")

    def home(self, database: Database) -> Path:
        """Where the server of one side keeps its files."""
        return self.folder / ("a" if database is self.bare else "b")

    def describe(self, database: Database) -> None:
        """Bring pages, editions and records of one side up to date."""
        refresh_metadata(Settings(home=self.home(database), schemas=SCHEMAS, url=URL), database, self.catalog)

    def hidden_rows(self) -> dict[str, object]:
        """The parameters of ``large.EVENTS`` for events that nobody loaded yet and that are not due for long."""
        self.loads += 1
        start = 10_000_000 * self.loads
        return {"prefix": "h", "observed": "2090-01-01", "start": start, "rows": HIDDEN}


Action = Callable[[Sides], Generator[Change | None]]


@contextmanager
def loading(sides: Sides) -> Iterator[psycopg.Connection]:
    """A load of embargoed events that takes its time."""
    with sides.loaded.connect(INGEST) as loader:
        loader.execute(large.EVENTS, sides.hidden_rows())
        yield loader
        loader.commit()


def load_by_command(sides: Sides) -> Generator[Change | None]:
    """As `km3vo load` does: a file, then the statistics."""
    file = sides.folder / f"{sides.loads}.csv"
    rows = [f"f{n},84417,2090-01-01T00:00:00,{n % 360},{n % 90},1,{n},{n % 500},x" for n in range(sides.loads, 3000)]
    file.write_text("event_id,mjd,obs_time,ra,dec,err50,energy,nhits,tag\n" + "\n".join(rows) + "\n")
    with sides.loaded.connect(INGEST) as loader:
        loads.load(loader, sides.events, [file])
    yield None
    with sides.loaded.connect(OWNER) as owner:
        loads.analyze(owner, sides.events)
    yield None
    sides.describe(sides.loaded)
    yield None


def load_slowly(sides: Sides) -> Generator[Change | None]:
    """What is loaded, and not committed yet; then loaded, then analysed."""
    with loading(sides):
        yield None
    yield None
    with sides.loaded.connect(OWNER) as owner:
        loads.analyze(owner, sides.events)
    yield None


def load_in_vain(sides: Sides) -> Generator[Change | None]:
    """A load that is given up, and what autovacuum does afterwards."""
    with sides.loaded.connect(INGEST) as loader:
        loader.execute(large.EVENTS, sides.hidden_rows())
        yield None
        loader.rollback()
    with sides.loaded.connect(OWNER, autocommit=True) as owner:
        owner.execute("VACUUM ANALYZE lab.events_embargo")
    yield None


def correct(sides: Sides) -> Generator[Change | None]:
    """Embargoed events are superseded, withdrawn and reinstated, and a load is undone."""
    events = sides.events
    file = sides.folder / "corrected.csv"
    numbers = []
    for version in (1, 2):
        rows = [f"c{n},84417,2090-01-01T00:00:00,{n % 360},{n % 90},1,{n},{version},x" for n in range(2000 // version)]
        file.write_text("event_id,mjd,obs_time,ra,dec,err50,energy,nhits,tag\n" + "\n".join(rows) + "\n")
        how = loads.Superseding("why", "who", period=(84000, 85000)) if version == 2 else None
        with sides.loaded.connect(INGEST) as loader:
            numbers.append(loads.load(loader, events, [file], superseding=how).files[0].number or 0)
        yield None
    with sides.loaded.connect(OWNER) as owner:
        some = corrections.ByIds([f"c{n}" for n in range(500)])
        corrections.withdraw(owner, events, some, public=False, reason="why", who="who")
        yield None
        corrections.reinstate(owner, events, some, reason="why", who="who")
        yield None
        corrections.unload(owner, numbers[1], public=False, reason="why", who="who")
        loads.analyze(owner, events)
    yield None
    sides.describe(sides.loaded)
    release_what_is_due(sides.loaded)
    yield None


def withdraw_from_both(sides: Sides) -> Generator[Change | None]:
    """Public events go on both sides while one side loads; then others are released, and lie alike."""

    def go(database: Database) -> None:
        with database.connect(OWNER) as owner:
            gone = corrections.ByIds([f"e{n}" for n in range(1, 2000, 7)])
            corrections.withdraw(owner, sides.events, gone, public=True, reason="why", who="who")

    yield go
    yield passing("w10001[0-2]")
    with loading(sides):
        yield settle
        yield None
        yield release_what_is_due
        yield None
        yield settle
        yield sides.describe
    yield None


def judge(sides: Sides) -> Generator[Change | None]:
    """Quality control passes and fails events that are not due."""
    with sides.loaded.connect(OWNER) as owner:
        for verdict in ("failed", "passed"):
            decisions.set_quality(owner, sides.events, verdict, named(owner, "h.*7"), reason="why", who="who")
            yield None
    release_what_is_due(sides.loaded)
    yield None


def decide(sides: Sides) -> Generator[Change | None]:
    """Holds and early releases of events that are not due, and of some that are not there."""
    with sides.loaded.connect(OWNER) as owner:
        decisions.hold(owner, sides.events, "h10000007", until=None, reason="why", who="who")
        yield None
        later = datetime(2080, 1, 1, tzinfo=UTC)
        decisions.release_early(owner, sides.events, "h10000008", at=later, reason="why", who="who")
        decisions.hold(owner, sides.events, "not there", until=later, reason="why", who="who")
        yield None
        decisions.lift(owner, sides.events, "h10000007", reason="why", who="who")
    release_what_is_due(sides.loaded)
    yield None


def grant(sides: Sides) -> Generator[Change | None]:
    """An observer and a member read embargoed events, until the grant is revoked."""
    number = allow(sides.loaded, sides.events, "olga")
    yield None
    with closing(sides.loaded.connect(grants.login_of("olga"))) as observer, sides.loaded.connect(MEMBER) as member:
        observer.execute("SELECT * FROM lab.events_observed").fetchmany(10)
        member.execute("SELECT * FROM lab.events ORDER BY energy").fetchmany(10)
        yield None
        grants.revoke(sides.loaded, number)
    yield None


def release_and_describe(sides: Sides) -> Generator[Change | None]:
    """Events become public on both sides, and what is told about them follows."""
    yield passing("w10000[0-2]")
    yield release_what_is_due
    yield None
    yield sides.describe
    yield None


def release_during_a_load(sides: Sides) -> Generator[Change | None]:
    """A load is under way on one side; the release does not wait, and leaves the same behind."""
    yield passing("w10000[3-5]")  # quality control waits for loads
    with loading(sides):
        yield release_what_is_due
        yield None
        yield settle
        yield None
        yield sides.describe
    yield None


def release_with_a_hold(sides: Sides) -> Generator[Change | None]:
    """On both sides an event that is due is held; on one side others are as well."""
    with sides.loaded.connect(OWNER) as owner:
        decisions.hold(owner, sides.events, "h10000009", until=None, reason="why", who="who")
    yield passing("w10000[6-9]")
    yield holding("w1000061")
    yield release_what_is_due
    yield None
    yield settle
    yield sides.describe
    yield None


def passing(pattern: str) -> Change:
    """Quality control passes waiting events of these names."""

    def change(database: Database) -> None:
        with database.connect(OWNER) as owner:
            owner.execute(large.QUALITY, ("passed", named(owner, pattern)))

    return change


def named(owner: psycopg.Connection, pattern: str) -> list[str]:
    """The embargoed events of such names."""
    found = owner.execute("SELECT event_id FROM lab.events_embargo WHERE event_id ~ %s", (f"^{pattern}",))
    return [event for (event,) in found.fetchall()]


def holding(event: str) -> Change:
    """Keep an event back."""

    def change(database: Database) -> None:
        with database.connect(OWNER) as owner:
            table = read_catalog(SCHEMAS).table("lab.events")
            decisions.hold(owner, table, event, until=None, reason="why", who="who")

    return change


def release_what_is_due(database: Database) -> None:
    """As the service does now and then; by a clock that is the same on both sides."""
    with database.connect(SERVICE, autocommit=True) as service:
        for table in read_catalog(SCHEMAS).tables:
            if table.release.embargoed:
                partitions.promote(service, table, at=LOOKED)


def settle(database: Database) -> None:
    """Renew what plans hang on, as if the public rows had grown by more than a tenth.

    Of all rows, else by chance: from a sample of them the two sides would draw different conclusions.
    """
    with database.connect(autocommit=True) as admin:
        name, target = sql.Identifier(admin.info.dbname), sql.Literal(2 * large.PUBLIC // ROWS_PER_TARGET)
        admin.execute("UPDATE km3vo.embargoed SET settled_rows = 1 WHERE published = 'lab.events'")
        admin.execute(sql.SQL(ALL_ROWS).format(name, target))
        assert statistics.settle(database, read_catalog(SCHEMAS).tables)
        admin.execute(sql.SQL(ALL_ROWS).format(name, sql.DEFAULT))


ACTIONS: tuple[Action, ...] = (
    load_by_command,
    load_slowly,
    load_in_vain,
    correct,
    judge,
    decide,
    grant,
    release_and_describe,
    release_during_a_load,
    release_with_a_hold,
    withdraw_from_both,
)
