"""Editions: each state of the public rows of a table has a number, and its files have checksums."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.rows import class_row

FIND = """
SELECT published, number, rows, released_to, fingerprint, made_at FROM km3vo.edition
WHERE published = %s AND number = coalesce(%s::integer, number) ORDER BY number DESC LIMIT 1
"""
RECORD = """
INSERT INTO km3vo.edition (published, number, rows, fingerprint, released_to, made_at)
VALUES (%s, %s, %s, %s, %s, date_trunc('second', now()))
"""


@dataclass(frozen=True, slots=True)
class Edition:
    """One state of the public rows of a table.

    Attributes:
        published: name of the table.
        number: counts from 1.
        rows: how many there were.
        released_to: the latest release time among them, for an embargoed table.
        fingerprint: of the rows.
        made_at: when they became public.
    """

    published: str
    number: int
    rows: int
    released_to: datetime | None
    fingerprint: str
    made_at: datetime


@dataclass(frozen=True, slots=True)
class Download:
    """A file with the rows of an edition; ``extension`` tells its format."""

    published: str
    number: int
    extension: str
    sha256: str
    bytes: int
    made_at: datetime


def record(
    connection: psycopg.Connection, published: str, rows: int, fingerprint: str, released_to: datetime | None
) -> Edition:
    """Give the present rows a number. ``connection`` is the service's and is left uncommitted."""
    latest = find(connection, published)
    connection.execute(RECORD, (published, latest.number + 1 if latest else 1, rows, fingerprint, released_to))
    recorded = find(connection, published)
    assert recorded is not None
    return recorded


def find(connection: psycopg.Connection, published: str, number: int | None = None) -> Edition | None:
    """An edition of a table, or the latest; None when there is none."""
    cursor = connection.cursor(row_factory=class_row(Edition))
    return cursor.execute(FIND, (published, number)).fetchone()
