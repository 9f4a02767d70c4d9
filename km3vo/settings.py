"""Typed settings, one class per concern; each field's description is what the documentation prints.

Every setting is read from an environment variable: ``KM3VO_`` plus its name, the concern in between for all but
the first class (``KM3VO_HOME``, ``KM3VO_LIMITS_MAXREC``).
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

PACKAGE = Path(__file__).resolve().parent


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
        60, gt=0, description="How long a client that reads nothing may hold its database connection, in seconds."
    )
    retention_days: float = Field(7, gt=0, description="Days until a finished job and its result are deleted.")
    retention_days_hard: float = Field(30, gt=0, description="Latest destruction a job may ask for, in days.")
    jobs_running: int = Field(2, gt=0, description="Asynchronous jobs that run at once in one server process.")
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
    spool_bytes: int = Field(
        2 * 2**30, gt=0, description="Most bytes of requests that one server process holds until they are answered."
    )
    upload_seconds: int = Field(30, gt=0, description="Longest time to fetch an upload by URL, in seconds.")
    upload_hosts: list[str] = Field(
        [], description="Hosts that uploads by URL may name although their address is private or local (JSON list)."
    )


class Pools(BaseSettings):
    """Connections to the database, for each server process and audience."""

    model_config = _prefix("POOL_")

    quick: int = Field(8, gt=0, description="Connections for small answers (cone searches, metadata).")
    streams: int = Field(6, gt=0, description="Connections for streamed answers (TAP).")
    wait_seconds: float = Field(10, gt=0, description="How long a request waits for a free connection, in seconds.")


class Identity(BaseSettings):
    """Who publishes: these go into the registry records and into every result."""

    model_config = _prefix("PUBLISHER_")

    authority: str = Field("km3net.org", description="IVOA authority of the identifiers, without ivo://.")
    name: str = Field("KM3NeT", description="Publisher named in results and registry records.")
    title: str = Field("KM3NeT Virtual Observatory", description="Name of the service on pages and in the registry.")
    contact_name: str = Field("KM3NeT Open Data", description="Whom to write to.")
    contact_email: str = Field("opendata@km3net.de", description="Address of the contact and of the OAI admin.")
    reference_url: str = Field("https://opendata.km3net.de", description="Page about the publisher.")


class Oidc(BaseSettings):
    """Members log in with tokens of an OpenID Connect provider. Without an issuer only personal tokens work."""

    model_config = _prefix("OIDC_")

    issuer: str = Field("", description="URL of the OpenID Connect issuer; empty to switch it off.")
    audience: str = Field("km3vo", description="What the token's `aud` claim must contain.")
    claim: str = Field("groups", description="Claim that holds a user's groups or entitlements (dots go deeper).")
    members: list[str] = Field(["km3net"], description="Values of the claim that make a user a member (JSON list).")
    insecure_http: bool = Field(False, description="Allow an issuer on plain http. For tests on loopback only.")


class Settings(BaseSettings):
    """Where things are and how the service is reached."""

    model_config = _prefix()

    home: Path = Field(default_factory=default_home, description="Folder of the cluster, the results and the secrets.")
    database_url: str = Field(
        "", description="Use this PostgreSQL server (postgresql://admin@host/db) instead of the embedded cluster."
    )
    schemas: Path = Field(PACKAGE.parent / "schemas", description="Folder of the published schemas' YAML files.")
    data: Path | None = Field(None, description="Folder with the real event lists; without it look-alikes are made.")
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, gt=0, lt=65536, description="Port to listen on.")
    workers: int = Field(1, gt=0, description="Server processes.")
    url: str = Field(
        "", description="Public base URL, when the service stands behind a proxy (https://vo.example.org)."
    )
    demo_events: int = Field(100_000, ge=0, description="Simulated km3net.events that `km3vo up` makes.")
    announce_seconds: int = Field(
        30, ge=0, description="Pause between looks for loads and releases to tell of in the registry; 0 for never."
    )
    promote_seconds: int = Field(60, ge=0, description="Pause between looks for events to release; 0 for never.")

    @cached_property
    def limits(self) -> Limits:
        """Limits of a request."""
        return Limits()

    @cached_property
    def pools(self) -> Pools:
        """Sizes of the connection pools."""
        return Pools()

    @cached_property
    def publisher(self) -> Identity:
        """Who publishes."""
        return Identity()

    @cached_property
    def oidc(self) -> Oidc:
        """How members log in."""
        return Oidc()

    @property
    def base_url(self) -> str:
        """The address users type, without a slash at the end."""
        return (self.url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def results(self) -> Path:
        """Folder of the asynchronous jobs' results."""
        return self.home / "results"

    @property
    def downloads(self) -> Path:
        """Folder of the whole lists."""
        return self.home / "downloads"
