"""Taking alerts from a folder: standard events that a program on this machine moves there as NAME.json.

They are moved on to ``done/``, or to ``refused/`` with a text that says why. A crash between acceptance and move is
harmless: what was accepted is known again.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

from km3vo.alerts.intake import EarlyError, Sender, accept, check_size
from km3vo.alerts.sending.outbox import Outgoing
from km3vo.database.logins import SERVICE, Database
from km3vo.errors import Km3voError, UnavailableError

log = logging.getLogger(__name__)


class Folder:
    """Looks into the folder whenever ``look`` is called."""

    def __init__(self, folder: Path, database: Database, outgoing: Outgoing) -> None:
        self._folder = folder
        self._database = database
        self._outgoing = outgoing

    def look(self) -> None:
        """Take in all files that lie there, in the order of their names.

        Raises:
            UnavailableError: the database is away; the files stay where they are.
        """
        files = sorted(self._folder.glob("*.json"))
        if not files:
            return
        with self._database.connect(SERVICE, autocommit=True) as connection:
            for file in files:
                try:
                    check_size(file.stat().st_size)
                    accept(connection, file.read_bytes(), Sender("folder"), outgoing=self._outgoing)
                except FileNotFoundError:
                    continue  # another process was faster
                except UnavailableError:
                    raise
                except Km3voError as error:
                    if isinstance(error, EarlyError) and self._waits(file):
                        continue
                    log.error("%s was refused: see the text beside it in refused/", file.name)
                    self._move(file, "refused")
                    (self._folder / "refused" / f"{file.name}.txt").write_text(f"{error}\n")
                else:
                    self._move(file, "done")

    def _waits(self, file: Path) -> bool:
        """Whether the alert that a file revises may still come."""
        return time.time() - file.stat().st_mtime < self._outgoing.settings.alerts.early_seconds

    def _move(self, file: Path, where: str) -> None:
        target = self._folder / where
        target.mkdir(exist_ok=True)
        file.replace(target / file.name)
