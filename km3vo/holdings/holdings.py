"""What the public can have just now of each published table, for whoever describes it: pages, capabilities, records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from km3vo.catalog.model import Catalog, Table
from km3vo.holdings.coverage import Coverage
from km3vo.holdings.editions import Edition
from km3vo.settings import Settings


@dataclass(frozen=True, slots=True)
class Holding:
    """A published table, and what the public can have of it just now.

    Attributes:
        coverage: what its public rows cover; None while they have not been measured.
        editions: of its public rows, newest first.
        up_to: for an embargoed table, up to which time of observation (UTC) it is public.
    """

    settings: Settings
    table: Table
    coverage: Coverage | None = None
    editions: tuple[Edition, ...] = ()
    up_to: datetime | None = None

    @property
    def edition(self) -> Edition | None:
        """The latest edition."""
        return self.editions[0] if self.editions else None

    @property
    def path(self) -> str:
        """What addresses of the table end in."""
        return f"{self.table.schema}/{self.table.name}"

    @property
    def url(self) -> str:
        """The address of its page."""
        return f"{self.settings.base_url}/browse/{self.path}"

    @property
    def ivoid(self) -> str:
        """Its identifier in the Virtual Observatory."""
        return self.settings.ivoid(self.table.schema, self.table.name)


@dataclass(frozen=True, slots=True)
class Holdings:
    """All published tables, and what the public can have of them at one moment.

    Attributes:
        catalog: the published tables, without TAP_SCHEMA.
        coverages, editions, up_to: as in ``Holding``, by the tables' names.
    """

    settings: Settings
    catalog: Catalog
    coverages: Mapping[str, Coverage] = field(default_factory=dict)
    editions: Mapping[str, Sequence[Edition]] = field(default_factory=dict)
    up_to: Mapping[str, datetime] = field(default_factory=dict)

    @property
    def base(self) -> str:
        """The address of the service."""
        return self.settings.base_url

    def of(self, table: Table) -> Holding:
        """What the public can have of one table."""
        name = table.qualified
        return Holding(
            self.settings,
            table,
            coverage=self.coverages.get(name),
            editions=tuple(self.editions.get(name, ())),
            up_to=self.up_to.get(name),
        )
