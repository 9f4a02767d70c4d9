"""Bring a database up to date: logins, pgSphere, the service's own tables, functions, and rights."""

from __future__ import annotations

import psycopg
import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from km3vo.errors import SetupError
from km3vo.settings import PACKAGE
from km3vo.store import embargo, pgsphere, roles
from km3vo.store.cluster_programs import OLDEST
from km3vo.store.database import OWNER, Database

FOLDER = PACKAGE.parent / "migrations"


def upgrade(database: Database) -> str:
    """Bring the database up to date; safe to run again. Returns what was done about pgSphere.

    The administrator makes what needs one (logins, extension, rights); everything else is the owner's.

    Raises:
        SetupError: PostgreSQL is too old, pgSphere is missing, or the server refuses the administrator.
    """
    with database.connect() as admin:
        if admin.info.server_version // 10000 < OLDEST:
            raise SetupError(f"the server's PostgreSQL is too old: km3vo needs {OLDEST} or newer")
        roles.ensure(admin, database)
        admin.commit()
        done = pgsphere.ensure(admin)
        admin.execute("GRANT USAGE ON SCHEMA public TO km3vo_owner")
        admin.execute("CREATE SCHEMA IF NOT EXISTS km3vo AUTHORIZATION km3vo_owner")
        admin.execute("GRANT USAGE ON SCHEMA km3vo TO km3vo_ingest, km3vo_service")
        admin.execute("CREATE SCHEMA IF NOT EXISTS tap_upload AUTHORIZATION km3vo_upload")
        admin.execute("GRANT USAGE ON SCHEMA tap_upload TO km3vo_public, km3vo_member, km3vo_observers")
        roles.lock_down(admin)
    engine = _engine(database)
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(FOLDER))
        config.attributes["connection"] = connection
        # Several branches of migrations are fine, as long as they do not touch the same tables.
        command.upgrade(config, "heads")
    with database.connect(OWNER) as owner:
        embargo.install(owner)
    return done


def current(database: Database) -> tuple[str, str]:
    """The revision of the database (of each branch of migrations), and the newest one there is."""
    with _engine(database).connect() as connection:
        found = MigrationContext.configure(
            connection, opts={"version_table": "migration", "version_table_schema": "km3vo"}
        ).get_current_heads()
    return ", ".join(sorted(found)) or "none", ", ".join(sorted(ScriptDirectory(str(FOLDER)).get_heads()))


def _engine(database: Database) -> sqlalchemy.Engine:
    return sqlalchemy.create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(database.conninfo(OWNER)),
        poolclass=sqlalchemy.NullPool,
    )
