"""Bring a database up to date: logins, pgSphere, the service's own tables, functions, and rights."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

from km3vo.cluster.programs import OLDEST
from km3vo.database import migrations, pgsphere, statistics
from km3vo.database.logins import OWNER, Database
from km3vo.embargo import clock, partitions, roles
from km3vo.errors import SetupError

SCHEMAS = (
    "GRANT USAGE ON SCHEMA public TO km3vo_owner",
    "CREATE SCHEMA IF NOT EXISTS km3vo AUTHORIZATION km3vo_owner",
    "GRANT USAGE ON SCHEMA km3vo TO km3vo_ingest, km3vo_service",
    "CREATE SCHEMA IF NOT EXISTS tap_upload AUTHORIZATION km3vo_upload",
    "GRANT USAGE ON SCHEMA tap_upload TO km3vo_public, km3vo_member, km3vo_observers",
)
UNSYNCHRONISED = (
    "Nobody keeps the clock of this machine right, by which events become public: it says {:%Y-%m-%d %H:%M} UTC."
)


def upgrade(database: Database, *, new_passwords: bool = False) -> str:
    """Bring the database up to date; safe to run again. Returns what there is to tell.

    The administrator makes what needs one (logins, extension, rights); everything else is the owner's.

    Args:
        database: the one to bring up to date.
        new_passwords: whether the logins' passwords may be replaced that another home has made.

    Raises:
        SetupError: the passwords are another home's, PostgreSQL is too old, pgSphere is missing, the server refuses the
            administrator, or a newer km3vo was here before.
    """
    migrations.check_known(database)
    with database.connect() as admin:
        if admin.info.server_version // 10000 < OLDEST:
            raise SetupError(f"the server's PostgreSQL is too old: km3vo needs {OLDEST} or newer")
        roles.ensure(admin, database, new_passwords=new_passwords)
        admin.commit()
        done = pgsphere.ensure(admin)
        statistics.ensure(admin)
        for statement in SCHEMAS:
            admin.execute(statement)
        roles.lock_down(admin)
    migrations.apply(database)
    with database.connect(OWNER) as owner:
        partitions.install(owner)
        with contextlib.suppress(SetupError):  # releases will say so, and wait
            clock.look(owner)
    return done if clock.machine().synchronised else f"{done} {UNSYNCHRONISED.format(datetime.now(UTC))}"
