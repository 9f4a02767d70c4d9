"""Links to services of others that show what they know of a position. Nothing is asked of them here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import quote, urlencode

from pydantic import BaseModel, ConfigDict, Field, field_validator

from km3vo.followup.places import Place
from km3vo.settings import Settings
from km3vo.yamlfiles import entries

OURS = Path(__file__).with_name("elsewhere.yaml")


class Service(BaseModel):
    """A service of others.

    Attributes:
        name: of the service.
        who: learns the position when somebody follows the link.
        url: without a query.
        query: names and values of its parameters; values have places for the position, as the file says.
        most: the largest radius that it takes, degrees.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1)]
    who: Annotated[str, Field(min_length=1)]
    url: Annotated[str, Field(pattern=r"^https://[^\s?#]+$")]
    query: dict[str, str]
    most: Annotated[float, Field(gt=0)] = 180.0

    @field_validator("query")
    @classmethod
    def _can_be_filled_in(cls, query: dict[str, str]) -> dict[str, str]:
        for text in query.values():
            try:
                text.format(**_values(Place(0, 0), 1))
            except (LookupError, ValueError, AttributeError):
                raise ValueError(
                    f"{text} has places other than {{ra}}, {{dec}} and those that the list names"
                ) from None
        return query


@dataclass(frozen=True, slots=True)
class Link:
    """A link with a position in it.

    Attributes:
        clipped: the radius that the service takes at most, where that is less than the one asked for; else None.
    """

    name: str
    who: str
    url: str
    clipped: float | None


def read(settings: Settings) -> tuple[Service, ...]:
    """The services that the settings name. Raises SetupError when the file cannot be read, or is wrong."""
    return entries(settings.followup.links or OURS, "KM3VO_FOLLOWUP_LINKS", Service)


def links(services: Sequence[Service], place: Place, radius: float) -> list[Link]:
    """A link to each service, for a circle around a position."""
    found = []
    for service in services:
        asked = min(radius, service.most)
        values = _values(place, asked)
        query = urlencode({name: text.format(**values) for name, text in service.query.items()}, quote_via=quote)
        clipped = service.most if radius > service.most else None
        found.append(Link(service.name, service.who, f"{service.url}?{query}", clipped))
    return found


def _values(place: Place, radius: float) -> dict[str, str]:
    """What stands for the places of a query."""
    return {
        "ra": f"{place.ra:.6f}",
        "dec": f"{place.dec:.6f}",
        "signed": f"{place.dec:+.6f}",
        "radius": f"{radius:.6g}",
        "arcmin": f"{radius * 60:.6g}",
        "arcsec": f"{radius * 3600:.6g}",
        "fov": f"{min(180.0, 3 * radius):.4g}",
    }
