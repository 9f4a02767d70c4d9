"""A TAP query that runs: from its uploaded tables to its last row, for /sync and for jobs alike."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import BinaryIO

from km3vo.adql import Translation, translate
from km3vo.errors import TooLargeError, UploadError
from km3vo.protocols import origin
from km3vo.protocols.tap_query import STANDARD, Wanted
from km3vo.results.stream import Result
from km3vo.service import Asker, Service
from km3vo.store import failures, uploads
from km3vo.store.queries import Stream
from km3vo.store.uploads import Upload


class Execution:
    """One run of a query. ``start`` and the reading of its result belong in a thread; ``cancel`` may come from any.

    Args:
        running: the service.
        wanted: the query.
        who: as whom it runs.
        url: of the request, for the result's INFOs.
        seconds: how long the database may work on it.
        files: the uploaded tables, by name.

    Attributes:
        name: of the first table that it reads, known once it has started; for naming files.
    """

    name = "result"

    def __init__(
        self,
        running: Service,
        wanted: Wanted,
        who: Asker,
        url: str,
        seconds: float,
        files: Mapping[str, BinaryIO] | None = None,
    ) -> None:
        self._running = running
        self._wanted = wanted
        self._who = who
        self._url = url
        self._seconds = seconds
        self._files = dict(files or {})
        self._loaded: list[Upload] = []
        self._stream: Stream | None = None
        self._cancelled = False

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

    def cancel(self) -> None:
        """Stop it, wherever it is; whoever reads its result gets an error."""
        self._cancelled = True
        if self._stream is not None:
            self._stream.cancel()

    def close(self) -> None:
        """Stop it if it still runs, and let go of all that it holds."""
        if self._stream is not None:
            self._stream.close()
        while self._loaded:
            self._running.uploads.drop(self._loaded.pop())
        while self._files:
            with suppress(OSError):
                self._files.popitem()[1].close()

    def _start(self) -> Result:
        running, wanted = self._running, self._wanted
        translation = self._translated()
        self.name = next((".".join(name) for name in sorted(translation.tables)), self.name)
        self._check()
        reader = running.readers[self._who.audience]
        stream = reader.stream(translation.sql, self._seconds, self._began)
        tables = [running.table(".".join(name)) for name in sorted(translation.tables)]
        return Result(
            columns=translation.columns,
            source=stream,
            maxrec=wanted.maxrec,
            infos=origin.service_infos(running.settings, STANDARD, self._url, wanted.query),
            table_infos=origin.table_infos(running.settings, filter(None, tables)),
        )

    def _translated(self) -> Translation:
        """The query in SQL; uploaded tables are in the database afterwards."""
        running, wanted, audience = self._running, self._wanted, self._who.audience
        if not self._files:
            return running.translate(wanted.query, wanted.version, wanted.maxrec, audience)
        uploaded = [self._read(name, file) for name, file in self._files.items()]

        def translated(searchable: bool) -> Translation:
            sources = (upload.source(searchable=searchable) for upload in uploaded)
            known = running.sources[audience].with_uploads(sources)
            return translate(wanted.query, known, version=wanted.version, maxrec=wanted.maxrec)

        translation = translated(searchable=True)
        indexed = any(upload.is_searched(translation.sql) for upload in uploaded)
        if not indexed and any(upload.places for upload in uploaded):
            translation = translated(searchable=False)
        for upload in uploaded:
            self._check()
            self._loaded.append(upload)
            running.uploads.load(upload, audience, indexed=indexed)
        return translation

    def _read(self, name: str, file: BinaryIO) -> Upload:
        self._check()
        try:
            upload = uploads.read(name, file, self._running.settings.limits)
        except (UploadError, TooLargeError) as error:
            raise type(error)(f"upload {name}: {error}") from error
        self._running.uploads.assign(upload)
        return upload

    def _began(self, stream: Stream) -> None:
        self._stream = stream
        self._check()

    def _check(self) -> None:
        if self._cancelled:
            raise failures.explain("57014")
