"""More events than can be loaded in an afternoon: the loaded ones again and again, each time elsewhere on the sky.

To load and release 20 million events as an operator would takes an hour; here they are written past the triggers, by
the administrator, and the indexes made afterwards.
"""

from __future__ import annotations

from psycopg import Connection, sql

from km3vo.catalog.model import Table

# A copy has ids of its own, and lies elsewhere: turned by an angle of its own and spread by half a degree, so that a
# cone of a given size finds as many times more events as there are copies.
COPIES = """
INSERT INTO {public} ({names}, _access, _release_time, _qc)
SELECT {values}, _access, _release_time, _qc
FROM {public} AS e, generate_series(1, %s - 1) AS copy,
    LATERAL (SELECT copy, random() AS a, random() AS b OFFSET 0) AS r
ORDER BY healpix_nest(8, spoint(radians({ra}), radians({dec})))
"""
VALUES = {
    "id": "'KM3-' || upper(substr(md5(e.{id} || '-' || r.copy), 1, 16))",
    "ra": "mod((e.{ra} + 17.3 * r.copy + r.a)::numeric, 360)::float8",
    "dec": "greatest(-90, least(90, e.{dec} + r.b - 0.5))",
}


def multiply(admin: Connection, table: Table, times: int) -> None:
    """Make the public events of an embargoed table ``times`` as many."""
    assert table.position is not None
    schema, name = table.schema, f"{table.name}_public"
    parent, public = sql.Identifier(schema, table.name), sql.Identifier(schema, name)
    columns = {"id": str(table.id), "ra": table.position.ra, "dec": table.position.dec}
    known = {key: sql.Identifier(column) for key, column in columns.items()}
    computed = {columns[key]: sql.SQL(text).format(**known) for key, text in VALUES.items()}
    names = [column.sql for column in table.columns]
    indexes = admin.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = %s AND tablename = %s AND indexname <> %s",
        (schema, name, f"{name}_pkey"),
    ).fetchall()
    admin.execute("SET maintenance_work_mem = '2GB'")
    admin.execute("SET work_mem = '1GB'")
    # Indexes of a partition belong to the parent's: it has to leave, and comes back with the same ones.
    admin.execute(sql.SQL("ALTER TABLE {} DETACH PARTITION {}").format(parent, public))
    admin.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(public))
    key = sql.Identifier(f"{name}_pkey")
    admin.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(public, key))
    for index, _ in indexes:
        admin.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(schema, index)))
    insert = sql.SQL(COPIES).format(
        public=public,
        names=sql.SQL(", ").join(map(sql.Identifier, names)),
        values=sql.SQL(", ").join(computed.get(each, sql.SQL("e.{}").format(sql.Identifier(each))) for each in names),
        ra=computed[columns["ra"]],
        dec=computed[columns["dec"]],
    )
    admin.execute(insert, (times,))
    admin.execute(
        sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} PRIMARY KEY ({}, _access)").format(public, key, known["id"])
    )
    for _, definition in indexes:
        admin.execute(definition)
    admin.execute(sql.SQL("ALTER TABLE {} ENABLE TRIGGER USER").format(public))
    admin.execute(sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES IN ('p')").format(parent, public))
    admin.commit()
