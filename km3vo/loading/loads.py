"""Loading events into a published table: all rows of all files, or none.

COPY into a staging table, check everything there, insert in HEALPix order (a cone then reads neighbouring pages: 0.85
instead of 3.3 ms for one degree among 5 million events). The staging table has no spoint, which binary COPY could not
fill, and no hidden columns: whether a row is embargoed is decided by the database alone.
"""

from __future__ import annotations

import contextlib
import getpass
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from km3vo.catalog.model import ReleasedFile, Table
from km3vo.embargo import statistics, versions
from km3vo.errors import ConflictError, LoadError, SetupError
from km3vo.loading import history, outlook, staging
from km3vo.loading.columns import match
from km3vo.loading.files import open_batches, open_file
from km3vo.loading.mapping import Mapping
from km3vo.loading.outlook import Outlook
from km3vo.loading.rules import check
from km3vo.readers.mistakes import Mistakes, Note
from km3vo.readers.opened import Opened, Options

# Called with what is being done ("reading FILE", "checking", "inserting"), how much is done and of how much; 0 of 0
# where nobody can say.
Progress = Callable[[str, int, int], None]
# Is told when rows would become public, and says whether to load them.
Agree = Callable[[Outlook], bool]
NO_MAPPING = Mapping()

_AGAIN = "Nothing was loaded here; run the command again to see what is left to do."


@dataclass(frozen=True, slots=True)
class LoadedFile:
    """What became of a file.

    Attributes:
        name: of the file.
        rows: how many it has.
        number: of the load, for `km3vo unload`; None when it was loaded before.
        before: when it was loaded, if that was before.
        remarks: how it was read, and what was turned into what.
    """

    name: str
    rows: int
    before: datetime | None = None
    remarks: tuple[str, ...] = ()
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Superseding:
    """That the files hold new versions of events which are in the table.

    Attributes:
        reason, who: for the log.
        public: public events may be replaced, and go: it is decided.
        same: columns that tell runs apart. Events of the files' runs that the files do not have are taken out.
        period: MJD from and to, the latter not included. Events in it that the files do not have are taken out.
    """

    reason: str
    who: str
    public: bool = False
    same: tuple[str, ...] = ()
    period: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Superseded:
    """What a load superseded: how many events have a new version, how many have none any more, how many are public."""

    replaced: int
    vanished: int
    public: int


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of some files. ``rows`` counts only those that are new."""

    table: str
    files: tuple[LoadedFile, ...]
    superseded: Superseded | None = None

    @property
    def rows(self) -> int:
        """How many rows are new in the table."""
        return sum(file.rows for file in self.files if file.before is None)


@dataclass(frozen=True, slots=True)
class _Staged:
    """A file that was staged: its rows, what was remarked, and the number of its load."""

    rows: int
    remarks: tuple[str, ...] = ()
    number: int | None = None


SUPERSEDE = "SELECT superseded, vanished, changed_public FROM km3vo.supersede(%s, %s, %s, %s, %s, %s, %s, %s, %s)"


@dataclass(frozen=True, slots=True)
class _Input:
    """Something with rows: its name for messages, its fingerprint for the log, how to read it."""

    name: str
    digest: str
    source: ReleasedFile | None
    open: Callable[[Note], Opened]
    mapping: Mapping = NO_MAPPING


def load(
    connection: psycopg.Connection,
    table: Table,
    files: Sequence[Path],
    *,
    progress: Progress | None = None,
    options: Options | None = None,
    mapping: Mapping = NO_MAPPING,
    superseding: Superseding | None = None,
    who: str | None = None,
    check_only: bool = False,
    agree: Agree | None = None,
) -> Loaded:
    """Load files of events into a published table: all of them or, if anything is wrong, none.

    A file with the same contents as one that was loaded into this table before is left out and said so in the answer:
    loading is safe to repeat. Call ``analyze`` afterwards.

    Args:
        connection: of the ingest login, in no transaction.
        files: CSV, TSV, ECSV, VOTable, FITS, Parquet, or text that one of the table's sources describes.
        progress: is told what is being done.
        options: which table of a file is meant, and whether it is known that rows are missing.
        mapping: what the files' columns are, beside what their names tell.
        superseding: the files hold new versions of events that are there. Embargoed ones go into embargo, until the
            later of the times that the versions say; public ones are replaced where they are.
        who: loads, for the log; the account unless given.
        check_only: look for mistakes, and load nothing.
        agree: is told when the rows would become public, once they are without mistakes, and says whether to go on.

    Raises:
        SetupError: the mapping does not fit the table.
        LoadError: with file, line, column, value and rule of the first mistakes.
        ConflictError: somebody else was loading the same events, or public events would change and that was not said.
    """
    mapping.check(table)
    inputs = [_file_input(table, file, options or Options(), mapping) for file in files]
    return _load(connection, table, inputs, progress or _silent, who, superseding, check_only=check_only, agree=agree)


def load_batches(
    connection: psycopg.Connection,
    table: Table,
    batches: Iterable[pa.RecordBatch],
    *,
    name: str,
    rows: int,
    progress: Progress | None = None,
) -> Loaded:
    """Load simulated rows, as ``load`` does; ``name`` says which ("seed 1, 1000 rows") and stands for their contents.

    The log of loads marks them as simulated.
    """
    label = f"{history.SIMULATED}: {name}"
    digest = hashlib.sha256(f"{table.qualified} {label}".encode()).hexdigest()
    given = _Input(label, digest, None, lambda note: open_batches(iter(batches), rows))
    return _load(connection, table, [given], progress or _silent)


def analyze(connection: psycopg.Connection, table: Table) -> None:
    """Renew the statistics that PostgreSQL plans queries with, where rows were loaded.

    ``connection`` belongs to the owner; commits.
    """
    if table.release.embargoed:
        statistics.analyze_hidden(connection, table)
    else:
        connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(table.schema, table.name)))
    connection.commit()


def _silent(doing: str, done: int, size: int) -> None:
    """The progress of a load that nobody watches."""


def _file_input(table: Table, file: Path, options: Options, mapping: Mapping) -> _Input:
    try:
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
    except FileNotFoundError:
        raise LoadError(f"There is no file {file}.") from None
    except OSError as error:
        raise LoadError(f"{file} cannot be read: {error.strerror}.") from None
    # Another table of the same file has other contents; so has the same table read otherwise.
    if read := " ".join(filter(None, (options.table, mapping.fingerprint))):
        digest = hashlib.sha256(f"{digest} {read}".encode()).hexdigest()
    source = next((source for source in table.sources if file.match(source.file)), None)
    source = mapping.applied(table, source, file.name)
    return _Input(file.name, digest, source, lambda note: open_file(file, source, note, options), mapping)


def _load(
    connection: psycopg.Connection,
    table: Table,
    inputs: Sequence[_Input],
    progress: Progress,
    who: str | None = None,
    superseding: Superseding | None = None,
    *,
    check_only: bool = False,
    agree: Agree | None = None,
) -> Loaded:
    if table.kept_by_service:
        raise LoadError(f"the rows of {table.qualified} are written by the service itself: nothing can be loaded")
    try:
        with connection.transaction():
            _refuse_mixing(connection, table, inputs)
            before = history.before(connection, table, [file.digest for file in inputs])
            fresh = {file.digest: file for file in inputs if file.digest not in before}
            staged: dict[str, _Staged] = {}
            superseded = None
            if fresh:
                by = who or getpass.getuser()
                staged, superseded = _load_fresh(
                    connection, table, list(fresh.values()), progress, by, superseding, check_only, agree
                )
    except psycopg.errors.UniqueViolation:
        raise ConflictError(f"Somebody else just loaded the same events into {table.qualified}. {_AGAIN}") from None
    except (
        psycopg.errors.InsufficientPrivilege,
        psycopg.errors.UndefinedTable,
        psycopg.errors.UndefinedColumn,
        psycopg.errors.UndefinedFunction,
    ):
        raise SetupError(
            f"{table.qualified} is not ready for loading: run `km3vo db upgrade` and `km3vo publish`."
        ) from None
    except psycopg.errors.DiskFull:
        raise LoadError("The disk of the database is full; nothing was loaded. Make room and load again.") from None
    except psycopg.Error as error:
        if error.sqlstate == "KM001":
            raise ConflictError(
                f"By its new time of observation one of the public events of {table.qualified} is not due: nothing was "
                "loaded. Withdraw it first; its new version is then released when it is due."
            ) from None
        if error.sqlstate == "KM009":
            raise ConflictError(
                f"Some of the events of {table.qualified} that would be superseded have just been released. {_AGAIN}"
            ) from None
        if error.sqlstate == "KM008":
            raise ConflictError(
                f"{error.diag.message_primary} of the events of {table.qualified} that would be superseded are public: "
                "add --public if they are to change for everybody. Nothing was loaded."
            ) from None
        raise LoadError(
            f"The database did not take the rows (SQLSTATE {error.sqlstate}); nothing was loaded."
        ) from error
    files = []
    for file in inputs:
        if file.digest in before:
            files.append(LoadedFile(file.name, *before[file.digest]))
        elif fresh[file.digest] is file:
            one = staged[file.digest]
            files.append(LoadedFile(file.name, one.rows, remarks=one.remarks, number=one.number))
    return Loaded(table.qualified, tuple(files), superseded)


def _refuse_mixing(connection: psycopg.Connection, table: Table, inputs: Sequence[_Input]) -> None:
    """Keep measured and simulated rows apart, except in a table that is simulated as a whole."""
    if table.simulated or history.is_empty(connection, table):
        return
    present = history.is_simulated(connection, table)
    for given in inputs:
        if given.name.startswith(history.SIMULATED) != present:
            raise ConflictError(
                f"{table.qualified} holds {'simulated' if present else 'measured'} rows, and {given.name} would be "
                "mixed with them. Start with a database that has none: set KM3VO_DATA to the folder of the released "
                "lists before its first `km3vo up`, or choose another KM3VO_HOME."
            )


def _load_fresh(
    connection: psycopg.Connection,
    table: Table,
    inputs: Sequence[_Input],
    progress: Progress,
    who: str,
    superseding: Superseding | None,
    check_only: bool,
    agree: Agree | None,
) -> tuple[dict[str, _Staged], Superseded | None]:
    """Stage, check and insert; returns what was staged by the digests of the files, and what it superseded."""
    mistakes = Mistakes([(file.name, "row") for file in inputs])
    staging.create(connection, table)
    staged = {
        file.digest: _stage(connection, table, number, file, mistakes, progress) for number, file in enumerate(inputs)
    }
    # Rows without mistakes of their own are looked at also where others have some: all are told at once.
    progress("checking", 0, 0)
    staging.analyze(connection)
    check(connection, table, mistakes, superseding=superseding is not None)
    _refuse(mistakes)
    if agree is not None and not agree(outlook.of_staged(connection, table)):
        raise LoadError("Nothing was loaded.")
    if check_only:
        return staged, None
    numbers = []
    for file in inputs:
        number = history.record(connection, table, file.digest, file.name, staged[file.digest].rows, who)
        if number is None:
            raise ConflictError(f"Somebody else is loading {file.name} as well. {_AGAIN}")
        numbers.append(number)
        staged[file.digest] = replace(staged[file.digest], number=number)
    superseded = None
    if superseding is not None:
        progress("superseding", 0, 0)
        superseded = _supersede(connection, table, numbers, superseding)
    progress("inserting", 0, 0)
    staging.insert(connection, table, numbers)
    return staged, superseded


def _supersede(connection: psycopg.Connection, table: Table, numbers: list[int], how: Superseding) -> Superseded:
    """Take the place of earlier versions; what was not replaced where it is, ``insert`` adds."""
    if not versions.are_kept(table):
        raise LoadError(f"the events of {table.qualified} have no versions: it has no identifiers")
    if how.period is not None and table.time is None:
        raise LoadError(f"{table.qualified} has no column with the time as MJD, by which a period could be told")
    start, end = how.period or (None, None)
    row = connection.execute(
        SUPERSEDE,
        (
            *(table.qualified, numbers, how.public, list(how.same) or None),
            *(table.time if how.period else None, start, end, how.reason, how.who),
        ),
    ).fetchone()
    assert row is not None
    return Superseded(*row)


def _refuse(mistakes: Mistakes) -> None:
    if mistakes.total:
        raise LoadError(mistakes.message("Nothing was loaded"))


def _stage(
    connection: psycopg.Connection,
    table: Table,
    number: int,
    file: _Input,
    mistakes: Mistakes,
    progress: Progress,
) -> _Staged:
    """Copy a file into the staging table; returns its rows and what was remarked while it was read.

    Mistakes are noted; rows that have some are not sent.
    """
    bad: set[int] = set()

    def note(line: int, text: str) -> None:
        bad.add(line)
        mistakes.add(number, line, text)

    with contextlib.closing(file.open(note)) as opened:
        mistakes.files[number] = (file.name, opened.unit)
        for text in file.mapping.missing([column.name for column in opened.columns]):
            note(0, text)
        fitting = match(table, opened, file.source, note)
        mistakes.turned[number] = fitting.turned
        if bad:
            return _Staged(0)  # with columns missing or unknown, what the cells hold is not worth telling
        rows = 0
        with staging.copy(connection, fitting.columns) as send:
            for block in fitting.opened.blocks:
                rows += len(block.lines)
                batch = fitting.fit(block)
                if mistakes.enough:
                    break
                batch, lines = _without(batch, block.lines, bad)
                if len(lines):
                    send(batch, number, lines)
                progress(f"reading {file.name}", opened.done(), opened.size)
    expected = file.source.rows if file.source else None
    if expected is not None and rows != expected and not mistakes.total:
        note(0, f"it has {rows} rows and the release has {expected}: it is not complete, or not the released file")
    remarks = tuple(fitting.opened.remarks)
    return _Staged(rows, remarks if rows else (*remarks, "it has no rows"))


def _without(batch: pa.RecordBatch, lines: pa.Array, bad: set[int]) -> tuple[pa.RecordBatch, pa.Array]:
    """The rows of a batch that have no mistakes; none where the file as a whole has one."""
    if not bad:
        return batch, lines
    if 0 in bad:
        return batch.slice(0, 0), lines.slice(0, 0)
    good = pc.invert(pc.is_in(lines, pa.array(sorted(bad), lines.type)))
    return batch.filter(good), lines.filter(good)
