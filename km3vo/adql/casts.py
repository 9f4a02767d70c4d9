"""CAST (ADQL 2.1 §4.7.1), and values as strings."""

from __future__ import annotations

from km3vo import times
from km3vo.adql.constructors import shape_from_numbers
from km3vo.adql.resolver import ValueResolver
from km3vo.adql.scope import Scope
from km3vo.adql.shapes import Kind, Shape
from km3vo.adql.sql import Sql, integer, quoted, sql
from km3vo.adql.tree import Cast, Node
from km3vo.adql.types import GEOMETRIES, NUMBERS, WORDS, Type
from km3vo.adql.types import cast as typed
from km3vo.adql.value import Value

_TARGETS: dict[str, Type] = {"DOUBLE": "DOUBLE", "VARCHAR": "CHAR"}


def cast(resolver: ValueResolver, node: Cast, scope: Scope) -> Value:
    """CAST(x AS type)"""
    value = resolver.value(node.argument, scope)
    target: Type = _TARGETS.get(node.target, node.target)  # type: ignore[arg-type]
    if target in GEOMETRIES:
        return _to_geometry(resolver, node, value, target)
    if value.type == "BINARY" or value.type == "ARRAY" or (value.is_geometry and target != "CHAR"):
        raise resolver.error(node, f"{WORDS[value.type]} cannot be cast to {node.target}")
    if target == "CHAR":
        return _to_string(node, value)
    if target == "TIMESTAMP":
        if value.type not in ("CHAR", "TIMESTAMP", "NULL"):
            raise resolver.error(node, f"{WORDS[value.type]} cannot be cast to a timestamp")
        if isinstance(value.constant, str):
            return timestamp(resolver, node, value)
        return Value("TIMESTAMP", sql("({})::timestamp", value.sql), ucd=value.ucd, time=value.time)
    if value.type == "TIMESTAMP":
        raise resolver.error(node, "a timestamp cannot be cast to a number", "use ivo_to_mjd(...)")
    constant = value.constant
    if isinstance(constant, str):
        constant = _number_in(constant, target)
        if constant is None:
            raise resolver.error(node.argument, f"this string holds no number that fits {node.target}")
    piece = value.sql
    if value.type == "BOOLEAN":
        piece = sql("({})::int4", piece)
    return Value(
        target,
        typed(piece, target),
        constant=constant if isinstance(constant, int | float) and target == "DOUBLE" else None,
        unit=value.unit,
        ucd=value.ucd,
        description=value.description or (value.column.description if value.column else None),
        frame=value.frame,
        time=value.time,
    )


def _to_string(node: Cast, value: Value) -> Value:
    # CHAR alone is as long as the string: ADQL 2.1 leaves the choice.
    length, piece, arraysize = node.length, as_text(value), None
    if length is not None:
        # A string that is too long is cut, one that is too short is not filled up: VOTable has no use for blanks.
        piece = sql("left({}, {})", piece, integer(length))
        arraysize = f"{length}*"
    return Value("CHAR", piece, unicode=value.unicode, arraysize=arraysize, ucd=value.ucd)


def _to_geometry(resolver: ValueResolver, node: Cast, value: Value, target: Type) -> Value:
    kind: Kind = target  # type: ignore[assignment]
    if value.type == target:
        return value
    if value.type == "NULL":
        return Value(target, shape=Shape(kind, dali_sql=sql("NULL::float8[]")))
    if value.type != "CHAR":
        raise resolver.error(node, f"{WORDS[value.type]} cannot be cast to {WORDS[target]}")
    if isinstance(value.constant, str):
        try:
            numbers = [float(word) for word in value.constant.split()]
        except ValueError:
            numbers = []
        shape = shape_from_numbers(resolver, node, numbers, kind)
        return Value(target, shape=shape, unit="deg")
    array = sql("regexp_split_to_array(btrim({}), '\\s+')::float8[]", value.sql)
    return Value(target, shape=Shape(kind, dali_sql=array), unit="deg")


def as_timestamp(resolver: ValueResolver, node: Node, value: Value) -> Value:
    """A timestamp, or a string that stands for one."""
    if value.type == "TIMESTAMP":
        return value
    if isinstance(value.constant, str):
        return timestamp(resolver, node, value)
    return Value("TIMESTAMP", sql("({})::timestamp", value.sql))


def timestamp(resolver: ValueResolver, node: Node, value: Value) -> Value:
    """A string literal as a timestamp, checked while the query is translated."""
    written = str(value.constant)
    try:
        moment = times.moment(written)
    except times.NotATime as wrong:
        raise resolver.error(
            node, f"'{written[:40]}' {wrong}", "write '2025-01-31' or '2025-01-31T12:00:00.5', in UTC"
        ) from None
    # A typed literal; a cast of a text would depend on the session and be worked out anew for each row.
    return Value("TIMESTAMP", sql("timestamp {}", quoted(moment.replace(tzinfo=None).isoformat())))


def as_text(value: Value) -> Sql:
    """A value as a string, in the form that VOTable has for it."""
    if value.type == "TIMESTAMP":
        return sql("to_char({}, 'YYYY-MM-DD\"T\"HH24:MI:SS.US')", value.sql)
    if value.type == "MOC":
        return value.sql
    if value.is_geometry:
        return sql("array_to_string({}, ' ')", value.sql)
    if value.type == "BOOLEAN":
        return sql("({})::int4::text", value.sql)
    return sql("({})::text", value.sql)


def _number_in(written: str, target: Type) -> float | int | None:
    assert target in NUMBERS
    try:
        if target in ("REAL", "DOUBLE"):
            return float(written)
        whole = int(written)
    except ValueError:
        return None
    bits = {"SMALLINT": 15, "INTEGER": 31, "BIGINT": 63}[target]
    return whole if -(2**bits) <= whole < 2**bits else None
