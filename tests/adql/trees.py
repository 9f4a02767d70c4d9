"""Hypothesis strategies for syntax trees of queries about the sky database that mean something."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from km3vo.adql.tree import (
    Aggregate,
    Between,
    Body,
    Call,
    Cast,
    Chain,
    ColumnRef,
    Comparison,
    Condition,
    Derived,
    Exists,
    From,
    Grouped,
    In,
    IsNull,
    Item,
    Join,
    Like,
    Logic,
    Name,
    Not,
    Null,
    Number,
    Order,
    Parenthesis,
    Query,
    Select,
    SetChain,
    Signed,
    Star,
    String,
    TableRef,
    ValueNode,
)

NUMERIC = {"e": ["event_id", "mjd", "ra", "dec", "err50", "energy", "nhits"], "m": ["id", "RA", "DEC", "radius"]}
TEXT = {"e": ["detector", "author"], "m": []}
NAMES = st.sampled_from(["x", "Foo", "a b", 'q"q', "É", "select", "ra"]).map(lambda name: Name(name, True))


def column(table: str, name: str) -> ColumnRef:
    return ColumnRef((Name(table), Name(name)))


def columns(names: dict[str, list[str]], tables: list[str]) -> st.SearchStrategy[ValueNode]:
    found = [column(table, name) for table in tables for name in names[table]]
    return st.sampled_from(found) if found else st.nothing()


literals = st.one_of(
    st.integers(0, 10**10).map(lambda n: Number(str(n))),
    st.floats(0, 1e6, allow_nan=False).map(lambda x: Number(repr(x))),
    st.sampled_from(["1.", ".5", "1e3", "2.5E-2", "0"]).map(Number),
)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8).map(String)


def numbers(tables: list[str], depth: int = 3) -> st.SearchStrategy[ValueNode]:
    """Values that are numbers."""
    leaf = literals | columns(NUMERIC, tables)
    if depth == 0:
        return leaf
    inner = numbers(tables, depth - 1)
    bounded = inner.map(Parenthesis)
    operand = leaf | bounded | st.builds(Signed, st.sampled_from("+-"), leaf | bounded)
    latitude = st.integers(0, 90).map(lambda n: Number(str(n)))
    point = st.builds(lambda x, y: Call("POINT", [x, y]), leaf, latitude)
    shape = st.builds(lambda x, y, r: Call("CIRCLE", [x, y, r]), leaf, latitude, latitude)
    return st.one_of(
        leaf,
        st.builds(Chain, operand, st.lists(st.tuples(st.sampled_from("+-"), operand), min_size=1, max_size=3)),
        st.builds(Chain, operand, st.lists(st.tuples(st.sampled_from("*/"), operand), min_size=1, max_size=3)),
        st.builds(
            lambda name, x: Call(name, [x]), st.sampled_from(["ABS", "FLOOR", "CEILING", "COS", "RADIANS"]), inner
        ),
        st.builds(lambda name, x: Call(name, [x, Number("2")]), st.sampled_from(["ROUND", "TRUNCATE"]), inner),
        st.builds(lambda x, y: Call("MOD", [x, y]), inner, inner),
        st.builds(lambda x, y: Call("COALESCE", [x, y]), inner, inner | st.just(Null())),
        st.builds(lambda x, to: Cast(x, to), inner, st.sampled_from(["DOUBLE", "REAL", "BIGINT"])),
        st.builds(lambda p, q: Call("DISTANCE", [p, q]), point, point),
        st.builds(lambda p, c: Call("CONTAINS", [p, c]), point, shape),
        st.builds(lambda c: Call("AREA", [c]), shape),
    )


def strings(tables: list[str], depth: int = 2) -> st.SearchStrategy[ValueNode]:
    """Values that are strings."""
    leaf = texts | columns(TEXT, tables)
    if depth == 0:
        return leaf
    inner = strings(tables, depth - 1)
    operand = leaf | inner.map(Parenthesis) | literals
    return st.one_of(
        leaf,
        st.builds(Chain, operand, st.lists(st.tuples(st.just("||"), operand), min_size=1, max_size=3)),
        st.builds(lambda name, x: Call(name, [x]), st.sampled_from(["LOWER", "UPPER"]), inner),
        st.builds(lambda x: Cast(x, "VARCHAR", 5), numbers(tables, 1)),
    )


def conditions(tables: list[str], depth: int = 2) -> st.SearchStrategy[Condition]:
    """Conditions."""
    number, string = numbers(tables, 1), strings(tables, 1)
    flags = st.booleans()
    compare = st.sampled_from(["=", "<>", "<", "<=", ">", ">="])
    pattern = st.sampled_from(["%", "A_CA%", "\\", "100%\\"]).map(String)
    text = columns(TEXT, tables) | texts
    leaf: st.SearchStrategy[Condition] = st.one_of(
        st.builds(Comparison, compare, number, number | st.just(Null())),
        st.builds(Comparison, compare, string, string),
        st.builds(Between, number, number, number, flags),
        st.builds(lambda x, values, no: In(x, values, no), number, st.lists(number, min_size=1, max_size=4), flags),
        st.builds(Like, st.sampled_from(["LIKE", "ILIKE"]), text, pattern, flags),
        st.builds(IsNull, columns(NUMERIC, tables), flags),
        st.just(
            Exists(
                Query(
                    Select(
                        [Item(Number("1"))],
                        [TableRef((Name("mine"),), Name("u"))],
                        where=Comparison(
                            "=", ColumnRef((Name("u"), Name("id"))), column(tables[0], NUMERIC[tables[0]][0])
                        ),
                    )
                )
            )
        ),
    )
    if depth == 0:
        return leaf
    inner = conditions(tables, depth - 1).map(Grouped)
    return st.one_of(
        leaf,
        inner,
        st.builds(Not, leaf | inner),
        st.builds(Logic, st.just("AND"), st.lists(leaf | inner | st.builds(Not, inner), min_size=2, max_size=3)),
        st.builds(Logic, st.just("OR"), st.lists(leaf | inner, min_size=2, max_size=3)),
    )


EVENTS = TableRef((Name("km3net"), Name("events")), Name("e"))
MINE = TableRef((Name("TAP_UPLOAD"), Name("mine")), Name("m"))


def joins() -> st.SearchStrategy[From]:
    """The two tables, joined."""
    kind = st.sampled_from(["INNER", "LEFT", "RIGHT"])
    equal = Comparison("=", column("e", "event_id"), column("m", "id"))
    near = Comparison(
        "<",
        Call("DISTANCE", [column("e", "ra"), column("e", "dec"), column("m", "RA"), column("m", "DEC")]),
        Number("0.1"),
    )
    return st.builds(lambda how, on: Join(EVENTS, MINE, how, on=on), kind, st.sampled_from([equal, near]))


@st.composite
def selects(draw: st.DrawFn) -> Select:
    """A SELECT with its own tables."""
    one = st.sampled_from([(["e"], EVENTS), (["m"], MINE)])
    tables, source = draw(one | st.tuples(st.just(["e", "m"]), joins()))
    where = draw(st.none() | conditions(tables))
    top = draw(st.none() | st.integers(0, 5))
    if draw(st.booleans()):
        key = draw(columns(NUMERIC, tables))
        names = st.sampled_from(["AVG", "MAX", "MIN", "SUM", "COUNT"])
        aggregates = draw(
            st.lists(st.builds(Aggregate, names, numbers(tables, 1), st.booleans()), min_size=1, max_size=3)
        )
        having = draw(st.none() | st.builds(Comparison, st.just(">"), st.just(Aggregate("COUNT", None)), literals))
        items: list[Item | Star] = [Item(key), *(Item(aggregate, draw(st.none() | NAMES)) for aggregate in aggregates)]
        return Select(items, [source], False, top, where, [key], having)
    values = draw(st.lists(numbers(tables) | strings(tables) | st.just(Null()), min_size=1, max_size=4))
    items = [Item(value, draw(st.none() | NAMES)) for value in values]
    return Select(items, [source], draw(st.booleans()), top, where)


@st.composite
def queries(draw: st.DrawFn) -> Query:
    """Whole queries."""
    shape = draw(st.sampled_from(["plain", "plain", "union", "derived", "with"]))
    select = draw(selects())
    body: Body = select
    if shape == "union":
        operator = draw(st.sampled_from(["UNION", "EXCEPT", "INTERSECT"]))
        same = draw(st.booleans())
        body = SetChain(select if same else Query(select), [(operator, draw(st.booleans()), Query(select))])
    elif shape == "derived":
        inner = replace(select, items=[Item(Number("7"), Name("seven")), *select.items])
        body = Select([Item(column("q", "seven"))], [Derived(Query(inner), Name("q"))])
    query = Query(body, [], draw(st.none() | st.integers(0, 3)))
    if shape == "with":
        query = Query(
            Select([Item(Aggregate("COUNT", None))], [TableRef((Name("cte"),))]), tables=[(Name("cte"), Query(select))]
        )
    elif not (isinstance(body, Select) and body.distinct) and draw(st.booleans()):
        query.order = [Order(Number("1"), draw(st.booleans()))]
    return query
