"""When the rows of a load would become public: told, and asked about, before they are loaded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from km3vo.catalog.model import Table
from km3vo.loading.staging import STAGING

COUNT = "SELECT count(*) FROM {staging}"
OF_EMBARGOED = "SELECT rows, due, never, first, last, qc FROM km3vo.outlook(%s)"


@dataclass(frozen=True, slots=True)
class Outlook:
    """When rows that are staged would become public, by the rules and exceptions as they are now.

    Attributes:
        rows: how many there are.
        due: those of them whose time has come.
        never: those whose time never comes.
        first, last: between which times the others become public; None when there are none.
        qc: whether quality control has to pass them first ("pending") or not ("passed"); None for a table without
            embargo, which shows everything at once.
    """

    rows: int
    due: int = 0
    never: int = 0
    first: datetime | None = None
    last: datetime | None = None
    qc: str | None = None

    @property
    def soon(self) -> int:
        """How many everybody sees without anybody's doing anything more, at once or in a minute."""
        if self.qc is None:
            return self.rows
        return self.due if self.qc == "passed" else 0


def of_staged(connection: psycopg.Connection, table: Table) -> Outlook:
    """When what was staged would become public. ``connection`` is that of the load."""
    if table.release.embargoed:
        found = connection.cursor(row_factory=class_row(Outlook)).execute(OF_EMBARGOED, (table.qualified,)).fetchone()
        assert found is not None
        return found
    row = connection.execute(sql.SQL(COUNT).format(staging=STAGING)).fetchone()
    return Outlook(row[0] if row else 0)
