"""Notices by which PostgreSQL tells the service of changes (LISTEN, NOTIFY).

To listen and to speak on a channel needs no right in PostgreSQL: whoever can write SQL need only know what it is
called. So its name ends in a secret of the database that the service's login alone can read.
"""

from __future__ import annotations

from psycopg import sql

NAME = "SELECT %s || '_' || secret FROM km3vo.notices"


def listen(channel: str) -> sql.Composed:
    """The statement that listens on the channel that ``NAME`` gives."""
    return sql.SQL("LISTEN {}").format(sql.Identifier(channel))
