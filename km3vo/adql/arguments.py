"""The arguments that the functions of the grammar take (ADQL 2.1 §2.3, §4.2, appendix A)."""

from __future__ import annotations

from km3vo.adql.reader import Reader
from km3vo.adql.tree import Aggregate, Call, Cast, ColumnRef, Null, Number, Parenthesis, Signed, String, Value
from km3vo.adql.words import ARGUMENTS, USAGE

GEOMETRIES = frozenset({"POINT", "CIRCLE", "BOX", "POLYGON", "CENTROID", "REGION"})


class Arguments(Reader):
    """Checks the arguments of a function."""

    def check(self, call: Call) -> None:
        """Raises AdqlError when the arguments are not those that the grammar asks for."""
        name = call.name
        if name in ("POINT", "CIRCLE", "BOX", "POLYGON"):
            self._take_system(call)
        arguments = call.arguments
        least, most = ARGUMENTS[name]
        count = len(arguments)
        good = least <= count and (most < 0 or count <= most)
        if good:
            good = getattr(self, f"_good_{name.lower()}", _always)(arguments)
        if not good:
            plural = "argument" if most == 1 else "arguments"
            counts = "no" if most == 0 else str(least) if least == most else f"{least} or {most}"
            usage = USAGE.get(name, f"{name} takes {counts} {plural}")
            hint = f"write {usage}" if name in USAGE else usage
            if self.version == "2.0":
                hint += "; some forms need LANG=ADQL-2.1"
            raise self.error(f"these are not the arguments that {name} takes", call, hint)
        geometric = arguments if name in ("CONTAINS", "INTERSECTS", "AREA", "CENTROID", "COORDSYS") else []
        for argument in geometric:
            if not _may_be_geometry(argument):
                raise self.error(f"{name} needs a geometry here, or a column that holds one", argument)
        if name in ("COORD1", "COORD2") and not _is_point(arguments[0]):
            raise self.error(f"{name} needs a point here, or a column that holds one", arguments[0])

    def _take_system(self, call: Call) -> None:
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
        elif self.version == "2.0":
            raise self.error(
                f"in ADQL 2.0 {call.name} begins with a coordinate system", call, f"write {call.name}('ICRS', ...)"
            )
        elif first is not None and len(arguments) == max(with_system) and call.name != "POLYGON":
            raise self.error("a coordinate system must be a string such as 'ICRS'", first, f"write {USAGE[call.name]}")

    def _good_circle(self, arguments: list[Value]) -> bool:
        return len(arguments) == 3 or (self.version != "2.0" and _is_point(arguments[0]))

    def _good_box(self, arguments: list[Value]) -> bool:
        return len(arguments) == 4 or (self.version != "2.0" and _is_point(arguments[0]))

    def _good_polygon(self, arguments: list[Value]) -> bool:
        # Columns may be numbers or points: the resolver knows. Only points come in odd numbers.
        if self.version != "2.0" and all(map(_is_point, arguments)):
            return True
        return len(arguments) >= 6 and len(arguments) % 2 == 0

    def _good_distance(self, arguments: list[Value]) -> bool:
        if len(arguments) == 2:
            return all(map(_is_point, arguments))
        return len(arguments) == 4 and self.version != "2.0"

    def _good_region(self, arguments: list[Value]) -> bool:
        # 2.0 allowed any string expression.
        return isinstance(arguments[0], String) or self.version == "2.0"

    def _good_in_unit(self, arguments: list[Value]) -> bool:
        return isinstance(arguments[1], String)

    def _good_round(self, arguments: list[Value]) -> bool:
        return len(arguments) == 1 or _is_whole(arguments[1], signed=True)

    _good_truncate = _good_round

    def _good_rand(self, arguments: list[Value]) -> bool:
        return not arguments or _is_whole(arguments[0], signed=False)


def _always(arguments: list[Value]) -> bool:
    return True


def _is_whole(value: Value, signed: bool) -> bool:
    if signed and isinstance(value, Signed):
        value = value.argument
    return isinstance(value, Number) and value.text.isdigit() and len(value.text) <= 9


def _is_point(value: Value) -> bool:
    """<coord_value>: a column, POINT, CENTROID, a user-defined function; and, beyond the grammar, a CAST to POINT."""
    if isinstance(value, Call):
        return value.name in ("POINT", "CENTROID") or value.name not in ARGUMENTS
    return isinstance(value, ColumnRef) or (isinstance(value, Cast) and value.target == "POINT")


def _may_be_geometry(value: Value) -> bool:
    """<geometry_value_expression>, as far as the grammar can tell."""
    if isinstance(value, Call):
        return value.name in GEOMETRIES or value.name == "COALESCE" or value.name not in ARGUMENTS
    if isinstance(value, Parenthesis):
        return _may_be_geometry(value.argument)
    return isinstance(value, ColumnRef | Cast | Aggregate)
