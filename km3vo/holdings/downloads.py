"""Whole lists as files: the public rows of each edition, made once and kept.

A file is made when it is first asked for, by the public login. Parquet is made from the database; the other formats are
made from the Parquet file, so that all files of an edition hold the same rows.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from psycopg import sql
from psycopg.rows import class_row

from km3vo import times
from km3vo.catalog import origin
from km3vo.catalog.model import Table
from km3vo.database.logins import SERVICE, Database
from km3vo.database.queries import DatabaseReader
from km3vo.embargo import partitions
from km3vo.errors import FullError, NotFoundError, UnavailableError
from km3vo.holdings import coverage, editions
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
# The latest edition of a table stays.
FORGET_OLDEST = """
DELETE FROM km3vo.download WHERE (published, number, extension) = (
    SELECT published, number, extension FROM km3vo.download AS file
    WHERE number < (SELECT max(number) FROM km3vo.edition WHERE edition.published = file.published)
    ORDER BY made_at, number LIMIT 1
) RETURNING published, number, extension
"""
ROWS_PER_BATCH = 50_000
SECONDS = 3600.0

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

    def __init__(self, settings: Settings, database: Database, reader: DatabaseReader) -> None:
        """
        Args:
            settings: say where the files are, and what is said in them of the service.
            database: which has the rows, and remembers the checksums.
            reader: the public's.
        """
        self._settings = settings
        self._folder = settings.downloads
        self._database = database
        self._reader = reader
        self._quota = ResultsQuota(settings.downloads, settings.limits.downloads_bytes)

    def get(self, table: Table, extension: str, number: int | None = None) -> tuple[Download, Path]:
        """A file with the rows of an edition, or of the latest. Blocks while it is made.

        Raises:
            NotFoundError: there is no such edition, or it was never made into a file.
            UnavailableError: the database does not answer.
        """
        if number is None:
            coverage.refresh(self._database, table)
        with self._database.connect(SERVICE, autocommit=True) as service:
            edition = editions.find(service, table.qualified, number)
            if edition is None:
                wanted = "has no public rows yet" if number is None else f"has no edition {number}"
                raise NotFoundError(f"{table.qualified} {wanted}")
            if found := self._find(service, edition, extension):
                return found
            with self._alone(table):
                return self._find(service, edition, extension) or self._make(
                    service, table, edition, extension, latest=number is None
                )

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
        self, service: psycopg.Connection, table: Table, edition: Edition, extension: str, *, latest: bool
    ) -> tuple[Download, Path]:
        """Make a file, from the edition's Parquet file or else from the database.

        Args:
            latest: what is asked for is the latest edition: it may be a later one by now.
        """
        parquet = self._find(service, edition, "parquet")
        if parquet is None:
            edition, parquet = self._read(service, table, edition, latest=latest)
        if extension == "parquet":
            return parquet
        with pq.ParquetFile(parquet[1]) as rows:
            return self._write(service, table, edition, extension, _batches(rows, table))

    def _read(
        self, service: psycopg.Connection, table: Table, edition: Edition, *, latest: bool
    ) -> tuple[Edition, tuple[Download, Path]]:
        """The Parquet file of the present rows of the database, and which edition they are.

        They are measured and read at one moment: releases that go on meanwhile neither show nor delay.
        """
        with coverage.present(self._database, table) as present:
            if present.edition != edition and not latest:
                raise NotFoundError(
                    f"edition {edition.number} of {table.qualified} was never made into a file; its rows are among "
                    "those of the latest edition"
                )
            edition = present.edition or edition
            query = sql.SQL(ROWS_IN_ORDER if table.id else ROWS).format(
                columns=sql.SQL(", ").join(sql.Identifier(column.sql) for column in table.columns),
                public=sql.Identifier(*partitions.relation(table, "public")),
                id=sql.Identifier(table.id or ""),
            )
            stream = self._reader.stream(query.as_string(), SECONDS, snapshot=present.snapshot)
        with closing(stream):
            return edition, self._write(service, table, edition, "parquet", iter(stream))

    def _write(
        self,
        service: psycopg.Connection,
        table: Table,
        edition: Edition,
        extension: str,
        batches: Iterator[pa.RecordBatch],
    ) -> tuple[Download, Path]:
        result = Result(
            columns=table.columns,
            source=batches,
            name=table.qualified.replace(".", "_"),
            infos=self._infos(table, edition),
            table_infos=origin.table_infos(self._settings, [table]),
            description=table.description,
        )
        path = self.path(edition, extension)
        fresh = path.with_name(f".{path.name}.{os.getpid()}")
        digest, size = hashlib.sha256(), 0
        try:
            with fresh.open("wb") as out:
                for chunk in one_at_a_time(formats.find(FORMATS[extension].format).write(result)):
                    self._reserve(service, len(chunk))
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

    def _reserve(self, service: psycopg.Connection, count: int) -> None:
        """Count bytes that are about to be written; where there is no room, files of the oldest editions go.

        Raises:
            FullError: there is no room for them.
        """
        while True:
            try:
                return self._quota.reserve(count)
            except FullError:
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


def _batches(rows: pq.ParquetFile, table: Table) -> Iterator[pa.RecordBatch]:
    """The rows of a Parquet file of ours, with the types of results."""
    schema = pa.schema([(column.name, arrow_type(column)) for column in table.columns])
    for batch in rows.iter_batches(ROWS_PER_BATCH):
        yield batch.cast(schema)
