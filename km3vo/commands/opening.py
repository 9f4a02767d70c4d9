"""What many commands share: the running database, the tables that a name means, times and decisions."""

from __future__ import annotations

import getpass
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from km3vo.errors import SetupError

if TYPE_CHECKING:
    from km3vo.catalog.model import Catalog, Table
    from km3vo.correlation.tables import Ask
    from km3vo.database.logins import Database
    from km3vo.settings import Settings


class _Written(click.ParamType[str]):
    """A text that is not empty, as that of a variable that was not set would be."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text without blanks around it."""
        if not (text := str(value).strip()):
            self.fail("it is empty", param, ctx)
        return text


WRITTEN = _Written()
WHEN = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])
FOLDER = click.Path(file_okay=False, path_type=Path)
_DURATION = re.compile(r"(\d{1,5})([dhm])")
_UNITS = {"d": "days", "h": "hours", "m": "minutes"}


@contextmanager
def opened() -> Iterator[tuple[Settings, Database]]:
    """The settings and the running database that they name."""
    from km3vo.cluster.place import find_database, running
    from km3vo.settings import Settings

    settings = Settings()
    with running(settings):
        yield settings, find_database(settings)


def catalog(settings: Settings) -> Catalog:
    """The published tables."""
    from km3vo.catalog.files import read_catalog

    return read_catalog(settings.schemas)


@contextmanager
def asking(settings: Settings, database: Database, published: Catalog, audience: str) -> Iterator[Ask]:
    """A function that answers queries in ADQL, as an audience, for correlations and maps; as long as it is open."""
    import asyncio

    from km3vo.adql import translate
    from km3vo.correlation.tables import Rows
    from km3vo.database.queries import DatabaseReader
    from km3vo.embargo.partitions import sources

    known = sources(published, audience)
    reader = DatabaseReader(database, audience, settings.pools, settings.limits)

    def ask(query: str) -> Rows:
        made = translate(query, known)
        tables = [published.table(".".join(name)) for name in sorted(made.tables)]
        return Rows(made.columns, reader.stream(made.sql, settings.limits.async_seconds).to_the_end(), tables)

    try:
        yield ask
    finally:
        asyncio.run(reader.close())


def published(settings: Settings, name: str) -> Table:
    """The published table of that name.

    Raises:
        SetupError: there is none.
    """
    tables = catalog(settings).tables
    for table in tables:
        if table.qualified.lower() == name.lower():
            return table
    raise SetupError(f"there is no table {name}: published are {', '.join(table.qualified for table in tables)}")


def embargoed(settings: Settings, name: str | None = None) -> list[Table]:
    """The embargoed tables, or the one of that name.

    Raises:
        SetupError: there is none.
    """
    tables = [table for table in catalog(settings).tables if table.release.embargoed]
    if name is None:
        return tables
    known = ", ".join(table.qualified for table in tables) or "none"
    for table in tables:
        if table.qualified.lower() == name.lower():
            return [table]
    raise SetupError(f"{name} is not an embargoed table: those are {known}")


def decision(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a decision: why, and whose it is."""
    command = click.option(
        "--by", type=WRITTEN, default=getpass.getuser, show_default="your account", help="Who decided."
    )(command)
    return click.option("--reason", type=WRITTEN, required=True, help="Why; it goes into the log.")(command)


def can_be_asked() -> bool:
    """Whether somebody sits at the terminal."""
    return sys.stdin.isatty()


def duration(text: str) -> timedelta:
    """A duration like 90d, 12h or 30m.

    Raises:
        SetupError: it is none.
    """
    match = _DURATION.fullmatch(text)
    if match is None or int(match[1]) == 0:
        raise SetupError(f"{text} is not a duration: write 90d, 12h or 30m")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def when(moment: datetime | None) -> str:
    """A time for people, in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if moment else "never"


def utc(moment: datetime | None) -> datetime | None:
    """A time given on the command line, which is UTC."""
    return moment.replace(tzinfo=UTC) if moment else None


def identifiers(ids: str) -> list[str]:
    """Identifiers of events that an option names: with commas between, or "-" for those on the standard input."""
    return sys.stdin.read().split() if ids == "-" else [one.strip() for one in ids.split(",")]
