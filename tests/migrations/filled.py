"""A database with rows in every table of the service, and one like it from each earlier revision (databases/).

A new migration is tried on the databases that were kept before it. ``python -m tests.migrations.filled`` keeps one of
the newest revision; run it, and commit what it writes, when a revision is released.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from km3vo.alerts import holding, intake
from km3vo.alerts.sending.channels import Channel
from km3vo.alerts.sending.outbox import Outgoing
from km3vo.catalog.files import read_catalog
from km3vo.cluster import programs
from km3vo.cluster.embedded import Cluster
from km3vo.database import migrations
from km3vo.database.logins import INGEST, OWNER, SERVICE, Database, read_passwords
from km3vo.embargo import decisions, grants, partitions, roles, tokens
from km3vo.loading import loads
from km3vo.settings import Settings
from tests.support import samples
from tests.support.databases import make_tables

DATABASES = Path(__file__).parent / "databases"
CATALOG = read_catalog(Path(__file__).parent / "schemas")
SCHEMAS = ("km3vo", "kept", "tap_schema", "tap_upload")
OBSERVER = "Ada Observer"
OUTGOING = Outgoing(Settings(), (Channel(name="hook", kind="webhook", to="https://example.org"),))
MJD = datetime(1858, 11, 17, tzinfo=UTC)
OLD, NEW = datetime(2020, 1, 1, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC)


def bring_up_to_date(database: Database) -> None:
    """What `km3vo db upgrade` and `km3vo publish` do."""
    make_tables(database, CATALOG)


def fill(database: Database) -> None:
    """Put rows into every table: public, embargoed, held and early events, and what the service notes."""
    events, known = CATALOG.table("kept.events"), CATALOG.table("kept.known")
    with tempfile.TemporaryDirectory() as folder, database.connect(INGEST) as loader:
        for table, times in ((events, (OLD, OLD, NEW, NEW)), (known, (OLD, NEW))):
            file = Path(folder) / f"{table.name}.csv"
            rows = [
                f"{table.name}{number},{(time - MJD).days},{time:%Y-%m-%dT%H:%M:%S},{number}.5,-20,1,100"
                for number, time in enumerate(times)
            ]
            file.write_text("\n".join(["event_id,mjd,obs_time,ra,dec,err50,energy", *rows]))
            loads.load(loader, table, [file])
    with database.connect(OWNER) as owner:
        decisions.hold(owner, events, "events0", until=None, reason="to be looked at", who="tests")
        decisions.release_early(owner, events, "events2", at=NEW, reason="a coincidence", who="tests")
        tokens.create(owner, OBSERVER, audience="observer", label="laptop", valid=timedelta(days=9), by="tests")
    with database.connect(SERVICE, autocommit=True) as service:
        partitions.promote(service, events)
        service.execute(
            "INSERT INTO km3vo.coverage (published, rows, fingerprint, computed_at) "
            "VALUES ('kept.known', 2, '2.96', now()), ('kept.events', 1, '1.4f', now())"
        )
        service.execute(
            "INSERT INTO km3vo.edition (published, number, rows, fingerprint, made_at) "
            "VALUES ('kept.known', 1, 2, '2.96', now())"
        )
        service.execute(
            "INSERT INTO km3vo.download (published, number, extension, sha256, bytes) "
            "VALUES ('kept.known', 1, 'csv', 'ab', 100)"
        )
        service.execute(
            "INSERT INTO km3vo.record (identifier, xml, created, updated) VALUES ('ivo://kept', '<r/>', now(), now())"
        )
        service.execute(
            "INSERT INTO km3vo.access_log (who, audience, client, method, path, parameters, status) "
            "VALUES ('Ada', 'member', '127.0.0.1', 'GET', '/tap/sync', '', 200)"
        )
        service.execute(
            "INSERT INTO km3vo.session (sha256, name, shown, member, ends_at) "
            "VALUES ('x', 'ada@sso', 'Ada', true, now())"
        )
        service.execute(
            "INSERT INTO km3vo.alert_subscription (name, token, condition, tests, address, format) "
            "VALUES ('0123456789ab', 'x', 'ra < 95', false, 'ada@example.org', 'txt')"
        )
        service.execute("INSERT INTO km3vo.login (sha256, next, ends_at) VALUES ('x', '/', now())")
        service.execute(
            "INSERT INTO km3vo.job (id, kind, audience, client, phase, queued, parameters, seconds, destruction) "
            "VALUES ('a', 'query', 'public', '127.0.0.1', 'QUEUED', now(), '[[\"QUERY\", \"SELECT 1\"]]', 60, "
            "'2999-01-01')"
        )
        intake.accept(service, json.dumps(samples.km3_230213a()).encode(), intake.Sender("tests"), outgoing=OUTGOING)
        holding.pause(service, "arca_HE", reason="a test", by="tests")
        waiting = samples.km3_230213a() | {"alert_id": "held", "pipeline": "arca_HE", "event_name": "KM3-230213B"}
        intake.accept(service, json.dumps(waiting).encode(), intake.Sender("tests"))
    grants.add(
        database,
        events,
        OBSERVER,
        observed_from=None,
        observed_to=None,
        ends_at=NEW,
        reason="a paper",
        by="tests",
    )


def restore(database: Database, dump: Path) -> None:
    """Put a kept database into an empty one that has pgSphere."""
    with database.connect() as admin:
        roles.ensure(admin, database)
        roles.ensure_observer(admin, database, grants.login_of(OBSERVER))
        admin.commit()
        admin.execute(dump.read_bytes())


def dump(database: Database) -> str:
    """A database as statements, without what depends on the version of PostgreSQL."""
    place = conninfo_to_dict(database.admin)
    program = programs.find()["pg_dump"]
    done = subprocess.run(
        [
            program,
            "--inserts",
            "--exclude-table-data=tap_schema.*",
            *(f"--schema={name}" for name in SCHEMAS),
            f"--dbname={database.admin}",
        ],
        capture_output=True,
        text=True,
        check=True,
        env={"PGPASSWORD": str(place.get("password", ""))},
    )
    text = re.sub(r"^(--.*|\\.*|SET transaction_timeout.*)\n", "", done.stdout, flags=re.MULTILINE)
    return re.sub(r"\n{2,}", "\n\n", text).lstrip()


def main() -> None:
    """Keep a database of the newest revision."""
    with tempfile.TemporaryDirectory(prefix="km3vo-kept-") as folder:
        Path(folder).chmod(0o711)
        with Cluster(Path(folder) / "cluster", throwaway=True).kept() as cluster:
            database = Database(cluster.conninfo(), read_passwords(cluster.folder))
            bring_up_to_date(database)
            fill(database)
            DATABASES.mkdir(exist_ok=True)
            (DATABASES / f"{migrations.revisions()[-1]}.sql").write_text(dump(database))


if __name__ == "__main__":
    main()
