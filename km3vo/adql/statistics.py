"""Functions of error circles and of counts, which PostgreSQL works out (km3vo/database/statistics.sql).

Each means what the function of the same purpose in `km3vo.correlation` means.
"""

from __future__ import annotations

from collections.abc import Callable

from km3vo.adql.resolver import ValueResolver
from km3vo.adql.signatures import Udf, declared
from km3vo.adql.sql import Sql, sql
from km3vo.adql.tree import Call
from km3vo.adql.value import Value


def _double(value: Value) -> Sql:
    return sql("({})::float8", value.sql)


def _integer(value: Value) -> Sql:
    return sql("({})::int4", value.sql)


def _sigma(resolver: ValueResolver, node: Call, arguments: list[Value]) -> Value:
    radius, share = arguments
    if isinstance(share.constant, int | float) and not 0 < share.constant < 1:
        raise resolver.error(node.arguments[1], "a circle holds a share between 0 and 1", "write 0.9 for 90 percent")
    piece = sql("km3_sigma({}, {})", _double(radius), _double(share))
    return Value("DOUBLE", piece, unit=radius.unit, ucd="stat.stdev")


def _psf(resolver: ValueResolver, node: Call, arguments: list[Value]) -> Value:
    return Value("DOUBLE", sql("km3_psf({}, {})", *map(_double, arguments)), unit="sr**-1")


def _containment(resolver: ValueResolver, node: Call, arguments: list[Value]) -> Value:
    return Value("DOUBLE", sql("km3_containment({}, {})", *map(_double, arguments)), ucd="stat.probability")


def _poisson_p(resolver: ValueResolver, node: Call, arguments: list[Value]) -> Value:
    number, mean = arguments
    return Value("DOUBLE", sql("km3_poisson_p({}, {})", _integer(number), _double(mean)), ucd="stat.probability")


def _of_counts(template: str, ucd: str) -> Callable[[ValueResolver, Call, list[Value]], Value]:
    def made(resolver: ValueResolver, node: Call, arguments: list[Value]) -> Value:
        on, off, ratio = arguments
        return Value("DOUBLE", sql(template, _integer(on), _integer(off), _double(ratio)), ucd=ucd)

    return made


UDFS: tuple[Udf, ...] = (
    declared(
        _sigma,
        "Standard deviation of the Gaussian of which a circle of radius err holds the share q, in the unit of err: "
        "err / sqrt(-2 ln(1 - q)).",
        "km3_sigma(err DOUBLE PRECISION, q DOUBLE PRECISION) -> DOUBLE PRECISION",
    ),
    declared(
        _psf,
        "Gaussian density per steradian at a distance sep from its centre, both in degrees: "
        "exp(-sep² / 2 sigma²) / 2 pi sigma².",
        "km3_psf(sep DOUBLE PRECISION, sigma DOUBLE PRECISION) -> DOUBLE PRECISION",
    ),
    declared(
        _containment,
        "Share of the Gaussian that a circle of radius sep holds, in one unit: 1 - exp(-sep² / 2 sigma²).",
        "km3_containment(sep DOUBLE PRECISION, sigma DOUBLE PRECISION) -> DOUBLE PRECISION",
    ),
    declared(
        _poisson_p,
        "Chance of n events or more where mu are expected.",
        "km3_poisson_p(n INTEGER, mu DOUBLE PRECISION) -> DOUBLE PRECISION",
    ),
    declared(
        _of_counts("km3_lima({}, {}, {})", "stat.snr"),
        "Significance in standard deviations of n_on events against n_off in an exposure 1/alpha times as large "
        "(Li & Ma 1983, eq. 17), negative where there are fewer than expected.",
        "km3_lima(n_on INTEGER, n_off INTEGER, alpha DOUBLE PRECISION) -> DOUBLE PRECISION",
    ),
    declared(
        _of_counts("km3_binomial_p({}, {}, {})", "stat.probability"),
        "Chance of n_on events or more, where n_off were counted in an exposure tau times as large (Cousins, "
        "Linnemann & Tucker 2008, eq. 14).",
        "km3_binomial_p(n_on INTEGER, n_off INTEGER, tau DOUBLE PRECISION) -> DOUBLE PRECISION",
    ),
)
