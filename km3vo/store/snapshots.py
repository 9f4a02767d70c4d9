"""Whole lists as files: the public rows of each edition, made once and kept.

A file is made when it is first asked for, by the public login. Parquet is made from the database; the other formats are
made from the Parquet file, so that all files of an edition hold the same rows.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from psycopg import sql
from psycopg.rows import class_row

from km3vo.catalog.model import Table
from km3vo.errors import NotFoundError, UnavailableError
from km3vo.results import formats
from km3vo.results.stream import Info, Result, arrow_type
from km3vo.store import coverage, editions, embargo
from km3vo.store.database import SERVICE, Database
from km3vo.store.editions import Download, Edition
from km3vo.store.queries import Reader

log = logging.getLogger(__name__)

# Extension → what km3vo calls the format.
FORMATS = {"parquet": "parquet", "fits": "fits", "vot": "votable", "csv": "csv", "ecsv": "ecsv"}
ROWS_PER_BATCH = 50_000
SECONDS = 3600.0
ATTEMPTS = 3

Infos = Callable[[Table, Edition], tuple[tuple[Info, ...], tuple[Info, ...]]]


class Snapshots:
    """The files of a service, in one folder that all its processes share."""

    def __init__(self, folder: Path, database: Database, reader: Reader, infos: Infos) -> None:
        """
        Args:
            folder: where the files are.
            database: which has the rows, and remembers the checksums.
            reader: the public's.
            infos: what is said of a list and of its data in the files themselves.
        """
        self._folder = folder
        self._database = database
        self._reader = reader
        self._infos = infos

    def get(self, table: Table, extension: str, number: int | None = None) -> tuple[Download, Path]:
        """A file with the rows of an edition, or of the latest. Blocks while it is made.

        Raises:
            NotFoundError: there is no such edition, or it was never made into a file.
            UnavailableError: the rows change too fast, or the database does not answer.
        """
        for _ in range(ATTEMPTS):
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
                    if found := self._find(service, edition, extension) or self._make(
                        service, table, edition, extension
                    ):
                        return found
        raise UnavailableError(f"the rows of {table.qualified} are being changed; try again in a moment")

    def path(self, edition: Edition, extension: str) -> Path:
        """Where a file is, or would be."""
        return self._folder / edition.published / f"{edition.published}-{edition.number}.{extension}"

    def _find(self, service: psycopg.Connection, edition: Edition, extension: str) -> tuple[Download, Path] | None:
        cursor = service.cursor(row_factory=class_row(Download))
        known = cursor.execute(
            "SELECT published, number, extension, sha256, bytes, made_at FROM km3vo.download "
            "WHERE published = %s AND number = %s AND extension = %s",
            (edition.published, edition.number, extension),
        ).fetchone()
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
    ) -> tuple[Download, Path] | None:
        """Make a file, from the edition's Parquet file or else from the database; None when the rows changed."""
        parquet = self._find(service, edition, "parquet")
        if extension == "parquet" or parquet is None:
            parquet = self._read(service, table, edition)
        if parquet is None or extension == "parquet":
            return parquet
        with pq.ParquetFile(parquet[1]) as rows:
            return self._write(service, table, edition, extension, _batches(rows, table))

    def _read(self, service: psycopg.Connection, table: Table, edition: Edition) -> tuple[Download, Path] | None:
        """The Parquet file of an edition, from the rows of the database as long as they are that edition's."""
        if not self._is_present(service, table, edition):
            latest = editions.find(service, table.qualified)
            if latest is not None and latest.number != edition.number:
                raise NotFoundError(
                    f"edition {edition.number} of {table.qualified} was never made into a file; its rows are among "
                    "those of the latest edition"
                )
            return None
        columns = sql.SQL(", ").join(sql.Identifier(column.sql) for column in table.columns)
        order = sql.SQL(" ORDER BY {}").format(sql.Identifier(table.id)) if table.id else sql.SQL("")
        query = sql.SQL("SELECT {} FROM {}{}").format(
            columns, sql.Identifier(*embargo.relation(table, "public")), order
        )
        stream = self._reader.stream(query.as_string(), SECONDS)
        with closing(stream):
            return self._write(
                service, table, edition, "parquet", iter(stream), lambda: self._is_present(service, table, edition)
            )

    def _is_present(self, service: psycopg.Connection, table: Table, edition: Edition) -> bool:
        """Whether the rows in the database are those of an edition."""
        latest = editions.find(service, table.qualified)
        return latest == edition and coverage.is_fresh(service, table)

    def _write(
        self,
        service: psycopg.Connection,
        table: Table,
        edition: Edition,
        extension: str,
        batches: Iterator[pa.RecordBatch],
        still: Callable[[], bool] = lambda: True,
    ) -> tuple[Download, Path] | None:
        infos, table_infos = self._infos(table, edition)
        result = Result(
            columns=table.columns,
            source=batches,
            name=table.qualified.replace(".", "_"),
            infos=infos,
            table_infos=table_infos,
            description=table.description,
        )
        path = self.path(edition, extension)
        fresh = path.with_name(f".{path.name}.{os.getpid()}")
        digest, size = hashlib.sha256(), 0
        try:
            with fresh.open("wb") as out:
                for chunk in formats.find(FORMATS[extension]).write(result):
                    out.write(chunk)
                    digest.update(chunk)
                    size += len(chunk)
                out.flush()
                os.fsync(out.fileno())
            if result.failed or result.rows != edition.rows or not still():
                return None
            fresh.replace(path)
        finally:
            fresh.unlink(missing_ok=True)
        service.execute(
            "INSERT INTO km3vo.download (published, number, extension, sha256, bytes) VALUES (%s, %s, %s, %s, %s) "
            "ON CONFLICT (published, number, extension) DO UPDATE "
            "SET sha256 = excluded.sha256, bytes = excluded.bytes, made_at = now()",
            (edition.published, edition.number, extension, digest.hexdigest(), size),
        )
        return self._find(service, edition, extension)

    def made(self, table: Table) -> list[Download]:
        """The files that were made of a table, newest editions first."""
        with self._database.connect(SERVICE, autocommit=True) as service:
            cursor = service.cursor(row_factory=class_row(Download))
            return cursor.execute(
                "SELECT published, number, extension, sha256, bytes, made_at FROM km3vo.download "
                "WHERE published = %s ORDER BY number DESC, extension",
                (table.qualified,),
            ).fetchall()


def _batches(rows: pq.ParquetFile, table: Table) -> Iterator[pa.RecordBatch]:
    """The rows of a Parquet file of ours, with the types of results."""
    schema = pa.schema([(column.name, arrow_type(column)) for column in table.columns])
    for batch in rows.iter_batches(ROWS_PER_BATCH):
        yield batch.cast(schema)
