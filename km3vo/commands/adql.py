"""`km3vo adql`: what a query becomes, or why it is none."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from km3vo.errors import AdqlError, SetupError
from km3vo.terminal import tell, tell_lines

if TYPE_CHECKING:
    from km3vo.adql import QueryTables, Translation

_VERSIONS = {"ADQL": "2.1", "ADQL-2.0": "2.0", "ADQL-2.1": "2.1", "2.0": "2.0", "2.1": "2.1"}
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("adql")
@click.argument("query", required=False)
@click.option("--tables", type=_FILE, help="JSON file of tables to use instead of the published ones.")
@click.option("--group", help="Group of tables in that file.")
@click.option("--batch", type=_FILE, help="File of queries, a JSON object on each line.")
@click.option("--lang", type=click.Choice(list(_VERSIONS)), default="ADQL", show_default=True, help="Version of ADQL.")
@click.option("--maxrec", type=click.IntRange(0), help="Most rows, as MAXREC in TAP.")
def command(
    query: str | None, tables: Path | None, group: str | None, batch: Path | None, lang: str, maxrec: int | None
) -> None:
    """Show what a QUERY becomes, or what is wrong with it.

    It becomes SQL for PostgreSQL and the columns of the result. QUERY may be - for the standard input.

    With --batch, each line has "id", "adql" and perhaps "version" and "group" (or "schema"), and each gives one line
    of JSON with "accepted", and "sql" and "columns" or "error", "line", "column" and "hint"; "syntax" tells whether
    the query is ADQL whatever tables there are. Only that is asked of lines that name no group, where the file of
    tables has several, and of lines with "level": "syntax" whose names are not found.

    \b
    Examples:
      km3vo adql "SELECT TOP 5 * FROM km3net.events WHERE DISTANCE(ra, dec, 83.6, 22) < 2"
      km3vo adql --tables schema.json --batch cases.jsonl > answers.jsonl
    """
    from km3vo.adql import translate

    known = _Tables(tables, group)
    if batch is not None:
        for line in batch.read_text(encoding="utf-8").splitlines():
            if line.strip():
                tell(json.dumps(_answer(line, known, lang, maxrec)))
        return
    if query is None:
        raise click.UsageError("Write a query, or name a file of them with --batch.")
    text = sys.stdin.read() if query == "-" else query
    sources = known.of(group)
    if sources is None:
        raise click.UsageError(f"Choose one with --group: {', '.join(known.names)}.")
    try:
        _show(translate(text, sources, version=_VERSIONS[lang], maxrec=maxrec))
    except AdqlError as error:
        tell_lines(str(error), err=True)
        sys.exit(1)


class _Tables:
    """The tables to resolve against: those of a file, by group, or the published ones."""

    def __init__(self, path: Path | None, group: str | None):
        self._default = group
        self._groups: dict[str, QueryTables] | None = None
        self._published: QueryTables | None = None
        if path is not None:
            from km3vo.adql.tables_file import read_groups

            self._groups = read_groups(path)
            if group is not None and group not in self._groups:
                raise SetupError(f"{path} has no group {group}; it has {', '.join(self._groups)}")

    @property
    def names(self) -> list[str]:
        """The groups of the file."""
        return list(self._groups or ())

    def of(self, group: str | None) -> QueryTables | None:
        """The tables of a group; None where it is not known which."""
        if self._groups is None:
            if self._published is None:
                self._published = _published()
            return self._published
        if group is None and len(self._groups) == 1:
            return next(iter(self._groups.values()))
        return self._groups.get(group or self._default or "")


def _published() -> QueryTables:
    from km3vo.catalog.files import read_catalog
    from km3vo.catalog.model import Catalog
    from km3vo.catalog.tap_schema import TAP_SCHEMA
    from km3vo.embargo.partitions import sources
    from km3vo.settings import Settings

    return sources(Catalog((*read_catalog(Settings().schemas).schemas, TAP_SCHEMA)), "public")


def _show(made: Translation) -> None:
    tell_lines(made.sql)
    tell()
    rows = [("column", "datatype", "arraysize", "xtype", "unit", "UCD")]
    rows += [(c.name, c.datatype, c.arraysize or "", c.xtype or "", c.unit or "", c.ucd or "") for c in made.columns]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    for row in rows:
        tell("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _answer(line: str, known: _Tables, lang: str, maxrec: int | None) -> dict[str, Any]:
    """What became of one line of a batch; whatever is in it, there is an answer."""
    from km3vo.adql import parse, translate

    told: dict[str, Any] = {}
    try:
        told = json.loads(line)
        text = told["adql"]
        version = _VERSIONS[str(told.get("version") or lang)]
        if not isinstance(text, str):
            raise ValueError("adql is not a string")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        number = told.get("id") if isinstance(told, dict) else None
        message = f"not a line with id, adql and version 2.0 or 2.1: {error}"
        return {"id": number, "accepted": False, "syntax": False, "error": message, "line": 0, "column": 0, "hint": ""}
    answer: dict[str, Any] = {"id": told.get("id")}
    group = told.get("group") or told.get("schema")
    sources = known.of(group)
    grammatical = False
    try:
        parse(text, version)
        grammatical = True
        if sources is not None:
            made = translate(text, sources, version=version, maxrec=maxrec)
            columns = [
                {key: value for key, value in asdict(column).items() if key not in ("sql", "_hash")}
                for column in made.columns
            ]
            return {**answer, "accepted": True, "syntax": True, "sql": made.sql, "columns": columns}
        if group is not None:
            raise AdqlError(f"there is no group {group}", hint=f"there are {', '.join(known.names)}")
    except AdqlError as error:
        if not grammatical or told.get("level") != "syntax":
            wrong = {"error": error.message, "line": error.line, "column": error.column, "hint": error.hint}
            return {**answer, "accepted": False, "syntax": grammatical, **wrong}
    return {**answer, "accepted": True, "syntax": True, "sql": None, "columns": []}
