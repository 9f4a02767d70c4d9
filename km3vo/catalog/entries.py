"""What a file of schemas/ may say: every key, and which values make sense together.

One class per kind of entry; ``build`` turns a checked entry into the object of :mod:`km3vo.catalog.model` that the rest
of km3vo works with. Unknown keys are refused, so that a slip of the pen is found when the file is read.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from km3vo.catalog import metadata, model
from km3vo.datatypes import XTYPES

Name = Annotated[str, AfterValidator(metadata.name)]
TableName = Annotated[str, AfterValidator(metadata.table_name)]
Plain = Annotated[str, AfterValidator(metadata.plain)]
Text = Annotated[str, AfterValidator(lambda text: text.strip()), Field(min_length=1)]
Unit = Annotated[str, AfterValidator(metadata.unit)]
Ucd = Annotated[str, AfterValidator(metadata.ucd)]
Arraysize = Annotated[str, AfterValidator(metadata.arraysize)]
Latency = Annotated[str, AfterValidator(metadata.latency)]
Url = Annotated[str, Field(pattern=r"^https?://\S+$")]
Concept = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
PathAlias = Annotated[str, Field(pattern=r"^/[A-Za-z0-9_./-]+$")]

# Where a position may lie when the description does not say: DALI 1.1 §3.3.6, and circles of pgSphere.
RIGHT_ASCENSION, DECLINATION, RADIUS = "[0,360)", "[-90,90]", "(0,90]"


class Entry(BaseModel):
    """Any entry: unknown keys are refused, and a number is no text."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ColumnEntry(Entry):
    """A column."""

    name: Name
    datatype: model.Datatype
    description: Plain
    arraysize: Arraysize | None = None
    xtype: str | None = None
    unit: Unit | None = None
    ucd: Ucd | None = None
    utype: Plain | None = None
    principal: bool = False
    indexed: bool = False
    std: bool = False
    nullable: bool = True
    range: str | None = None
    values: list[Plain] = []

    @model_validator(mode="after")
    def consistent(self) -> Self:
        if not self.std:  # a standard's own names are as they are
            metadata.unreserved(self.name)
        text = self.datatype in ("char", "unicodeChar")
        if text and self.arraysize is None:
            raise ValueError('a string needs an arraysize, else it is one character long: write arraysize: "*"')
        if self.xtype is not None:
            if self.xtype not in XTYPES:
                raise ValueError(f"{self.xtype!r} is not an xtype of DALI: {', '.join(XTYPES)}")
            xtype = XTYPES[self.xtype]
            if self.datatype not in xtype.datatypes or self.arraysize != xtype.arraysize:
                raise ValueError(
                    f"xtype {self.xtype} goes with datatype {' or '.join(sorted(xtype.datatypes))}"
                    f' and arraysize "{xtype.arraysize}"'
                )
        if self.range is not None:
            if text or self.arraysize is not None:
                raise ValueError("only a single number can have a range")
            metadata.interval(self.range)
        if self.values and not text:
            raise ValueError("only a string can have a list of values")
        return self

    def build(self, fallback: str | None) -> model.Column:
        """The column; ``fallback`` is its range when the entry has none."""
        bounds = self.range or fallback
        fields = self.model_dump(exclude={"range", "values"})
        return model.Column(**fields, range=metadata.interval(bounds) if bounds else None, values=tuple(self.values))


class PositionEntry(Entry):
    """Which columns say where an event is."""

    ra: Name
    dec: Name
    error: Name | None = None
    share: Annotated[float, Field(gt=0, lt=1)] | None = None


class ReleaseEntry(Entry):
    """When rows become public."""

    latency: Latency
    stream: Name
    time: Name | None = None
    qc: Literal["pending", "passed"] = "pending"
    follows: Text | None = None


class CitationEntry(Entry):
    """Who made the data and how to say so. These texts may hold any letters, since names do."""

    creators: list[Text] = []
    publisher: Text = "KM3NeT"
    publication_date: Annotated[str, Field(pattern=r"^\d{4}(-\d\d(-\d\d)?)?$")] | None = None
    version: Text = "1.0"
    doi: Annotated[str, Field(pattern=r"^10\.\d{4,9}/\S+$")] | None = None
    bibcode: Annotated[str, Field(pattern=r"^\d{4}\S{15}$")] | None = None
    article: Text | None = None
    reference_url: Url | None = None
    licence: Text | None = None
    rights_uri: Url | None = None
    text: Text = ""

    def build(self) -> model.Citation:
        fields = self.model_dump(exclude={"creators"})
        return model.Citation(**fields, creators=tuple(self.creators))


class ForeignKeyEntry(Entry):
    """A reference to another published table: its name, and which column of ours is which of its."""

    target: Text
    columns: dict[Name, Name] = Field(min_length=1)
    description: Plain | None = None
    utype: Plain | None = None

    def build(self) -> model.ForeignKey:
        fields = self.model_dump(exclude={"columns"})
        return model.ForeignKey(**fields, columns=tuple(self.columns.items()))


class RecipeEntry(Entry):
    """How a column is made from a released file."""

    column: Text | None = None
    line: Text | None = None
    value: Text | None = None
    fold: Annotated[float, Field(gt=0, strict=False)] | None = None
    unit: Text | None = None
    seconds: Text | None = None
    date: Text = "%Y-%m-%d"

    @model_validator(mode="before")
    @classmethod
    def short(cls, value: Any) -> Any:
        """``ra: ra_deg`` is short for ``ra: {column: ra_deg}``."""
        return {"column": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def consistent(self) -> Self:
        if sum(given is not None for given in (self.column, self.line, self.value)) != 1:
            raise ValueError("write exactly one of column (its name in the file), line and value")
        if self.line is not None:
            try:
                different = self.line.format(line=1) != self.line.format(line=2)
            except (LookupError, ValueError):
                different = False
            if not different:
                raise ValueError(f"{self.line!r} does not use the line number: write e.g. ANT{{line:04d}}")
        if self.column is None and (self.fold, self.unit, self.seconds) != (None, None, None):
            raise ValueError("fold, unit and seconds go with column")
        if self.seconds is None and "date" in self.model_fields_set:
            raise ValueError("date goes with seconds")
        return self


class ReleasedFileEntry(Entry):
    """A released file and how to read it."""

    file: Annotated[str, Field(pattern=r"^([^/\\]+/)?[^/\\]+$")]
    url: Url | None = None
    part: str = ""
    rows: Annotated[int, Field(gt=0)] | None = None
    separator: model.Separator = "comma"
    skip: Annotated[int, Field(ge=0)] = 0
    header: list[Text] = []
    columns: dict[Name, RecipeEntry] = {}
    ignore: list[Text] = []
    missing: list[Text] = []
    required: list[Text] = []

    def build(self) -> model.ReleasedFile:
        lists = ("header", "ignore", "missing", "required")
        fields: dict[str, Any] = self.model_dump(exclude={"columns", *lists})
        fields |= {name: tuple(getattr(self, name)) for name in lists}
        recipes = tuple((name, model.Recipe(**recipe.model_dump())) for name, recipe in self.columns.items())
        return model.ReleasedFile(**fields, columns=recipes)


class ObservationEntry(Entry):
    """How the events of a list were taken."""

    facility: Plain
    instrument: Plain
    level: Annotated[int, Field(ge=0, le=4)] = 2
    livetime: Annotated[float, Field(gt=0, strict=False)] | None = None
    analysis: Plain | None = None
    event_type: Plain | None = None
    up_going: Plain | None = None


class IntervalsEntry(Entry):
    """Which columns of a table of runs are the ends of intervals."""

    start: Name
    stop: Name
    each: Name | None = None


class LinkEntry(Entry):
    """Something that belongs to a table."""

    semantics: Literal[
        "#auxiliary",
        "#calibration",
        "#coderived",
        "#counterpart",
        "#derivation",
        "#documentation",
        "#error",
        "#noise",
        "#package",
        "#preview",
        "#preview-plot",
        "#progenitor",
        "#this",
    ]
    description: Plain
    content_type: Annotated[str, Field(pattern=r"^[a-z]+/[a-z0-9.+-]+(;.*)?$")]
    url: Url | None = None
    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$")] | None = None

    @model_validator(mode="after")
    def consistent(self) -> Self:
        if (self.url is None) == (self.file is None):
            raise ValueError("write either url or file (a path below the data folder)")
        if self.file is not None and ".." in self.file.split("/"):
            raise ValueError("file is a path below the data folder, without ..")
        return self


class ExampleEntry(Entry):
    """A query to begin with."""

    name: Plain
    description: Plain
    query: Text

    def build(self) -> model.Example:
        return model.Example(**self.model_dump())


class TableEntry(Entry):
    """A table."""

    name: TableName
    title: Plain
    description: Plain
    columns: list[ColumnEntry] = Field(min_length=1)
    kind: Literal["table", "view"] = "table"
    utype: Plain | None = None
    id: Name | None = None
    position: PositionEntry | None = None
    time: Name | None = None
    intervals: IntervalsEntry | None = None
    release: ReleaseEntry | None = None
    citation: CitationEntry = CitationEntry()
    simulated: bool = False
    kept_by_service: bool = False
    cone_names: dict[Name, Plain] = {}
    subjects: list[Concept] = []
    aliases: list[PathAlias] = []
    keys: list[ForeignKeyEntry] = []
    sources: list[ReleasedFileEntry] = []
    observation: ObservationEntry | None = None
    links: list[LinkEntry] = []

    @field_validator("columns")
    @classmethod
    def distinct(cls, columns: list[ColumnEntry]) -> list[ColumnEntry]:
        _check_names("columns", [column.name for column in columns])
        return columns

    def column(self, key: str, name: str) -> ColumnEntry:
        """The column that ``key`` speaks of. Raises ValueError when there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise ValueError(f"{key} speaks of a column {name}, which the table does not have")

    @model_validator(mode="after")
    def consistent(self) -> Self:
        self._check_id()
        self._check_position()
        self._check_times()
        for name, _ in self.cone_names.items():
            self.column("cone_names", name)
        if len(set(self.cone_names.values())) < len(self.cone_names):
            raise ValueError("cone_names calls two columns the same")
        for key in self.keys:
            for name in key.columns:
                self.column("keys", name)
        for source in self.sources:
            for name in source.columns:
                self.column(f"sources, {source.file}", name)
        if self.simulated and "simulated" not in f"{self.title} {self.description}".lower():
            raise ValueError("the rows are simulated, so title or description must say so with this word")
        if self.kept_by_service and (self.release or self.sources):
            raise ValueError("the service writes the rows, so there are no sources and no release rule")
        return self

    def _check_id(self) -> None:
        if self.id is None:
            if self.position is not None:
                raise ValueError("a table with positions needs an id: name the column that tells its rows apart")
            return
        column = self.column("id", self.id)
        if column.nullable:
            raise ValueError(f"column {self.id} is the id, so write nullable: false there")
        # Simple Cone Search 1.03 §2: ID_MAIN is a string.
        if self.position is not None and column.datatype != "char":
            raise ValueError(f"column {self.id} is the id of a table with positions, so it must be of datatype char")

    def _check_position(self) -> None:
        if self.position is None:
            return
        for key, name in (("position.ra", self.position.ra), ("position.dec", self.position.dec)):
            column = self.column(key, name)
            if (column.datatype, column.arraysize, column.unit) != ("double", None, "deg"):
                raise ValueError(f"column {name} is a position, so it must be a double in deg")
            if column.nullable:
                raise ValueError(f"column {name} is a position, so write nullable: false there")
        if self.position.error is not None:
            column = self.column("position.error", self.position.error)
            if column.datatype not in ("double", "float") or column.arraysize or column.unit != "deg":
                raise ValueError(f"column {column.name} is the radius of a circle, so it must be a number in deg")

    def _check_times(self) -> None:
        if self.intervals is not None:
            start, stop = (self.column("intervals", name) for name in (self.intervals.start, self.intervals.stop))
            if (start.datatype, start.xtype, start.unit) != (stop.datatype, stop.xtype, stop.unit):
                raise ValueError("intervals need two columns of one kind: both timestamps, or both MJD")
            if start.nullable or stop.nullable:
                raise ValueError("the ends of intervals are never missing: write nullable: false there")
            if self.intervals.each is not None:
                self.column("intervals", self.intervals.each)
        if self.time is not None:
            column = self.column("time", self.time)
            if (column.datatype, column.arraysize, column.unit) != ("double", None, "d"):
                raise ValueError(f"column {self.time} is the time as MJD, so it must be a double in d")
        if self.release is None:
            return
        if self.release.latency == "immediate":
            return
        if self.release.time is None:
            raise ValueError("an embargo counts from a time: name the column in release.time")
        column = self.column("release.time", self.release.time)
        if column.xtype != "timestamp" or column.nullable:
            raise ValueError(f"the embargo counts from column {column.name}: xtype: timestamp, nullable: false")
        if self.id is None:
            raise ValueError("embargoed events are held and released by their identifier: name its column in id")
        leading = [key for key in self.keys if key.target == self.release.follows]
        if self.release.follows and [len(key.columns) for key in leading] != [1]:
            raise ValueError(f"release.follows needs one of the keys, of one column, to lead to {self.release.follows}")

    def build(self, schema: str) -> model.Table:
        """The table, in the schema of that name."""
        fallbacks: dict[str, str] = {}
        if self.position is not None:
            fallbacks = {self.position.ra: RIGHT_ASCENSION, self.position.dec: DECLINATION}
            if self.position.error is not None:
                fallbacks[self.position.error] = RADIUS
        return model.Table(
            schema=schema,
            columns=tuple(column.build(fallbacks.get(column.name)) for column in self.columns),
            position=model.Position(**self.position.model_dump()) if self.position else None,
            intervals=model.Intervals(**self.intervals.model_dump()) if self.intervals else None,
            release=model.Release(**self.release.model_dump()) if self.release else model.Release(),
            citation=self.citation.build(),
            cone_names=tuple(self.cone_names.items()),
            subjects=tuple(self.subjects),
            aliases=tuple(self.aliases),
            keys=tuple(key.build() for key in self.keys),
            sources=tuple(source.build() for source in self.sources),
            observation=model.Observation(**self.observation.model_dump()) if self.observation else None,
            links=tuple(model.Link(**link.model_dump()) for link in self.links),
            **self.model_dump(
                include={"name", "title", "description", "kind", "utype", "id", "time", "simulated", "kept_by_service"}
            ),
        )


class SchemaEntry(Entry):
    """A whole file."""

    schema_: TableName = Field(alias="schema")
    title: Plain
    description: Plain
    tables: list[TableEntry] = Field(min_length=1)
    utype: Plain | None = None
    examples: list[ExampleEntry] = []

    @field_validator("tables")
    @classmethod
    def distinct(cls, tables: list[TableEntry]) -> list[TableEntry]:
        _check_names("tables", [table.name for table in tables])
        return tables

    def build(self) -> model.Schema:
        return model.Schema(
            name=self.schema_,
            title=self.title,
            description=self.description,
            utype=self.utype,
            tables=tuple(table.build(self.schema_) for table in self.tables),
            examples=tuple(example.build() for example in self.examples),
        )


def _check_names(what: str, names: list[str]) -> None:
    for place, name in enumerate(names):
        if name in names[:place]:
            raise ValueError(f"two {what} are called {name}: names must differ")
