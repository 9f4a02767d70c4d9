"""`km3vo load`: events from files."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from km3vo.commands import opening
from km3vo.commands.opening import WHEN, WRITTEN, opened, published
from km3vo.errors import SetupError
from km3vo.terminal import tell

if TYPE_CHECKING:
    from km3vo.catalog.model import Table
    from km3vo.loading.loads import Superseding
    from km3vo.loading.outlook import Outlook
    from km3vo.settings import Settings

LOADED_BEFORE = 3  # the status when there was nothing to do
MJD = datetime(1858, 11, 17, tzinfo=UTC)


@click.command("load")
@click.argument("table")
@click.argument("files", nargs=-1, required=True)
@click.option("--table", "inner", metavar="NAME|N", help="Which table of the files is meant, if there are several.")
@click.option(
    "--map", "maps", multiple=True, metavar="NAME=COLUMN", help="The file's column NAME is COLUMN of the table."
)
@click.option("--unit", "units", multiple=True, metavar="NAME=UNIT", help="The files' column NAME is in UNIT.")
@click.option("--set", "sets", multiple=True, metavar="COLUMN=VALUE", help="Our COLUMN is VALUE in every row.")
@click.option(
    "--ignore", multiple=True, metavar="NAME", help='The file\'s column NAME is left out; "*": all unknown ones.'
)
@click.option("--require", multiple=True, metavar="NAME", help="Rows without a value in the files' NAME are left out.")
@click.option("--truncated", is_flag=True, help="It is known that the files lack rows.")
@click.option("--check", is_flag=True, help="Look for mistakes, and load nothing.")
@click.option("--yes", is_flag=True, help="Do not ask whether rows may become public.")
@click.option("--supersede", is_flag=True, help="The files hold new versions of events that are there; say why.")
@click.option("--whole-runs", is_flag=True, help="Events of the files' runs that the files do not have go.")
@click.option("--period", nargs=2, type=WHEN, metavar="FROM TO", help="So do events of this period (UTC).")
@click.option("--public", is_flag=True, help="Events that are public may change, and go.")
@click.option("--reason", type=WRITTEN, help="Why events are superseded; it goes into the log.")
@click.option("--by", type=WRITTEN, default=getpass.getuser, show_default="your account", help="Who loads.")
def command(
    table: str,
    files: tuple[str, ...],
    inner: str | None,
    maps: tuple[str, ...],
    units: tuple[str, ...],
    sets: tuple[str, ...],
    ignore: tuple[str, ...],
    require: tuple[str, ...],
    truncated: bool,
    check: bool,
    yes: bool,
    supersede: bool,
    whole_runs: bool,
    period: tuple[datetime, datetime] | None,
    public: bool,
    reason: str | None,
    by: str,
) -> None:
    """Load FILES of events into a published TABLE.

    All rows of all files are loaded, or none. FILES are paths, patterns in quotes, addresses, or "-" for the standard
    input. CSV, TSV, ECSV, VOTable, FITS, Parquet, HDF5 and ROOT are read, compressed or not; columns are matched by
    name, and units, time scales and frames turned into the published ones. Where names or units differ, or are missing
    in the files, say so with --map, --unit, --set, --ignore and --require, each as often as needed.

    Every row is checked first, and mistakes are told with file, line, column and value. Then you are told when the rows
    become public; on a terminal you are asked if that is at once (--yes: you are not). Loading a file again does
    nothing; when all FILES were loaded before, the status is 3. --check looks at everything and loads nothing.

    With --supersede, events that are there get a new version. Where there is an embargo, the new version waits for
    quality control and for the later of the two release times; events that are public change for everybody at once,
    and only when --public says so. docs/loading.md says more.

    \b
    Examples:
      km3vo load km3net.offline my_events.csv
      km3vo load km3net.offline arca21.parquet orca18.csv.gz
      km3vo load km3net.offline --table EVENTS run12345.fits
      km3vo load km3net.offline 'arca21/run*.csv' --map E_reco=energy --unit E_reco=TeV --set detector=ARCA
      curl -s https://example.org/events.vot | km3vo load km3net.offline - --ignore "*"
      km3vo load km3net.offline run4711_v2.parquet --supersede --whole-runs --reason "reprocessing v2"
    """
    from km3vo.commands import progress
    from km3vo.database.logins import INGEST, OWNER
    from km3vo.loading import loads
    from km3vo.loading.arrivals import gathered
    from km3vo.loading.mapping import Mapping, pairs
    from km3vo.readers.opened import Options
    from km3vo.settings import Settings

    settings = Settings()
    target = published(settings, table)
    how = _superseding(target, supersede, whole_runs, period, public, reason, by)
    mapping = Mapping(pairs("--map", maps), pairs("--unit", units), pairs("--set", sets, first=True), ignore, require)
    mapping.check(target)
    with gathered(files) as paths, opened() as (_settings, database):
        with database.connect(INGEST) as loader, progress.bar(progress.on_terminal(), target.qualified) as told:

            def agree(outlook: Outlook) -> bool:
                with told.away():
                    for line in _said(outlook, target, settings):
                        tell(line)
                    asks = outlook.soon and opening.can_be_asked() and not (yes or check or how)
                    return not asks or click.confirm("Load them?", err=True)

            loaded = loads.load(
                loader,
                target,
                paths,
                progress=told,
                options=Options(table=inner, truncated=truncated),
                mapping=mapping,
                superseding=how,
                who=by,
                check_only=check,
                agree=agree,
            )
        if not check:
            with database.connect(OWNER) as owner:
                loads.analyze(owner, target)
    for file in loaded.files:
        before = f"was loaded before, on {file.before:%Y-%m-%d}: nothing done" if file.before else f"{file.rows} rows"
        good = " without mistakes; nothing was loaded" if check and not file.before else ""
        tell(f"{file.name}: {before}{good}" + ("" if file.number is None else f" (load {file.number})"))
        for remark in file.remarks:
            tell(f"  {remark}")
    if (done := loaded.superseded) is not None:
        tell(
            f"{done.replaced} events have a new version and {done.vanished} are gone; {done.public} of them are public"
        )
    if all(file.before for file in loaded.files):
        sys.exit(LOADED_BEFORE)


def _said(outlook: Outlook, table: Table, settings: Settings) -> Iterator[str]:
    """When the rows of a load become public, in words."""
    if outlook.qc is None:
        yield f"{table.qualified} has no embargo: {outlook.rows} rows are public at once"
        return
    after = " after quality control (`km3vo release qc`)" if outlook.qc == "pending" else ""
    if outlook.due:
        batch = "" if after else ", within the day" if settings.release_every else ", within a minute"
        yield f"{outlook.due} rows are due already: they become public{batch or after}"
    if later := outlook.rows - outlook.due - outlook.never:
        assert outlook.first is not None and outlook.last is not None
        span = " to ".join(dict.fromkeys((f"{outlook.first:%Y-%m-%d}", f"{outlook.last:%Y-%m-%d}")))
        yield f"{later} rows become public {span}{after}"
    if outlook.never:
        yield f"{outlook.never} rows never become public, as the rule is now"


def _superseding(
    table: Table,
    supersede: bool,
    whole_runs: bool,
    period: tuple[datetime, datetime] | None,
    public: bool,
    reason: str | None,
    by: str,
) -> Superseding | None:
    """How events are superseded; None for not at all.

    Raises:
        SetupError: options that do not go together.
    """
    from km3vo.embargo.versions import run_columns
    from km3vo.loading.loads import Superseding

    if not supersede:
        if whole_runs or period or public or reason:
            raise SetupError("--whole-runs, --period, --public and --reason belong to --supersede")
        return None
    if not reason:
        raise SetupError("say with --reason why events are superseded")
    days = None
    if period is not None:
        start, end = ((moment.replace(tzinfo=UTC) - MJD).total_seconds() / 86400 for moment in period)
        if start >= end:
            raise SetupError("the period ends before it begins")
        days = start, end
    return Superseding(reason, by, public, run_columns(table) if whole_runs else (), days)
