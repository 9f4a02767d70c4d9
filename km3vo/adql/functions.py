"""The functions of the grammar other than geometry: mathematics, strings, units, aggregates (ADQL 2.1 §2.3, §4)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from km3vo.adql import geometry, units
from km3vo.adql.mistakes import did_you_mean
from km3vo.adql.scope import Scope
from km3vo.adql.shapes import Shape
from km3vo.adql.sql import Sql, double, integer, joined, sql
from km3vo.adql.tree import Aggregate, Call, Number, Signed, String
from km3vo.adql.tree import Value as ValueNode
from km3vo.adql.types import INTEGERS, WORDS, wider
from km3vo.adql.value import Value

if TYPE_CHECKING:
    from km3vo.adql.resolve import Values

Function = Callable[["Values", Call, Scope], Value]

# Which unit the result has, from the unit of the first argument.
_SAME: Callable[[str | None], str | None] = lambda unit: unit  # noqa: E731
_NONE: Callable[[str | None], str | None] = lambda unit: None  # noqa: E731
_RADIANS: Callable[[str | None], str | None] = lambda unit: "rad"  # noqa: E731
_DEGREES: Callable[[str | None], str | None] = lambda unit: "deg"  # noqa: E731


def _mathematical(name: str, template: str, unit: Callable[[str | None], str | None]) -> Function:
    """A function of doubles that PostgreSQL has, too."""

    def call(values: Values, node: Call, scope: Scope) -> Value:
        made = [values.number(argument, scope) for argument in node.arguments]
        pieces = [sql("({})::float8", one.sql) for one in made]
        return Value("DOUBLE", sql(template, *pieces), unit=unit(made[0].unit if made else None), name=name)

    return call


def _abs(values: Values, node: Call, scope: Scope) -> Value:
    made = values.number(node.arguments[0], scope)
    constant = abs(made.constant) if isinstance(made.constant, int | float) else None
    type_ = "DOUBLE" if made.type == "NULL" else made.type
    return Value(type_, sql("abs({})", made.sql), unit=made.unit, ucd=made.ucd, constant=constant, name="abs")


def _mod(values: Values, node: Call, scope: Scope) -> Value:
    x, y = (values.number(argument, scope) for argument in node.arguments)
    if x.is_integer and y.is_integer:
        return Value(wider(x.type, y.type), sql("mod({}, {})", x.sql, y.sql), unit=x.unit, name="mod")
    # PostgreSQL has mod for numeric only. The remainder has the sign of x.
    piece = sql("mod(({})::numeric, ({})::numeric)::float8", x.sql, y.sql)
    return Value("DOUBLE", piece, unit=x.unit, name="mod")


def _rounding(name: str, function: str) -> Function:
    """ROUND and TRUNCATE. On numeric, halves are rounded away from zero; on float8 they would go to the even side."""

    def call(values: Values, node: Call, scope: Scope) -> Value:
        made = values.number(node.arguments[0], scope)
        places = _whole(node.arguments[1]) if len(node.arguments) == 2 else 0
        places = max(-400, min(400, places))
        template = {"round": "round(({})::numeric, {})::float8", "trunc": "trunc(({})::numeric, {})::float8"}[function]
        piece = sql(template, made.sql, integer(places))
        return Value("DOUBLE", piece, unit=made.unit, ucd=made.ucd, name=name)

    return call


def _whole(node: ValueNode) -> int:
    """A literal whole number, perhaps with a sign; the parser has seen to that."""
    if isinstance(node, Signed):
        return -_whole(node.argument) if node.sign == "-" else _whole(node.argument)
    assert isinstance(node, Number)
    return int(node.text)


def _power(values: Values, node: Call, scope: Scope) -> Value:
    base, exponent = (values.number(argument, scope) for argument in node.arguments)
    unit = units.power(base.unit, float(exponent.constant)) if isinstance(exponent.constant, int | float) else None
    piece = sql("power(({})::float8, ({})::float8)", base.sql, exponent.sql)
    return Value("DOUBLE", piece, unit=unit, name="power")


def _pi(values: Values, node: Call, scope: Scope) -> Value:
    return Value("DOUBLE", sql("pi()"), constant=math.pi, name="pi")


def _rand(values: Values, node: Call, scope: Scope) -> Value:
    # PostgreSQL's generator is seeded for a session, not for a call: the seed is read and not used.
    return Value("DOUBLE", sql("random()"), name="rand")


def _folding(name: str) -> Function:
    def call(values: Values, node: Call, scope: Scope) -> Value:
        made = string(values, node.arguments[0], scope)
        template = {"lower": "lower({})", "upper": "upper({})"}[name]
        return Value("CHAR", sql(template, made.sql), unicode=made.unicode, name=name, ucd=made.ucd)

    return call


def string(values: Values, node: ValueNode, scope: Scope) -> Value:
    """Resolve a value that has to be a string."""
    made = values.value(node, scope)
    if made.type == "NULL":
        return Value("CHAR", sql("NULL::text"))
    if made.type != "CHAR":
        raise values.error(node, f"a string is needed here, but this is {WORDS[made.type]}")
    return made


def _coalesce(values: Values, node: Call, scope: Scope) -> Value:
    """COALESCE (§4.8.1): all of one type"""
    made = [values.value(argument, scope) for argument in node.arguments]
    type_ = made[0].type
    first = next((one for one in made if one.type != "NULL"), made[0])
    for argument, one in zip(node.arguments, made, strict=True):
        same = one.type == first.type or "NULL" in (one.type, first.type)
        if not same and not (one.is_number and first.is_number):
            raise values.error(argument, f"COALESCE of {WORDS[first.type]} and {WORDS[one.type]}")
        type_ = wider(type_, one.type)
    unit = first.unit if all(one.unit in (first.unit, None) for one in made) else None
    if first.shape is not None:
        null = sql("NULL::text") if first.type == "MOC" else sql("NULL::float8[]")
        arrays = [one.sql if one.shape is not None else null for one in made]
        shape = Shape(first.shape.kind, dali_sql=sql("COALESCE({})", joined(", ", arrays)))
        return Value(type_, shape=shape, unit=unit, name="coalesce")
    template = "COALESCE({})" if type_ != "NULL" else "COALESCE({})::text"
    pieces = joined(", ", [one.sql for one in made])
    return Value(
        type_,
        sql(template, pieces),
        unit=unit,
        ucd=first.ucd,
        unicode=any(one.unicode for one in made),
        name="coalesce",
    )


def _in_unit(values: Values, node: Call, scope: Scope) -> Value:
    """IN_UNIT (§4.9.1)"""
    made = values.number(node.arguments[0], scope)
    wanted = node.arguments[1]
    assert isinstance(wanted, String)
    want = wanted.text.strip()
    if not units.is_known(want):
        hint = did_you_mean(want, units.names_like(want)) or "write a VOUnits string such as 'deg' or 'GeV'"
        raise values.error(wanted, f"'{want[:40]}' is not a unit" if want else "the unit is empty", hint)
    if not made.unit:
        hint = "only columns with a unit can be converted; to scale a number, multiply it"
        raise values.error(node.arguments[0], "the unit of this value is not known", hint)
    factor = units.factor(made.unit, want)
    if factor is None:
        raise values.error(node, f"{made.unit} cannot be converted to {want}")
    piece = sql("(({})::float8 * {})", made.sql, double(factor))
    description = made.column.description if made.column else made.description
    return Value("DOUBLE", piece, unit=want, ucd=made.ucd, description=description, name="in_unit")


# ------------------------------------------------------------------------------------------ aggregates


def aggregate(values: Values, node: Aggregate, made: Value) -> Value:
    """AVG, MAX, MIN, SUM and COUNT of a resolved value (§2.2, BNF <general_set_function>)"""
    name = node.name
    distinct = sql("DISTINCT ") if node.distinct else sql("")
    assert node.argument is not None
    if name == "COUNT":
        description = f"Number of values of {made.name}" if made.name else "Number of values"
        piece = sql("count({}{})", distinct, _typed_null(made))
        return Value("BIGINT", piece, ucd="meta.number", description=description, name="count")
    if name in ("AVG", "SUM"):
        if made.type == "BOOLEAN":
            made = Value("INTEGER", sql("({})::int4", made.sql), name=made.name)
        if not made.is_number and made.type != "NULL":
            raise values.error(node.argument, f"{name} needs numbers, but this is {WORDS[made.type]}")
    elif made.is_geometry or made.type in ("ARRAY", "BINARY", "BOOLEAN"):
        raise values.error(node.argument, f"{WORDS[made.type]} has no {name}")
    type_ = made.type
    if name == "AVG":
        type_, piece = "DOUBLE", sql("avg({}({})::float8)", distinct, made.sql)
    elif name == "SUM":
        # PostgreSQL gives numeric for int8, and a float4 sum of millions loses its digits.
        type_ = "BIGINT" if type_ in INTEGERS else "DOUBLE"
        template = "sum({}{})::int8" if type_ == "BIGINT" else "sum({}({})::float8)"
        piece = sql(template, distinct, made.sql)
    else:
        piece = sql({"MIN": "min({}{})", "MAX": "max({}{})"}[name], distinct, _typed_null(made))
        type_ = "CHAR" if type_ == "NULL" else type_
    words = {"AVG": "Mean", "SUM": "Sum", "MIN": "Smallest value", "MAX": "Largest value"}
    return Value(
        type_,
        piece,
        unit=made.unit,
        ucd=_statistic(made.ucd, {"AVG": "stat.mean", "MIN": "stat.min", "MAX": "stat.max"}.get(name)),
        description=f"{words[name]} of {made.name}" if made.name else None,
        unicode=made.unicode,
        name=name.lower(),
    )


def _typed_null(made: Value) -> Sql:
    return sql("NULL::text") if made.type == "NULL" else made.sql


def _statistic(ucd: str | None, word: str | None) -> str | None:
    """stat.* are secondary words of UCD1+; and no statistic is the main one of its kind."""
    if not ucd or not word:
        return None if word is None else ucd
    words = [part for part in ucd.split(";") if part != "meta.main"]
    return ";".join([*words, word])


FUNCTIONS: dict[str, Function] = {
    "ABS": _abs,
    "CEILING": _mathematical("ceiling", "ceiling({})", _SAME),
    "FLOOR": _mathematical("floor", "floor({})", _SAME),
    "DEGREES": _mathematical("degrees", "degrees({})", _DEGREES),
    "RADIANS": _mathematical("radians", "radians({})", _RADIANS),
    "EXP": _mathematical("exp", "exp({})", _NONE),
    # ADQL's LOG is natural, PostgreSQL's log decimal.
    "LOG": _mathematical("log", "ln({})", _NONE),
    "LOG10": _mathematical("log10", "log({})", _NONE),
    "SQRT": _mathematical("sqrt", "sqrt({})", lambda unit: units.power(unit, 0.5)),
    "POWER": _power,
    "MOD": _mod,
    "ROUND": _rounding("round", "round"),
    "TRUNCATE": _rounding("truncate", "trunc"),
    "PI": _pi,
    "RAND": _rand,
    "ACOS": _mathematical("acos", "acos({})", _RADIANS),
    "ASIN": _mathematical("asin", "asin({})", _RADIANS),
    "ATAN": _mathematical("atan", "atan({})", _RADIANS),
    "ATAN2": _mathematical("atan2", "atan2({}, {})", _RADIANS),
    "COS": _mathematical("cos", "cos({})", _NONE),
    "SIN": _mathematical("sin", "sin({})", _NONE),
    "TAN": _mathematical("tan", "tan({})", _NONE),
    "COT": _mathematical("cot", "cot({})", _NONE),
    "LOWER": _folding("lower"),
    "UPPER": _folding("upper"),
    "COALESCE": _coalesce,
    "IN_UNIT": _in_unit,
    **geometry.FUNCTIONS,
}
