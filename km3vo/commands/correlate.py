"""`km3vo correlate`: do the events of a list come from the sources of a catalogue?"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from km3vo.commands.opening import asking, catalog, opened
from km3vo.errors import SetupError
from km3vo.terminal import tell_lines

if TYPE_CHECKING:
    from km3vo.catalog.model import Table
    from km3vo.correlation.answer import Answer
    from km3vo.correlation.tables import Rows
    from km3vo.settings import Settings

THREADS = 2
FORMATS = {".vot": "votable/td", ".fits": "fits", ".parquet": "parquet", ".csv": "csv", ".ecsv": "ecsv"}


@click.command("correlate")
@click.argument("events")
@click.argument("catalogue")
@click.option("--method", default="count", show_default=True, help="count, likelihood, flare or stacking.")
@click.option("--window", default="", help='From and to, counted from the time of a source: "-500s,1d".')
@click.option("--radius", default="q90", show_default=True, help="q90 for 90 % of the error circle, or degrees.")
@click.option("--select", default="", help="Condition on the events, in ADQL.")
@click.option("--sources", default="", help="Condition on the catalogue, in ADQL.")
@click.option("--scrambles", help="How many scrambled lists to compare with.  [default: by method]")
@click.option("--seed", default="1", show_default=True, help="The number that scrambles follow from.")
@click.option("--weight", default="", help="Column of the catalogue by which stacking weighs.")
@click.option("--events-share", default="", help="Part of the probability that the events' error circles hold.")
@click.option("--catalogue-share", default="", help="The same of the catalogue's.")
@click.option("--runs", default="", help="Table with the live-time.  [default: runs of the events' schema]")
@click.option(
    "--as", "audience", type=click.Choice(["public", "member"]), default="public", show_default=True,
    help="Whose rows are seen.",
)  # fmt: skip
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path),
    help="File for the sources: .vot, .fits, .parquet, .csv, .ecsv; pairs and picture go beside it.",
)  # fmt: skip
def command(output: Path | None, audience: str, **options: str | None) -> None:
    """Correlate EVENTS with the sources of a CATALOGUE.

    Both are names of published tables, or queries in ADQL, and CATALOGUE may be a file. Which columns are meant is
    found by UCD (docs/correlate.md). The report goes to the standard output.

    \b
    Examples:
      km3vo correlate ant20_01.main cat.fermi_4fgl --method likelihood -o blazars.vot
      km3vo correlate icecube.ps3yr cat.grbweb --window "-500s,500s" --select "dec > -5"
      km3vo correlate ant20_01.main supernovae.vot --window "-5d,1d"
    """
    from km3vo.commands.progress import bar, on_terminal
    from km3vo.correlation import report
    from km3vo.correlation.answer import answer
    from km3vo.correlation.question import read
    from km3vo.correlation.tables import gather

    if output is not None and output.suffix not in FORMATS:
        raise SetupError(f"{output} names no format: let it end in {', '.join(FORMATS)}")
    question = read({name.upper(): text for name, text in options.items() if text})
    is_file = os.path.isfile(question.catalogue)  # Path raises for a query, which is too long a name
    sources = _sources(Path(question.catalogue), question.sources) if is_file else None
    with opened() as (settings, database):
        published = catalog(settings)
        with asking(settings, database, published, audience) as ask:
            lists = gather(question, published, ask, sources)
    with bar(on_terminal(), "correlating") as shown:
        result = answer(
            question,
            lists.events,
            lists.catalogue,
            lists.exposure,
            threads=THREADS,
            progress=lambda done, total: shown("scrambles", done, total),
        )
    tell_lines(report.text(report.report(result, lists.tables)))
    if output is not None:
        _write(output, result, settings, lists.tables)
        tell_lines(f"\n{output}, {_beside(output, '-pairs', output.suffix)}, {_beside(output, '', '.svg')} and .png")


def _sources(file: Path, condition: str) -> Rows:
    """The sources that a file holds."""
    from km3vo.correlation.question import MOST_SOURCES
    from km3vo.correlation.tables import Rows
    from km3vo.uploads.files import read_file

    if condition:
        raise SetupError("--sources is a condition on a table, and the catalogue is a file: leave it out")
    with file.open("rb") as opened_file:
        table = read_file(opened_file, most_rows=MOST_SOURCES, most_bytes=file.stat().st_size)
    for remark in table.remarks:
        tell_lines(f"{file.name}: {remark}", err=True)
    return Rows(table.columns, table.rows.to_batches(), ())


def _write(output: Path, found: Answer, settings: Settings, tables: Sequence[Table]) -> None:
    from km3vo.catalog.origin import table_infos
    from km3vo.correlation import report, results
    from km3vo.results import formats

    form = formats.find(FORMATS[output.suffix])
    infos = table_infos(settings, tables)
    for file, made in (
        (output, results.sources(found, infos)),
        (_beside(output, "-pairs", output.suffix), results.pairs(found, infos)),
    ):
        with file.open("wb") as out:
            out.writelines(form.write(made))
    _beside(output, "", ".svg").write_bytes(report.drawn(found))
    _beside(output, "", ".png").write_bytes(report.image(found))


def _beside(output: Path, word: str, suffix: str) -> Path:
    return output.with_name(f"{output.stem}{word}{suffix}")
