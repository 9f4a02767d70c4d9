"""Which alerts are wanted, in which order, and which page of them: what the addresses of the list and the feed say."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from km3vo.alerts.records import Record
from km3vo.alerts.revision import Revision
from km3vo.errors import ParameterError
from km3vo.followup.places import Place

EACH = 50  # alerts of a page
STATES = ("initial", "subsequent", "update", "retraction")
ORDERS: dict[str, Callable[[Revision], float | str | None]] = {
    "time": lambda one: one.time.timestamp(),
    "name": lambda one: one.event_name,
    "far": lambda one: one.far,
    "energy": lambda one: one.energy,
    "err90": lambda one: one.err90,
}
FIELDS = (
    *("since", "until", "detector", "topology", "pipeline", "state", "text", "far", "ra", "dec", "radius"),
    *("sort", "way"),
)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What was asked for.

    Attributes:
        conditions: that an alert has to meet.
        sort: one of ``ORDERS``; "" for the order in which they were published, the newest first.
        falling: whether the largest comes first.
        page: counted from 1; 0 for all of them.
    """

    conditions: Sequence[Callable[[Revision], bool]]
    sort: str
    falling: bool
    page: int

    def of(self, records: Sequence[Record]) -> list[Record]:
        """Those that are wanted, in order; what has no value comes last."""
        found = [one for one in records if all(condition(one.said) for condition in self.conditions)]
        if self.sort:
            key = ORDERS[self.sort]
            known = [one for one in found if key(one.said) is not None]
            known.sort(key=lambda one: key(one.said), reverse=self.falling)  # type: ignore[arg-type, return-value]
            found = known + [one for one in found if key(one.said) is None]
        return found

    def shown(self, found: Sequence[Record]) -> Sequence[Record]:
        """Those of the page."""
        return found[(self.page - 1) * EACH : self.page * EACH] if self.page else found


def read(given: Mapping[str, str]) -> Chosen:
    """What the parameters of an address ask for. Raises ParameterError."""
    asked = {name: value.strip() for name, value in given.items() if value.strip()}
    conditions: list[Callable[[Revision], bool]] = []
    for name in ("detector", "topology", "pipeline"):
        if value := asked.get(name):
            conditions.append(lambda one, name=name, value=value: getattr(one, name) == value)  # type: ignore[misc]
    if "state" in asked:
        state = _one_of("state", asked["state"], STATES)
        conditions.append(lambda one: one.type == state)
    if "since" in asked:
        since = _time("since", asked["since"])
        conditions.append(lambda one: one.time >= since)
    if "until" in asked:
        until = _time("until", asked["until"])
        conditions.append(lambda one: one.time < until)
    if "far" in asked:
        far = _number("far", asked["far"], 0, math.inf)
        conditions.append(lambda one: one.far is not None and one.far <= far)
    if words := asked.get("text", "").lower():
        conditions.append(lambda one: words in _words(one))
    conditions += _place(asked)
    page = asked.get("page", "0")
    if not (page.isascii() and page.isdigit() and len(page) < 6):
        raise ParameterError(f"page={page[:40]}: write a number, 1 for the first")
    sort = _one_of("sort", asked["sort"], tuple(ORDERS)) if "sort" in asked else ""
    return Chosen(conditions, sort, asked.get("way") != "asc", int(page))


def _place(asked: Mapping[str, str]) -> list[Callable[[Revision], bool]]:
    """Alerts in a circle; without a radius those whose 90 % circle holds the position."""
    if not {"ra", "dec", "radius"} & asked.keys():
        return []
    if not {"ra", "dec"} <= asked.keys():
        raise ParameterError("ra and dec go together, and with them radius: write them in degrees")
    ra, dec = _number("ra", asked["ra"], 0, 360), _number("dec", asked["dec"], -90, 90)
    if "radius" not in asked:
        return [lambda one: one.err90 is not None and _away(one, ra, dec) <= one.err90]
    radius = _number("radius", asked["radius"], 0, 180)
    return [lambda one: _away(one, ra, dec) <= radius]


def _words(one: Revision) -> str:
    """All that is written in an alert, in small letters."""
    sources = () if isinstance(one.counterparts, str) else (source.name for source in one.counterparts)
    return "\n".join((one.event_name, one.alert_id, one.text or "", *sources)).lower()


def _one_of(name: str, text: str, known: Sequence[str]) -> str:
    if text not in known:
        raise ParameterError(f"{name}={text[:40]}: write one of {', '.join(known)}")
    return text


def _number(name: str, text: str, least: float, most: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not least <= number <= most:
        raise ParameterError(f"{name}={text[:40]}: write a number from {least:g} to {most:g}")
    return number


def _time(name: str, text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ParameterError(f"{name}={text[:40]}: write a day or a time in UTC, as 2026-11-27") from None
    if found.utcoffset() not in (None, timedelta(0)):
        raise ParameterError(f"{name}={text[:40]}: write it in UTC, without another zone")
    return found.replace(tzinfo=UTC)


def _away(one: Revision, ra: float, dec: float) -> float:
    """Degrees between an alert and a place; infinite without a position."""
    if one.ra is None or one.dec is None:
        return math.inf
    return Place(one.ra, one.dec).separation(ra, dec)
