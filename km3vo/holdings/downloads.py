"""Whole lists as files: the public rows of each edition, kept for ever.

When public rows have changed, the public login reads them, and they are written to a Parquet file before they get a
number: whoever cites an edition can have it later. The other formats are made from that file when they are first asked
for, so that all files of an edition hold the same rows.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from psycopg import sql
from psycopg.rows import class_row

from km3vo import times
from km3vo.catalog import origin
from km3vo.catalog.model import Table
from km3vo.cluster import priority
from km3vo.column import Column
from km3vo.database.logins import SERVICE, Database
from km3vo.database.queries import UNCHANGED, at_moment
from km3vo.embargo import partitions
from km3vo.errors import FullError, NotFoundError, UnavailableError
from km3vo.holdings import coverage, editions
from km3vo.holdings.coverage import Present, State
from km3vo.holdings.editions import Download, Edition
from km3vo.interpreter import one_at_a_time
from km3vo.jobs.quota import ResultsQuota
from km3vo.results import formats
from km3vo.results.stream import Info, Result, arrow_type
from km3vo.settings import Settings

log = logging.getLogger(__name__)


class FileFormat(NamedTuple):
    """A format of whole lists: what km3vo calls it, what people do, and its media type."""

    format: str
    title: str
    media_type: str


# By the extension of the files' names.
FORMATS = {
    "parquet": FileFormat("parquet", "Parquet", "application/vnd.apache.parquet"),
    "fits": FileFormat("fits", "FITS", "application/fits"),
    "vot": FileFormat("votable", "VOTable", "application/x-votable+xml"),
    "csv": FileFormat("csv", "CSV", "text/csv"),
    "ecsv": FileFormat("ecsv", "ECSV", "text/plain"),
}
# What can be made again goes, the oldest first, but not of the latest edition.
FORGET_OLDEST = """
DELETE FROM km3vo.download WHERE (published, number, extension) = (
    SELECT published, number, extension FROM km3vo.download AS file
    WHERE extension <> 'parquet'
        AND number < (SELECT max(number) FROM km3vo.edition WHERE edition.published = file.published)
    ORDER BY made_at, number LIMIT 1
) RETURNING published, number, extension
"""
ROWS_PER_BATCH = 50_000
LEFT_SECONDS = 86_400
# Whether the rows that were measured last are those of the latest edition, and were kept.
IS_KEPT = """
SELECT FROM km3vo.edition JOIN km3vo.download USING (published, number)
WHERE published = %s AND number = (SELECT max(number) FROM km3vo.edition WHERE published = %s)
    AND extension = 'parquet' AND fingerprint = %s
"""

# A file is noted when it is whole; made anew, it is the same edition's, with its new checksum.
FIND = """
SELECT published, number, extension, sha256, bytes, made_at FROM km3vo.download
WHERE published = %s AND number = %s AND extension = %s
"""
LIST = """
SELECT published, number, extension, sha256, bytes, made_at FROM km3vo.download
WHERE published = %s ORDER BY number DESC, extension
"""
NOTE = """
INSERT INTO km3vo.download (published, number, extension, sha256, bytes) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (published, number, extension)
DO UPDATE SET sha256 = excluded.sha256, bytes = excluded.bytes, made_at = now()
"""
# The same rows give the same file: in the order of their identifiers, where they have any.
ROWS = "SELECT {columns} FROM {public}"
ROWS_IN_ORDER = "SELECT {columns} FROM {public} ORDER BY {id}"


class DownloadFiles:
    """The files of a service, in one folder that all its processes share."""

    def __init__(self, settings: Settings, database: Database) -> None:
        """
        Args:
            settings: say where the files are, and what is said in them of the service.
            database: which has the rows, and remembers the checksums.
        """
        self._settings = settings
        self._folder = settings.downloads
        self._database = database
        self._quota = ResultsQuota(settings.downloads, settings.limits.downloads_bytes)
        # The processes of a server of the operator's own may be on another machine.
        self._lower = UNCHANGED.long if settings.database_url else partial(priority.lower, database, priority.LONG)

    def refresh(self, table: Table, *, force: bool = False) -> bool:
        """Measure the public rows of a table if they may have changed; if they did, they get a number and are kept.

        Costs next to nothing when nothing was released since the last time, or loaded into a table without embargo. To
        be called after both.

        Args:
            force: measure anyhow, since the rows may have been changed by hand.

        Returns:
            whether the rows have changed.

        Raises:
            FullError: there is no room to keep them; they are measured, but not counted as an edition.
        """
        if not force:
            with self._database.connect(SERVICE) as service:
                state = coverage.state_of(service, table)
                if coverage.is_fresh(service, table) and _is_kept(service, table, state):
                    return False
        full: FullError | None = None
        with coverage.present(self._database, table, force=force) as present:
            if not _is_kept(present.service, table, present.state):
                try:
                    self._keep(table, present)
                except FullError as error:
                    full = error
        if full is not None:
            raise full
        return present.changed

    def _keep(self, table: Table, present: Present) -> tuple[Edition, tuple[Download, Path]]:
        """Write the present rows to the Parquet file of their edition, and count that if it is new.

        In one transaction, and the file first, so that whatever happens there is no edition without its rows.
        """
        service, state = present.service, present.state
        with service.transaction():
            edition = editions.find(service, table.qualified)
            if edition is None or edition.fingerprint != state.fingerprint:
                edition = editions.record(service, table.qualified, state.rows, state.fingerprint, state.released_to)
            query = sql.SQL(ROWS_IN_ORDER if table.id else ROWS).format(
                columns=sql.SQL(", ").join(sql.Identifier(column.sql) for column in table.columns),
                public=sql.Identifier(*partitions.relation(table, "public")),
                id=sql.Identifier(table.id or ""),
            )
            rows = at_moment(self._database, "public", query.as_string(), present.snapshot, self._lower)
            return edition, self._write(service, table, edition, "parquet", rows, table.columns)

    def get(self, table: Table, extension: str, number: int | None = None) -> tuple[Download, Path]:
        """A file with the rows of an edition, or of the latest. Blocks while it is made.

        Raises:
            NotFoundError: there is no such edition, or its rows are lost.
            UnavailableError: the database does not answer.
        """
        if number is None:
            self.refresh(table)
        with self._database.connect(SERVICE, autocommit=True) as service:
            edition = editions.find(service, table.qualified, number)
            if edition is None:
                wanted = "has no public rows yet" if number is None else f"has no edition {number}"
                raise NotFoundError(f"{table.qualified} {wanted}")
            if found := self._find(service, edition, extension):
                return found
            with self._alone(table):
                return self._find(service, edition, extension) or self._make(service, table, edition, extension)

    def path(self, edition: Edition, extension: str) -> Path:
        """Where a file is, or would be."""
        return self._folder / edition.published / f"{edition.published}-{edition.number}.{extension}"

    def _find(self, service: psycopg.Connection, edition: Edition, extension: str) -> tuple[Download, Path] | None:
        cursor = service.cursor(row_factory=class_row(Download))
        known = cursor.execute(FIND, (edition.published, edition.number, extension)).fetchone()
        path = self.path(edition, extension)
        if known is None or not path.is_file() or path.stat().st_size != known.bytes:
            return None
        return known, path

    @contextmanager
    def _alone(self, table: Table) -> Iterator[None]:
        """Make one file of a table at a time, in all processes together."""
        folder = self._folder / table.qualified
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _make(
        self, service: psycopg.Connection, table: Table, edition: Edition, extension: str
    ) -> tuple[Download, Path]:
        """Make a file from the edition's Parquet file."""
        parquet = self._find(service, edition, "parquet") or self._again(table, edition)
        if extension == "parquet":
            return parquet
        with pq.ParquetFile(parquet[1]) as rows:
            columns = _columns(rows, parquet[1], table)
            return self._write(service, table, edition, extension, _batches(rows, columns), columns)

    def _again(self, table: Table, edition: Edition) -> tuple[Download, Path]:
        """The Parquet file of an edition that was lost, or made before they were kept, if these are still its rows."""
        with coverage.present(self._database, table) as present:
            latest = editions.find(present.service, table.qualified)
            if latest != edition or edition.fingerprint != present.state.fingerprint:
                raise NotFoundError(f"the rows of edition {edition.number} of {table.qualified} were not kept")
            return self._keep(table, present)[1]

    def _write(
        self,
        service: psycopg.Connection,
        table: Table,
        edition: Edition,
        extension: str,
        batches: Iterator[pa.RecordBatch],
        columns: tuple[Column, ...],
    ) -> tuple[Download, Path]:
        result = Result(
            columns=columns,
            source=batches,
            name=table.qualified.replace(".", "_"),
            infos=self._infos(table, edition),
            table_infos=origin.table_infos(self._settings, [table]),
            description=table.description,
        )
        path = self.path(edition, extension)
        path.parent.mkdir(parents=True, exist_ok=True)
        _tidy(path.parent)
        fresh = path.with_name(f".{path.name}.{uuid4().hex}")
        digest, size = hashlib.sha256(), 0
        try:
            with fresh.open("wb") as out:
                for chunk in one_at_a_time(formats.find(FORMATS[extension].format).write(result)):
                    self._reserve(len(chunk))
                    out.write(chunk)
                    digest.update(chunk)
                    size += len(chunk)
                out.flush()
                os.fsync(out.fileno())
            if result.failed or result.rows != edition.rows:
                raise UnavailableError(f"the rows of {table.qualified} cannot be read just now; try again in a moment")
            fresh.replace(path)
        finally:
            fresh.unlink(missing_ok=True)
        service.execute(NOTE, (edition.published, edition.number, extension, digest.hexdigest(), size))
        written = self._find(service, edition, extension)
        assert written is not None
        return written

    def _reserve(self, count: int) -> None:
        """Count bytes that are about to be written; where there is no room, files that can be made again go.

        Raises:
            FullError: there is no room for them.
        """
        while True:
            try:
                return self._quota.reserve(count)
            except FullError:
                with self._database.connect(SERVICE, autocommit=True) as service:
                    oldest = service.execute(FORGET_OLDEST).fetchone()
                if oldest is None:
                    raise FullError("there is no room for more files of whole lists; try again later") from None
                published, number, extension = oldest
                file = self._folder / published / f"{published}-{number}.{extension}"
                log.warning("%s goes, to make room for files of later editions", file.name)
                file.unlink(missing_ok=True)
                self._quota.measure_anew()

    def _infos(self, table: Table, edition: Edition) -> tuple[Info, ...]:
        """What a file says of itself (Data Origin in the VO 1.2)."""
        url = f"{self._settings.base_url}/download/{table.schema}/{table.name}/{edition.number}"
        words = f"{edition.number} of {times.seconds(edition.made_at)}, {edition.rows} rows"
        # Without the time of the request: the same rows make the same file whenever it is made.
        left_out = ("service_protocol", "request_date")
        about = [info for info in origin.service_infos(self._settings, "", url) if info.name not in left_out]
        return (*about, Info("edition", words, "which state of the public rows this is"))

    def made(self, table: Table) -> list[Download]:
        """The files that were made of a table, newest editions first."""
        with self._database.connect(SERVICE, autocommit=True) as service:
            cursor = service.cursor(row_factory=class_row(Download))
            return cursor.execute(LIST, (table.qualified,)).fetchall()


def _tidy(folder: Path) -> None:
    """Delete what processes left behind that were killed while they wrote."""
    for left in folder.glob(".*.*.*"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > LEFT_SECONDS:
                left.unlink()


def _is_kept(service: psycopg.Connection, table: Table, state: State) -> bool:
    """Whether the rows that were measured are those of the latest edition, and lie in a file. No rows at all are an
    edition only after others.
    """
    if service.execute(IS_KEPT, (table.qualified, table.qualified, state.fingerprint)).fetchone() is not None:
        return True
    return not state.rows and editions.find(service, table.qualified) is None


def _columns(rows: pq.ParquetFile, file: Path, table: Table) -> tuple[Column, ...]:
    """The columns of an edition: the table's, unless it has others by now; then as the file itself describes them."""
    if rows.schema_arrow.names == [column.name for column in table.columns]:
        return table.columns
    # Only of tables that were changed.
    from km3vo.readers.content import Content
    from km3vo.readers.opened import Options
    from km3vo.readers.parquet.table import open_parquet

    with file.open("rb") as plain:
        described = open_parquet(Content(plain), lambda line, text: None, Options())
        return tuple(one.column for one in described.columns)


def _batches(rows: pq.ParquetFile, columns: tuple[Column, ...]) -> Iterator[pa.RecordBatch]:
    """The rows of a Parquet file of ours, with the types of results."""
    schema = pa.schema([(column.name, arrow_type(column)) for column in columns])
    for batch in rows.iter_batches(ROWS_PER_BATCH):
        yield batch.cast(schema)
