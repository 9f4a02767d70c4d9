"""The form of a table: what was filled in, and the query in ADQL that it means."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from km3vo.adql.query_tables import spelled
from km3vo.catalog.model import Column, Table
from km3vo.errors import ParameterError
from km3vo.search.constraints import can_be_constrained, condition, string
from km3vo.search.targets import Name, Target, read

RADIUS_UNITS = {"deg": 1.0, "arcmin": 60.0, "arcsec": 3600.0}  # of them in a degree
SHAPES = ("cone", "box", "error")
CONSTRAINT = "c."  # before the name of a column, so that none is taken for a field of the form's own
DISTANCE = "target_distance"


@dataclass(slots=True)
class Form:
    """What was filled in.

    Attributes:
        table: that is searched.
        values: as they were written, by the names of the fields.
        mistakes: what is wrong with them, by the same names, in the order of the form.
        target: the position that is meant; a name where one has to be found, or None.
    """

    table: Table
    values: Mapping[str, Sequence[str]]
    mistakes: dict[str, str] = field(default_factory=dict)
    target: Target | Name | None = None

    def __post_init__(self) -> None:
        if self.table.position and (written := self.one("target")):
            try:
                self.target = read(written)
            except ParameterError as error:
                self.mistakes["target"] = str(error)

    def one(self, name: str, default: str = "") -> str:
        """A value, the last if there are several."""
        return (self.values.get(name) or [default])[-1].strip() or default

    def constraint(self, column: Column) -> str:
        """What was written for a column; of several values the ticked ones."""
        return ", ".join(value.strip() for value in self.values.get(CONSTRAINT + column.name, ()) if value.strip())

    @property
    def shown(self) -> list[Column]:
        """The columns that are asked for: the principal ones unless others were chosen."""
        columns = self.table.columns
        chosen = self.one("columns", "chosen" if self.values.get("show") else "principal")
        if chosen == "all":
            return list(columns)
        if chosen == "principal":
            return [column for column in columns if column.principal] or list(columns)
        return [column for column in columns if column.name in self.values.get("show", ())]

    def adql(self, most: int) -> str:
        """The query; empty where there are mistakes, which are noted.

        Args:
            most: rows that an answer may have.
        """
        shown = [spelled(column.name) for column in self.shown]
        if not shown:
            self.mistakes["show"] = "choose a column to show"
        where = self._region()
        if isinstance(self.target, Target):
            shown.append(f"{self._distance(self.target)} AS {DISTANCE}")
        for column in self.table.columns:
            if (text := self.constraint(column)) and can_be_constrained(column):
                try:
                    where.append(condition(column, text))
                except ParameterError as error:
                    self.mistakes[CONSTRAINT + column.name] = str(error)
        limit = self._limit(most)
        order = self._order()
        if self.mistakes:
            return ""
        lines = [
            f"SELECT TOP {limit} {', '.join(shown)}",
            f"FROM {'.'.join(spelled(part) for part in (self.table.schema, self.table.name))}",
        ]
        if where:
            lines.append("WHERE " + "\n  AND ".join(where))
        if order:
            lines.append("ORDER BY " + ", ".join(order))
        return "\n".join(lines)

    def _place(self) -> str:
        assert self.table.position is not None
        return f"POINT({spelled(self.table.position.ra)}, {spelled(self.table.position.dec)})"

    def _distance(self, target: Target) -> str:
        return f"DISTANCE({self._place()}, POINT({target.ra!r}, {target.dec!r}))"

    def _region(self) -> list[str]:
        """The condition that an event lies at the target."""
        target, position = self.target, self.table.position
        if not isinstance(target, Target) or position is None:
            return []
        shape = self.one("shape", "cone")
        if shape not in SHAPES:
            self.mistakes["shape"] = f"{shape[:20]} is not one of {', '.join(SHAPES)}"
            return []
        if shape == "error":
            if position.error is None:
                self.mistakes["shape"] = "events of this table have no error circle: give a radius"
                return []
            times = self._number("times", "1", 0, 100)
            return [f"{self._distance(target)} <= {times!r} * {spelled(position.error)}"]
        unit = self.one("unit", "deg")
        if unit not in RADIUS_UNITS:
            self.mistakes["radius"] = f"{unit[:20]} is not one of {', '.join(RADIUS_UNITS)}"
            return []
        size = RADIUS_UNITS[unit]
        radius = self._number("radius", "1", 0, 180 * size) / size
        centre = f"{target.ra!r}, {target.dec!r}"
        if shape == "box":
            low, high = target.dec - radius, target.dec + radius
            if low <= -90 or high >= 90 or radius >= 90:
                self.mistakes["radius"] = "the box reaches a pole: make it smaller, or search a cone"
                return []
            return [f"1 = CONTAINS({self._place()}, BOX({centre}, {2 * radius!r}, {2 * radius!r}))"]
        return [f"1 = CONTAINS({self._place()}, CIRCLE({centre}, {radius!r}))"]

    def _number(self, name: str, default: str, low: float, high: float) -> float:
        written = self.one(name, default)
        try:
            value = float(written)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            self.mistakes[name] = f"{written[:40]} is not a number between {low:g} and {high:g}"
            return low
        return value

    def _limit(self, most: int) -> int:
        written = self.one("limit", "100")
        if not (written.isascii() and written.isdigit() and len(written) < 12 and 0 < int(written) <= most):
            self.mistakes["limit"] = f"{written[:40]} is not a number of rows between 1 and {most}"
            return 1
        return int(written)

    def _order(self) -> list[str]:
        known = {column.name: spelled(column.name) for column in self.table.columns}
        if isinstance(self.target, Target):
            known[DISTANCE] = DISTANCE
        found: list[str] = []
        for name, way in (("sort", "way"), ("sort2", "way2")):
            column = self.one(name)
            if not column or (column == DISTANCE and DISTANCE not in known):
                continue
            if column not in known:
                self.mistakes[name] = f"there is no column {column[:60]}"
            elif all(known[column] != key.split(" ")[0] for key in found):
                found.append(known[column] + (" DESC" if self.one(way) == "desc" else ""))
        return found


def place_of(table: Table, name: str) -> str:
    """The query for the position of what is called so in a table; empty where nothing in it has a name."""
    if table.id is None or table.position is None or not table.column(table.id).is_string:
        return ""
    place = ", ".join(map(spelled, (table.position.ra, table.position.dec)))
    relation = ".".join(map(spelled, (table.schema, table.name)))
    return " ".join(("SELECT TOP 1", place, "FROM", relation, "WHERE", spelled(table.id), "=", string(name)))
