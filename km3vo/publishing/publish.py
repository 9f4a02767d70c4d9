"""From the catalogue to the database: the physical tables, their indexes and rights, and TAP_SCHEMA's contents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import sql

from km3vo.catalog.model import Catalog, Table
from km3vo.catalog.tap_schema import TAP_SCHEMA, rows
from km3vo.database.types import postgres_type
from km3vo.embargo import grants, partitions, statistics, versions
from km3vo.errors import SetupError

# Statements of tables and schemas; columns, constraints and indexes are put together in _create.
CREATE_SCHEMA = "CREATE SCHEMA IF NOT EXISTS {schema}"
LET_USE = "GRANT USAGE ON SCHEMA {schema} TO km3vo_public, km3vo_member, km3vo_ingest"
LET_SERVICE_WRITE = (
    "GRANT USAGE ON SCHEMA {schema} TO km3vo_service",
    "GRANT SELECT, INSERT, DELETE ON {table} TO km3vo_service",
)
LET_MEMBERS_READ = "GRANT SELECT ON {table} TO km3vo_member"
LET_LOAD = "GRANT SELECT, INSERT ON {table} TO km3vo_ingest"
LET_READ = "GRANT SELECT ON {table} TO km3vo_public"
# The columns of a table with their types; those that begin with an underscore are the service's own.
COLUMNS = """
SELECT attname, CASE format_type(atttypid, atttypmod)
    WHEN 'timestamp without time zone' THEN 'timestamp' ELSE format_type(atttypid, atttypmod) END
FROM pg_attribute
WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped AND left(attname, 1) <> '_'
"""
ADD_COLUMN = "ALTER TABLE {table} ADD COLUMN {column} {type}"
CREATE = "CREATE TABLE {table} ({parts}){partitioned}"
INDEX = "CREATE INDEX ON {table} {index}"
EMPTY = "DELETE FROM {table}"
# What columns meant when they were last published.
HAS_TAP_SCHEMA = "SELECT to_regclass('tap_schema.columns')"
MEANINGS = "SELECT table_name, column_name, unit, ucd, xtype FROM tap_schema.columns"
IS_THERE = "SELECT to_regclass(%s)"
ANY_ROW = "SELECT EXISTS (SELECT FROM {table})"
INSERT = "INSERT INTO {table} ({columns}) VALUES ({values})"


def publish(connection: psycopg.Connection, catalog: Catalog, *, new_meaning: bool = False) -> list[str]:
    """Make the database agree with the catalogue; safe to run again. Returns the names of tables that are new.

    ``connection`` belongs to the owner. All or nothing: it commits at the end.

    Args:
        new_meaning: columns with rows may get another unit, UCD or xtype; their values stay as they are.

    Raises:
        SetupError: a table exists already with other columns than the catalogue says, or its release rule cannot be.
    """
    partitions.check_streams(catalog)
    if not new_meaning:
        _refuse_new_meaning(connection, catalog)
    created = []
    for schema in (TAP_SCHEMA, *catalog.schemas):
        name = sql.Identifier(schema.name.lower())
        connection.execute(sql.SQL(CREATE_SCHEMA).format(schema=name))
        connection.execute(sql.SQL(LET_USE).format(schema=name))
        for table in schema.tables:
            if table.kind == "table" and _ensure_table(connection, table):
                created.append(table.qualified)
            if versions.are_kept(table):
                versions.apply(connection, table)
                statistics.leave_alone(connection, table)
            if table.release.embargoed:
                partitions.apply_rules(connection, table)
            if table.kept_by_service:
                _let_service_write(connection, table)
    grants.open_to_observers(connection, catalog)
    _write_tap_schema(connection, catalog)
    connection.commit()
    return created


def _refuse_new_meaning(connection: psycopg.Connection, catalog: Catalog) -> None:
    """Make sure that values which are there go on meaning what they meant."""
    if connection.execute(HAS_TAP_SCHEMA).fetchone() == (None,):
        return
    before = {(table, column): meant for table, column, *meant in connection.execute(MEANINGS)}
    for row in rows(catalog)["columns"]:
        named, means = (row["table_name"], row["column_name"]), [row["unit"], row["ucd"], row["xtype"]]
        meant = before.get(named, means)
        if meant == means or not _has_rows(connection, row["table_name"]):
            continue
        words = ", ".join(
            f"{what} {old or 'none'} becomes {new or 'none'}"
            for what, old, new in zip(("unit", "UCD", "xtype"), meant, means, strict=True)
            if old != new
        )
        raise SetupError(
            f"{'.'.join(named)} has values, and they would mean something else: {words}. Load them anew into a table "
            "of another name; or, if the description was wrong and the values are not, say so with "
            "`km3vo publish --new-meaning`"
        )


def _has_rows(connection: psycopg.Connection, qualified: str) -> bool:
    schema, name = qualified.split(".")
    if schema == TAP_SCHEMA.name or connection.execute(IS_THERE, (qualified,)).fetchone() == (None,):
        return False
    return connection.execute(sql.SQL(ANY_ROW).format(table=sql.Identifier(schema, name))).fetchone() == (True,)


def _let_service_write(connection: psycopg.Connection, table: Table) -> None:
    names = {"schema": sql.Identifier(table.schema), "table": sql.Identifier(table.schema, table.name)}
    for statement in LET_SERVICE_WRITE:
        connection.execute(sql.SQL(statement).format(**names))


def _ensure_table(connection: psycopg.Connection, table: Table) -> bool:
    wanted = {column.sql: postgres_type(column) for column in table.columns}
    relation = sql.Identifier(table.schema, table.name)
    present: dict[str, str] = dict(connection.execute(COLUMNS, (relation.as_string(connection),)).fetchall())
    if not present:
        _create(connection, table)
        return True
    partitions.check_unchanged(connection, table)
    for name, postgres in present.items():
        if wanted.get(name) != postgres:
            raise SetupError(
                f"{table.qualified}.{name} is {postgres} in the database and "
                f"{wanted.get(name, 'absent')} in schemas/: mend the description, or move the table out of the way"
            )
    for name in wanted.keys() - present.keys():
        column, type_ = sql.Identifier(name), sql.SQL(wanted[name])
        connection.execute(sql.SQL(ADD_COLUMN).format(table=relation, column=column, type=type_))
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
    joined = sql.SQL(", ").join(parts)
    connection.execute(sql.SQL(CREATE).format(table=parent, parts=joined, partitioned=tail))
    for index in indexes:
        connection.execute(sql.SQL(INDEX).format(table=parent, index=index))
    connection.execute(sql.SQL(LET_MEMBERS_READ).format(table=parent))
    if table.release.embargoed:
        partitions.create(connection, table)
    else:
        if table.schema != TAP_SCHEMA.name:
            connection.execute(sql.SQL(LET_LOAD).format(table=parent))
        connection.execute(sql.SQL(LET_READ).format(table=parent))


def _position_columns(table: Table) -> tuple[str, ...]:
    if table.position is None:
        return ()
    return tuple(filter(None, (table.position.ra, table.position.dec, table.position.error)))


def _write_tap_schema(connection: psycopg.Connection, catalog: Catalog) -> None:
    contents = rows(catalog)
    for name in reversed(contents):
        connection.execute(sql.SQL(EMPTY).format(table=sql.Identifier("tap_schema", name)))
    for name, lines in contents.items():
        _insert(connection, sql.Identifier("tap_schema", name), lines)


def _insert(connection: psycopg.Connection, relation: sql.Identifier, lines: Sequence[dict[str, Any]]) -> None:
    if not lines:
        return
    names = list(lines[0])
    statement = sql.SQL(INSERT).format(
        table=relation,
        columns=sql.SQL(", ").join(map(sql.Identifier, names)),
        values=sql.SQL(", ").join(sql.Placeholder() * len(names)),
    )
    with connection.cursor() as cursor:
        cursor.executemany(statement, [[line[name] for name in names] for line in lines])
