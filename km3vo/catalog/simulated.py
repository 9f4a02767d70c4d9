"""Telling simulated rows from real ones wherever a table is described."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from km3vo.catalog.model import Catalog, Citation, Schema, Table


def mark_simulated(catalog: Catalog, tables: Collection[str]) -> Catalog:
    """The catalogue with the named tables (``schema.table``) described as look-alikes of the real ones.

    Their citation goes: nobody shall cite a paper for rows that are not its.
    """
    return Catalog(tuple(_mark_schema(schema, tables) for schema in catalog.schemas))


def _mark_schema(schema: Schema, tables: Collection[str]) -> Schema:
    marked = (_mark(table) if table.qualified in tables else table for table in schema.tables)
    return replace(schema, tables=tuple(marked))


def _mark(table: Table) -> Table:
    if table.simulated:
        return table
    return replace(
        table,
        title=f"{table.title} (simulated look-alike)",
        description=(
            "SIMULATED: the released list is not loaded here; all rows are invented in its likeness, and their "
            f"identifiers begin with SIM. The list itself: {table.description}"
        ),
        citation=Citation(
            publisher=table.citation.publisher,
            reference_url=table.citation.reference_url,
            text="Simulated rows of the km3vo demonstration; not data, and not to be cited as such",
        ),
        simulated=True,
    )
