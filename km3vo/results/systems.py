"""Which frame the positions of a column are in, and what its times count from, as results tell it."""

from __future__ import annotations

from km3vo.column import JD, MJD, Column, TimeSystem

_GEOMETRIES = ("point", "circle", "polygon")
# As VOTable 1.4 §3.2 has them.
_ORIGINS = {MJD: "MJD-origin", JD: "JD-origin"}


def frame(column: Column) -> str | None:
    """The frame of a column whose cells are positions; None for everything else.

    A number that is worked out of a coordinate has its frame, but is no position unless its UCD says so.
    """
    is_position = (column.ucd or "").lower().startswith("pos") or column.xtype in _GEOMETRIES
    return column.frame if is_position else None


def time(column: Column) -> TimeSystem | None:
    """What the times of a column count from; None for everything else."""
    system = column.time
    # Times of the calendar have their own origin, and numbers have none unless it is told.
    return system if system is not None and (system.origin is None) == (column.xtype == "timestamp") else None


def origin(system: TimeSystem) -> str | None:
    """The origin as TIMESYS has it; None for the calendar."""
    return None if system.origin is None else _ORIGINS.get(system.origin, repr(system.origin))


def described(column: Column) -> dict[str, str]:
    """The same by the names of the attributes of COOSYS and TIMESYS, for formats that have no such elements."""
    system = time(column)
    if system is None:
        return {"frame": name} if (name := frame(column)) else {}
    words = {"timescale": system.scale, "refposition": system.position}
    return words if system.origin is None else words | {"timeorigin": origin(system) or ""}
