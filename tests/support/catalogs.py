"""Everything that PostgreSQL's catalogue says of a database, to compare two that should be alike."""

from __future__ import annotations

import psycopg

# In names of its own, a query for each kind of thing; the first column is the thing, the others what it is like.
OURS = "nspname NOT LIKE 'pg\\_%' AND nspname NOT IN ('information_schema', 'public')"
QUESTIONS = {
    "schemas": f"SELECT nspname, nspowner::regrole::text, obj_description(oid) FROM pg_namespace WHERE {OURS}",
    "relations": f"""
        SELECT c.oid::regclass::text, relkind::text, relpersistence::text, relowner::regrole::text, relrowsecurity,
               relforcerowsecurity, relreplident::text, reloptions, pg_get_expr(relpartbound, c.oid),
               CASE WHEN relkind = 'p' THEN pg_get_partkeydef(c.oid) END,
               CASE WHEN relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END, obj_description(c.oid, 'pg_class')
        FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace WHERE {OURS}""",
    "columns": f"""
        SELECT c.oid::regclass || '.' || attname, attnum, format_type(atttypid, atttypmod), attnotnull,
               attidentity::text, attgenerated::text, attcollation::regcollation::text,
               pg_get_expr(adbin, adrelid), col_description(c.oid, attnum)
        FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = attrelid JOIN pg_namespace AS n ON n.oid = relnamespace
        LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE {OURS} AND attnum > 0 AND NOT attisdropped""",
    "constraints": f"""
        SELECT conrelid::regclass || '.' || conname, pg_get_constraintdef(k.oid), convalidated
        FROM pg_constraint AS k JOIN pg_namespace AS n ON n.oid = connamespace WHERE {OURS}""",
    "indexes": f"""
        SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid), indisvalid
        FROM pg_index JOIN pg_class AS c ON c.oid = indexrelid JOIN pg_namespace AS n ON n.oid = relnamespace
        WHERE {OURS}""",
    "functions": f"""
        SELECT p.oid::regprocedure::text, pg_get_functiondef(p.oid), proowner::regrole::text
        FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = pronamespace WHERE {OURS}""",
    "triggers": f"""
        SELECT tgrelid::regclass || '.' || tgname, pg_get_triggerdef(t.oid), tgenabled::text
        FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = tgrelid JOIN pg_namespace AS n ON n.oid = relnamespace
        WHERE {OURS} AND NOT tgisinternal""",
    "policies": f"""
        SELECT polrelid::regclass || '.' || polname, polcmd::text, polpermissive, polroles::regrole[]::text,
               pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)
        FROM pg_policy JOIN pg_class AS c ON c.oid = polrelid JOIN pg_namespace AS n ON n.oid = relnamespace
        WHERE {OURS}""",
    "sequences": f"""
        SELECT seqrelid::regclass::text, seqtypid::regtype::text, seqstart, seqincrement
        FROM pg_sequence JOIN pg_class AS c ON c.oid = seqrelid JOIN pg_namespace AS n ON n.oid = relnamespace
        WHERE {OURS}""",
    # Also those to PostgreSQL's own functions and relations, which roles.lock_down takes away.
    "rights": """
        SELECT what, CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE grantee::regrole::text END, privilege_type, is_grantable
        FROM (
            SELECT 'the database', coalesce(datacl, acldefault('d', datdba)) FROM pg_database
            WHERE datname = current_database()
            UNION ALL SELECT 'schema ' || nspname, coalesce(nspacl, acldefault('n', nspowner)) FROM pg_namespace
            WHERE nspname !~ '^pg_(toast|temp)'
            UNION ALL SELECT c.oid::regclass::text, coalesce(relacl, acldefault('r', relowner)) FROM pg_class AS c
            JOIN pg_namespace AS n ON n.oid = relnamespace WHERE nspname !~ '^pg_(toast|temp)'
            UNION ALL SELECT attrelid::regclass || '.' || attname, attacl FROM pg_attribute WHERE attacl IS NOT NULL
            UNION ALL SELECT oid::regprocedure::text, coalesce(proacl, acldefault('f', proowner)) FROM pg_proc
            UNION ALL SELECT 'type ' || oid::regtype::text, coalesce(typacl, acldefault('T', typowner)) FROM pg_type
            WHERE typtype IN ('d', 'e')
        ) AS things (what, acl), LATERAL aclexplode(acl)""",
}


def describe(connection: psycopg.Connection) -> dict[str, set[tuple[object, ...]]]:
    """Kind of thing → what there is of it. ``connection`` is the administrator's."""
    connection.execute("SET search_path TO pg_catalog")
    return {
        kind: {tuple(map(_hashable, row)) for row in connection.execute(question)}
        for kind, question in QUESTIONS.items()
    }


def _hashable(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value
