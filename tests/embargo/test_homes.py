"""Two homes on one database server: the second does not take the database away from the first."""

from __future__ import annotations

import psycopg
import pytest

from km3vo.database.logins import LOGINS, OBSERVERS, SERVICE, Database
from km3vo.embargo import roles
from km3vo.errors import SetupError


def test_passwords_of_another_home_are_not_replaced(published: Database) -> None:
    """`km3vo up` in a second home replaced all passwords, and the first service had no database any more."""
    other = Database(published.admin, dict.fromkeys((*LOGINS, OBSERVERS), "another"))
    with published.connect() as admin:
        with pytest.raises(SetupError, match="another KM3VO_HOME"):
            roles.ensure(admin, other)
        admin.rollback()
        roles.ensure(admin, published)  # its own are no obstacle
        admin.rollback()
        roles.ensure(admin, other, new_passwords=True)
        admin.rollback()
    psycopg.connect(published.conninfo(SERVICE)).close()


def test_logins_without_passwords_get_some(published: Database) -> None:
    """As after a restore, which brings no secrets."""
    other = Database(published.admin, dict.fromkeys((*LOGINS, OBSERVERS), "another"))
    with published.connect() as admin:
        admin.execute("ALTER ROLE km3vo_service PASSWORD NULL")
        roles.ensure(admin, other)
        admin.rollback()


def test_two_databases_are_set_up_one_after_the_other(published: Database, empty_database: str) -> None:
    """They share the logins, and PostgreSQL says "tuple concurrently updated" to whoever changes one at once."""
    other = Database(empty_database, published.passwords)
    with published.connect() as first, other.connect() as second:
        roles.ensure(first, published)
        second.execute("SET lock_timeout = '100ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            roles.ensure(second, other)
        first.commit()
        second.rollback()
        roles.ensure(second, other)
