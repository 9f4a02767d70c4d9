"""`km3vo describe`: a description of a table from a file of its rows."""

from __future__ import annotations

import re

import click

from km3vo.terminal import tell_lines


@click.command("describe")
@click.argument("file")
@click.option(
    "--as", "name", metavar="SCHEMA.TABLE", help="What the table is called.  [default: lab and the file's name]"
)
@click.option("--table", "inner", metavar="NAME|N", help="Which table of the file is meant, if there are several.")
@click.option("--truncated", is_flag=True, help="It is known that the file lacks rows.")
def command(file: str, name: str | None, inner: str | None, truncated: bool) -> None:
    """Write the description of a table from a FILE of its rows.

    Names, types, units and UCDs are those of the file, or guesses, which are marked. Nothing becomes public by it: the
    embargo that it describes never ends until you write when. Its head says how to go on, with the command that loads
    the file. docs/tables.md says what may stand in a description.

    \b
    Examples:
      km3vo describe events.fits
      km3vo describe run.dst.root --as arca.events > schemas/arca.yaml
    """
    from km3vo.loading.arrivals import gathered
    from km3vo.loading.describing import describe
    from km3vo.readers.opened import Options

    with gathered([file]) as files:
        stem = re.sub(r"[^a-z0-9]+", "_", files[0].name.split(".")[0].lower()).strip("_")
        found = describe(files[0], name or f"lab.{stem}", Options(table=inner, truncated=truncated))
    tell_lines(found.rstrip("\n"))
