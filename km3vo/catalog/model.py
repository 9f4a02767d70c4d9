"""Published tables and their columns as objects: what every other room means by "table" and "column"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from km3vo.column import Column as Column
from km3vo.column import Datatype as Datatype
from km3vo.column import Range as Range


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Which columns say where an event is (degrees, ICRS).

    Attributes:
        ra, dec: names of the columns.
        error: name of the column with the radius of the error circle in degrees, or None.
        share: of the probability that this circle holds; None for one standard deviation, which is 39 percent.
    """

    ra: str
    dec: str
    error: str | None = None
    share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """When the rows of a table become public.

    Attributes:
        latency: ISO 8601 duration after the observation ("P2Y"), "immediate", or "never".
        stream: name of the data stream the rule is kept under ("offline", "alerts").
        time: name of the timestamp column (UTC) the latency counts from; None when immediate.
        qc: what new events are until quality control says more; only "passed" ones are released.
        follows: another embargoed table that one of the ``keys`` leads to; a row is not released before the event that
            it names there is public.
    """

    latency: str = "immediate"
    stream: str = "public"
    time: str | None = None
    qc: Literal["pending", "passed"] = "pending"
    follows: str | None = None

    @property
    def embargoed(self) -> bool:
        """Whether rows of the table may have to wait."""
        return self.latency != "immediate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """Who made the data, how to cite them, and what one may do with them (Data Origin in the VO 1.2)."""

    creators: tuple[str, ...] = ()
    publisher: str = "KM3NeT"
    publication_date: str | None = None
    version: str = "1.0"
    doi: str | None = None
    bibcode: str | None = None
    article: str | None = None
    reference_url: str | None = None
    licence: str | None = None
    rights_uri: str | None = None
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignKey:
    """A reference to another published table (TAP_SCHEMA.keys)."""

    target: str
    columns: tuple[tuple[str, str], ...]
    description: str | None = None
    utype: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a column is made from a released file that does not name or write it as we publish it.

    Exactly one of ``column``, ``line`` and ``value`` is given.

    Attributes:
        column: name of the column in the file.
        line: format string that gets the number of the data row in the file, counted from 1, as ``{line}``.
        value: a constant.
        fold: the number that the file writes for 0 (360, where it holds RA = 360.0), or None.
        unit: of the column in the file, where that does not say it, or None.
        seconds: name of a second column, with the seconds of the day whose date ``column`` holds, or its time of day as
            hh:mm:ss; the two make an MJD. None for nothing of that kind.
        date: how that date is written, as strptime has it.
    """

    column: str | None = None
    line: str | None = None
    value: str | None = None
    fold: float | None = None
    unit: str | None = None
    seconds: str | None = None
    date: str = "%Y-%m-%d"


Separator = Literal["comma", "tab", "whitespace", "whitespace, then text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasedFile:
    """A released file with the rows of a table, and how to read it.

    Attributes:
        file: its name, with that of its folder where files of others are called the same; below the data folder it may
            lie anywhere.
        url: where the public finds it, or None.
        part: files of the same part hold the same rows, and one of them is enough; all parts make the table.
        rows: how many it has; another number means a broken download. None when not known.
        separator: between the values of a text file; with "whitespace, then text" the last column is all that is left
            of the line, blanks included.
        skip: lines before the first row, or before the line of column names.
        header: names of the file's columns in order, where it has no line of them itself.
        columns: (name of ours, how it is made); columns not named here have the same name in the file.
        ignore: columns of the file that are not published; "*" for all that are not named.
        missing: words that stand for a missing value.
        required: columns of the file without which a row is left out, such as its position.
    """

    file: str
    url: str | None = None
    part: str = ""
    rows: int | None = None
    separator: Separator = "comma"
    skip: int = 0
    header: tuple[str, ...] = ()
    columns: tuple[tuple[str, Recipe], ...] = ()
    ignore: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    required: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """How the events of a list were taken, as ObsCore 1.1 and its high-energy extension ask. With it a table is a data
    product of ivoa.obscore.

    Attributes:
        facility, instrument: the telescope, and the part of it.
        level: of calibration, 0 to 4 (ObsCore 1.1 §4.1.2).
        livetime: days of data, or None when not known.
        analysis, event_type: which analysis selected the events, and of what kind they are; or None.
        up_going: condition in ADQL that events meet which came up through the Earth, or None where no column tells.
    """

    facility: str
    instrument: str
    level: int = 2
    livetime: float | None = None
    analysis: str | None = None
    event_type: str | None = None
    up_going: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervals:
    """Columns of a table of runs: each row is an interval, and those of one detector do not overlap.

    Attributes:
        start, stop: names of the columns with its ends.
        each: name of the column with the detector, or None where there is one only.
    """

    start: str
    stop: str
    each: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Something that belongs to a table: a row of its DataLink document (DataLink 1.1 §3.2).

    Either ``url`` or ``file`` is given.

    Attributes:
        semantics: what it is to the table, a term of the DataLink core vocabulary such as "#calibration".
        description: in words.
        content_type: its media type.
        url: where it is.
        file: the end of its path below the data folder, from where the service hands it out.
    """

    semantics: str
    description: str
    content_type: str
    url: str | None = None
    file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A query that shows what the tables are good for (DALI 1.1 §2.3)."""

    name: str
    query: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A published table.

    Attributes:
        schema, name: published as ``schema.name``, and called so in PostgreSQL too.
        title, description: one line, and a paragraph.
        columns: in the order in which they are shown.
        id: name of the column that identifies a row (a string or an integer), or None.
        position: for tables that can be searched by cone, else None.
        time: name of the column with the event's time as MJD (UTC, days), or None.
        intervals: for tables of runs, else None.
        release: when rows become public.
        citation: who made it, and how to say so.
        simulated: whether the rows are not real. Every metadata says so.
        kept_by_service: whether the service writes the rows, from what else is published; nobody loads any.
        cone_names: for cone search answers, name of the column → name in the answer (case, order and UCD1
            names that old clients rely on); empty to keep the columns' own names.
        subjects: concepts of the Unified Astronomy Thesaurus, as fragment ids.
        aliases: further URL paths of the cone search.
        keys: references to other published tables.
        sources: the released files the rows come from; empty when they come from nowhere public.
        observation: how the events were taken, or None for what is no event list.
        links: what belongs to the table: papers, effective areas, notebooks.
    """

    schema: str
    name: str
    title: str
    description: str
    columns: tuple[Column, ...]
    kind: Literal["table", "view"] = "table"
    utype: str | None = None
    id: str | None = None
    position: Position | None = None
    time: str | None = None
    intervals: Intervals | None = None
    release: Release = Release()
    citation: Citation = Citation()
    simulated: bool = False
    kept_by_service: bool = False
    cone_names: tuple[tuple[str, str], ...] = ()
    subjects: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    keys: tuple[ForeignKey, ...] = ()
    sources: tuple[ReleasedFile, ...] = ()
    observation: Observation | None = None
    links: tuple[Link, ...] = ()

    @property
    def qualified(self) -> str:
        """The name as users write it, ``schema.name``."""
        return f"{self.schema}.{self.name}"

    @property
    def followed(self) -> ForeignKey | None:
        """The reference to the table whose events have to be public first, if the release rule names one."""
        return next((key for key in self.keys if key.target == self.release.follows), None)

    def column(self, name: str) -> Column:
        """The column of that name. Raises KeyError when there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"{self.qualified} has no column {name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """A published schema: a name, what it is about, its tables in order, and queries to begin with."""

    name: str
    title: str
    description: str
    tables: tuple[Table, ...]
    utype: str | None = None
    examples: tuple[Example, ...] = ()


@dataclass(frozen=True, slots=True)
class Catalog:
    """All that is published, in order."""

    schemas: tuple[Schema, ...]

    @property
    def tables(self) -> tuple[Table, ...]:
        """Every published table, in order."""
        return tuple(table for schema in self.schemas for table in schema.tables)

    def table(self, qualified: str) -> Table:
        """The table of that name, whatever its case. Raises KeyError when there is none."""
        wanted = qualified.lower()
        for table in self.tables:
            if table.qualified.lower() == wanted:
                return table
        raise KeyError(qualified)
