"""Whatever is typed: an answer or an AdqlError, no tables and no functions but the listed ones, in linear work."""

from __future__ import annotations

import ast
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

import km3vo.adql
from km3vo.adql import QueryTable, QueryTables, texts_of, translate
from km3vo.adql.sql import FUNCTIONS, Sql, identifier, joined, sql
from km3vo.adql.sql import text as literal
from km3vo.adql.values import MAX_SQL
from km3vo.column import Column
from km3vo.errors import AdqlError
from tests.adql.statements import functions, relations

pytestmark = pytest.mark.slow

# Longer on request: KM3VO_FUZZ_SECONDS=3600 pytest tests/adql/test_safety.py
SECONDS = float(os.environ.get("KM3VO_FUZZ_SECONDS", "0"))
MUTANTS = 4000

_MINE = [
    "SELECT TOP 5 e.ra, m.* FROM events AS e JOIN TAP_UPLOAD.mine m ON DISTANCE(e.ra, e.dec, m.ra, m.dec) < 0.1",
    "SELECT detector, COUNT(*) AS n FROM events GROUP BY detector HAVING AVG(energy) > 1e3 ORDER BY n DESC OFFSET 1",
    "WITH a AS (SELECT * FROM events WHERE nhits > 5) SELECT POINT(ra, dec), BOX(ra, dec, 1, 2) FROM a",
    "SELECT ra FROM events WHERE 1 = CONTAINS(POINT('GALACTIC', ra, dec), POLYGON(1, 2, 3, 4, 5, 7))",
    "SELECT ra FROM events WHERE nhits IN (1, 2) UNION (SELECT dec FROM events WHERE author IS NULL) ORDER BY 1",
    "SELECT CAST(ra AS VARCHAR(3)) || 'x''y' FROM events WHERE author LIKE '%\\' AND obs_time > '2020-01-01'",
    "SELECT IN_UNIT(ra, 'rad'), COALESCE(author, detector) FROM events NATURAL JOIN TAP_UPLOAD.mine",
    "SELECT ivo_histogram(ra, 0, 360, 10), ivo_string_agg(detector, ',') FROM events WHERE good = 1",
    "SELECT gavo_mocunion(MOC('3/4-5 9'), MOC(4, CIRCLE(ra, dec, 1))) FROM events WHERE 1 = CONTAINS(place, MOC('0/'))",
    "SELECT CENTROID(outline), AREA(outline) FROM TAP_UPLOAD.mine m WHERE EXISTS (SELECT 1 FROM events WHERE ra = id)",
]
_BITS = [
    *list("();,.'\"*+-/<>=|$:[]{}%#@\\`~^&?_!"),
    *(
        "--",
        "/*",
        "*/",
        "||",
        "::",
        "E'",
        'U&"',
        "\0",
        "’",
        "“",
        "\n",
        " ",
        "\t",
        "é",
        "𝕏",
        "0x1",
        "1e",
        "1e999",
        "''",
        '""',
    ),
    *(
        "pg_sleep(1)",
        "pg_catalog.pg_class",
        "_pos",
        '"_pos"',
        "current_user",
        "; DROP TABLE x",
        "' OR 1=1 --",
        "$$",
        "\\x",
    ),
    *(
        "SELECT",
        "FROM",
        "WHERE",
        "NOT",
        "NULL",
        "IN",
        "AS",
        "TOP 3",
        "UNION",
        "WITH",
        "ON",
        "JOIN",
        "EXISTS",
        "COUNT(*)",
    ),
]


def _mutants(seeds: list[str], rng: random.Random) -> Any:
    """Queries with words swapped, dropped, doubled and put in."""
    words = [word for seed in seeds for word in seed.split()] + _BITS * 3
    while True:
        parts = rng.choice(seeds).split(" ")
        for _ in range(rng.choice([0, 1, 1, 1, 2, 4])):
            at, kind = rng.randrange(len(parts) + 1), rng.random()
            if kind < 0.35:
                parts.insert(at, rng.choice(words))
            elif kind < 0.6 and len(parts) > 1:
                del parts[at - 1]
            elif kind < 0.8:
                parts[at - 1] = rng.choice(words)
            elif parts[at - 1]:
                word = parts[at - 1]
                place = rng.randrange(len(word) + 1)
                parts[at - 1] = word[:place] + rng.choice(_BITS) + word[place:]
        yield " ".join(parts)


def _tables(sources: QueryTables) -> set[str]:
    return {str(identifier(*source.relation)) for source in (*sources.all, *sources._uploads)}


def _check(text: str, sources: QueryTables, tables: set[str]) -> bool:
    """Translate; whatever comes is an answer with listed things only, or an AdqlError that can be shown."""
    try:
        made = translate(text, sources, maxrec=10)
    except AdqlError as error:
        assert str(error) and error.message
        return False
    assert functions(made.sql) <= FUNCTIONS, made.sql
    own = {f'"t{n}"' for n in range(1, 200)}
    assert relations(made.sql) <= tables | own, made.sql
    names = [column.sql for column in made.columns]
    assert len(set(names)) == len(names) and all(len(name.encode()) <= 63 for name in names)
    return True


def test_mutated_queries(sky_sources: QueryTables) -> None:
    rng, tables, accepted = random.Random(20240101), _tables(sky_sources), 0
    mutants = _mutants(_MINE, rng)
    stop = time.monotonic() + SECONDS
    tried = 0
    while tried < MUTANTS or time.monotonic() < stop:
        tried += 1
        accepted += _check(next(mutants), sky_sources, tables)
    assert accepted > tried / 100, "the mutants are too wild to test anything"


def test_mutated_cases(cases: list[dict[str, Any]], groups: dict[str, QueryTables]) -> None:
    rng = random.Random(7)
    seeds = [case["adql"] for case in cases if case["schema"] == "lyonetia"]
    sources, mutants = groups["lyonetia"], _mutants(seeds, rng)
    tables = _tables(sources)
    for _ in range(MUTANTS):
        _check(next(mutants), sources, tables)


def test_random_characters(sky_sources: QueryTables) -> None:
    rng, tables = random.Random(1), _tables(sky_sources)
    alphabet = "".join(_BITS) + "SELECT ra FROM events WHERE 0123456789"
    for _ in range(MUTANTS):
        text = "SELECT " + "".join(rng.choices(alphabet, k=rng.randint(1, 60)))
        _check(text, sky_sources, tables)


# ------------------------------------------------------------------------------------------ how much work

_GROWING: dict[str, Callable[[int], str]] = {
    "parentheses": lambda n: "SELECT " + "(" * n + "ra" + ")" * n + " FROM events",
    "subqueries": lambda n: "SELECT * FROM " + "(SELECT * FROM " * n + "events" + ") AS q" * n,
    "conditions in parentheses": lambda n: "SELECT ra FROM events WHERE " + "(" * n + "ra = 1" + ")" * n,
    "joins in parentheses": lambda n: "SELECT ra FROM " + "(" * n + "events a JOIN events b ON a.ra = b.ra" + ")" * n,
    "operands in parentheses": lambda n: "(" * n + "SELECT ra FROM events" + ")" * n,
    "functions": lambda n: "SELECT " + "ABS(" * n + "ra" + ")" * n + " FROM events",
    "NOT": lambda n: "SELECT ra FROM events WHERE " + "NOT " * n + "ra = 1",
    "minus signs": lambda n: "SELECT " + "- " * n + "ra FROM events",
    "OR": lambda n: "SELECT ra FROM events WHERE " + " OR ".join(["ra = 1"] * n),
    "plus": lambda n: "SELECT " + " + ".join(["1"] * n) + " FROM events",
    "concatenations": lambda n: "SELECT " + " || ".join(["'a'"] * n) + " FROM events",
    "UNION": lambda n: " UNION ".join(["SELECT ra FROM events"] * n),
    "joins": lambda n: "SELECT 1 FROM events t" + "".join(f" JOIN events t{i} ON t.ra = t{i}.ra" for i in range(n)),
    "IN": lambda n: "SELECT ra FROM events WHERE event_id IN (" + ", ".join(map(str, range(n))) + ")",
    "columns": lambda n: "SELECT " + ", ".join(["ra"] * n) + " FROM events",
    "vertices": lambda n: "SELECT POLYGON(" + ", ".join(["1, 2"] * n) + ") FROM events",
    "adjacent strings": lambda n: "SELECT " + "'a'\n" * n + " FROM events",
    "an endless string": lambda n: "SELECT '" + "a" * n,
    "an endless name": lambda n: 'SELECT "' + "a" * n,
    "dashes": lambda n: "SELECT " + "-" * n,
    "open parentheses": lambda n: "SELECT " + "(" * n,
    "tables": lambda n: "SELECT 1 FROM " + ", ".join(f"events t{i}" for i in range(n)),
    "WITH": lambda n: "WITH " + ", ".join(f"t{i} AS (SELECT ra FROM events)" for i in range(n)) + " SELECT ra FROM t0",
}


def _work(text: str, sources: QueryTables) -> int:
    """The number of Python calls that a translation makes: time, but for the machine's mood."""
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        translate(text, sources)
    except AdqlError:
        pass
    finally:
        sys.setprofile(before)
    return calls


@pytest.mark.parametrize("what", _GROWING)
def test_work_grows_no_faster_than_the_query(sky_sources: QueryTables, what: str) -> None:
    small, large = (_work(_GROWING[what](n), sky_sources) for n in (25, 100))
    # Of tables each is held against the others, up to a fixed number of them.
    assert large < (16 if what in ("joins", "tables") else 6) * small + 2000


@pytest.mark.parametrize("what", _GROWING)
def test_enormous_queries_are_refused_or_answered(sky_sources: QueryTables, what: str) -> None:
    text = _GROWING[what](10_000)
    # 40 levels may each look once at what follows; and a question of 200 tables is large but bounded.
    assert _work(text, sky_sources) < 60 * len(text) + 1_000_000


_NESTED = {
    "COORD1": ("COORD1(POINT(", ", 0))"),
    "DISTANCE": ("DISTANCE(", ", 0, 1, 2)"),
    "AREA": ("AREA(CIRCLE(1, 2, ", "))"),
    "AREA of a BOX": ("AREA(BOX(", ", 2, 3, 4))"),
    "CONTAINS": ("CONTAINS(POINT(1, 2), CIRCLE(3, 4, ", "))"),
    "INTERSECTS": ("INTERSECTS(CIRCLE(1, 2, 3), CIRCLE(4, ", ", 5))"),
    "CENTROID": ("COORD2(CENTROID(POLYGON(1, 2, 3, 4, 5, ", ")))"),
    "GALACTIC": ("COORD1(POINT('GALACTIC', ", ", 2))"),
    "ivo_interval_overlaps": ("ivo_interval_overlaps(", ", 1, 2, 3)"),
    "ivo_hms_to_degrees": ("ivo_hms_to_degrees(CAST(", " AS VARCHAR))"),
    "ivo_healpix_index": ("ivo_healpix_index(3, ", ", 2)"),
    "ivo_epoch_prop_pos": ("COORD1(ivo_epoch_prop_pos(", ", 2, 3, 4, 5, 6))"),
}


@pytest.mark.parametrize("what", _NESTED)
def test_functions_of_functions_do_not_fill_the_memory(sky_sources: QueryTables, what: str) -> None:
    begin, end = _NESTED[what]
    for depth in range(1, 20):
        try:
            made = translate(f"SELECT {begin * depth}ra{end * depth} FROM events", sky_sources)
        except AdqlError as error:
            assert depth > 3 and ("functions of functions" in error.message or "nested" in error.message)
            break
        assert len(made.sql) < 20 * MAX_SQL


_LENGTHENING = {
    "subqueries": lambda inner: f"SELECT {'||'.join(['t.s'] * 30)} AS s FROM ({inner}) AS t",
    "upper": lambda inner: f"SELECT UPPER({'||'.join(['t.s'] * 30)}) AS s FROM ({inner}) AS t",
    "aggregates": lambda inner: f"SELECT ivo_string_agg(t.s, ',') AS s FROM ({inner}) AS t",
    "unions": lambda inner: f"SELECT {'||'.join(['s'] * 30)} AS s FROM ({inner}) AS t UNION ALL SELECT 'a' FROM events",
    "sorted": lambda inner: f"SELECT {'||'.join(['s'] * 30)} AS s FROM ({inner} ORDER BY s OFFSET 0) AS t",
    "joins": lambda inner: (
        f"SELECT {'||'.join(['s'] * 30)} AS s FROM ({inner}) AS t NATURAL JOIN (SELECT 'a' AS s FROM events) AS u"
    ),
    "stars": lambda inner: f"SELECT {'||'.join(['s'] * 30)} AS s FROM (SELECT * FROM ({inner}) AS t) AS u",
}


@pytest.mark.parametrize("what", _LENGTHENING)
def test_strings_of_strings_do_not_fill_the_memory(sky_sources: QueryTables, what: str) -> None:
    """Each level makes them longer by a factor, and none of them needs many characters."""
    query = "SELECT CAST(ra AS VARCHAR) AS s FROM events"
    for depth in range(1, 10):
        query = _LENGTHENING[what](query)
        try:
            translate(query, sky_sources)
        except AdqlError as error:
            assert depth > 1 and "put together from more than 10,000 others" in error.message
            break
    else:
        raise AssertionError("it is never refused")


def test_common_tables_pass_on_how_long_their_strings_may_be(sky_sources: QueryTables) -> None:
    thirty = "||".join(["s"] * 30)
    query = (
        f"WITH a AS (SELECT CAST(ra AS VARCHAR) AS s FROM events), b AS (SELECT {thirty} AS s FROM a), "
        f"c AS (SELECT {thirty} AS s FROM b) SELECT {thirty} AS s FROM c"
    )
    with pytest.raises(AdqlError, match="put together"):
        translate(query, sky_sources)


@pytest.mark.parametrize("source", ["TAP_UPLOAD.t", f"(SELECT '{'x' * 2000}' AS s FROM events)"])
def test_long_texts_count_as_several(sky_sources: QueryTables, source: str) -> None:
    """Each || makes another copy: 400 of 400 kB took 6 GB of memory, although they are 400 texts."""
    known = sky_sources.with_uploads([_texts(2000)])
    with pytest.raises(AdqlError, match=r"(?s)put together.*each 100 characters count as one"):
        translate(f"SELECT {'||'.join(['t.s'] * 490)} AS s FROM {source} AS t", known)
    translate(f"SELECT {'||'.join(['t.s'] * 400)} AS s FROM {source} AS t", known)


def _texts(length: int) -> QueryTable:
    column = Column(name="s", datatype="char", arraysize="*", sql="c1")
    return QueryTable(("TAP_UPLOAD", "t"), ("tap_upload", "u"), (column,), texts={"c1": texts_of(length)})


def test_one_long_text_is_no_matter(sky_sources: QueryTables) -> None:
    """However long it is, as long as nothing is put together."""
    known = sky_sources.with_uploads([_texts(10_000_000)])
    translate("SELECT UPPER(s), MAX(s) FROM TAP_UPLOAD.t WHERE s <> '' GROUP BY s", known)
    with pytest.raises(AdqlError, match="put together"):
        translate("SELECT 'a' || s FROM TAP_UPLOAD.t", known)


def test_long_strings_and_aggregates_are_possible(sky_sources: QueryTables) -> None:
    row = "||','||".join(["CAST(ra AS VARCHAR)"] * 40)
    translate(f"SELECT '[' || ivo_string_agg({row}, ';') || ']' FROM events", sky_sources)


def test_a_megabyte_is_refused_unread(sky_sources: QueryTables) -> None:
    text = "SELECT ra FROM events WHERE " + " OR ".join(["ra = 1"] * 100_000)
    with pytest.raises(AdqlError, match="characters long"):
        translate(text, sky_sources)
    assert _work(text, sky_sources) < 100


# -------------------------------------------------------------------------------------- pieces of SQL


def test_templates_take_pieces_only() -> None:
    assert sql("{} = {}", identifier('a"b'), literal("it's")) == "\"a\"\"b\" = 'it''s'::text"
    for unsafe in ("ra", "'; DROP TABLE events; --"):
        with pytest.raises(TypeError):
            sql("SELECT {}", unsafe)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            joined(", ", [unsafe])  # type: ignore[list-item]
    for name in ("", "a\0b", "x" * 64, "é" * 32):
        with pytest.raises(ValueError, match="identifier"):
            identifier(name)


def test_braces_in_a_query_are_no_templates(sky_sources: QueryTables) -> None:
    made = translate("SELECT '{0} {} {x}' || '}{' AS \"{}\" FROM events", sky_sources)
    assert "'{0} {} {x}'" in made.sql and '"{}"' in made.sql


def test_sql_is_made_in_one_module_from_constant_templates() -> None:
    folder = Path(km3vo.adql.__file__).parent
    for file in folder.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            if node.func.id == "Sql":
                assert file.name == "sql.py", f"{file.name}:{node.lineno} makes SQL by hand"
            if node.func.id in ("sql", "joined"):
                # A literal, a choice between literals, or a table of them: never anything put together.
                for part in ast.walk(node.args[0]):
                    assert not isinstance(part, ast.JoinedStr | ast.BinOp | ast.Call), f"{file.name}:{node.lineno}"
    assert issubclass(Sql, str)


@pytest.mark.parametrize("shape", ["derived", "with", "union"])
def test_subqueries_in_subqueries_do_not_fill_the_memory(
    sky: psycopg.Connection, sky_sources: QueryTables, shape: str
) -> None:
    """PostgreSQL writes the expression of a subquery's column in the place of its name: x + x of x + x of …"""
    query = "SELECT ra AS x FROM events"
    if shape == "with":
        tables = [f"w{n} AS ({query if n == 0 else f'SELECT x + x AS x FROM w{n - 1}'})" for n in range(40)]
        query = f"WITH {', '.join(tables)} SELECT x FROM w39"
    for _ in range(19 if shape != "with" else 0):
        more = " UNION ALL SELECT 1.0 FROM events" if shape == "union" else ""
        query = f"SELECT x + x AS x FROM ({query}{more}) AS q"
    plan = sky.execute(b"EXPLAIN (VERBOSE) " + translate(query, sky_sources).sql.encode()).fetchall()
    assert sum(len(line) for (line,) in plan) < 60_000


def test_columns_of_subqueries_count_as_what_is_written_for_them(sky_sources: QueryTables) -> None:
    inner = "SELECT " + " + ".join(["ra"] * 60) + " AS x FROM events"
    conditions = " OR ".join(["x > 1"] * 20_000)
    with pytest.raises(AdqlError) as caught:
        translate(f"SELECT x FROM ({inner}) AS q WHERE {conditions}", sky_sources)
    assert caught.value.message == "too many functions of functions"


def test_what_is_searched_in_a_subquery_still_uses_the_index(sky: psycopg.Connection, sky_sources: QueryTables) -> None:
    inner = "SELECT event_id, ra, dec, DISTANCE(ra, dec, 10, 20) AS apart FROM events"
    query = f"SELECT event_id FROM ({inner}) AS q WHERE DISTANCE(ra, dec, 10, 20) < 1 AND apart > 0.1"
    plan = "\n".join(row[0] for row in sky.execute(b"EXPLAIN " + translate(query, sky_sources).sql.encode()))
    assert "Index Scan" in plan
