"""Which database, and as whom: one login per audience and task, never a change of role within a session."""

from __future__ import annotations

import hmac
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from km3vo.errors import SetupError

OWNER = "km3vo_owner"  # owns every table and function; nobody serves requests as the owner
INGEST = "km3vo_ingest"  # adds events
SERVICE = "km3vo_service"  # the service's own tables: jobs, tokens, the release log; no events
UPLOAD = "km3vo_upload"  # makes and drops uploaded tables
PUBLIC = "km3vo_public"  # whoever asks without credentials
MEMBER = "km3vo_member"  # members of the collaboration
OBSERVERS = "km3vo_observers"  # group of the observers' logins, one for each person with a grant (embargo/grants.py)
REPLICA = (
    "km3vo_replica"  # follows the publication of public rows (publishing/replication.py); made when it is asked for
)
LOGINS = (OWNER, INGEST, SERVICE, UPLOAD, PUBLIC, MEMBER)


@dataclass(frozen=True, slots=True)
class Database:
    """A PostgreSQL database and the passwords of km3vo's logins in it.

    Attributes:
        admin: libpq connection string of the administrator, who sets everything up and serves nothing.
        passwords: of each login in ``LOGINS``, and under ``OBSERVERS`` the secret that observers' are made from.
    """

    admin: str
    passwords: dict[str, str]

    def conninfo(self, login: str, **parameters: str | int) -> str:
        """The libpq connection string of a login; ``parameters`` add to it or override it."""
        usual = {"user": login, "password": self.password(login), "application_name": "km3vo"}
        return make_conninfo(self.admin, **usual | parameters)

    def password(self, login: str) -> str:
        """The password of a login. Observers' are made from one secret and kept nowhere."""
        if login in (*LOGINS, REPLICA):
            return self.passwords[login]
        return hmac.new(self.passwords[OBSERVERS].encode(), login.encode(), "sha256").hexdigest()

    def connect(self, login: str | None = None, *, autocommit: bool = False) -> psycopg.Connection:
        """Open a connection as ``login``, or as the administrator.

        Raises:
            SetupError: the server cannot be reached or refuses the login.
        """
        conninfo = self.conninfo(login) if login else self.admin
        try:
            return psycopg.connect(conninfo, autocommit=autocommit)
        except psycopg.OperationalError as error:
            place = conninfo_to_dict(self.admin)
            raise SetupError(
                f"cannot log in to PostgreSQL at {place.get('host', 'localhost')} "
                f"(database {place.get('dbname', '')}): is it running? Try `km3vo db status`"
            ) from error


def read_passwords(folder: Path) -> dict[str, str]:
    """The logins' passwords, made at the first call and kept in ``folder/passwords.json`` (mode 0600)."""
    file = folder / "passwords.json"
    known: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
    missing = [login for login in (*LOGINS, OBSERVERS, REPLICA) if login not in known]
    if missing:
        known |= {login: secrets.token_urlsafe(24) for login in missing}
        folder.mkdir(parents=True, exist_ok=True)
        fresh = file.with_suffix(".new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            json.dump(known, out, indent=1)
        fresh.replace(file)
    return known
