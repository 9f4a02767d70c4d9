"""A clock of a database that a test sets: PostgreSQL's own, put forwards."""

from __future__ import annotations

from datetime import datetime, timedelta

from km3vo.database.logins import OWNER, Database
from km3vo.embargo import clock

# The built-in functions get other names, and theirs go to functions that add to them.
FAKE = """
SET LOCAL allow_system_table_mods = on;
CREATE SCHEMA faked;
CREATE TABLE faked.shift (by interval NOT NULL);
INSERT INTO faked.shift VALUES ('0');
ALTER FUNCTION pg_catalog.clock_timestamp() RENAME TO real_clock_timestamp;
ALTER FUNCTION pg_catalog.now() RENAME TO real_now;
CREATE FUNCTION pg_catalog.clock_timestamp() RETURNS timestamptz LANGUAGE sql STABLE SECURITY DEFINER
AS 'SELECT pg_catalog.real_clock_timestamp() + by FROM faked.shift';
CREATE FUNCTION pg_catalog.now() RETURNS timestamptz LANGUAGE sql STABLE SECURITY DEFINER
AS 'SELECT pg_catalog.real_now() + by FROM faked.shift';
"""
SHIFT = "UPDATE faked.shift SET by = by + %s"
NOW = "SELECT clock_timestamp()"


class FakedClock:
    """The clock of a database, from before its tables are made."""

    def __init__(self, database: Database) -> None:
        self._database = database
        with database.connect() as admin:
            admin.execute(FAKE)

    def put_forward(self, by: timedelta) -> None:
        """Let time pass; a person finds the clock right."""
        with self._database.connect() as admin:
            admin.execute(SHIFT, (by,))
        with self._database.connect(OWNER) as owner:
            clock.vouch(owner, "tests")

    def now(self) -> datetime:
        """What the clock says."""
        with self._database.connect() as admin:
            ((moment,),) = admin.execute(NOW).fetchall()
        assert isinstance(moment, datetime)
        return moment
