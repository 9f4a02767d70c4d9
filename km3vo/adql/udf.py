"""User-defined functions: those of the IVOA's catalogue that PostgreSQL and pgSphere 1.2 can do (EN-UDF 1.2).

Where a name of the catalogue exists, its meaning there is binding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from km3vo.adql import casts, frames, geometry, moc
from km3vo.adql.scope import Scope
from km3vo.adql.shapes import Shape
from km3vo.adql.sql import Sql, double, integer, joined, sql, text
from km3vo.adql.tree import Call
from km3vo.adql.types import WORDS
from km3vo.adql.value import Value

if TYPE_CHECKING:
    from km3vo.adql.resolve import Values

# More bins are better made with GROUP BY: each is one aggregate of the statement.
MAX_BINS = 1000


@dataclass(frozen=True, slots=True)
class Udf:
    """A function that is declared in the capabilities.

    Attributes:
        signatures: one for each way to call it, as TAPRegExt wants them.
        description: for people.
        kinds: types of the arguments, for each way to call it.
        make: the result, from the resolved arguments.
        aggregate: whether it is an aggregate.
    """

    signatures: tuple[str, ...]
    description: str
    kinds: tuple[tuple[str, ...], ...]
    make: Callable[[Values, Call, list[Value]], Value]
    aggregate: bool = False

    def value(self, values: Values, node: Call, scope: Scope) -> Value:
        """Resolve a call. Raises AdqlError when the arguments are not what the signature asks for."""
        usage = " or ".join(signature.split(" -> ")[0] for signature in self.signatures)
        candidates = [kinds for kinds in self.kinds if len(kinds) == len(node.arguments)]
        if not candidates:
            raise values.error(node, f"these are not the arguments that {node.name.lower()} takes", f"write {usage}")
        if self.aggregate:
            made = values.in_aggregate(node, list(node.arguments), scope)
        else:
            made = [values.value(argument, scope) for argument in node.arguments]
        kinds = next((kinds for kinds in candidates if all(map(_fits, made, kinds))), candidates[0])
        for argument, one, kind in zip(node.arguments, made, kinds, strict=True):
            if not _fits(one, kind):
                what = f"{node.name.lower()} needs {_NEEDED[kind]} here, but this is {WORDS[one.type]}"
                raise values.error(argument, what, f"write {usage}")
        made = [
            casts.as_timestamp(values, argument, one) if kind == "TIMESTAMP" else one
            for argument, one, kind in zip(node.arguments, made, kinds, strict=True)
        ]
        result = self.make(values, node, made)
        result.name = result.name or node.name.lower()
        return result


_NEEDED = {
    "INTEGER": "a whole number",
    "DOUBLE": "a number",
    "VARCHAR": "a string",
    "TIMESTAMP": "a timestamp",
    "POINT": "a point",
    "SHAPE": "a point, circle or polygon",
    "MOC": "a MOC",
    "LITERAL": "a string in single quotes",
    "WHOLE": "a whole number, written out,",
}


def _fits(value: Value, kind: str) -> bool:
    if kind == "WHOLE":
        return isinstance(value.constant, int)
    if kind == "LITERAL":
        return isinstance(value.constant, str)
    if value.type == "NULL":
        return kind not in ("POINT", "SHAPE", "MOC")
    if kind == "INTEGER":
        return value.is_integer
    if kind == "DOUBLE":
        return value.is_number
    if kind == "VARCHAR":
        return value.type == "CHAR"
    if kind == "TIMESTAMP":
        return value.type in ("TIMESTAMP", "CHAR")
    if kind == "SHAPE":
        return value.type in ("POINT", "CIRCLE", "POLYGON")
    return value.type == kind


def _float(value: Value) -> Sql:
    return sql("({})::float8", value.sql)


def _string(value: Value) -> Sql:
    return sql("({})::text", value.sql)


def _predicate(condition: Sql) -> Value:
    return Value("INTEGER", sql("({})::int4", condition), truth=condition)


# --------------------------------------------------------------------------------------------- HEALPix


def _healpix_index(values: Values, node: Call, made: list[Value]) -> Value:
    order = _order(values, node, made[0])
    if len(made) == 2:
        assert made[1].shape is not None
        point = made[1].shape
    else:
        point = values.point(node.arguments[1], node.arguments[2], made[1], made[2])
    return Value("BIGINT", sql("healpix_nest({}, {})", order, moc.off_borders(point)), ucd="pos.healpix")


def _order(values: Values, node: Call, order: Value) -> Sql:
    """The order; pgSphere ends in an internal error beyond 29."""
    if isinstance(order.constant, int) and not 0 <= order.constant <= 29:
        raise values.error(node.arguments[0], "the order of a HEALPix map is between 0 and 29")
    return sql("({})::int4", order.sql)


def _healpix_center(values: Values, node: Call, made: list[Value]) -> Value:
    order = _order(values, node, made[0])
    index, top = made[1].constant, made[0].constant
    if isinstance(index, int) and isinstance(top, int) and not 0 <= index < 12 * 4**top:
        raise values.error(node.arguments[1], f"at order {top} the pixels are numbered 0 to {12 * 4**top - 1}")
    sphere = sql("centre_of_healpix_nest({}, ({})::int8)", order, made[1].sql)
    return Value("POINT", shape=Shape("POINT", sphere), unit="deg", ucd="pos.eq")


# ---------------------------------------------------------------------------------------------- text


def _string_agg(values: Values, node: Call, made: list[Value]) -> Value:
    piece = sql("string_agg({}, {})", _string(made[0]), _string(made[1]))
    return Value("CHAR", piece, unicode=made[0].unicode or made[1].unicode)


def _nocasematch(values: Values, node: Call, made: list[Value]) -> Value:
    return _predicate(sql("({} ILIKE {} ESCAPE '')", _string(made[0]), _string(made[1])))


def _hasword(values: Values, node: Call, made: list[Value]) -> Value:
    template = "(to_tsvector('english', {}) @@ plainto_tsquery('english', {}))"
    return _predicate(sql(template, _string(made[0]), _string(made[1])))


def _hashlist_has(values: Values, node: Call, made: list[Value]) -> Value:
    # A list never holds an item with a hash in it, so that one is not found.
    return _predicate(sql("(lower({}) = ANY (string_to_array(lower({}), '#')))", _string(made[1]), _string(made[0])))


# ------------------------------------------------------------------------------------- numbers, times


def _interval_overlaps(values: Values, node: Call, made: list[Value]) -> Value:
    low1, high1, low2, high2 = map(_float, made)
    return _predicate(
        sql(
            "({} <= {} AND {} <= {} AND {} <= {} AND {} <= {})",
            *(low1, high2, low2, high1, low1, high1, low2, high2),
        )
    )


def _to_jd(values: Values, node: Call, made: list[Value]) -> Value:
    # PostgreSQL's julian day begins at midnight.
    return Value("DOUBLE", sql("(extract(julian from {}) - 0.5)::float8", made[0].sql), unit="d", ucd="time.epoch")


def _to_mjd(values: Values, node: Call, made: list[Value]) -> Value:
    return Value("DOUBLE", sql("(extract(julian from {}) - 2400001)::float8", made[0].sql), unit="d", ucd="time.epoch")


def _histogram(values: Values, node: Call, made: list[Value]) -> Value:
    value, low, high, bins = made
    count = bins.constant
    assert isinstance(count, int)
    if not 1 <= count <= MAX_BINS:
        raise values.error(node.arguments[3], f"a histogram has between 1 and {MAX_BINS} bins")
    if low.constant is not None and high.constant is not None and not low.constant < high.constant:  # type: ignore[operator]
        raise values.error(node.arguments[2], "the upper limit must be above the lower one")
    # NULL counts as being below (EN-UDF 1.2).
    bucket = sql("coalesce(width_bucket({}, {}, {}, {}), 0)", _float(value), _float(low), _float(high), integer(count))
    counts = [sql("count(*) FILTER (WHERE {} = {})", bucket, integer(number)) for number in range(count + 2)]
    return Value("ARRAY", sql("ARRAY[{}]::int4[]", joined(", ", counts)), arraysize=str(count + 2))


def _normal_random(values: Values, node: Call, made: list[Value]) -> Value:
    # Box and Muller; 1 - random() is never 0.
    template = "(({}) + ({}) * sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random()))"
    return Value("DOUBLE", sql(template, _float(made[0]), _float(made[1])), unit=made[0].unit)


# With separators (colons, blanks or letters) or without; sign, whole degrees or hours, whole minutes, seconds.
_SEXAGESIMAL = (
    r"^\s*([-+]?)\s*(?:(\d{1,3})\s*[:hd ]\s*([0-5]?\d)\s*(?:[:m ]\s*([0-5]?\d(?:\.\d*)?)\s*s?|m)?"
    r"|(\d{2,3})([0-5]\d)([0-5]\d(?:\.\d*)?))\s*$"
)


def _sexagesimal(turn: float) -> Callable[[Values, Call, list[Value]], Value]:
    """Degrees from hours or degrees, minutes and seconds; the sign counts for all. NULL for whatever is none."""

    def make(values: Values, node: Call, made: list[Value]) -> Value:
        template = (
            "(SELECT CASE WHEN m.v[1] = '-' THEN -1 ELSE 1 END * {} * (coalesce(m.v[2], m.v[5])::float8"
            " + coalesce(m.v[3], m.v[6])::float8 / 60 + coalesce(m.v[4], m.v[7], '0')::float8 / 3600)"
            " FROM regexp_matches({}, {}, 'i') AS m(v))"
        )
        return Value("DOUBLE", sql(template, double(turn), _string(made[0]), text(_SEXAGESIMAL)), unit="deg")

    return make


# ------------------------------------------------------------------------------------------ positions


def _transform(values: Values, node: Call, made: list[Value]) -> Value:
    found = []
    for argument, system in zip(node.arguments[:2], made[:2], strict=True):
        # The catalogue minds the case of these names, which are those of the vocabulary refframe.
        if system.constant not in _FRAMES:
            what = f"unknown coordinate system '{str(system.constant)[:40]}'"
            raise values.error(argument, what, f"known are {', '.join(_FRAMES)}")
        found.append(frames.frame(str(system.constant)))
    shape = made[2].shape
    assert shape is not None
    have, want = found
    if have is not want:
        turn = have if want is None else want.inverse if have is None else want.inverse.after(have)
        assert turn is not None
        shape = geometry.turned(shape, turn)
    return Value(made[2].type, shape=shape, unit="deg")


_FRAMES = ("ICRS", "FK5", "GALACTIC")


def _epoch_prop(values: Values, node: Call, made: list[Value]) -> Value:
    """Rigorous propagation of a position (Hipparcos catalogue, ESA SP-1200, volume 1, section 1.5.5).

    Degrees, milliarcseconds and Julian years, km/s. Without parallax a star moves along a great circle; what is not
    known of its motion is 0. Raises AdqlError where the place or an epoch is NULL.
    """
    if len(made) == 8:
        lon, lat, parallax, motion_lon, motion_lat, radial, old, new = made
        # mas times km/s by the astronomical unit in km yr/s is a motion along the line of sight in mas/yr.
        along = sql("(coalesce({}, 0) * coalesce({}, 0) / 4.740470463533349)", _float(radial), _float(parallax))
    else:
        lon, lat, motion_lon, motion_lat, old, new = made
        along = double(0)
    for argument, value in zip(node.arguments, made, strict=True):
        if value.type == "NULL" and value in (lon, lat, old, new):
            raise values.error(argument, "this cannot be NULL")
    mas = double(1 / 3_600_000)
    return Value(
        "POINT",
        shape=Shape(
            "POINT",
            sql(
                _PROPAGATED,
                _float(lon),
                _float(lat),
                sql("coalesce({}, 0)", _float(motion_lon)),
                mas,
                sql("coalesce({}, 0)", _float(motion_lat)),
                mas,
                along,
                mas,
                _float(new),
                _float(old),
            ),
        ),
        unit="deg",
        ucd="pos.eq",
    )


# The straight line through space, in a frame that has the star at (0, 0): then it is turned back.
_PROPAGATED = (
    "(SELECT spoint(atan2(m.t * m.x, 1 + m.t * m.r), atan2(m.t * m.y, sqrt((1 + m.t * m.r)^2 + (m.t * m.x)^2)))"
    " + strans(0, -radians(m.lat), radians(m.lon), 'XYZ') FROM (SELECT {} AS lon, {} AS lat,"
    " radians({} * {}) AS x, radians({} * {}) AS y, radians({} * {}) AS r, {} - {} AS t) AS m)"
)


FUNCTIONS: dict[str, Udf] = {
    "IVO_HEALPIX_INDEX": Udf(
        (
            "ivo_healpix_index(hpxOrder INTEGER, long DOUBLE PRECISION, lat DOUBLE PRECISION) -> BIGINT",
            "ivo_healpix_index(hpxOrder INTEGER, point POINT) -> BIGINT",
        ),
        "Number of the HEALPix pixel, in nested order, that holds a position.",
        (("INTEGER", "DOUBLE", "DOUBLE"), ("INTEGER", "POINT")),
        _healpix_index,
    ),
    "IVO_HEALPIX_CENTER": Udf(
        ("ivo_healpix_center(hpxOrder INTEGER, hpxIndex BIGINT) -> POINT",),
        "Centre of a HEALPix pixel with a number in nested order.",
        (("INTEGER", "INTEGER"),),
        _healpix_center,
    ),
    "IVO_STRING_AGG": Udf(
        ("ivo_string_agg(expression VARCHAR, delimiter VARCHAR) -> VARCHAR",),
        "Aggregate: all values that are not NULL, in no particular order, with the delimiter between them.",
        (("VARCHAR", "VARCHAR"),),
        _string_agg,
        aggregate=True,
    ),
    "IVO_NOCASEMATCH": Udf(
        ("ivo_nocasematch(value VARCHAR, pattern VARCHAR) -> INTEGER",),
        "1 if the value matches the pattern as with ILIKE, else 0.",
        (("VARCHAR", "VARCHAR"),),
        _nocasematch,
    ),
    "IVO_HASWORD": Udf(
        ("ivo_hasword(haystack VARCHAR, needle VARCHAR) -> INTEGER",),
        "1 if all the English words of needle occur in haystack, in whatever form, else 0.",
        (("VARCHAR", "VARCHAR"),),
        _hasword,
    ),
    "IVO_HASHLIST_HAS": Udf(
        ("ivo_hashlist_has(hashlist VARCHAR, item VARCHAR) -> INTEGER",),
        "1 if item is one of the words between hash signs in hashlist, in any case, else 0.",
        (("VARCHAR", "VARCHAR"),),
        _hashlist_has,
    ),
    "IVO_INTERVAL_OVERLAPS": Udf(
        (
            "ivo_interval_overlaps(a1 DOUBLE PRECISION, b1 DOUBLE PRECISION, "
            "a2 DOUBLE PRECISION, b2 DOUBLE PRECISION) -> INTEGER",
        ),
        "1 if the intervals from a1 to b1 and from a2 to b2 have a number in common, their ends included, else 0.",
        (("DOUBLE",) * 4,),
        _interval_overlaps,
    ),
    "IVO_TO_JD": Udf(
        ("ivo_to_jd(d TIMESTAMP) -> DOUBLE PRECISION",),
        "Julian date of a timestamp, in the timestamp's own time scale.",
        (("TIMESTAMP",),),
        _to_jd,
    ),
    "IVO_TO_MJD": Udf(
        ("ivo_to_mjd(d TIMESTAMP) -> DOUBLE PRECISION",),
        "Modified Julian date of a timestamp, in the timestamp's own time scale.",
        (("TIMESTAMP",),),
        _to_mjd,
    ),
    "IVO_HISTOGRAM": Udf(
        ("ivo_histogram(val REAL, lower REAL, upper REAL, nbins INTEGER) -> INTEGER[]",),
        "Aggregate: number of values below lower, in each of nbins bins of equal width, and from upper on.",
        (("DOUBLE", "DOUBLE", "DOUBLE", "WHOLE"),),
        _histogram,
        aggregate=True,
    ),
    "IVO_NORMAL_RANDOM": Udf(
        ("ivo_normal_random(mu DOUBLE PRECISION, sigma DOUBLE PRECISION) -> DOUBLE PRECISION",),
        "A random number from the normal distribution of this mean and standard deviation.",
        (("DOUBLE", "DOUBLE"),),
        _normal_random,
    ),
    "IVO_HMS_TO_DEGREES": Udf(
        ("ivo_hms_to_degrees(hms VARCHAR) -> DOUBLE PRECISION",),
        "Degrees of an angle such as '12:34:56.7' or '12 34 56.7' in hours, minutes and seconds.",
        (("VARCHAR",),),
        _sexagesimal(15),
    ),
    "IVO_DMS_TO_DEGREES": Udf(
        ("ivo_dms_to_degrees(dms VARCHAR) -> DOUBLE PRECISION",),
        "Degrees of an angle such as '-12:34:56.7' or '-12 34 56.7' in degrees, minutes and seconds.",
        (("VARCHAR",),),
        _sexagesimal(1),
    ),
    "IVO_GEOM_TRANSFORM": Udf(
        tuple(
            f"ivo_geom_transform(from_sys VARCHAR, to_sys VARCHAR, geo {kind}) -> {kind}"
            for kind in ("POINT", "CIRCLE", "POLYGON")
        ),
        "A shape with its coordinates changed from one system to another: 'ICRS', 'FK5' or 'GALACTIC', written out.",
        (("LITERAL", "LITERAL", "SHAPE"),),
        _transform,
    ),
    "MOC": Udf(
        (
            "MOC(ascii VARCHAR) -> MOC",
            "MOC(hpxOrder INTEGER, geo POINT) -> MOC",
            "MOC(hpxOrder INTEGER, geo CIRCLE) -> MOC",
            "MOC(hpxOrder INTEGER, geo POLYGON) -> MOC",
        ),
        "A MOC from its ASCII form, or of a shape: the cells that it touches, and a few beside them; for CONTAINS and "
        "INTERSECTS.",
        (("LITERAL",), ("WHOLE", "SHAPE")),
        moc.moc,
    ),
    "GAVO_MOCUNION": Udf(
        ("gavo_mocunion(moc1 MOC, moc2 MOC) -> MOC",),
        "What is in either of two MOCs.",
        (("MOC", "MOC"),),
        moc.union,
    ),
    "GAVO_MOCINTERSECT": Udf(
        ("gavo_mocintersect(moc1 MOC, moc2 MOC) -> MOC",),
        "What is in both of two MOCs.",
        (("MOC", "MOC"),),
        moc.intersection,
    ),
    "IVO_EPOCH_PROP_POS": Udf(
        (
            "ivo_epoch_prop_pos(ra DOUBLE PRECISION, dec DOUBLE PRECISION, parallax DOUBLE PRECISION, "
            "pmra DOUBLE PRECISION, pmdec DOUBLE PRECISION, radial_velocity DOUBLE PRECISION, "
            "ref_epoch DOUBLE PRECISION, out_epoch DOUBLE PRECISION) -> POINT",
            "ivo_epoch_prop_pos(ra DOUBLE PRECISION, dec DOUBLE PRECISION, pmra DOUBLE PRECISION, "
            "pmdec DOUBLE PRECISION, ref_epoch DOUBLE PRECISION, out_epoch DOUBLE PRECISION) -> POINT",
        ),
        "Where a star is at another epoch (Julian years); proper motions in mas/yr, pmra with cos(dec), parallax in "
        "mas, radial velocity in km/s.",
        (("DOUBLE",) * 8, ("DOUBLE",) * 6),
        _epoch_prop,
    ),
}
