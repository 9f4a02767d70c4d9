"""From the catalogue to the database: the physical tables, their indexes and rights, and TAP_SCHEMA's contents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import sql

from km3vo.catalog.model import Catalog, Column, Table
from km3vo.catalog.tap_schema import TAP_SCHEMA, rows
from km3vo.errors import SetupError
from km3vo.store import embargo, grants, obscore

SCALAR = {
    "boolean": "boolean",
    "unsignedByte": "smallint",
    "short": "smallint",
    "int": "integer",
    "long": "bigint",
    "float": "real",
    "double": "double precision",
    "char": "text",
    "unicodeChar": "text",
}


def postgres_type(column: Column) -> str:
    """The PostgreSQL type in which a column is stored and sent (see results.stream for its Arrow type)."""
    if column.is_string:
        return "timestamp" if column.xtype == "timestamp" else "text"
    return SCALAR[column.datatype] + ("[]" if column.arraysize else "")


def publish(connection: psycopg.Connection, catalog: Catalog) -> list[str]:
    """Make the database agree with the catalogue; safe to run again. Returns the names of tables that are new.

    ``connection`` belongs to the owner. All or nothing: it commits at the end.

    Raises:
        SetupError: a table exists already with other columns than the catalogue says, or its release rule cannot be.
    """
    embargo.check_streams(catalog)
    created = []
    for schema in (TAP_SCHEMA, *catalog.schemas):
        name = sql.Identifier(schema.name.lower())
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(name))
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO km3vo_public, km3vo_member, km3vo_ingest").format(name))
        for table in schema.tables:
            if table.kind == "table" and _ensure_table(connection, table):
                created.append(table.qualified)
            if table.release.embargoed:
                embargo.agree(connection, table)
    grants.open_tables(connection, catalog)
    obscore.grant(connection, catalog)
    _write_tap_schema(connection, catalog)
    connection.commit()
    return created


def _ensure_table(connection: psycopg.Connection, table: Table) -> bool:
    wanted = {column.sql: postgres_type(column) for column in table.columns}
    found: dict[str, str] = dict(
        connection.execute(
            "SELECT attname, CASE format_type(atttypid, atttypmod) WHEN 'timestamp without time zone' "
            "THEN 'timestamp' ELSE format_type(atttypid, atttypmod) END FROM pg_attribute "
            "WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped AND left(attname, 1) <> '_'",
            (sql.Identifier(table.schema, table.name).as_string(connection),),
        ).fetchall()
    )
    if not found:
        _create(connection, table)
        return True
    embargo.check_unchanged(connection, table)
    for name, postgres in found.items():
        if wanted.get(name) != postgres:
            raise SetupError(
                f"{table.qualified}.{name} is {postgres} in the database and "
                f"{wanted.get(name, 'absent')} in schemas/: mend the description, or move the table out of the way"
            )
    for name in wanted.keys() - found.keys():
        connection.execute(
            sql.SQL("ALTER TABLE {} ADD COLUMN {} {}").format(
                sql.Identifier(table.schema, table.name), sql.Identifier(name), sql.SQL(wanted[name])
            )
        )
    return False


def _create(connection: psycopg.Connection, table: Table) -> None:
    parent = sql.Identifier(table.schema, table.name)
    columns: list[sql.Composable] = [
        sql.SQL("{} {}{}").format(
            sql.Identifier(column.sql),
            sql.SQL(postgres_type(column)),
            sql.SQL("" if column.nullable else " NOT NULL"),
        )
        # Texts last: whatever lies behind the first of them PostgreSQL has to look for in every row.
        for column in sorted(table.columns, key=lambda column: column.is_string and column.xtype != "timestamp")
    ]
    positions: list[sql.Composable] = []
    parts: list[sql.Composable] = []
    keys: list[str] = [table.id] if table.id else []
    indexes: list[sql.Composable] = []
    if table.position:
        place = {"ra": sql.Identifier(table.position.ra), "dec": sql.Identifier(table.position.dec)}
        parts += [
            sql.SQL("CHECK ({ra} >= 0 AND {ra} < 360)").format(**place),  # NaN sorts above all numbers
            sql.SQL("CHECK ({dec} BETWEEN -90 AND 90)").format(**place),
        ]
        positions.append(
            sql.SQL("_pos spoint GENERATED ALWAYS AS (spoint(radians({ra}), radians({dec}))) STORED").format(**place)
        )
        indexes.append(sql.SQL("USING gist (_pos)"))
        if table.position.error:
            place["error"] = sql.Identifier(table.position.error)
            parts.append(sql.SQL("CHECK ({error} > 0 AND {error} <= 90)").format(**place))
            positions.append(
                sql.SQL(
                    "_errc scircle GENERATED ALWAYS AS "
                    "(scircle(spoint(radians({ra}), radians({dec})), radians({error}))) STORED"
                ).format(**place)
            )
            indexes.append(sql.SQL("USING gist (_errc)"))
    if table.release.embargoed:
        parts += [
            sql.SQL("_access \"char\" NOT NULL DEFAULT 'e'"),
            sql.SQL("_release_time timestamptz"),
            # No default: the trigger fills in the stream's.
            sql.SQL("_qc text NOT NULL CHECK (_qc IN ('pending', 'passed', 'failed'))"),
        ]
        keys.append("_access")
    if table.id:
        parts.append(sql.SQL("PRIMARY KEY ({})").format(sql.SQL(", ").join(map(sql.Identifier, keys))))
    indexes += [
        sql.SQL("({})").format(sql.Identifier(column.sql))
        for column in table.columns
        if column.indexed and column.name not in (table.id, *_position_columns(table))
    ]
    # Positions first: they are read for every row that an index offers.
    parts = [*positions, *columns, *parts]
    tail = sql.SQL(" PARTITION BY LIST (_access)" if table.release.embargoed else "")
    connection.execute(sql.SQL("CREATE TABLE {} ({}){}").format(parent, sql.SQL(", ").join(parts), tail))
    for index in indexes:
        connection.execute(sql.SQL("CREATE INDEX ON {} {}").format(parent, index))
    connection.execute(sql.SQL("GRANT SELECT ON {} TO km3vo_member").format(parent))
    if table.release.embargoed:
        embargo.divide(connection, table)
    else:
        if table.schema != TAP_SCHEMA.name:
            connection.execute(sql.SQL("GRANT SELECT, INSERT ON {} TO km3vo_ingest").format(parent))
        connection.execute(sql.SQL("GRANT SELECT ON {} TO km3vo_public").format(parent))


def _position_columns(table: Table) -> tuple[str, ...]:
    if table.position is None:
        return ()
    return tuple(filter(None, (table.position.ra, table.position.dec, table.position.error)))


def _write_tap_schema(connection: psycopg.Connection, catalog: Catalog) -> None:
    contents = rows(catalog)
    for name in reversed(contents):
        connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier("tap_schema", name)))
    for name, lines in contents.items():
        _insert(connection, sql.Identifier("tap_schema", name), lines)


def _insert(connection: psycopg.Connection, relation: sql.Identifier, lines: Sequence[dict[str, Any]]) -> None:
    if not lines:
        return
    names = list(lines[0])
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        relation,
        sql.SQL(", ").join(map(sql.Identifier, names)),
        sql.SQL(", ").join(sql.Placeholder() * len(names)),
    )
    with connection.cursor() as cursor:
        cursor.executemany(statement, [[line[name] for name in names] for line in lines])
