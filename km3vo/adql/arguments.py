"""The arguments that the functions of the grammar take (ADQL 2.1 §2.3, §4.2, appendix A)."""

from __future__ import annotations

from collections.abc import Callable

from km3vo.adql.token_stream import TokenStream
from km3vo.adql.tree import Aggregate, Call, Cast, ColumnRef, Null, Number, Parenthesis, Signed, String, ValueNode
from km3vo.adql.words import ARGUMENTS, USAGE

GEOMETRIES = frozenset({"POINT", "CIRCLE", "BOX", "POLYGON", "CENTROID", "REGION"})


def check(tokens: TokenStream, call: Call) -> None:
    """Raises AdqlError when the arguments of a call just read are not those that the grammar asks for."""
    name = call.name
    if name in ("POINT", "CIRCLE", "BOX", "POLYGON"):
        _take_system(tokens, call)
    arguments = call.arguments
    least, most = ARGUMENTS[name]
    count = len(arguments)
    good = least <= count and (most < 0 or count <= most)
    if good and name in _FORMS:
        good = _FORMS[name](arguments, tokens.version)
    if not good:
        plural = "argument" if most == 1 else "arguments"
        counts = "no" if most == 0 else str(least) if least == most else f"{least} or {most}"
        usage = USAGE.get(name, f"{name} takes {counts} {plural}")
        hint = f"write {usage}" if name in USAGE else usage
        if tokens.version == "2.0":
            hint += "; some forms need LANG=ADQL-2.1"
        raise tokens.error(f"these are not the arguments that {name} takes", call, hint)
    geometric = arguments if name in ("CONTAINS", "INTERSECTS", "AREA", "CENTROID", "COORDSYS") else []
    for argument in geometric:
        if not _may_be_geometry(argument):
            raise tokens.error(f"{name} needs a geometry here, or a column that holds one", argument)
    if name in ("COORD1", "COORD2") and not _is_point(arguments[0]):
        raise tokens.error(f"{name} needs a point here, or a column that holds one", arguments[0])


def _take_system(tokens: TokenStream, call: Call) -> None:
    """Move <coord_sys> out of the arguments: optional since 2.1, and a string literal (erratum 3 of 2.0)."""
    arguments = call.arguments
    with_system = {"POINT": (3,), "CIRCLE": (3, 4), "BOX": (4, 5), "POLYGON": range(4, 10**6)}[call.name]
    first = arguments[0] if arguments else None
    if isinstance(first, String) or (
        isinstance(first, Null)
        and len(arguments) in with_system
        and (call.name != "CIRCLE" or len(arguments) == 4 or _is_point(arguments[1]))
    ):
        call.system = arguments.pop(0)
    elif tokens.version == "2.0":
        raise tokens.error(
            f"in ADQL 2.0 {call.name} begins with a coordinate system", call, f"write {call.name}('ICRS', ...)"
        )
    elif first is not None and len(arguments) == max(with_system) and call.name != "POLYGON":
        raise tokens.error("a coordinate system must be a string such as 'ICRS'", first, f"write {USAGE[call.name]}")


def _circle(arguments: list[ValueNode], version: str) -> bool:
    return len(arguments) == 3 or (version != "2.0" and _is_point(arguments[0]))


def _box(arguments: list[ValueNode], version: str) -> bool:
    return len(arguments) == 4 or (version != "2.0" and _is_point(arguments[0]))


def _polygon(arguments: list[ValueNode], version: str) -> bool:
    # Columns may be numbers or points: the resolver knows. Only points come in odd numbers.
    if version != "2.0" and all(map(_is_point, arguments)):
        return True
    return len(arguments) >= 6 and len(arguments) % 2 == 0


def _distance(arguments: list[ValueNode], version: str) -> bool:
    if len(arguments) == 2:
        return all(map(_is_point, arguments))
    return len(arguments) == 4 and version != "2.0"


def _region(arguments: list[ValueNode], version: str) -> bool:
    # 2.0 allowed any string expression.
    return isinstance(arguments[0], String) or version == "2.0"


def _in_unit(arguments: list[ValueNode], version: str) -> bool:
    return isinstance(arguments[1], String)


def _rounding(arguments: list[ValueNode], version: str) -> bool:
    return len(arguments) == 1 or _is_whole(arguments[1], signed=True)


def _rand(arguments: list[ValueNode], version: str) -> bool:
    return not arguments or _is_whole(arguments[0], signed=False)


# Whether arguments of the right number are of the right form, in a version of ADQL.
_FORMS: dict[str, Callable[[list[ValueNode], str], bool]] = {
    "CIRCLE": _circle,
    "BOX": _box,
    "POLYGON": _polygon,
    "DISTANCE": _distance,
    "REGION": _region,
    "IN_UNIT": _in_unit,
    "ROUND": _rounding,
    "TRUNCATE": _rounding,
    "RAND": _rand,
}


def _is_whole(value: ValueNode, signed: bool) -> bool:
    if signed and isinstance(value, Signed):
        value = value.argument
    return isinstance(value, Number) and value.text.isdigit() and len(value.text) <= 9


def _is_point(value: ValueNode) -> bool:
    """<coord_value>: a column, POINT, CENTROID, a user-defined function; and, beyond the grammar, a CAST to POINT."""
    if isinstance(value, Call):
        return value.name in ("POINT", "CENTROID") or value.name not in ARGUMENTS
    return isinstance(value, ColumnRef) or (isinstance(value, Cast) and value.target == "POINT")


def _may_be_geometry(value: ValueNode) -> bool:
    """<geometry_value_expression>, as far as the grammar can tell."""
    if isinstance(value, Call):
        return value.name in GEOMETRIES or value.name == "COALESCE" or value.name not in ARGUMENTS
    if isinstance(value, Parenthesis):
        return _may_be_geometry(value.argument)
    return isinstance(value, ColumnRef | Cast | Aggregate)
