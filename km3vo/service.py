"""All that a request needs, in one object: settings, catalogue, translations, and the database as each audience."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from km3vo import downtime, metrics
from km3vo.adql import Translation, translate
from km3vo.alerts import topic
from km3vo.alerts.documents import Documents
from km3vo.alerts.filters import Filters
from km3vo.alerts.folder import Folder
from km3vo.alerts.records import Alerts
from km3vo.alerts.sending import channels
from km3vo.alerts.sending.channels import APART, Channel
from km3vo.alerts.sending.dispatcher import Dispatcher
from km3vo.alerts.sending.operators import LOOK as OPERATORS_SECONDS
from km3vo.alerts.sending.operators import Operators
from km3vo.alerts.sending.outbox import Outgoing
from km3vo.alerts.sending.subscribers import Subscribers
from km3vo.alerts.subscriptions import Subscriptions
from km3vo.alerts.tables import AlertTables
from km3vo.alerts.tail import Tail
from km3vo.catalog.model import Catalog, Schema, Table
from km3vo.catalog.tap_schema import TAP_SCHEMA
from km3vo.cluster import priority
from km3vo.database.audiences import Audience
from km3vo.database.logins import SERVICE, Database
from km3vo.database.pool import Pool, Pulse
from km3vo.database.queries import UNCHANGED, DatabaseReader, Lower
from km3vo.database.turns import Lanes, Turns
from km3vo.downtime import Downtime
from km3vo.embargo import partitions
from km3vo.embargo.access import Access
from km3vo.embargo.promoter import Promoter
from km3vo.embargo.withheld import Withheld
from km3vo.errors import NotFoundError
from km3vo.followup import elsewhere, visibility
from km3vo.holdings.downloads import DownloadFiles
from km3vo.holdings.reader import HoldingsReader
from km3vo.identity.credentials import Authenticator
from km3vo.identity.failures import Failures
from km3vo.identity.ongoing import Ongoing
from km3vo.jobs.job import Jobs
from km3vo.jobs.quota import ResultsQuota
from km3vo.jobs.signals import Signals
from km3vo.logs import Threads
from km3vo.results.backlog import AnswersQuota
from km3vo.schedule import Schedule
from km3vo.settings import Pools, Settings
from km3vo.uploads.quota import RequestQuota
from km3vo.uploads.tables import Uploads

if TYPE_CHECKING:
    from km3vo.identity.login import Login
    from km3vo.identity.sessions import Sessions

AUDIENCES: tuple[Audience, ...] = ("public", "member")
DOWNTIME_SECONDS = 15.0
FIGURES_SECONDS = 5.0
GRACE_SECONDS = 1.5  # of queries, when the server is about to stop
TRANSLATIONS_BYTES = 32 * 2**20  # of ADQL and SQL that are remembered


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
        few = settings.pools.model_copy(update={"quick": 2, "streams": 2, "long_streams": 1})
        # The processes of a server of the operator's own may be on another machine.
        lower = UNCHANGED
        if not settings.database_url:
            lower = Lower(*(partial(priority.lower, database, nice) for nice in (priority.STREAM, priority.LONG)))
        self.readers = ByAudience(
            lambda audience: DatabaseReader(
                database, audience, settings.pools if audience in AUDIENCES else few, settings.limits, lower
            )
        )
        self.lanes = ByAudience(lambda audience: _lanes(settings.pools if audience in AUDIENCES else few, settings))
        self.sources = ByAudience(lambda audience: partitions.sources(self.catalog, audience))
        self.pool = Pool(database.conninfo(SERVICE), size=settings.pools.service, seconds=settings.pools.wait_seconds)
        self.access = Access(self.pool)
        self.authenticator = Authenticator(self.access, settings.oidc)
        self.ongoing = Ongoing(self.access)
        self.login: Login | None = None
        self.sessions: Sessions | None = None
        if settings.may_log_in:
            self._let_log_in()
        self.failures = Failures(settings.limits.wrong_credentials)
        # Pages and availability have connections of their own, so that they wait for nobody.
        self.pages = Pool(database.conninfo(SERVICE), size=2, seconds=settings.pools.wait_seconds)
        self.pulse = Pulse(database.conninfo(SERVICE))
        self.holdings = HoldingsReader(settings, published, self.pages)
        self.withheld = Withheld(published, lambda audience: self.readers[audience])
        self.downloads = DownloadFiles(settings, database)
        self.alerts = Alerts(self.pool)
        self.tail = Tail(database, self.alerts, settings)
        self.outgoing = Outgoing(settings, channels.read(settings), AlertTables(published))
        self.documents = Documents(settings)
        self.sites = visibility.read(settings)
        self.elsewhere = elsewhere.read(settings)
        self.subscriptions = Subscriptions(self.pool)
        self.filters = Filters(database, self.sources["public"])
        self.jobs = Jobs(self.pool)
        self.signals = Signals(database)
        self.uploads = Uploads(database, settings.pools, lambda: self.signals.key, lower.stream)
        self.results_quota = ResultsQuota(settings.results, settings.limits.results_bytes)
        self.request_quota = RequestQuota(settings.limits.requests_bytes)
        self.answers_quota = AnswersQuota(settings.answers, settings.limits.answers_bytes)
        self.schedule = Schedule()
        self.promoter = Promoter(
            database, self.published.tables, lambda: self.schedule.stopping, settings.release_every
        )
        self.schedule.every(settings.promote_seconds, "release of events", self.promoter.look)
        if settings.alerts.folder:
            folder = Folder(settings.alerts.folder, database, self.outgoing)
            self.schedule.every(1, "alerts in the folder", folder.look)
        if settings.alerts.source:
            source = topic.read(settings.alerts.source)
            refused = settings.home / "alerts" / "refused"
            reading = topic.Topic(source, database, self.outgoing, refused, lambda: self.schedule.stopping)
            self.schedule.every(5, f"alerts of the topic {source.topic}", reading.run)
        expires = timedelta(days=settings.alerts.expires_days)
        for channel in self.outgoing.channels:
            if channel.kind in APART:
                self._tell_people(channel)
                continue
            sending = Dispatcher(database, channel, expires, lambda: self.schedule.stopping)
            self.schedule.every(1, f"alerts to {channel.name}", sending.run)
        # Streams are read and written in threads of their own, of which whoever has a turn finds one free.
        streams = settings.pools.streams + settings.pools.long_streams
        self.writers = Threads(2 * streams + 16, thread_name_prefix="stream")
        self.threads = Threads(8, thread_name_prefix="work")
        self.since = datetime.now(UTC)
        self.downtimes: Sequence[Downtime] = ()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.schedule.every(DOWNTIME_SECONDS, "announced downtimes", self._read_downtimes)
        if metrics.instruments() is not None:
            self.schedule.every(FIGURES_SECONDS, "figures", self._note_figures)
        self._stopping = False
        self._lock = threading.Lock()
        self._translated_bytes = 0
        self._translations: OrderedDict[tuple[Audience, str, str, int | None], Translation] = OrderedDict()

    def _tell_people(self, channel: Channel) -> None:
        """Mails to subscribers and operators."""
        if channel.kind == "operators":
            operators = Operators(self.database, self.settings, channel, self.published)
            self.schedule.every(OPERATORS_SECONDS, f"troubles told to {channel.name}", operators.look)
            return
        stopping = lambda: self.schedule.stopping  # noqa: E731
        subscribers = Subscribers(self.database, self.settings, channel, self.sources["public"], stopping)
        self.schedule.every(1, f"mails of {channel.name}", subscribers.run)

    def _let_log_in(self) -> None:
        """Logging in with a browser: what that takes is imported where it is possible."""
        from km3vo.identity.login import Login
        from km3vo.identity.sessions import Sessions

        self.login = Login(self.authenticator.provider, self.settings.base_url)
        self.sessions = Sessions(self.pool, self.login)

    async def open(self) -> None:
        """Open the connections."""
        self._loop = asyncio.get_running_loop()
        for audience in AUDIENCES:
            await self.readers[audience].open()
        for pool in (self.pool, self.pages, self.pulse):
            await pool.open()
        await self.signals.open()
        await self.tail.open()
        await self.ongoing.open()

    def _read_downtimes(self) -> None:
        assert self._loop is not None
        asked = asyncio.run_coroutine_threadsafe(downtime.read_over(self.pages), self._loop)
        self.downtimes = asked.result(30)

    def _note_figures(self) -> None:
        if (counted := metrics.instruments()) is None:
            return
        for audience, lanes in list(self.lanes.items()):
            named = ("short", lanes.short), ("long", lanes.long), ("wide", lanes.wide), ("narrow", lanes.narrow)
            for name, turns in named:
                kind = partitions.kind(audience)
                counted.turns.labels(kind, name, "held").set(turns.held)
                counted.turns.labels(kind, name, "waiting").set(turns.waiting)
        counted.kept.labels("answers").set(self.answers_quota.used)
        counted.kept.labels("requests").set(self.request_quota.used)
        counted.memory.set(metrics.resident_bytes())

    def stop_soon(self) -> None:
        """The server is about to stop: whoever waits is answered, and queries have a moment to end."""
        if not self._stopping:
            self._stopping = True
            self.signals.stop_waiting()
            self.tail.stop_waiting()
            asyncio.get_running_loop().call_later(GRACE_SECONDS, self._end_queries)

    def _end_queries(self) -> None:
        for lanes in self.lanes.values():
            lanes.close()
        for reader in self.readers.values():
            asyncio.get_running_loop().run_in_executor(None, reader.end_streams)

    async def close(self) -> None:
        """Cancel what runs and close the connections."""
        for reader in self.readers.values():
            await reader.close()
        self.promoter.close()
        await self.ongoing.close()
        await self.signals.close()
        await self.tail.close()
        await self.filters.close()
        for pool in (self.pool, self.pages, self.pulse):
            await pool.close()
        self.uploads.close()
        for threads in (self.writers, self.threads):
            threads.shutdown(wait=False, cancel_futures=True)

    def translate(self, text: str, version: str, maxrec: int | None, audience: Audience) -> Translation:
        """An ADQL query as PostgreSQL for an audience; remembered, since clients repeat themselves.

        Raises:
            AdqlError: the text is not ADQL, or names what is not there.
        """
        key = audience, version, text, maxrec
        with self._lock:
            known = self._translations.get(key)
            if known is not None:
                self._translations.move_to_end(key)
                return known
        translation = translate(text, self.sources[audience], version=version, maxrec=maxrec)
        with self._lock:
            if key not in self._translations:
                self._translations[key] = translation
                self._translated_bytes += _size(text, translation)
            while self._translated_bytes > TRANSLATIONS_BYTES:
                (_, _, oldest, _), forgotten = self._translations.popitem(last=False)
                self._translated_bytes -= _size(oldest, forgotten)
        return translation

    def table(self, qualified: str) -> Table | None:
        """The table of that name, of TAP_SCHEMA too, or None."""
        try:
            return self.catalog.table(qualified)
        except KeyError:
            return None

    def published_schema(self, name: str) -> Schema:
        """The published schema of that name, in any case.

        Raises:
            NotFoundError: there is none.
        """
        for schema in self.published.schemas:
            if schema.name == name.lower():
                return schema
        raise NotFoundError(f"There is no schema {name[:80]}.")

    def published_table(self, schema: str, name: str) -> Table:
        """The published table of that name, in any case.

        Raises:
            NotFoundError: there is none.
        """
        try:
            return self.published.table(f"{schema}.{name}")
        except KeyError:
            raise NotFoundError(f"There is no table {schema[:80]}.{name[:80]}.") from None


def _lanes(pools: Pools, settings: Settings) -> Lanes:
    """The turns of an audience with these connections; one client leaves some of them to others."""
    limits, seconds = settings.limits, pools.wait_seconds
    wide = max(1, pools.quick // 2)
    return Lanes(
        short=Turns(pools.streams, each=max(1, pools.streams * 2 // 3), waiting=limits.waiting, seconds=seconds),
        long=Turns(pools.long_streams, each=1, waiting=limits.waiting_long, seconds=seconds, called="long queries"),
        wide=Turns(
            wide, each=max(1, wide // 2), waiting=limits.waiting_long * 10, seconds=seconds, called="wide cones"
        ),
        narrow=Turns(
            pools.quick, each=max(1, pools.quick * 3 // 4), waiting=limits.waiting, seconds=seconds, called="cones"
        ),
    )


def _size(text: str, translation: Translation) -> int:
    """About how many bytes a remembered query takes; its columns are objects, of about so many each."""
    return len(text) + len(translation.sql) + 1000 * len(translation.columns)
