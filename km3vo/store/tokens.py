"""Personal tokens: for scripts and for programs that cannot log in at an identity provider.

A token is shown once, when it is made; the database keeps its SHA-256. A token has 256 random bits, so there is
nothing to guess and no need for a slow hash or salt.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg
from psycopg.rows import class_row

from km3vo.errors import NotFoundError

PREFIX = "km3vo_"  # so that people, and scanners for leaked secrets, see what it is


def digest(token: str) -> bytes:
    """What the database knows of a token."""
    return hashlib.sha256(token.encode()).digest()


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token, which is all but the token.

    Attributes:
        audience: "member", or "observer": then its owner sees what grants say.
        state: "valid", "expired" or "revoked".
    """

    id: int
    owner: str
    audience: str
    label: str
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    state: str


def create(
    connection: psycopg.Connection, owner: str, *, audience: str, label: str, valid: timedelta, by: str
) -> tuple[int, str]:
    """Make a token; returns its number and itself. ``connection`` belongs to the owner of the tables; commits."""
    token = PREFIX + secrets.token_urlsafe(32)
    row = connection.execute(
        "INSERT INTO km3vo.token (sha256, owner, audience, label, expires_at, created_by) "
        "VALUES (%s, %s, %s, %s, clock_timestamp() + %s, %s) RETURNING id",
        (digest(token), owner, audience, label, valid, by),
    ).fetchone()
    connection.commit()
    assert row is not None
    return row[0], token


def find_all(connection: psycopg.Connection) -> list[Token]:
    """Every token that was ever made, in order. ``connection`` belongs to the owner of the tables."""
    with connection.cursor(row_factory=class_row(Token)) as cursor:
        return cursor.execute(
            "SELECT id, owner, audience, label, created_at, expires_at, last_used_at, CASE "
            "WHEN revoked_at IS NOT NULL THEN 'revoked' WHEN expires_at <= clock_timestamp() THEN 'expired' "
            "ELSE 'valid' END AS state FROM km3vo.token ORDER BY id"
        ).fetchall()


def revoke(connection: psycopg.Connection, *, number: int | None = None, owner: str | None = None) -> int:
    """Revoke a token by its number, or all of one person. Returns how many; from then on they are refused.

    ``connection`` belongs to the owner of the tables; commits.

    Raises:
        NotFoundError: there is no valid one.
    """
    done = connection.execute(
        "UPDATE km3vo.token SET revoked_at = clock_timestamp() WHERE revoked_at IS NULL AND (id = %s OR owner = %s)",
        (number, owner),
    ).rowcount
    connection.commit()
    if not done:
        raise NotFoundError("there is no such token that is valid: see `km3vo token list`")
    return done
