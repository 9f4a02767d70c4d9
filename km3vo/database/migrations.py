"""The migrations of the service's own tables (migrations/): one line of numbered revisions, forwards only.

Alembic runs them, as the owner. Its import takes longer than a start of the service may, so only what migrates pays it.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import psycopg

from km3vo.database.logins import OWNER, Database
from km3vo.errors import SetupError

IS_MIGRATED = "SELECT to_regclass('km3vo.migration') IS NOT NULL"
REVISIONS = "SELECT version_num FROM km3vo.migration ORDER BY 1"
# Two who upgrade one database do it one after the other.
WAIT = "SELECT pg_advisory_xact_lock(20305)"

FOLDER = Path(str(resources.files("km3vo") / "migrations"))


def revisions() -> list[str]:
    """The numbers of all revisions, oldest first: those with which the files in migrations/versions begin."""
    return sorted(file.name.partition("_")[0] for file in (FOLDER / "versions").glob("*.py"))


def current(database: Database) -> str | None:
    """The revision of the database; None when it has none of the service's tables yet.

    Raises:
        SetupError: the server cannot be reached.
    """
    with database.connect() as admin:
        if admin.execute(IS_MIGRATED).fetchone() == (False,):
            return None
        return ", ".join(number for (number,) in admin.execute(REVISIONS)) or None


def check_known(database: Database) -> str | None:
    """The revision of the database, as `current`, unless a newer km3vo made it.

    Raises:
        SetupError: this one does not know the revision.
    """
    revision = current(database)
    if revision is not None and revision not in revisions():
        raise SetupError(
            f"the database has revision {revision}, and this km3vo knows none after {revisions()[-1]}: "
            "install the newer km3vo that made it"
        )
    return revision


def check_newest(database: Database) -> None:
    """Look that the database has the newest revision, the one that this code was written for.

    Raises:
        SetupError: it has another, or none; the text names the command to type.
    """
    found, newest = check_known(database), revisions()[-1]
    if found is None:
        raise SetupError("the database is empty: type `km3vo db upgrade` and `km3vo publish`, or `km3vo up` for both")
    if found != newest:
        raise SetupError(f"the database has revision {found}, and this km3vo needs {newest}: type `km3vo db upgrade`")


def apply(database: Database, revision: str = "head") -> None:
    """Bring the service's own tables up to date, or up to a revision; safe to run again, and by several at once.

    Raises:
        SetupError: a newer km3vo was here before.
    """
    import sqlalchemy
    from alembic import command
    from alembic.config import Config

    check_known(database)
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(database.conninfo(OWNER)),
        poolclass=sqlalchemy.NullPool,
    )
    with engine.begin() as connection:
        connection.exec_driver_sql(WAIT)
        config = Config()
        config.set_main_option("script_location", str(FOLDER))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
