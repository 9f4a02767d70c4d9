"""User-defined functions: those of the IVOA's catalogue that PostgreSQL and pgSphere 1.2 can do (EN-UDF 1.2), and ours.

Where a name of the catalogue exists, its meaning there is binding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from km3vo.adql import constructors, healpix, moc, statistics, transforms
from km3vo.adql.frames import FRAMES
from km3vo.adql.resolver import ValueResolver
from km3vo.adql.shapes import Search, Shape
from km3vo.adql.signatures import Udf, declared
from km3vo.adql.sql import Sql, double, integer, joined, sql, text
from km3vo.adql.tree import Call
from km3vo.adql.value import Value
from km3vo.column import JD, MJD, TimeSystem

# More bins are better made with GROUP BY: each is one aggregate of the statement.
MAX_BINS = 1000
# Texts that an aggregate is taken to put together: nobody knows how many rows there will be.
AGGREGATED = 100


def _float(value: Value) -> Sql:
    return sql("({})::float8", value.sql)


def _string(value: Value) -> Sql:
    return sql("({})::text", value.sql)


def _predicate(condition: Sql) -> Value:
    return Value("INTEGER", sql("({})::int4", condition), truth=Search(condition))


# --------------------------------------------------------------------------------------------- HEALPix


def _healpix_index(resolver: ValueResolver, node: Call, arguments: list[Value]) -> Value:
    order = _order(resolver, node, arguments[0])
    if len(arguments) == 2:
        assert arguments[1].shape is not None
        point = arguments[1].shape
    else:
        point = constructors.point_of(resolver, node.arguments[1], node.arguments[2], arguments[1], arguments[2])
    return Value("BIGINT", healpix.index(order, point), ucd="pos.healpix")


def _order(resolver: ValueResolver, node: Call, order: Value) -> Sql:
    """The order; pgSphere ends in an internal error beyond 29."""
    if isinstance(order.constant, int) and not 0 <= order.constant <= 29:
        raise resolver.error(node.arguments[0], "the order of a HEALPix map is between 0 and 29")
    return sql("({})::int4", order.sql)


def _healpix_center(resolver: ValueResolver, node: Call, arguments: list[Value]) -> Value:
    order = _order(resolver, node, arguments[0])
    top, index = (argument.constant for argument in arguments)
    if isinstance(index, int) and isinstance(top, int) and not 0 <= index < 12 * 4**top:
        raise resolver.error(node.arguments[1], f"at order {top} the pixels are numbered 0 to {12 * 4**top - 1}")
    # pgSphere's longitudes of some of them are below 0; spoint() brings them round.
    sphere = sql(
        "(SELECT spoint(long(c), lat(c)) FROM centre_of_healpix_nest({}, ({})::int8) AS c)", order, arguments[1].sql
    )
    return constructors.value_of(Shape("POINT", sphere))


# ---------------------------------------------------------------------------------------------- text


def _string_agg(resolver: ValueResolver, node: Call, arguments: list[Value]) -> Value:
    piece = sql("string_agg({}, {})", _string(arguments[0]), _string(arguments[1]))
    texts = AGGREGATED * sum(argument.texts for argument in arguments)
    return Value("CHAR", piece, unicode=arguments[0].unicode or arguments[1].unicode, texts=texts)


def _nocasematch(resolver: ValueResolver, node: Call, arguments: list[Value]) -> Value:
    return _predicate(sql("({} ILIKE {} ESCAPE '')", _string(arguments[0]), _string(arguments[1])))


def _hasword(resolver: ValueResolver, node: Call, arguments: list[Value]) -> Value:
    template = "(to_tsvector('english', {}) @@ plainto_tsquery('english', {}))"
    return _predicate(sql(template, _string(arguments[0]), _string(arguments[1])))


def _hashlist_has(resolver: ValueResolver, node: Call, arguments: list[Value]) -> Value:
    # A list never holds an item with a hash in it, so that one is not found.
    return _predicate(
        sql("(lower({}) = ANY (string_to_array(lower({}), '#')))", _string(arguments[1]), _string(arguments[0]))
    )


# ------------------------------------------------------------------------------------- numbers, times


def _interval_overlaps(resolver: ValueResolver, node: Call, arguments: list[Value]) -> Value:
    low1, high1, low2, high2 = map(_float, arguments)
    return _predicate(
        sql(
            "({} <= {} AND {} <= {} AND {} <= {} AND {} <= {})",
            *(low1, high2, low2, high1, low1, high1, low2, high2),
        )
    )


def _to_jd(resolver: ValueResolver, node: Call, arguments: list[Value]) -> Value:
    # PostgreSQL's julian day begins at midnight.
    return _days(arguments[0], sql("(extract(julian from {}) - 0.5)::float8", arguments[0].sql), JD)


def _to_mjd(resolver: ValueResolver, node: Call, arguments: list[Value]) -> Value:
    return _days(arguments[0], sql("(extract(julian from {}) - 2400001)::float8", arguments[0].sql), MJD)


def _days(timestamp: Value, days: Sql, origin: float) -> Value:
    """A timestamp in days since an origin. Nobody has said where the clock of a string is; all are in UTC."""
    system = TimeSystem(None, position="UNKNOWN") if timestamp.time is None else timestamp.time
    return Value("DOUBLE", days, unit="d", ucd="time.epoch", time=replace(system, origin=origin))


def _histogram(resolver: ValueResolver, node: Call, arguments: list[Value]) -> Value:
    value, low, high, bins = arguments
    count = bins.constant
    assert isinstance(count, int)
    if not 1 <= count <= MAX_BINS:
        raise resolver.error(node.arguments[3], f"a histogram has between 1 and {MAX_BINS} bins")
    if low.constant is not None and high.constant is not None and not low.constant < high.constant:  # type: ignore[operator]
        raise resolver.error(node.arguments[2], "the upper limit must be above the lower one")
    # NULL counts as being below (EN-UDF 1.2).
    bucket = sql("coalesce(width_bucket({}, {}, {}, {}), 0)", _float(value), _float(low), _float(high), integer(count))
    counts = [sql("count(*) FILTER (WHERE {} = {})", bucket, integer(number)) for number in range(count + 2)]
    return Value("ARRAY", sql("ARRAY[{}]::int4[]", joined(", ", counts)), arraysize=str(count + 2))


def _normal_random(resolver: ValueResolver, node: Call, arguments: list[Value]) -> Value:
    # Box and Muller; 1 - random() is never 0.
    template = "(({}) + ({}) * sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random()))"
    return Value("DOUBLE", sql(template, _float(arguments[0]), _float(arguments[1])), unit=arguments[0].unit)


# With separators (colons, blanks or letters) or without; sign, whole degrees or hours, whole minutes, seconds.
_SEXAGESIMAL = (
    r"^\s*([-+]?)\s*(?:(\d{1,3})\s*[:hd ]\s*([0-5]?\d)\s*(?:[:m ]\s*([0-5]?\d(?:\.\d*)?)\s*s?|m)?"
    r"|(\d{2,3})([0-5]\d)([0-5]\d(?:\.\d*)?))\s*$"
)


def _sexagesimal(turn: float) -> Callable[[ValueResolver, Call, list[Value]], Value]:
    """Degrees from hours or degrees, minutes and seconds; the sign counts for all. NULL for whatever is none."""

    def degrees(resolver: ValueResolver, node: Call, arguments: list[Value]) -> Value:
        template = (
            "(SELECT CASE WHEN m.v[1] = '-' THEN -1 ELSE 1 END * {} * (coalesce(m.v[2], m.v[5])::float8"
            " + coalesce(m.v[3], m.v[6])::float8 / 60 + coalesce(m.v[4], m.v[7], '0')::float8 / 3600)"
            " FROM regexp_matches({}, {}, 'i') AS m(v))"
        )
        return Value("DOUBLE", sql(template, double(turn), _string(arguments[0]), text(_SEXAGESIMAL)), unit="deg")

    return degrees


# ------------------------------------------------------------------------------------------ positions


def _transform(resolver: ValueResolver, node: Call, arguments: list[Value]) -> Value:
    for written, system in zip(node.arguments[:2], arguments[:2], strict=True):
        # The catalogue minds the case of these names, which are those of the vocabulary refframe.
        if system.constant not in FRAMES:
            message = f"unknown coordinate system '{str(system.constant)[:40]}'"
            raise resolver.error(written, message, f"known are {', '.join(FRAMES)}")
    old, new = (FRAMES[str(system.constant)] for system in arguments[:2])
    shape = arguments[2].shape
    assert shape is not None
    said = transforms.stated(shape, old)
    if said is None:
        message = f"this is in {shape.frame.name}, not in {old.name}"
        raise resolver.error(node.arguments[2], message, f"write '{shape.frame.name}' as the first system")
    return constructors.value_of(transforms.to(said, new))


def _epoch_prop(resolver: ValueResolver, node: Call, arguments: list[Value]) -> Value:
    """Rigorous propagation of a position (Hipparcos catalogue, ESA SP-1200, volume 1, section 1.5.5).

    Degrees, milliarcseconds and Julian years, km/s. Without parallax a star moves along a great circle; what is not
    known of its motion is 0. Raises AdqlError where the place or an epoch is NULL.
    """
    if len(arguments) == 8:
        lon, lat, parallax, motion_lon, motion_lat, radial, old, new = arguments
        # mas times km/s by the astronomical unit in km yr/s is a motion along the line of sight in mas/yr.
        along = sql("(coalesce({}, 0) * coalesce({}, 0) / 4.740470463533349)", _float(radial), _float(parallax))
    else:
        lon, lat, motion_lon, motion_lat, old, new = arguments
        along = double(0)
    for written, value in zip(node.arguments, arguments, strict=True):
        if value.type == "NULL" and value in (lon, lat, old, new):
            raise resolver.error(written, "this cannot be NULL")
    mas = double(1 / 3_600_000)
    sphere = sql(
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
    )
    return constructors.value_of(
        constructors.in_frame_of(resolver, node.arguments[0], lon, lat, Shape("POINT", sphere))
    )


# The straight line through space, in a frame that has the star at (0, 0): then it is turned back.
_PROPAGATED = (
    "(SELECT spoint(atan2(m.t * m.x, 1 + m.t * m.r), atan2(m.t * m.y, sqrt((1 + m.t * m.r)^2 + (m.t * m.x)^2)))"
    " + strans(0, -radians(m.lat), radians(m.lon), 'XYZ') FROM (SELECT {} AS lon, {} AS lat,"
    " radians({} * {}) AS x, radians({} * {}) AS y, radians({} * {}) AS r, {} - {} AS t) AS m)"
)


_SHAPES = ("POINT", "CIRCLE", "POLYGON")

_ALL = (
    declared(
        _healpix_index,
        "Number of the HEALPix pixel, in nested order, that holds a position.",
        "ivo_healpix_index(hpxOrder INTEGER, long DOUBLE PRECISION, lat DOUBLE PRECISION) -> BIGINT",
        "ivo_healpix_index(hpxOrder INTEGER, point POINT) -> BIGINT",
    ),
    declared(
        _healpix_center,
        "Centre of a HEALPix pixel with a number in nested order.",
        "ivo_healpix_center(hpxOrder INTEGER, hpxIndex BIGINT) -> POINT",
    ),
    declared(
        _string_agg,
        "Aggregate: all values that are not NULL, in no particular order, with the delimiter between them.",
        "ivo_string_agg(expression VARCHAR, delimiter VARCHAR) -> VARCHAR",
        aggregate=True,
    ),
    declared(
        _nocasematch,
        "1 if the value matches the pattern as with ILIKE, else 0.",
        "ivo_nocasematch(value VARCHAR, pattern VARCHAR) -> INTEGER",
    ),
    declared(
        _hasword,
        "1 if all the English words of needle occur in haystack, in whatever form, else 0.",
        "ivo_hasword(haystack VARCHAR, needle VARCHAR) -> INTEGER",
    ),
    declared(
        _hashlist_has,
        "1 if item is one of the words between hash signs in hashlist, in any case, else 0.",
        "ivo_hashlist_has(hashlist VARCHAR, item VARCHAR) -> INTEGER",
    ),
    declared(
        _interval_overlaps,
        "1 if the intervals from a1 to b1 and from a2 to b2 have a number in common, their ends included, else 0.",
        "ivo_interval_overlaps(a1 DOUBLE PRECISION, b1 DOUBLE PRECISION, a2 DOUBLE PRECISION, b2 DOUBLE PRECISION)"
        " -> INTEGER",
    ),
    declared(
        _to_jd,
        "Julian date of a timestamp, in the timestamp's own time scale.",
        "ivo_to_jd(d TIMESTAMP) -> DOUBLE PRECISION",
    ),
    declared(
        _to_mjd,
        "Modified Julian date of a timestamp, in the timestamp's own time scale.",
        "ivo_to_mjd(d TIMESTAMP) -> DOUBLE PRECISION",
    ),
    declared(
        _histogram,
        "Aggregate: number of values below lower (NULL with them), in each of nbins bins of equal width, up to "
        f"{MAX_BINS}, and from upper on.",
        "ivo_histogram(val REAL, lower REAL, upper REAL, nbins INTEGER) -> INTEGER[]",
        literals=("nbins",),
        aggregate=True,
    ),
    declared(
        _normal_random,
        "A random number from the normal distribution of this mean and standard deviation.",
        "ivo_normal_random(mu DOUBLE PRECISION, sigma DOUBLE PRECISION) -> DOUBLE PRECISION",
    ),
    declared(
        _sexagesimal(15),
        "Degrees of an angle in hours, minutes and seconds: '12:34:56.7', '12 34 56.7', '12h34m56.7s' or '123456.7'; "
        "NULL for anything else.",
        "ivo_hms_to_degrees(hms VARCHAR) -> DOUBLE PRECISION",
    ),
    declared(
        _sexagesimal(1),
        "Degrees of an angle in degrees, minutes and seconds, such as '-12:34:56.7' or '-12 34 56.7'; NULL for "
        "anything else.",
        "ivo_dms_to_degrees(dms VARCHAR) -> DOUBLE PRECISION",
    ),
    declared(
        _transform,
        "A shape with its coordinates changed from one system to another, written out: "
        f"{', '.join(FRAMES)} (of J2000, FK4 of B1950 without the E-terms); rotations, as the catalogue asks.",
        *(f"ivo_geom_transform(from_sys VARCHAR, to_sys VARCHAR, geo {kind}) -> {kind}" for kind in _SHAPES),
        literals=("from_sys", "to_sys"),
    ),
    declared(
        _epoch_prop,
        "Where a star is at another epoch (Julian years); proper motions in mas/yr, pmra with cos(dec), parallax in "
        "mas, radial velocity in km/s.",
        "ivo_epoch_prop_pos(ra DOUBLE PRECISION, dec DOUBLE PRECISION, parallax DOUBLE PRECISION, "
        "pmra DOUBLE PRECISION, pmdec DOUBLE PRECISION, radial_velocity DOUBLE PRECISION, "
        "ref_epoch DOUBLE PRECISION, out_epoch DOUBLE PRECISION) -> POINT",
        "ivo_epoch_prop_pos(ra DOUBLE PRECISION, dec DOUBLE PRECISION, pmra DOUBLE PRECISION, "
        "pmdec DOUBLE PRECISION, ref_epoch DOUBLE PRECISION, out_epoch DOUBLE PRECISION) -> POINT",
    ),
    declared(
        moc.moc,
        "A MOC from its ASCII form, as in MOC('4/30-33 38 52 5/324-934'); or of a shape: the cells that it touches, "
        f"and a few beside them, at orders up to {moc.MAX_MADE}, for points {moc.MAX_ORDER}. For CONTAINS and "
        "INTERSECTS.",
        "MOC(ascii VARCHAR) -> MOC",
        *(f"MOC(hpxOrder INTEGER, geo {kind}) -> MOC" for kind in _SHAPES),
        literals=("ascii", "hpxOrder"),
    ),
    declared(
        moc.union,
        "What is in either of two MOCs.",
        "gavo_mocunion(moc1 MOC, moc2 MOC) -> MOC",
    ),
    declared(
        moc.intersection,
        "What is in both of two MOCs.",
        "gavo_mocintersect(moc1 MOC, moc2 MOC) -> MOC",
    ),
    *statistics.UDFS,
)

FUNCTIONS: dict[str, Udf] = {function.name.upper(): function for function in _ALL}
