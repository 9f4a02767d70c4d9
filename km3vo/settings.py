"""Typed settings, one class per concern; each field's description is what the documentation prints.

Every setting is read from an environment variable: ``KM3VO_`` plus its name, the concern in between for all but
the first class (``KM3VO_HOME``, ``KM3VO_LIMITS_MAXREC``).
"""

from __future__ import annotations

import os
from datetime import timedelta
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

LOOPBACK = ("localhost", "127.0.0.1", "::1")
SCHEMAS = Path(str(resources.files("km3vo") / "schemas"))


def default_home() -> Path:
    """Where cluster and results live unless told otherwise (XDG base directory; /var/lib for root)."""
    if os.geteuid() == 0:
        return Path("/var/lib/km3vo")
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "km3vo"


def _prefix(concern: str = "") -> SettingsConfigDict:
    return SettingsConfigDict(env_prefix=f"KM3VO_{concern}", extra="ignore", frozen=True)


class Limits(BaseSettings):
    """What one request may cost. The same figures are declared in /tap/capabilities."""

    model_config = _prefix("LIMITS_")

    maxrec: int = Field(100_000, gt=0, description="Rows of an answer when MAXREC is not given.")
    maxrec_hard: int = Field(20_000_000, gt=0, description="Most rows of an answer, whatever MAXREC says.")
    cone_maxrec: int = Field(10_000, gt=0, description="Rows of a cone search answer when MAXREC is not given.")
    cone_maxsr: float = Field(180.0, gt=0, le=180, description="Largest search radius in degrees.")
    query_length: int = Field(1_000_000, gt=0, description="Longest query, in characters.")
    sync_seconds: int = Field(60, gt=0, description="Longest time a synchronous query may run, in seconds.")
    async_seconds: int = Field(3600, gt=0, description="Time an asynchronous job may run unless it asks for less.")
    async_seconds_hard: int = Field(4 * 3600, gt=0, description="Longest time a job may ask for, in seconds.")
    idle_client_seconds: int = Field(
        60, gt=0, description="Longest time in which a client may take 256 KiB of an answer, in seconds."
    )
    short_seconds: float = Field(
        5, gt=0, description="Queries and jobs that take longer, or are expected to, wait for the places of long ones."
    )
    waiting_long: int = Field(
        2,
        gt=0,
        description="Long synchronous queries of one asker that may wait, and ten times as many wide cone searches.",
    )
    waiting: int = Field(
        500, gt=0, description="Synchronous queries of one user, or of one address without credentials, that may wait."
    )
    wrong_credentials: int = Field(
        20, gt=0, description="Wrong credentials of one address or user name in a minute; more are answered late (429)."
    )
    retention_days: float = Field(7, gt=0, description="Days until a finished job and its result are deleted.")
    retention_days_hard: float = Field(30, gt=0, description="Latest destruction a job may ask for, in days.")
    jobs_short: int = Field(4, gt=0, description="Short jobs that run at once in one server process.")
    jobs_running: int = Field(
        2, gt=0, description="Long jobs that run at once in one server process; of one address at most one."
    )
    jobs_unfinished: int = Field(
        1000, gt=0, description="Jobs that have not ended, for each user, and for each address without credentials."
    )
    result_bytes: int = Field(8 * 2**30, gt=0, description="Most bytes of one job's result.")
    results_bytes: int = Field(
        128 * 2**30, gt=0, description="Most bytes of all jobs' results and uploads together; 1 GiB of disk stays free."
    )
    oai_records: int = Field(50, gt=0, description="Registry records in one answer to a harvester.")
    upload_rows: int = Field(1_000_000, gt=0, description="Most rows of one uploaded table.")
    upload_bytes: int = Field(256 * 2**20, gt=0, description="Most bytes of all uploads of one request together.")
    requests_bytes: int = Field(
        2 * 2**30, gt=0, description="Most bytes of requests that one server process keeps until they are answered."
    )
    downloads_bytes: int = Field(
        64 * 2**30,
        gt=0,
        description="Most bytes of the files of whole lists: what can be made again goes, the rows of editions stay, "
        "and 1 GiB of disk stays free.",
    )
    answers_bytes: int = Field(
        8 * 2**30,
        gt=0,
        description="Most bytes of answers that one server process keeps on disk for clients that read slowly; half of "
        "them for one client.",
    )
    upload_seconds: int = Field(30, gt=0, description="Longest time to fetch an upload by URL, in seconds.")
    upload_hosts: list[str] = Field(
        [],
        description="Hosts that uploads by URL may name, at any port, although their address is private or local "
        "(JSON list).",
    )
    upload_ports: list[int] = Field(
        [80, 443], description="Ports of other hosts that uploads by URL may name (JSON list)."
    )


class Pools(BaseSettings):
    """Connections to the database, for each server process; those for answers, for each audience."""

    model_config = _prefix("POOL_")

    quick: int = Field(8, gt=0, description="Connections for small answers (cone searches, metadata).")
    streams: int = Field(6, gt=0, description="Connections for short synchronous queries (TAP).")
    long_streams: int = Field(
        2, gt=0, description="Connections for long synchronous queries; of one asker at most one."
    )
    service: int = Field(8, gt=0, description="Connections for jobs, credentials, the access log and the registry.")
    wait_seconds: float = Field(10, gt=0, description="How long a request waits for a free connection, in seconds.")


class Publisher(BaseSettings):
    """Who publishes: these go into the registry records and into every result."""

    model_config = _prefix("PUBLISHER_")

    authority: str = Field("km3net.org", description="IVOA authority of the identifiers, without ivo://.")
    name: str = Field("KM3NeT", description="Publisher named in results and registry records.")
    title: str = Field("KM3NeT Virtual Observatory", description="Name of the service on pages and in the registry.")
    contact_name: str = Field("KM3NeT Open Data", description="Whom to write to.")
    contact_email: str = Field("opendata@km3net.de", description="Address of the contact and of the OAI admin.")
    reference_url: str = Field("https://opendata.km3net.de", description="Page about the publisher.")


class Oidc(BaseSettings):
    """Members log in at an OpenID Connect provider. Without an issuer only personal tokens work.

    With a client's identifier as well, people log in with a browser (docs/access.md).
    """

    model_config = _prefix("OIDC_")

    issuer: str = Field("", description="URL of the OpenID Connect issuer; empty to switch it off.")
    audience: str = Field("km3vo", description="What the token's `aud` claim must contain.")
    claim: str = Field("groups", description="Claim that holds a user's groups or entitlements (dots go deeper).")
    members: list[str] = Field(["km3net"], description="Values of the claim that make a user a member (JSON list).")
    client_id: str = Field(
        "",
        description="Identifier of the service at the issuer, for logging in with a browser; empty to switch that off.",
    )
    client_secret: SecretStr = Field(
        SecretStr(""), description="Secret of the service at the issuer; empty for a public client, which has none."
    )
    scopes: str = Field("openid profile", description="What the issuer is asked for, separated by spaces.")
    insecure_http: bool = Field(False, description="Allow an issuer on plain http. For tests on loopback only.")


class Alerts(BaseSettings):
    """Alerts: what they say of the detectors, how they are taken in and sent."""

    model_config = _prefix("ALERTS_")

    gcn_schema: str = Field("v7.2.1", description="Released version of GCN's schema that notices name.")
    arca_site: tuple[float, float, float] = Field(
        (15.975552, 36.292201, -3450.0), description="Longitude, latitude (degrees), elevation (m) of ARCA (JSON list)."
    )
    orca_site: tuple[float, float, float] = Field(
        (6.033333, 42.8, -2450.0), description="Longitude, latitude (degrees), elevation (m) of ORCA (JSON list)."
    )

    channels: Path | None = Field(
        None, description="YAML file with the channels by which alerts are sent (docs/alerts.md)."
    )
    stream_url: str = Field(
        "",
        description="Where the public reads VOEvents from Kafka, for the registry, such as "
        "x-kafka://kafka.gcn.nasa.gov?topic=gcn.notices.km3net.voevent; empty while there is none.",
    )
    folder: Path | None = Field(None, description="Folder from which standard events are taken in, too.")
    source: Path | None = Field(
        None, description="YAML file of a Kafka topic from which standard events are taken in, too (docs/alerts.md)."
    )
    confirm: list[str] = Field([], description="Pipelines whose alerts wait until a person confirms them (JSON list).")
    most_a_day: int = Field(
        5, ge=0, description="Current alerts within a day; what comes above waits until a person confirms it."
    )
    expires_days: float = Field(7, gt=0, description="How long an alert is worth sending, in days.")
    early_seconds: float = Field(
        60,
        ge=0,
        description="How long a revision waits for the alert that it revises, in seconds; then it is refused.",
    )

    silent_seconds: float = Field(
        300, gt=0, description="How long after its last heartbeat a pipeline is missed, in seconds."
    )

    def site(self, detector: str) -> tuple[float, float, float]:
        """Where a detector is: longitude and latitude in degrees, elevation in metres."""
        return self.arca_site if detector == "ARCA" else self.orca_site


class Followup(BaseSettings):
    """Pages of single events: where else one may look, and from which telescopes."""

    model_config = _prefix("FOLLOWUP_")

    links: Path | None = Field(
        None, description="YAML file with the services that pages of events link to (docs/pages.md); ours unless given."
    )
    observatories: Path | None = Field(
        None, description="YAML file with the observatories whose nights are shown (docs/pages.md); ours unless given."
    )


class Log(BaseSettings):
    """What is written to the standard error while the service runs."""

    model_config = _prefix("LOG_")

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lines below this are left out.")
    format: Literal["auto", "text", "json"] = Field(
        "auto", description="Readable lines (text) or JSON lines; by itself text on a terminal and JSON otherwise."
    )


class Settings(BaseSettings):
    """Where things are and how the service is reached."""

    model_config = _prefix()

    home: Path = Field(default_factory=default_home, description="Folder of the cluster, the results and the secrets.")
    database_url: str = Field(
        "", description="Use this PostgreSQL server (postgresql://admin@host/db) instead of the embedded cluster."
    )
    schemas: Path = Field(SCHEMAS, description="Folder of the published schemas' YAML files.")
    data: Path | None = Field(None, description="Folder with the real event lists; without it look-alikes are made.")
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, gt=0, lt=65536, description="Port to listen on.")
    workers: int = Field(1, gt=0, description="Server processes.")
    url: str = Field(
        "", description="Public base URL, when the service stands behind a proxy (https://vo.example.org)."
    )
    proxies: list[str] = Field(
        ["127.0.0.1", "::1"],
        description="Addresses or networks of proxies whose X-Forwarded-For, -Proto, -Host, Forwarded and X-Request-Id "
        "are believed (JSON list).",
    )
    hosts: list[str] = Field(
        [],
        description="Names by which the service may be asked while KM3VO_URL is not set, beside localhost and "
        "KM3VO_HOST; asked by another, it gives its own address (JSON list).",
    )
    metrics_port: int = Field(
        0,
        ge=0,
        lt=65536,
        description="Port of the metrics for the operator's Prometheus, which tell of embargoed events; 0 for none.",
    )
    metrics_host: str = Field("127.0.0.1", description="Address on which the metrics are given.")
    simulated_events: int = Field(100_000, ge=0, description="Simulated km3net.events that `km3vo up` makes.")
    metadata_seconds: int = Field(
        30,
        ge=0,
        description="Seconds between updates of coverages, editions and registry records; 0 for never. Those after "
        "loads, releases and corrections come at once.",
    )
    sesame_url: str = Field(
        "https://cds.unistra.fr/cgi-bin/nph-sesame",
        description="Address of CDS's Sesame, which is asked for the names of objects when a user wants it; empty to "
        "ask nobody.",
    )
    promote_seconds: int = Field(60, ge=0, description="Pause between looks for events to release; 0 for never.")
    release_hours: float = Field(
        24,
        ge=0,
        le=24,
        description="Events that are due by their latency become public together, every so many hours from midnight "
        "(UTC), so that lists get a new edition once a day; 0 for at once.",
    )
    skymap_seconds: int = Field(
        600,
        ge=0,
        description="Pause between looks whether maps of significance have to be made anew, each at most once a day; 0 "
        "for never.",
    )

    @cached_property
    def limits(self) -> Limits:
        """Limits of a request."""
        return Limits()

    @cached_property
    def pools(self) -> Pools:
        """Sizes of the connection pools."""
        return Pools()

    @cached_property
    def publisher(self) -> Publisher:
        """Who publishes."""
        return Publisher()

    @cached_property
    def alerts(self) -> Alerts:
        """What alerts say of the detectors."""
        return Alerts()

    @cached_property
    def followup(self) -> Followup:
        """What pages of single events lead to."""
        return Followup()

    @cached_property
    def log(self) -> Log:
        """What is written down."""
        return Log()

    @cached_property
    def oidc(self) -> Oidc:
        """How members log in."""
        return Oidc()

    @property
    def release_every(self) -> timedelta:
        """Into which spans of time releases are gathered."""
        return timedelta(hours=self.release_hours)

    @property
    def connections(self) -> int:
        """Most connections that all server processes open to the database, and commands beside them."""
        pools, limits = self.pools, self.limits
        # A planner, short and long queries, jobs, for the public and for members; as much again is for observers.
        audience = pools.quick + 2 + pools.streams + pools.long_streams + limits.jobs_short + limits.jobs_running
        own = pools.service + pools.streams + 16  # jobs and tokens, uploads, pages, releases, downloads, alerts
        return max(100, self.workers * (3 * audience + own) + 20)

    @property
    def base_url(self) -> str:
        """The address users type, without a slash at the end."""
        return (self.url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def may_log_in(self) -> bool:
        """Whether people can log in with a browser: a provider knows us, and nobody can listen on the way."""
        place = urlsplit(self.base_url)
        safe = place.scheme == "https" or (place.hostname or "") in LOOPBACK
        return bool(safe and self.oidc.issuer and self.oidc.client_id)

    def ivoid(self, *path: str) -> str:
        """The identifier of something we publish, such as ``("ant20_01", "main")`` (IVOA Identifiers 2.0)."""
        return "/".join((f"ivo://{self.publisher.authority}", *path))

    @property
    def results(self) -> Path:
        """Folder of the asynchronous jobs' results."""
        return self.home / "results"

    @property
    def answers(self) -> Path:
        """Folder of answers that wait for clients; its files have no names and go with the process."""
        return self.home / "answers"

    @property
    def skymaps(self) -> Path:
        """Folder of the maps of significance."""
        return self.home / "skymaps"

    @property
    def downloads(self) -> Path:
        """Folder of the whole lists."""
        return self.home / "downloads"
