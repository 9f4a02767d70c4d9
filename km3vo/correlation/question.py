"""What is asked: the method and its numbers, as people write them on a command line or in a form."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from km3vo.correlation.circle import Circle
from km3vo.errors import ParameterError

Method = Literal["count", "likelihood", "flare", "stacking"]
METHODS: tuple[Method, ...] = get_args(Method)

MOST_EVENTS, MOST_SOURCES, MOST_SCRAMBLES, MOST_PAIRS = 1_000_000, 100_000, 10_000, 1_000_000
# A window is looked for at each source and in each scramble, which takes a thousand times as long as a fit.
MOST_FLARES = 100_000
SCRAMBLES: dict[Method, int] = {"count": 1000, "likelihood": 100, "flare": 0, "stacking": 100}

_TABLE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)?")
_QUERY = re.compile(r"\s*\(*\s*(SELECT|WITH)\b", re.IGNORECASE)
_MOMENT = re.compile(r"([+-]?\d+(?:\.\d*)?)\s*(s|m|h|d)")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_RADIUS = re.compile(r"q(\d{1,2}(?:\.\d+)?)|(\d+(?:\.\d*)?)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A correlation.

    Attributes:
        events, catalogue: each the name of a table, or a query in ADQL.
        select, sources: conditions in ADQL that their rows have to meet, or "".
        method: what is done.
        window: days before and after a source's time; None for all times.
        circle: which separation makes a pair.
        scrambles, seed: how often the list is scrambled, and from which number on.
        events_share, catalogue_share: of the probability that the error circles hold; None for what is known of them.
        weight: name of the column of the catalogue by which stacking weighs; None for equal weights.
        runs: name of the table with the live-time; None for that of the events' schema, if there is one.
    """

    events: str
    catalogue: str
    select: str = ""
    sources: str = ""
    method: Method = "count"
    window: tuple[float, float] | None = None
    circle: Circle = field(default_factory=Circle)
    scrambles: int = 0
    seed: int = 1
    events_share: float | None = None
    catalogue_share: float | None = None
    weight: str | None = None
    runs: str | None = None


def read(values: Mapping[str, str]) -> Question:
    """A question from parameters by their names: EVENTS, CATALOGUE, METHOD, WINDOW, RADIUS, …

    Raises:
        ParameterError: one is missing or not understood.
    """
    given = {name: text.strip() for name, text in values.items() if text.strip()}
    for name, what in (("EVENTS", "km3net.events"), ("CATALOGUE", "cat.fermi_4fgl")):
        if name not in given:
            raise ParameterError(f"{name} is missing: name a table, such as {what}, or write a query in ADQL.")
    method = given.get("METHOD", "count").lower()
    if method not in METHODS:
        raise ParameterError(f"METHOD={method[:40]} is no method: write one of {', '.join(METHODS)}.")
    return Question(
        events=given["EVENTS"],
        catalogue=given["CATALOGUE"],
        select=given.get("SELECT", ""),
        sources=given.get("SOURCES", ""),
        method=method,
        window=window(given["WINDOW"]) if "WINDOW" in given else None,
        circle=radius(given.get("RADIUS", "q90")),
        scrambles=whole("SCRAMBLES", given.get("SCRAMBLES", str(SCRAMBLES[method])), MOST_SCRAMBLES),
        seed=whole("SEED", given.get("SEED", "1"), 2**62),
        events_share=_share("EVENTS_SHARE", given),
        catalogue_share=_share("CATALOGUE_SHARE", given),
        weight=given.get("WEIGHT"),
        runs=given.get("RUNS"),
    )


def query(table: str, condition: str) -> str:
    """The ADQL query for a table or query, and a condition.

    Raises:
        ParameterError: the table is no name, or a condition comes with a query.
    """
    if _QUERY.match(table):
        if condition:
            raise ParameterError("A condition goes with the name of a table; a query has its own WHERE.")
        return table
    if not _TABLE.fullmatch(table):
        raise ParameterError(f"{table[:60]!r} is neither the name of a table nor a query that begins with SELECT.")
    return " ".join(["SELECT * FROM", table, *(["WHERE", condition] if condition else [])])


def window(text: str) -> tuple[float, float]:
    """Days before and after a time: "-500s,1d" is from 500 seconds before it to a day after it.

    Raises:
        ParameterError: it is no window.
    """
    ends = [_MOMENT.fullmatch(part.strip()) for part in text.split(",")]
    if len(ends) != 2 or None in ends:
        raise ParameterError(
            f"WINDOW={text[:40]} is no window: write two times from the source's on, such as -500s,1d."
        )
    start, stop = (float(end[1]) * _SECONDS[end[2]] / 86400 for end in ends if end is not None)
    if not start < stop:
        raise ParameterError(f"WINDOW={text[:40]}: a window stops after it starts.")
    return -start, stop


def radius(text: str) -> Circle:
    """A circle: "q90" holds 90 percent of the combined error, "2.5" is in degrees.

    Raises:
        ParameterError: it is none.
    """
    found = _RADIUS.fullmatch(text)
    if found is None:
        raise ParameterError(f"RADIUS={text[:40]} is no radius: write q90 for 90 percent of the error, or degrees.")
    return Circle(float(found[1]) / 100) if found[1] else Circle(None, float(found[2]))


def whole(name: str, text: str, most: int) -> int:
    """A whole number from 0 to ``most``. Raises ParameterError when it is none."""
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= most):
        raise ParameterError(f"{name}={text[:40]} is no whole number from 0 to {most}.")
    return int(text)


def _share(name: str, given: Mapping[str, str]) -> float | None:
    if name not in given:
        return None
    try:
        share = float(given[name])
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise ParameterError(f"{name}={given[name][:40]} is no share: write 0.9 for circles that hold 90 percent.")
    return share
