"""`km3vo check`: what an operator runs before registering the service."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command("check")
@click.argument("url")
@click.option(
    "--schemas",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of the IVOA's XML Schemas (default: where Debian's python3-gavo puts them).",
)
@click.option("--taplint/--no-taplint", default=True, show_default=True, help="Run taplint where STILTS is installed.")
def command(url: str, folder: Path | None, taplint: bool) -> None:
    """Tell what harvesters and clients will find wrong at URL.

    Every document is validated against the IVOA's XML Schemas, the registry is harvested in all ways, test and example
    queries are run, pages are opened. Ends with status 1 when there are mistakes. Do this before registering.

    \b
    Example:
      km3vo check http://127.0.0.1:8000
    """
    from rich.console import Console

    from km3vo.check.harvest import check_registry
    from km3vo.check.report import Report
    from km3vo.check.schemas import FOLDER, Schemas
    from km3vo.check.services import check_pages, check_services
    from km3vo.check.taplint import check_taplint
    from km3vo.check.visit import Visitor

    report = Report(Console(highlight=False))
    schemas = Schemas(folder or FOLDER) if folder or FOLDER.is_dir() else None
    if schemas is None:
        report.note("XML Schemas", ["not found: install python3-gavo, or name a folder by --schemas"], warning=True)
    visitor = Visitor(url)
    try:
        resources = check_registry(visitor, schemas, report)
        check_services(visitor, schemas, resources, report)
        check_pages(visitor, resources, report)
        if taplint:
            check_taplint(visitor.base, report)
    finally:
        visitor.close()
    report.console.print(f"\nmistakes: {report.mistakes}, warnings: {report.warnings}")
    if report.mistakes:
        sys.exit(1)
