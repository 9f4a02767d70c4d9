"""The functions of the grammar other than geometry: mathematics, strings, units, aggregates (ADQL 2.1 §2.3, §4)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeVar

from km3vo.adql import constructors, geometry, transforms, units
from km3vo.adql.frames import ICRS
from km3vo.adql.mistakes import did_you_mean
from km3vo.adql.resolver import ValueResolver
from km3vo.adql.scope import Scope
from km3vo.adql.shapes import Shape
from km3vo.adql.sql import Sql, double, integer, joined, sql
from km3vo.adql.tree import Aggregate, Call, Number, Signed, String, ValueNode
from km3vo.adql.types import INTEGERS, WORDS, wider
from km3vo.adql.value import Value, common_frame

T = TypeVar("T")

Function = Callable[[ValueResolver, Call, Scope], Value]

# Which unit the result has, from the unit of the first argument.
_NONE: Callable[[str | None], str | None] = lambda unit: None  # noqa: E731
_RADIANS: Callable[[str | None], str | None] = lambda unit: "rad"  # noqa: E731
_DEGREES: Callable[[str | None], str | None] = lambda unit: "deg"  # noqa: E731


def _mathematical(name: str, template: str, unit: Callable[[str | None], str | None]) -> Function:
    """A function of doubles that PostgreSQL has, too."""

    def call(resolver: ValueResolver, node: Call, scope: Scope) -> Value:
        numbers = [resolver.number(argument, scope) for argument in node.arguments]
        pieces = [sql("({})::float8", number.sql) for number in numbers]
        return Value("DOUBLE", sql(template, *pieces), unit=unit(numbers[0].unit if numbers else None), name=name)

    return call


def _whole_below_or_above(name: str, template: str) -> Function:
    """CEILING and FLOOR."""

    def call(resolver: ValueResolver, node: Call, scope: Scope) -> Value:
        number = resolver.number(node.arguments[0], scope)
        return number.alike("DOUBLE", sql(template, sql("({})::float8", number.sql)), name)

    return call


def _abs(resolver: ValueResolver, node: Call, scope: Scope) -> Value:
    number = resolver.number(node.arguments[0], scope)
    value = number.alike("DOUBLE" if number.type == "NULL" else number.type, sql("abs({})", number.sql), "abs")
    value.constant = abs(number.constant) if isinstance(number.constant, int | float) else None
    return value


def _mod(resolver: ValueResolver, node: Call, scope: Scope) -> Value:
    x, y = (resolver.number(argument, scope) for argument in node.arguments)
    if x.is_integer and y.is_integer:
        piece = sql("mod({}, {})", x.sql, y.sql)
        return Value(wider(x.type, y.type), piece, unit=x.unit, frame=x.frame, name="mod")
    # PostgreSQL has mod for numeric only. The remainder has the sign of x.
    piece = sql("mod(({})::numeric, ({})::numeric)::float8", x.sql, y.sql)
    return Value("DOUBLE", piece, unit=x.unit, frame=x.frame, name="mod")


def _rounding(name: str, function: str) -> Function:
    """ROUND and TRUNCATE. On numeric, halves are rounded away from zero; on float8 they would go to the even side."""

    def call(resolver: ValueResolver, node: Call, scope: Scope) -> Value:
        number = resolver.number(node.arguments[0], scope)
        places = _whole(node.arguments[1]) if len(node.arguments) == 2 else 0
        places = max(-400, min(400, places))
        template = {"round": "round(({})::numeric, {})::float8", "trunc": "trunc(({})::numeric, {})::float8"}[function]
        piece = sql(template, number.sql, integer(places))
        return number.alike("DOUBLE", piece, name)

    return call


def _whole(node: ValueNode) -> int:
    """A literal whole number, perhaps with a sign; the parser has seen to that."""
    if isinstance(node, Signed):
        return -_whole(node.argument) if node.sign == "-" else _whole(node.argument)
    assert isinstance(node, Number)
    return int(node.text)


def _power(resolver: ValueResolver, node: Call, scope: Scope) -> Value:
    base, exponent = (resolver.number(argument, scope) for argument in node.arguments)
    unit = units.power(base.unit, float(exponent.constant)) if isinstance(exponent.constant, int | float) else None
    piece = sql("power(({})::float8, ({})::float8)", base.sql, exponent.sql)
    return Value("DOUBLE", piece, unit=unit, name="power")


def _pi(resolver: ValueResolver, node: Call, scope: Scope) -> Value:
    return Value("DOUBLE", sql("pi()"), constant=math.pi, name="pi")


def _rand(resolver: ValueResolver, node: Call, scope: Scope) -> Value:
    # PostgreSQL's generator is seeded for a session, not for a call: the seed is read and not used.
    return Value("DOUBLE", sql("random()"), name="rand")


def _folding(name: str) -> Function:
    def call(resolver: ValueResolver, node: Call, scope: Scope) -> Value:
        value = string(resolver, node.arguments[0], scope)
        template = {"lower": "lower({})", "upper": "upper({})"}[name]
        return Value("CHAR", sql(template, value.sql), unicode=value.unicode, name=name, ucd=value.ucd)

    return call


def string(resolver: ValueResolver, node: ValueNode, scope: Scope) -> Value:
    """Resolve a value that has to be a string."""
    value = resolver.value(node, scope)
    if value.type == "NULL":
        return Value("CHAR", sql("NULL::text"))
    if value.type != "CHAR":
        raise resolver.error(node, f"a string is needed here, but this is {WORDS[value.type]}")
    return value


def _coalesce(resolver: ValueResolver, node: Call, scope: Scope) -> Value:
    """COALESCE (§4.8.1): all of one type"""
    values = [resolver.value(argument, scope) for argument in node.arguments]
    type_ = values[0].type
    first = next((value for value in values if value.type != "NULL"), values[0])
    for argument, value in zip(node.arguments, values, strict=True):
        same = value.type == first.type or "NULL" in (value.type, first.type)
        if not same and not (value.is_number and first.is_number):
            raise resolver.error(argument, f"COALESCE of {WORDS[first.type]} and {WORDS[value.type]}")
        type_ = wider(type_, value.type)
    if first.shape is not None:
        return replace(constructors.value_of(_coalesced_shapes(first, values)), name="coalesce")
    template = "COALESCE({})" if type_ != "NULL" else "COALESCE({})::text"
    # What stands in for a missing value, a constant, says nothing of what it is.
    told = [value for value in values if value.constant is None and value.type != "NULL"] or [first]
    return Value(
        type_,
        sql(template, joined(", ", [value.sql for value in values])),
        unit=first.unit if all(value.unit in (first.unit, None) for value in values) else None,
        ucd=_only(value.ucd for value in told),
        frame=common_frame(values),
        time=_only(value.time for value in told),
        unicode=any(value.unicode for value in values),
        name="coalesce",
    )


def _coalesced_shapes(first: Value, values: list[Value]) -> Shape:
    """The first shape that is not NULL; all in one frame."""
    shapes = [value.shape for value in values if value.shape is not None]
    if len({shape.frame.name for shape in shapes}) > 1:
        shapes = [transforms.to(shape, ICRS) for shape in shapes]
    model = max(shapes, key=lambda shape: len(shape.stated))
    coalesced = sql("COALESCE({})", joined(", ", [shape.dali for shape in shapes]))
    return Shape(model.kind, dali_sql=coalesced, frame=model.frame, stated=model.stated)


def _only(meanings: Iterable[T]) -> T | None:
    """What all of them are; None where they differ."""
    different = set(meanings)
    return different.pop() if len(different) == 1 else None


def _in_unit(resolver: ValueResolver, node: Call, scope: Scope) -> Value:
    """IN_UNIT (§4.9.1)"""
    number = resolver.number(node.arguments[0], scope)
    written = node.arguments[1]
    assert isinstance(written, String)
    wanted = written.text.strip()
    if not units.is_known(wanted):
        hint = did_you_mean(wanted, units.names_like(wanted)) or "write a VOUnits string such as 'deg' or 'GeV'"
        raise resolver.error(written, f"'{wanted[:40]}' is not a unit" if wanted else "the unit is empty", hint)
    if not number.unit:
        hint = "only columns with a unit can be converted; to scale a number, multiply it"
        raise resolver.error(node.arguments[0], "the unit of this value is not known", hint)
    factor = units.factor(number.unit, wanted)
    if factor is None:
        raise resolver.error(node, f"{number.unit} cannot be converted to {wanted}")
    piece = sql("(({})::float8 * {})", number.sql, double(factor))
    description = number.column.description if number.column else number.description
    value = number.alike("DOUBLE", piece, "in_unit")
    value.unit, value.description = wanted, description
    return value


# ------------------------------------------------------------------------------------------ aggregates


def aggregate(resolver: ValueResolver, node: Aggregate, value: Value) -> Value:
    """AVG, MAX, MIN, SUM and COUNT of a resolved value (§2.2, BNF <general_set_function>)"""
    name = node.name
    distinct = sql("DISTINCT ") if node.distinct else sql("")
    assert node.argument is not None
    if name == "COUNT":
        description = f"Number of values of {value.name}" if value.name else "Number of values"
        piece = sql("count({}{})", distinct, _typed_null(value))
        return Value("BIGINT", piece, ucd="meta.number", description=description, name="count")
    if value.type == "BOOLEAN":
        value = Value("INTEGER", sql("({})::int4", value.sql), name=value.name)
    if name in ("AVG", "SUM"):
        if not value.is_number and value.type != "NULL":
            raise resolver.error(node.argument, f"{name} needs numbers, but this is {WORDS[value.type]}")
    elif value.is_geometry or value.type in ("ARRAY", "BINARY"):
        raise resolver.error(node.argument, f"{WORDS[value.type]} has no {name}")
    type_ = value.type
    if name == "AVG":
        type_, piece = "DOUBLE", sql("avg({}({})::float8)", distinct, value.sql)
    elif name == "SUM":
        # PostgreSQL gives numeric for int8, and a float4 sum of millions loses its digits.
        type_ = "BIGINT" if type_ in INTEGERS else "DOUBLE"
        template = "sum({}{})::int8" if type_ == "BIGINT" else "sum({}({})::float8)"
        piece = sql(template, distinct, value.sql)
    else:
        piece = sql({"MIN": "min({}{})", "MAX": "max({}{})"}[name], distinct, _typed_null(value))
        type_ = "CHAR" if type_ == "NULL" else type_
    words = {"AVG": "Mean", "SUM": "Sum", "MIN": "Smallest value", "MAX": "Largest value"}
    return Value(
        type_,
        piece,
        unit=value.unit,
        ucd=_statistic(value.ucd, {"AVG": "stat.mean", "MIN": "stat.min", "MAX": "stat.max"}.get(name)),
        description=f"{words[name]} of {value.name}" if value.name else None,
        unicode=value.unicode,
        # A sum of coordinates or of times is neither.
        frame=None if name == "SUM" else value.frame,
        time=None if name == "SUM" else value.time,
        name=name.lower(),
    )


def _typed_null(value: Value) -> Sql:
    return sql("NULL::text") if value.type == "NULL" else value.sql


def _statistic(ucd: str | None, word: str | None) -> str | None:
    """stat.* are secondary words of UCD1+; and no statistic is the main one of its kind."""
    if not ucd or not word:
        return None if word is None else ucd
    words = [part for part in ucd.split(";") if part != "meta.main"]
    return ";".join([*words, word])


FUNCTIONS: dict[str, Function] = {
    "ABS": _abs,
    "CEILING": _whole_below_or_above("ceiling", "ceiling({})"),
    "FLOOR": _whole_below_or_above("floor", "floor({})"),
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
