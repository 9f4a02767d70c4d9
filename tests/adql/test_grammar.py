"""The grammar, rule by rule: what ADQL 2.1 allows, what only 2.0 allows, and what neither does."""

from __future__ import annotations

import pytest

from km3vo.adql import parse
from km3vo.adql.tree import Call, Chain, Item, Join, Query, Select, SetChain, String
from km3vo.errors import AdqlError


def _select(text: str) -> Select:
    body = parse(text).body
    assert isinstance(body, Select)
    return body


def _condition(text: str) -> object:
    return _select(f"SELECT a FROM t WHERE {text}").where


@pytest.mark.parametrize(
    "text",
    [
        "select a from t",
        "SELECT ALL a FROM t",
        "SELECT DISTINCT TOP 5 a b, c AS d, t.* FROM s.t",
        "SELECT a FROM c.s.t AS x WHERE c.s.t.a = 1",
        "SELECT * FROM t;",
        "SELECT a -- why\nFROM t -- 'quote\" and ( parenthesis",
        "SELECT 'it''s', 'a'\n'b', '' FROM t",
        'SELECT "a ""b"" c", "é", "select" FROM t',
        "SELECT 1, 1., .5, 1.5, 1e5, 1.E-5, .5e+3 FROM t",
        "SELECT (a+b)*-c/+2 - -3 FROM t",
        "SELECT ((a)), (a || 'x') || (1+2) FROM t",
        "SELECT 'a' || 1 || COALESCE(b, 'c') || LOWER(d) || CAST(e AS VARCHAR) || ivo_x() FROM t",
        "SELECT NULL, COALESCE(NULL, a), (NULL) FROM t WHERE a = NULL",
        "SELECT a FROM t WHERE (a + 2) < 5 AND (a < 2) AND ((a < 2) OR NOT (b > 1))",
        "SELECT a FROM t WHERE NOT a < 1 AND NOT EXISTS (SELECT b FROM u)",
        "SELECT a FROM t WHERE a BETWEEN b+1 AND c AND d NOT BETWEEN 1 AND 2",
        "SELECT a FROM t WHERE a IN (1) OR a NOT IN (SELECT b FROM u) OR a IN ((1), (2)) OR a IN ((SELECT b FROM u))",
        "SELECT a FROM t WHERE a LIKE 'x%' AND b || c NOT LIKE d AND a ILIKE 'y' AND b NOT ILIKE 'z'",
        "SELECT a FROM t WHERE a IS NULL AND s.t.b IS NOT NULL",
        "SELECT COUNT(*), COUNT(DISTINCT a), AVG(ALL b), MAX(a+b), SUM(DISTINCT c) FROM t",
        "SELECT a FROM t GROUP BY a, b+c, 1 HAVING COUNT(*) > 5 AND a IS NULL",
        "SELECT a FROM t ORDER BY 1 DESC, a ASC, t.a, a+1, ABS(a) OFFSET 5",
        "SELECT a FROM t, u AS v, (SELECT b FROM w) q, (x JOIN y ON x.a = y.a)",
        "SELECT a FROM t NATURAL JOIN u",
        "SELECT a FROM t NATURAL LEFT OUTER JOIN u INNER JOIN v USING (a, b) FULL JOIN w ON t.a = w.a",
        "SELECT a FROM t JOIN u JOIN v ON u.a = v.a ON t.a = u.a",
        "SELECT a FROM ((t JOIN u USING (a)) JOIN v USING (a))",
        "SELECT a FROM (t JOIN u USING (a)) AS q",
        "SELECT a FROM ((SELECT a FROM t) AS q JOIN u USING (a))",
        "SELECT a FROM ((SELECT a FROM t) UNION (SELECT a FROM u)) q",
        "SELECT a FROM ((SELECT a FROM t) UNION SELECT a FROM u ORDER BY a) q",
        "SELECT a FROM t WHERE EXISTS (u JOIN v USING (a))",
        "SELECT a FROM t UNION ALL SELECT a FROM u EXCEPT SELECT a FROM v INTERSECT ALL SELECT a FROM w ORDER BY a",
        "(SELECT TOP 5 a FROM t ORDER BY a OFFSET 2) UNION (SELECT a FROM u)",
        'WITH x AS (SELECT a FROM t), "Y" AS (SELECT a FROM x ORDER BY a OFFSET 1) SELECT * FROM x NATURAL JOIN "Y"',
        "SELECT CAST(a AS SMALLINT), CAST(a AS DOUBLE PRECISION), CAST(a AS CHAR(5)), CAST('1 2' AS POINT) FROM t",
        "SELECT POINT(1, 2), POINT('ICRS', a, b), POINT('', 1, 2), POINT(NULL, 1, 2), POINT(NULL, 2) FROM t",
        "SELECT CIRCLE(1, 2, 3), CIRCLE(p, 3), CIRCLE('', POINT(1, 2), 3), CIRCLE(NULL, 1, 2, 3) FROM t",
        "SELECT BOX(1, 2, 3, 4), BOX(POINT(1, 2), 3, 4), BOX('ICRS', 1, 2, 3, 4), BOX('', p, 3, 4) FROM t",
        "SELECT POLYGON(1, 2, 3, 4, 5, 6), POLYGON('', a, b, c, d, e, f) FROM t",
        "SELECT POLYGON(p, q, r), POLYGON(p, q, r, s, t) FROM t",
        "SELECT DISTANCE(1, 2, 3, 4), DISTANCE(p, POINT(1, 2)), DISTANCE(CENTROID(c), ivo_x(1)) FROM t",
        "SELECT CONTAINS(p, c), INTERSECTS(REGION('CIRCLE 1 2 3'), c), AREA(c), COORD1(p), COORDSYS(c) FROM t",
        "SELECT PI(), RAND(), RAND(5), ROUND(a), ROUND(a, -2), TRUNCATE(a, +2), MOD(a, b), ATAN2(a, b) FROM t",
        "SELECT IN_UNIT(a+b, 'deg'), UPPER(a), COT(b) FROM t",
        "SELECT ivo_x(), gavo_y(1, 'a', NULL, POINT(1, 2)) FROM t",
        "SELECT a AS offset_, b timestamp_ FROM t",
    ],
)
def test_adql_2_1(text: str) -> None:
    parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   \n",
        "SELECT",
        "SELECT a",
        "SELECT FROM t",
        "SELECT a, FROM t",
        "SELECT a,, b FROM t",
        "SELECT *, a FROM t",
        "SELECT a, * FROM t",
        "SELECT a FROM t u v",
        "SELECT a FROM t WHERE",
        "SELECT a FROM t WHERE a",
        "SELECT a FROM t WHERE 1",
        "SELECT a FROM t WHERE CONTAINS(p, c)",
        "SELECT a FROM t WHERE (a)",
        "SELECT a FROM t WHERE a < 1 < 2",
        "SELECT a < 1 FROM t",
        "SELECT (a < 1) + 1 FROM t",
        "SELECT a FROM t WHERE NOT NOT a < 1",
        "SELECT a FROM t WHERE a NOT = 1",
        "SELECT a FROM t WHERE a IS 1",
        "SELECT a FROM t WHERE a+1 IS NULL",
        "SELECT a FROM t WHERE 'a' IS NULL",
        "SELECT a FROM t WHERE a IN ()",
        "SELECT a FROM t WHERE a IN 1",
        "SELECT a FROM t WHERE a BETWEEN 1",
        "SELECT a FROM t WHERE a LIKE",
        "SELECT a FROM t WHERE a+1 LIKE 'x'",
        "SELECT a FROM t WHERE a LIKE 'x' ESCAPE '!'",
        "SELECT a FROM t WHERE a = ANY (SELECT b FROM u)",
        "SELECT (SELECT b FROM u) FROM t",
        "SELECT a FROM t WHERE a = (SELECT b FROM u)",
        "SELECT 1+2 || 'a' FROM t",
        "SELECT 'a' || -1 FROM t",
        "SELECT 'a' || 1 + 2 FROM t",
        "SELECT 'a' || ABS(1) FROM t",
        "SELECT 'a' || POINT(1, 2) FROM t",
        "SELECT NULL + 1 FROM t",
        "SELECT - - 1 FROM t",
        "SELECT a FROM t GROUP a",
        "SELECT a FROM t HAVING",
        "SELECT a FROM t ORDER BY",
        "SELECT a FROM t ORDER BY a OFFSET",
        "SELECT a FROM t OFFSET 5 ORDER BY a",
        "SELECT a FROM t OFFSET -5",
        "SELECT TOP a FROM t",
        "SELECT TOP 1.5 a FROM t",
        "SELECT TOP -1 a FROM t",
        "SELECT TOP 10 DISTINCT a FROM t",
        "SELECT a FROM t LIMIT 5",
        "SELECT a FROM t CROSS JOIN u",
        "SELECT a FROM t JOIN u",
        "SELECT a FROM t NATURAL JOIN u ON t.a = u.a",
        "SELECT a FROM t OUTER JOIN u ON t.a = u.a",
        "SELECT a FROM t LEFT u ON t.a = u.a",
        "SELECT a FROM t JOIN u USING (t.a)",
        "SELECT a FROM t JOIN u USING a",
        "SELECT a FROM t JOIN u ON a",
        "SELECT a FROM (t)",
        "SELECT a FROM (SELECT a FROM t)",
        "SELECT a FROM (WITH x AS (SELECT a FROM t) SELECT a FROM x) AS q",
        "SELECT a FROM t UNION WITH x AS (SELECT a FROM u) SELECT a FROM x",
        "WITH RECURSIVE x AS (SELECT a FROM t) SELECT a FROM x",
        "WITH x (b) AS (SELECT a FROM t) SELECT b FROM x",
        "WITH x AS SELECT a FROM t SELECT a FROM x",
        "SELECT a FROM t UNION",
        "SELECT a FROM t ORDER BY a UNION SELECT a FROM u",
        "SELECT a FROM t UNION DISTINCT SELECT a FROM u",
        "SELECT a FROM t; SELECT b FROM u",
        "SELECT a FROM t;;",
        "SELECT CASE WHEN a > 1 THEN 2 END FROM t",
        "SELECT a % 2 FROM t",
        "SELECT a::integer FROM t",
        "SELECT a[1] FROM t",
        "SELECT a | b FROM t",
        "SELECT ~a, a & b, a ^ b FROM t",
        "SELECT 0xFF FROM t",
        "SELECT TRUE FROM t",
        "SELECT 'a' 'b' FROM t",
        "SELECT 'a FROM t",
        'SELECT "a FROM t',
        'SELECT "" FROM t',
        "SELECT `a` FROM t",
        "SELECT a /* b */ FROM t",
        "SELECT a # b\nFROM t",
        "SELECT grégory FROM t",
        "SELECT _a FROM t",
        "SELECT 2do FROM t",
        "SELECT 1.5.2 FROM t",
        "SELECT a.b.c.d.e FROM t",
        "SELECT a FROM a.b.c.d",
        "SELECT size FROM t",
        "SELECT a AS distance FROM t",
        "SELECT a date FROM t",
        "SELECT a FROM user",
        "SELECT abs FROM t",
        "SELECT COUNT() FROM t",
        "SELECT COUNT(a, b) FROM t",
        "SELECT AVG(*) FROM t",
        "SELECT SUBSTRING(a, 1) FROM t",
        "SELECT ABS() FROM t",
        "SELECT PI(1) FROM t",
        "SELECT MOD(a) FROM t",
        "SELECT ROUND(a, b) FROM t",
        "SELECT ROUND(a, 1.5) FROM t",
        "SELECT RAND(a) FROM t",
        "SELECT POINT(1) FROM t",
        "SELECT POINT('ICRS', 1) FROM t",
        "SELECT POINT(a, 1, 2) FROM t",
        "SELECT POINT('a' || 'b', 1, 2) FROM t",
        "SELECT CIRCLE(1, 2) FROM t",
        "SELECT CIRCLE(a, 1, 2, 3) FROM t",
        "SELECT BOX(1, 2, 3) FROM t",
        "SELECT POLYGON(1, 2, 3, 4) FROM t",
        "SELECT POLYGON(1, 2, 3, 4, 5, 6, 7) FROM t",
        "SELECT DISTANCE(1, 2) FROM t",
        "SELECT DISTANCE(p, 1, 2) FROM t",
        "SELECT CONTAINS(1, c) FROM t",
        "SELECT CONTAINS(PI(), c) FROM t",
        "SELECT CONTAINS(p) FROM t",
        "SELECT COORD1(1) FROM t",
        "SELECT AREA('x') FROM t",
        "SELECT REGION(a) FROM t",
        "SELECT REGION('a' || 'b') FROM t",
        "SELECT IN_UNIT(a, b) FROM t",
        "SELECT CAST(a AS FLOAT) FROM t",
        "SELECT CAST(a AS VARCHAR(0)) FROM t",
        "SELECT CAST(a AS DOUBLE) FROM t",
        "SELECT CAST(a, INTEGER) FROM t",
        "SELECT COALESCE() FROM t",
        'SELECT "abs"(a) FROM t',
        "INSERT INTO t VALUES (1)",
        "DROP TABLE t",
        "EXPLAIN SELECT a FROM t",
        "SELECT a INTO u FROM t",
        "SELECT a FROM t FOR UPDATE",
    ],
)
def test_not_adql(text: str) -> None:
    with pytest.raises(AdqlError):
        parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT offset, ilike, bigint, cot FROM t",
        "SELECT a FROM t WHERE a = NULL",
        "SELECT POINT('', a, b), REGION('Position ' || a) FROM t",
        "SELECT a FROM t GROUP BY t.a ORDER BY a, 2 DESC",
    ],
)
def test_adql_2_0(text: str) -> None:
    parse(text, "2.0")


@pytest.mark.parametrize(
    "text",
    [
        "SELECT a FROM t OFFSET 5",
        "SELECT a FROM t UNION SELECT a FROM u",
        "WITH x AS (SELECT a FROM t) SELECT a FROM x",
        "SELECT CAST(a AS INTEGER) FROM t",
        "SELECT COALESCE(a, b) FROM t",
        "SELECT LOWER(a) FROM t",
        "SELECT a FROM t WHERE a ILIKE 'x'",
        "SELECT POINT(1, 2) FROM t",
        "SELECT CIRCLE('', POINT('', 1, 2), 3) FROM t",
        "SELECT DISTANCE(1, 2, 3, 4) FROM t",
        "SELECT a FROM t ORDER BY t.a",
        "SELECT a FROM t ORDER BY a+1",
        "SELECT a FROM t GROUP BY a+1",
    ],
)
def test_what_is_new_in_2_1_is_refused_in_2_0_with_a_hint(text: str) -> None:
    parse_2_1 = text.replace("POINT('', 1, 2)", "POINT(1, 2)")
    parse(parse_2_1, "2.1")
    with pytest.raises(AdqlError) as caught:
        parse(text, "2.0")
    assert "2.1" in caught.value.hint or "'ICRS'" in caught.value.hint


def test_operators_of_one_precedence_are_worked_off_from_the_left() -> None:
    item = _select("SELECT a - b - c * d / e FROM t").items[0]
    assert isinstance(item, Item) and isinstance(item.value, Chain)
    assert [operator for operator, _ in item.value.rest] == ["-", "-"]
    last = item.value.rest[-1][1]
    assert isinstance(last, Chain) and [operator for operator, _ in last.rest] == ["*", "/"]


def test_and_binds_tighter_than_or_and_not_tightest() -> None:
    assert _condition("a = 1 OR b = 2 AND NOT c = 3") == _condition("a = 1 OR b = 2 AND NOT c = 3")
    assert str(_condition("a = 1 OR b = 2 AND c = 3")).startswith("Logic(operator='OR'")


def test_intersect_binds_tighter_than_union() -> None:
    body = parse("SELECT a FROM t UNION SELECT a FROM u INTERSECT SELECT a FROM v").body
    assert isinstance(body, SetChain) and body.rest[0][0] == "UNION"
    right = body.rest[0][2]
    assert isinstance(right, SetChain) and right.rest[0][0] == "INTERSECT"


def test_top_belongs_to_the_operand_and_order_by_to_the_whole() -> None:
    query = parse("SELECT TOP 3 a FROM t UNION SELECT TOP 5 a FROM u ORDER BY a")
    assert isinstance(query.body, SetChain) and len(query.order) == 1
    first, (_, _, second) = query.body.first, query.body.rest[0]
    assert isinstance(first, Select) and isinstance(second, Select) and (first.top, second.top) == (3, 5)


def test_joins_nest_to_the_left_unless_their_conditions_say_otherwise() -> None:
    (left,) = _select("SELECT a FROM t JOIN u ON t.a = u.a JOIN v ON u.a = v.a").tables
    assert isinstance(left, Join) and isinstance(left.left, Join)
    (right,) = _select("SELECT a FROM t JOIN u JOIN v ON u.a = v.a ON t.a = u.a").tables
    assert isinstance(right, Join) and isinstance(right.right, Join)


def test_a_coordinate_system_is_kept_apart() -> None:
    item = _select("SELECT POINT('ICRS', 1, 2) FROM t").items[0]
    assert isinstance(item, Item) and isinstance(item.value, Call)
    assert item.value.system == String("ICRS") and len(item.value.arguments) == 2


def test_adjacent_strings_on_two_lines_are_one() -> None:
    item = _select("SELECT 'a' -- comment\n  'b''' FROM t").items[0]
    assert isinstance(item, Item) and item.value == String("ab'")


def test_nodes_know_where_they_stand() -> None:
    text = "SELECT  a +  b  FROM t"
    item = _select(text).items[0]
    assert text[item.start : item.end] == "a +  b"
    assert isinstance(parse(text), Query)
