"""CAST (ADQL 2.1 §4.7.1), and values as strings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from km3vo.adql.geometry import shape_from_numbers
from km3vo.adql.scope import Scope
from km3vo.adql.shapes import Kind, Shape
from km3vo.adql.sql import Sql, integer, quoted, sql
from km3vo.adql.tree import Cast, Node
from km3vo.adql.types import GEOMETRIES, NUMBERS, WORDS, Type
from km3vo.adql.types import cast as typed
from km3vo.adql.value import Value

if TYPE_CHECKING:
    from km3vo.adql.resolve import Values

_TARGETS: dict[str, Type] = {"DOUBLE": "DOUBLE", "VARCHAR": "CHAR"}
# DALI 1.1 §3.3.3, and a blank for the T.
_TIMESTAMP = re.compile(r"\s*\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d*)?)?)?Z?\s*")


def cast(values: Values, node: Cast, scope: Scope) -> Value:
    """CAST(x AS type)"""
    made = values.value(node.argument, scope)
    target: Type = _TARGETS.get(node.target, node.target)  # type: ignore[arg-type]
    if target in GEOMETRIES:
        return _to_geometry(values, node, made, target)
    if made.type == "BINARY" or made.type == "ARRAY" or (made.is_geometry and target != "CHAR"):
        raise values.error(node, f"{WORDS[made.type]} cannot be cast to {node.target}")
    if target == "CHAR":
        return _to_string(node, made)
    if target == "TIMESTAMP":
        if made.type not in ("CHAR", "TIMESTAMP", "NULL"):
            raise values.error(node, f"{WORDS[made.type]} cannot be cast to a timestamp")
        if isinstance(made.constant, str):
            return timestamp(values, node, made)
        return Value("TIMESTAMP", sql("({})::timestamp", made.sql), ucd=made.ucd)
    if made.type == "TIMESTAMP":
        raise values.error(node, "a timestamp cannot be cast to a number", "use ivo_to_mjd(...)")
    constant = made.constant
    if isinstance(constant, str):
        constant = _number_in(constant, target)
        if constant is None:
            raise values.error(node.argument, f"this string holds no number that fits {node.target}")
    piece = made.sql
    if made.type == "BOOLEAN":
        piece = sql("({})::int4", piece)
    return Value(
        target,
        typed(piece, target),
        constant=constant if isinstance(constant, int | float) and target == "DOUBLE" else None,
        unit=made.unit,
        ucd=made.ucd,
        description=made.description or (made.column.description if made.column else None),
    )


def _to_string(node: Cast, made: Value) -> Value:
    # CHAR alone is as long as the string: ADQL 2.1 leaves the choice.
    length, piece, arraysize = node.length, as_text(made), None
    if length is not None:
        # A string that is too long is cut, one that is too short is not filled up: VOTable has no use for blanks.
        piece = sql("left({}, {})", piece, integer(length))
        arraysize = f"{length}*"
    return Value("CHAR", piece, unicode=made.unicode, arraysize=arraysize, ucd=made.ucd)


def _to_geometry(values: Values, node: Cast, made: Value, target: Type) -> Value:
    kind: Kind = target  # type: ignore[assignment]
    if made.type == target:
        return made
    if made.type == "NULL":
        return Value(target, shape=Shape(kind, dali_sql=sql("NULL::float8[]")))
    if made.type != "CHAR":
        raise values.error(node, f"{WORDS[made.type]} cannot be cast to {WORDS[target]}")
    if isinstance(made.constant, str):
        try:
            numbers = [float(word) for word in made.constant.split()]
        except ValueError:
            numbers = []
        shape = shape_from_numbers(values, node, numbers, kind)
        return Value(target, shape=shape, unit="deg")
    array = sql("regexp_split_to_array(btrim({}), '\\s+')::float8[]", made.sql)
    return Value(target, shape=Shape(kind, dali_sql=array), unit="deg")


def as_timestamp(values: Values, node: Node, made: Value) -> Value:
    """A timestamp, or a string that stands for one."""
    if made.type == "TIMESTAMP":
        return made
    if isinstance(made.constant, str):
        return timestamp(values, node, made)
    return Value("TIMESTAMP", sql("({})::timestamp", made.sql))


def timestamp(values: Values, node: Node, made: Value) -> Value:
    """A string literal as a timestamp, checked while the query is translated."""
    written = str(made.constant)
    from datetime import datetime

    try:
        if not _TIMESTAMP.fullmatch(written):
            raise ValueError
        datetime.fromisoformat(written.strip().rstrip("Z").rstrip("."))
    except ValueError:
        raise values.error(
            node,
            f"'{written[:40]}' is not a timestamp",
            "write '2025-01-31' or '2025-01-31T12:00:00.5', in UTC",
        ) from None
    # A typed literal; a cast of a text would depend on the session and be worked out anew for each row.
    return Value("TIMESTAMP", sql("timestamp {}", quoted(written.strip().rstrip("Z"))))


def as_text(made: Value) -> Sql:
    """A value as a string, in the form that VOTable has for it."""
    if made.type == "TIMESTAMP":
        return sql("to_char({}, 'YYYY-MM-DD\"T\"HH24:MI:SS.US')", made.sql)
    if made.type == "MOC":
        return made.sql
    if made.is_geometry:
        return sql("array_to_string({}, ' ')", made.sql)
    if made.type == "BOOLEAN":
        return sql("({})::int4::text", made.sql)
    return sql("({})::text", made.sql)


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
