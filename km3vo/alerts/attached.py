"""Sky maps that pipelines send as files: kept once each, and named in the event by their SHA-256."""

from __future__ import annotations

import hashlib
import json

import psycopg

from km3vo.alerts import mistakes, profile
from km3vo.alerts.mistakes import AlertError, Mistake
from km3vo.database.pool import Pool
from km3vo.errors import RequestError

KEEP = "INSERT INTO km3vo.alert_skymap (sha256, document) VALUES (%s, %s) ON CONFLICT (sha256) DO NOTHING"
KNOWN = "SELECT FROM km3vo.alert_skymap WHERE sha256 = %s"
FIND = "SELECT document FROM km3vo.alert_skymap WHERE sha256 = %s"


def named(document: bytes, skymap: bytes) -> bytes:
    """A standard event that names the map which came with it.

    Args:
        document: JSON, as it came.
        skymap: the FITS file beside it.

    Raises:
        AlertError: the event says something else of its map, or the file is no map.
    """
    from km3vo.alerts.skymaps import files  # numpy and astropy

    message = profile.parse(document)
    if not isinstance(message, dict):
        return document  # what it is instead, the profile tells
    here = {"file": hashlib.sha256(skymap).hexdigest()}
    if message.setdefault("skymap", here) != here:
        raise AlertError(
            [Mistake("skymap", mistakes.shown(message["skymap"]), "comes as a file, too: leave it out here")]
        )
    try:
        files.read(skymap)
    except RequestError as error:
        raise AlertError([Mistake("skymap", "", str(error).removeprefix("the sky map "))]) from None
    return json.dumps(message).encode()


def keep(connection: psycopg.Connection, digest: str, skymap: bytes | None) -> None:
    """Keep a map, left uncommitted; without one, look whether it was kept before.

    Raises:
        AlertError: there is none of this name.
    """
    if skymap is not None:
        connection.execute(KEEP, (digest, skymap))
    elif connection.execute(KNOWN, (digest,)).fetchone() is None:
        raise AlertError([Mistake("skymap.file", digest, "is not here: send the file as the part skymap of a form")])


async def find(pool: Pool, digest: str) -> bytes:
    """The file of a map that was kept. Raises UnavailableError."""
    ((document,),) = await pool.rows(FIND, (digest,))
    return bytes(document)
