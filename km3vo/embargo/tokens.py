"""Personal tokens: for scripts and for programs that cannot log in at an identity provider.

A token is shown once, when it is made; the database keeps its SHA-256. A token has 256 random bits, so there is
nothing to guess and no need for a slow hash or salt.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg
from psycopg.rows import class_row

from km3vo.errors import NotFoundError

SCOPES = ("alerts:write", "alerts:test")  # what a token may do beside reading; the second sends tests alone
PREFIX = "km3vo_"  # so that people, and scanners for leaked secrets, see what it is

CREATE = """
INSERT INTO km3vo.token (sha256, owner, audience, scopes, pipelines, label, expires_at, created_by)
VALUES (%s, %s, %s, %s, %s, %s, clock_timestamp() + %s, %s) RETURNING id
"""
ALL = """
SELECT id, owner, audience, scopes, pipelines, label, created_at, expires_at, last_used_at, CASE
    WHEN revoked_at IS NOT NULL THEN 'revoked' WHEN expires_at <= clock_timestamp() THEN 'expired' ELSE 'valid'
END AS state FROM km3vo.token ORDER BY id
"""
# One by its number, or all of a person.
REVOKE = """
UPDATE km3vo.token SET revoked_at = clock_timestamp() WHERE revoked_at IS NULL AND (id = %s OR owner = %s)
"""
END_SESSIONS = """
UPDATE km3vo.session SET ended_at = clock_timestamp(), sealed = NULL
WHERE name = %s AND ended_at IS NULL AND ends_at > clock_timestamp()
"""


def digest(token: str) -> bytes:
    """What the database knows of a token."""
    return hashlib.sha256(token.encode()).digest()


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token, which is all but the token.

    Attributes:
        audience: "member", or "observer": then its owner sees what grants say; or "public", of programs that write.
        scopes: of ``SCOPES``.
        pipelines: whose alerts it may send; none named is all of them.
        state: "valid", "expired" or "revoked".
    """

    id: int
    owner: str
    audience: str
    scopes: list[str]
    pipelines: list[str]
    label: str
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    state: str


def create(
    connection: psycopg.Connection,
    owner: str,
    *,
    audience: str,
    label: str,
    valid: timedelta,
    by: str,
    scopes: Sequence[str] = (),
    pipelines: Sequence[str] = (),
) -> tuple[int, str]:
    """Make a token; returns its number and itself. ``connection`` belongs to the owner of the tables; commits."""
    token = PREFIX + secrets.token_urlsafe(32)
    values = (digest(token), owner, audience, list(scopes), list(pipelines), label, valid, by)
    row = connection.execute(CREATE, values).fetchone()
    connection.commit()
    assert row is not None
    return row[0], token


def find_all(connection: psycopg.Connection) -> list[Token]:
    """Every token that was ever made, in order. ``connection`` belongs to the owner of the tables."""
    with connection.cursor(row_factory=class_row(Token)) as cursor:
        return cursor.execute(ALL).fetchall()


def revoke(connection: psycopg.Connection, *, number: int | None = None, owner: str | None = None) -> int:
    """Revoke a token by its number, or all of one person. Returns how many; from then on they are refused.

    ``connection`` belongs to the owner of the tables; commits.

    Raises:
        NotFoundError: there is no valid one.
    """
    revoked = connection.execute(REVOKE, (number, owner)).rowcount
    connection.commit()
    if not revoked:
        raise NotFoundError("there is no such token that is valid: see `km3vo token list`")
    return revoked


def end_sessions(connection: psycopg.Connection, owner: str) -> int:
    """End the sessions of one person in every browser. Returns how many; from the next request on they are refused.

    ``connection`` belongs to the owner of the tables; commits.
    """
    ended = connection.execute(END_SESSIONS, (owner,)).rowcount
    connection.commit()
    return ended
