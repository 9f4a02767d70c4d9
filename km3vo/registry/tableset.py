"""The published tables as VODataService describes them: the tables documents of VOSI 1.1 §4, and registry records."""

from __future__ import annotations

from lxml import etree

from km3vo.catalog.model import Catalog, Column, Schema, Table
from km3vo.catalog.tap_schema import as_written, is_indexed
from km3vo.registry.elements import TYPE, document, plain, root


def tableset(catalog: Catalog, *, columns: bool = True) -> bytes:
    """The tables document (VOSI 1.1 §4); without columns for detail=min."""
    top = root("vtm", "tableset", "vs")
    top.extend(schema_element(schema, columns=columns) for schema in catalog.schemas)
    return document(top)


def table_document(table: Table) -> bytes:
    """The document of one table (VOSI 1.1 §4.2)."""
    top = root("vtm", "table", "vs")
    top.set("type", table.kind)
    top.extend(_table(table, columns=True))
    return document(top)


def schema_element(schema: Schema, *, columns: bool = True) -> etree._Element:
    """A schema with its tables (VODataService 1.2 §3.3)."""
    element = plain.schema(plain.name(schema.name), plain.title(schema.title), plain.description(schema.description))
    for table in schema.tables:
        element.append(_table(table, columns=columns))
    return element


def _table(table: Table, *, columns: bool) -> etree._Element:
    element = plain.table(
        plain.name(table.qualified), plain.title(table.title), plain.description(table.description), type=table.kind
    )
    if table.utype:
        element.append(plain.utype(table.utype))
    if columns:
        element.extend(_column(column, table) for column in table.columns)
        for key in table.keys:
            foreign = plain.foreignKey(plain.targetTable(key.target))
            for here, there in key.columns:
                foreign.append(plain.fkColumn(plain.fromColumn(here), plain.targetColumn(there)))
            if key.description:
                foreign.append(plain.description(key.description))
            if key.utype:
                foreign.append(plain.utype(key.utype))
            element.append(foreign)
    return element


def _column(column: Column, table: Table) -> etree._Element:
    element = plain.column(plain.name(as_written(column.name)))
    for name in ("description", "unit", "ucd", "utype"):
        if value := getattr(column, name):
            element.append(plain(name, value))
    attributes = {"arraysize": column.arraysize, "extendedType": column.xtype}
    element.append(
        plain.dataType(column.datatype, {TYPE: "vs:VOTableType"}, **{k: v for k, v in attributes.items() if v})
    )
    flags = {"indexed": is_indexed(table, column), "primary": column.name == table.id, "nullable": column.nullable}
    element.extend(plain.flag(flag) for flag, present in flags.items() if present)
    if column.std:
        element.set("std", "true")
    return element
