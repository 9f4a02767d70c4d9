"""Columns as objects, of published tables, of uploads and of results.

Apart from the tables, so that ADQL, whose import is to be quick, loads nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from km3vo.datatypes import Datatype as Datatype


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The values a column may hold: an interval, written as in mathematics.

    Attributes:
        minimum, maximum: the ends, in the column's unit; None where there is none.
        above, below: whether the minimum, the maximum itself is left out.
    """

    minimum: float | None = None
    maximum: float | None = None
    above: bool = False
    below: bool = False

    def __str__(self) -> str:
        low = "" if self.minimum is None else f"{self.minimum:g}"
        high = "" if self.maximum is None else f"{self.maximum:g}"
        return f"{'(' if self.above else '['}{low},{high}{')' if self.below else ']'}"

    def __contains__(self, value: float) -> bool:
        if self.minimum is not None and not (value > self.minimum if self.above else value >= self.minimum):
            return False
        return self.maximum is None or (value < self.maximum if self.below else value <= self.maximum)


@dataclass(frozen=True, slots=True)
class TimeSystem:
    """What times are counted from, and by which clock (VOTable 1.4 §3.2, TIMESYS).

    Attributes:
        origin: Julian date of zero; None for times of the calendar, which have their own.
        scale: of the vocabulary timescale: "UTC", "TDB", …
        position: of the vocabulary refposition: where the clock is.
    """

    origin: float | None
    scale: str = "UTC"
    position: str = "TOPOCENTER"


JD, MJD = 0.0, 2400000.5  # Julian dates of zero
# For a column whose frame or time system follow from its UCD.
BY_UCD = ""
_TIME_BY_UCD = TimeSystem(None, BY_UCD)
_EVENT_TIMES = ("time.epoch", "time.start", "time.end")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a published table, of an upload, or of a result (VOTable 1.5 §4.1, TAP 1.1 §4.3).

    Attributes:
        name: as shown to users; neither quoted nor folded.
        datatype, arraysize, xtype: as a VOTable FIELD has them. Scalars have arraysize None, strings
            "*" or "n*"; xtype is one of DALI's ("timestamp", "point", "circle", "polygon", "moc", …).
        unit: VOUnits string or None.
        ucd: UCD1+ string or None.
        utype, description: as in VOTable, or None.
        principal, indexed, std: the flags of TAP_SCHEMA.columns.
        nullable: whether a value may be missing.
        range: which numbers make sense, or None for all; a file with others is not loaded.
        values: the words the column may hold, or empty for any.
        frame: of positions and coordinates, as the vocabulary refframe names it ("ICRS", "GALACTIC", …); None for
            everything else. Unless stated, ICRS for what has the UCD of an equatorial position in degrees.
        time: of times, what they are counted from; None for everything else. Unless stated, UTC for what has the UCD
            of a time and is a timestamp or, as an MJD, a double in days.
        sql: name of the physical column; the same as ``name`` unless stated.
    """

    name: str
    datatype: Datatype
    arraysize: str | None = None
    xtype: str | None = None
    unit: str | None = None
    ucd: str | None = None
    utype: str | None = None
    description: str | None = None
    principal: bool = False
    indexed: bool = False
    std: bool = False
    nullable: bool = True
    range: Range | None = None
    values: tuple[str, ...] = ()
    frame: str | None = BY_UCD
    time: TimeSystem | None = _TIME_BY_UCD
    sql: str = ""
    _hash: int = field(default=0, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.sql:
            object.__setattr__(self, "sql", self.name)
        if self.frame == BY_UCD:
            object.__setattr__(self, "frame", self._frame_by_ucd())
        if self.time is not None and self.time.scale == BY_UCD:
            object.__setattr__(self, "time", self._time_by_ucd())

    def _frame_by_ucd(self) -> str | None:
        is_position = (self.ucd or "").lower().startswith(("pos.eq", "pos_eq_"))
        return "ICRS" if is_position and self.unit in ("deg", None) else None

    def _time_by_ucd(self) -> TimeSystem | None:
        if (self.ucd or "").lower().partition(";")[0] not in _EVENT_TIMES:
            return None
        if self.xtype == "timestamp":
            return TimeSystem(None)
        return TimeSystem(MJD) if self.unit == "d" and self.datatype == "double" else None

    def __hash__(self) -> int:
        # Computed once: heads of documents are kept by their columns, and looked up for every answer.
        if not self._hash:
            object.__setattr__(self, "_hash", hash(tuple(getattr(self, each.name) for each in fields(self))))
        return self._hash

    @property
    def is_string(self) -> bool:
        """Whether cells are text (including timestamps, which travel as text)."""
        return self.datatype in ("char", "unicodeChar")
