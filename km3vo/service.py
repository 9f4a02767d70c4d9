"""All that a request needs, in one object: settings, catalogue, translations, and the database as each audience."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from km3vo.adql import Translation, translate
from km3vo.catalog.model import Catalog, Table
from km3vo.catalog.tap_schema import TAP_SCHEMA
from km3vo.registry.holdings import Holdings
from km3vo.room import Folder, Spool
from km3vo.settings import Settings
from km3vo.store import embargo
from km3vo.store.access import Access
from km3vo.store.database import Database
from km3vo.store.embargo import Audience
from km3vo.store.jobs import Jobs
from km3vo.store.jobs_signals import Signals
from km3vo.store.queries import Reader
from km3vo.store.release_task import Promoter
from km3vo.store.uploads import Uploads

AUDIENCES: tuple[Audience, ...] = ("public", "member")
TRANSLATIONS_KEPT = 2000


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks.

    Attributes:
        audience: decides which rows there are: "public", "member", or the login of one observer (store/grants.py).
        name: for job lists and the access log; None for the public. What belongs to somebody (a job and its result)
            is for the same audience and name only.
    """

    audience: Audience = "public"
    name: str | None = None


T = TypeVar("T")


class ByAudience(dict[Audience, T]):
    """Something for each audience, made when first asked for: observers come and go while the service runs."""

    def __init__(self, make: Callable[[Audience], T]) -> None:
        super().__init__()
        self._make = make
        self._lock = threading.Lock()

    def __missing__(self, audience: Audience) -> T:
        with self._lock:
            if audience not in self:
                self[audience] = self._make(audience)
            return self[audience]


class Service:
    """The running service. One per server process."""

    def __init__(self, settings: Settings, database: Database, published: Catalog) -> None:
        self.settings = settings
        self.database = database
        self.published = published
        # TAP_SCHEMA is a schema like the others (TAP 1.1 §4), but last in every list.
        self.catalog = Catalog((*self.published.schemas, TAP_SCHEMA))
        # Each observer has a login, and so connections, of its own: few.
        few = settings.pools.model_copy(update={"quick": 2, "streams": 2})
        self.readers = ByAudience(
            lambda audience: Reader(
                database, audience, settings.pools if audience in AUDIENCES else few, settings.limits
            )
        )
        self.sources = ByAudience(lambda audience: embargo.sources(self.catalog, audience))
        self.access = Access(database)
        self.holdings = Holdings(database)
        self.jobs = Jobs(database)
        self.signals = Signals(database)
        self.uploads = Uploads(database, settings.pools, lambda: self.signals.key)
        self.room = Folder(settings.results, settings.limits.results_bytes)
        self.spool = Spool(settings.limits.spool_bytes)
        self.promoter = Promoter(database, self.published.tables, settings.promote_seconds)
        # Streams are read, and formats written, in threads of their own: the event loop only passes bytes on.
        self.threads = ThreadPoolExecutor(max_workers=4 * settings.pools.streams, thread_name_prefix="stream")
        self._translations: OrderedDict[tuple[Audience, str, str, int | None], Translation] = OrderedDict()

    async def open(self) -> None:
        """Open the connections."""
        for audience in AUDIENCES:
            await self.readers[audience].open()
        await self.access.open()
        await self.holdings.open()
        self.promoter.start()
        await self.jobs.open()
        await self.signals.open()

    async def close(self) -> None:
        """Cancel what runs and close the connections."""
        for reader in self.readers.values():
            await reader.close()
        await self.access.close()
        await self.holdings.close()
        await asyncio.to_thread(self.promoter.stop)
        await self.signals.close()
        await self.jobs.close()
        self.uploads.close()
        self.threads.shutdown(wait=False, cancel_futures=True)

    def translate(self, text: str, version: str, maxrec: int | None, audience: Audience) -> Translation:
        """An ADQL query as PostgreSQL for an audience; remembered, since clients repeat themselves.

        Raises:
            AdqlError: the text is not ADQL, or names what is not there.
        """
        key = audience, version, text, maxrec
        known = self._translations.pop(key, None)
        if known is None:
            known = translate(text, self.sources[audience], version=version, maxrec=maxrec)
        self._translations[key] = known
        if len(self._translations) > TRANSLATIONS_KEPT:
            self._translations.popitem(last=False)
        return known

    def table(self, qualified: str) -> Table | None:
        """The published table of that name, or None."""
        try:
            return self.catalog.table(qualified)
        except KeyError:
            return None
