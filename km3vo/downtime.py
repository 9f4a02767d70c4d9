"""When the service is going to be away, as its operator has announced it; pages and clients show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.rows import class_row

from km3vo.database.pool import Pool
from km3vo.errors import NotFoundError, SetupError

NOTE_LENGTH = 500
# What is over is not told any more.
ADD = "INSERT INTO km3vo.downtime (begins, ends, note, made_by) VALUES (%s, %s, %s, %s) RETURNING number"
REMOVE = "DELETE FROM km3vo.downtime WHERE number = %s"
READ = "SELECT number, begins, ends, note FROM km3vo.downtime WHERE ends > now() ORDER BY begins, number"


@dataclass(frozen=True, slots=True)
class Downtime:
    """A time in which the service is away.

    Attributes:
        number: by which it is withdrawn.
        begins, ends: with their zone.
        note: what happens, for whoever uses the service.
    """

    number: int
    begins: datetime
    ends: datetime
    note: str


def announce(owner: psycopg.Connection, begins: datetime, ends: datetime, note: str, by: str) -> int:
    """Announce a downtime; its number. Commits.

    Raises:
        SetupError: it ends before it begins, or there is nothing to say of it.
    """
    if ends <= begins:
        raise SetupError("a downtime ends after it begins: look at --from and --to")
    if not note.strip() or len(note) > NOTE_LENGTH:
        raise SetupError(f"say in --note what happens, in at most {NOTE_LENGTH} characters")
    row = owner.execute(ADD, (begins, ends, note.strip(), by)).fetchone()
    owner.commit()
    assert row is not None
    return int(row[0])


def withdraw(owner: psycopg.Connection, number: int) -> None:
    """Withdraw a downtime. Commits.

    Raises:
        NotFoundError: there is none of that number.
    """
    removed = owner.execute(REMOVE, (number,)).rowcount
    owner.commit()
    if not removed:
        raise NotFoundError(f"there is no downtime {number}: `km3vo downtime` lists them")


def read(connection: psycopg.Connection) -> Sequence[Downtime]:
    """What was announced and is not over, the next first."""
    return connection.cursor(row_factory=class_row(Downtime)).execute(READ).fetchall()


async def read_over(pool: Pool) -> Sequence[Downtime]:
    """As ``read``, over the service's own connections."""
    found: Sequence[Downtime] = await pool.rows(READ, row=class_row(Downtime))
    return found
