"""A TAP query that runs: from its uploaded tables to its last row, for /sync and for jobs alike."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import BinaryIO

from km3vo import interpreter, metrics
from km3vo.adql import Translation, translate
from km3vo.adql.fingerprint import fingerprint
from km3vo.catalog import origin
from km3vo.catalog.model import Table
from km3vo.database import failures
from km3vo.database.audiences import Audience
from km3vo.database.queries import RowStream
from km3vo.embargo import marking, partitions
from km3vo.errors import TooLargeError, UploadError
from km3vo.identity.user import User
from km3vo.logs import request_id
from km3vo.protocols import datalink
from km3vo.protocols.dali.work import in_thread
from km3vo.protocols.tap.query import STANDARD, TapQuery
from km3vo.results.stream import Info, Result
from km3vo.service import AUDIENCES, Service
from km3vo.settings import Limits
from km3vo.uploads import tables
from km3vo.uploads.tables import Upload

log = logging.getLogger(__name__)


class Execution:
    """One run of a query. ``start`` and the reading of its result belong in a thread; ``cancel`` may come from any.

    Args:
        running: the service.
        query: the query.
        user: as whom it runs.
        url: of the request, for the result's INFOs.
        seconds: how long the database may work on it.
        files: the uploaded tables, by name.
        work: what the database shows as the name of the work; the request's id unless given.
        long: whether it is long work.

    Attributes:
        long: as the argument; to be set before it starts.
        outlived: is called once, from another thread, when it has taken longer than short work may.
        name: of the first table that it reads, known once it has started; for naming files.
        tables: the published tables that it reads, known likewise.
        marked: whether events may be among its rows that the public does not see, known likewise.
    """

    name = "result"
    tables: tuple[Table, ...] = ()
    marked = False
    outlived: Callable[[], object] | None = None

    def __init__(
        self,
        running: Service,
        query: TapQuery,
        user: User,
        url: str,
        seconds: float,
        files: Mapping[str, BinaryIO] | None = None,
        *,
        work: str = "",
        long: bool = False,
    ) -> None:
        self._running = running
        self._query = query
        self._user = user
        self._url = url
        self._seconds = seconds
        self._files = dict(files or {})
        self._work = work or request_id.get()
        self.long = long
        self._share = running.request_quota.share()
        self._loaded: list[Upload] = []
        self._stream: RowStream | None = None
        self._remarks: list[Info] = []
        self._cancelled = False
        self._told = False

    def start(self) -> Result:
        """Load the uploads, translate, send, and wait for the first rows.

        Raises:
            Km3voError: the query or an upload is not right, or it was cancelled.
        """
        try:
            return self._start()
        except BaseException:
            self.close()
            raise

    def cancel(self, *, crowded: bool = False) -> None:
        """Stop it, wherever it is; whoever reads its result gets an error. ``crowded``: there is no room for it."""
        self._cancelled = True
        if self._stream is not None:
            self._stream.cancel(crowded=crowded)

    def make_long(self) -> None:
        """It is long work from now on."""
        if self._stream is not None:
            self._stream.make_long()

    def close(self) -> None:
        """Stop it if it still runs, and let go of all that it holds."""
        if self._stream is not None:
            self._stream.close()
            self._tell_if_slow(self._stream)
        while self._loaded:
            self._running.uploads.drop(self._loaded.pop())
        self._share.release()
        while self._files:
            with suppress(OSError):
                self._files.popitem()[1].close()

    def _tell_if_slow(self, stream: RowStream) -> None:
        if stream.spent <= stream.short_seconds or self._told:
            return
        self._told = True
        kind = partitions.kind(self._user.audience)
        fields = {"fingerprint": fingerprint(self._query.adql), "seconds": round(stream.spent, 1), "work": self._work}
        log.info(
            "slow query", extra={"fields": fields | {"lane": "long" if stream.long else "short", "audience": kind}}
        )
        if (counted := metrics.instruments()) is not None:
            counted.slow.labels(kind).inc()

    def _start(self) -> Result:
        running, query = self._running, self._query
        translation = self._translated()
        self.name = next((".".join(name) for name in sorted(translation.tables)), self.name)
        self._check()
        reader = running.readers[self._user.audience]
        known = (running.table(".".join(name)) for name in sorted(translation.tables))
        self.tables = tuple(table for table in known if table is not None)
        self.marked = marking.is_marked(self._user.audience, self.tables)
        stream = reader.stream(
            translation.sql, self._seconds, self._began, name=self._work, long=self.long, outlived=self.outlived
        )
        return Result(
            columns=translation.columns,
            source=stream,
            maxrec=query.maxrec,
            infos=(
                *origin.service_infos(running.settings, STANDARD, self._url, query.adql),
                *marking.infos(self._user.audience, self.tables, self._user.name),
                *self._remarks,
            ),
            table_infos=origin.table_infos(running.settings, self.tables),
            descriptors=datalink.descriptors(running.settings, self.tables),
        )

    def _translated(self) -> Translation:
        """The query in SQL; uploaded tables are in the database afterwards."""
        running, query, audience = self._running, self._query, self._user.audience
        if not self._files:
            return running.translate(query.adql, query.version, query.maxrec, audience)
        uploaded = [self._read(name, file) for name, file in self._files.items()]

        def translated(searchable: bool) -> Translation:
            sources = (upload.source(searchable=searchable) for upload in uploaded)
            known = running.sources[audience].with_uploads(sources)
            return translate(query.adql, known, version=query.version, maxrec=query.maxrec)

        translation = translated(searchable=True)
        indexed = tables.to_be_indexed(translation)
        if not indexed and any(upload.places for upload in uploaded):
            translation = translated(searchable=False)
        for upload in uploaded:
            self._check()
            self._loaded.append(upload)
            running.uploads.load(upload, audience, indexed=indexed)
            upload.rows = upload.rows.schema.empty_table()  # the database has them now
        self._share.release()
        self._remarks = [Info("upload", upload.name, remark) for upload in uploaded for remark in upload.remarks]
        return translation

    def _read(self, name: str, file: BinaryIO) -> Upload:
        self._check()
        try:
            limits, known = self._running.settings.limits, self._query.known.get(name)
            with interpreter.working():
                upload = tables.read(name, file, limits, known, self._share.reserve)
        except (UploadError, TooLargeError) as error:
            raise type(error)(f"upload {name}: {error}") from error
        self._running.uploads.assign(upload)
        return upload

    def _began(self, stream: RowStream) -> None:
        self._stream = stream
        self._check()

    def _check(self) -> None:
        if self._cancelled:
            raise failures.explain("57014")


def is_long(limits: Limits, expected: float | None) -> bool:
    """Whether work of so many seconds is long; what nobody can tell is short until it has outlived that."""
    return expected is not None and expected > limits.short_seconds


async def expected_seconds(
    running: Service, query: TapQuery, audience: Audience, wait: float | None = None
) -> float | None:
    """How long the database is going to work on a query; None where that is not known: with uploads, for observers.

    ``wait`` is for how many seconds the planner may be busy; a moment unless given.

    Raises:
        AdqlError: the query is not ADQL, or names what is not there.
    """
    if query.uploads or audience not in AUDIENCES:
        return None
    translation = await in_thread(running, running.translate, query.adql, query.version, query.maxrec, audience)
    return await running.readers[audience].expected_seconds(translation.sql, wait)
