"""The functions of statistics, as PostgreSQL works them out, against scipy and against exact arithmetic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import psycopg
import pytest

from km3vo.adql import QueryTables, translate
from km3vo.correlation import containment, significance, spread
from km3vo.errors import AdqlError

COUNTS = [0, 1, 2, 3, 7, 15, 16, 17, 40, 150, 999, 20_000, 1_000_000]


def computed(sky: psycopg.Connection, call: str, rows: Sequence[tuple[float, ...]]) -> Any:
    """A function of many arguments, in their order."""
    casts = ", ".join(f"v{place}::{kind}" for place, kind in enumerate(call.split("(")[1].rstrip(")").split(", ")))
    names = ", ".join(f"v{place}" for place in range(len(rows[0])))
    lists = ", ".join(["%s::float8[]"] * len(rows[0]))
    query = f"SELECT {call.split('(')[0]}({casts}) FROM unnest({lists}) WITH ORDINALITY AS t({names}, at) ORDER BY at"
    found = sky.execute(query.encode(), [list(column) for column in zip(*rows, strict=True)])
    return np.array([math.nan if value is None else value for (value,) in found], dtype=float)


def test_error_circles(sky: psycopg.Connection) -> None:
    rows = [(err, q) for err in (1e-4, 0.5, 3.0) for q in (1e-12, 1e-5, 0.3935, 0.5, 0.9, 0.999999)]
    expected = np.array([float(containment.sigma(err, q)) for err, q in rows])
    np.testing.assert_allclose(computed(sky, "km3_sigma(float8, float8)", rows), expected, rtol=1e-10)
    rows = [(sep, sigma) for sep in (0.0, 1e-9, 0.01, 0.7, 5.0, 180.0) for sigma in (0.01, 0.5, 3.0, 40.0)]
    sep, sigma = np.array(rows).T
    found = computed(sky, "km3_psf(float8, float8)", rows)
    np.testing.assert_allclose(found, spread.gaussian(sep, sigma), rtol=1e-10, atol=1e-290)
    found = computed(sky, "km3_containment(float8, float8)", rows)
    np.testing.assert_allclose(found, containment.contained(sep, sigma), rtol=1e-10)


def test_poisson(sky: psycopg.Connection) -> None:
    means = (0.0, 1e-9, 0.01, 0.5, 3.0, 14.2, 100.0, 20_300.0, 1_001_000.0)
    rows = [(n, mu) for n in COUNTS for mu in means]
    n, mu = np.array(rows).T
    found, expected = computed(sky, "km3_poisson_p(int, float8)", rows), significance.poisson_p(n, mu)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-290)


def test_binomial(sky: psycopg.Connection) -> None:
    rows = [(on, off, tau) for on in COUNTS for off in COUNTS for tau in (0.0, 1e-3, 0.5, 1.0, 7.0, 1e4)]
    on, off, tau = np.array(rows).T
    found, expected = computed(sky, "km3_binomial_p(int, int, float8)", rows), significance.binomial_p(on, off, tau)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-200)  # below that scipy has fewer digits


def test_li_and_ma(sky: psycopg.Connection) -> None:
    rows = [(on, off, alpha) for on in COUNTS for off in COUNTS for alpha in (1e-3, 0.2, 1.0, 30.0)]
    found = computed(sky, "km3_lima(int, int, float8)", rows)
    np.testing.assert_allclose(found, [exact_li_ma(*row) for row in rows], rtol=1e-10, atol=1e-10)
    small = [row for row in rows if max(row[:2]) < 1000]
    np.testing.assert_allclose(
        computed(sky, "km3_lima(int, int, float8)", small), significance.li_ma(*np.array(small).T), rtol=1e-7, atol=1e-7
    )


def exact_li_ma(on: int, off: int, alpha: float) -> float:
    """Li & Ma 1983, eq. 17, with 60 digits: doubles lose half of them where on and alpha off are near each other."""
    with localcontext() as context:
        context.prec = 60
        a, total = Decimal(alpha), Decimal(on + off)
        terms = [
            count * ((1 + a) * share * count / total).ln()
            for count, share in ((Decimal(on), 1 / a), (Decimal(off), Decimal(1)))
            if count
        ]
        size = (2 * max(sum(terms, Decimal()), Decimal())).sqrt()
        return float(size.copy_sign(on - a * off))


@pytest.mark.parametrize(
    "call",
    [
        "km3_sigma(1, err50 / 1000 + 1)",
        "km3_sigma(err50, NULL)",
        "km3_psf(1, -err50)",
        "km3_containment(1, 0 * err50)",
        "km3_poisson_p(3, -err50)",
        "km3_lima(-1, 3, 1)",
        "km3_lima(1, 3, 0)",
        "km3_binomial_p(1, -1, 1)",
        "km3_binomial_p(1, 1, -0.5)",
    ],
)
def test_what_has_no_value_is_null(sky: psycopg.Connection, sky_sources: QueryTables, call: str) -> None:
    made = translate(f"SELECT TOP 1 {call} AS p FROM events WHERE event_id = 3", sky_sources)
    assert sky.execute(made.sql.encode()).fetchone() == (None,)


def test_a_share_that_is_written_out_is_looked_at(sky_sources: QueryTables) -> None:
    with pytest.raises(AdqlError, match="between 0 and 1"):
        translate("SELECT km3_sigma(err50, 90) FROM events", sky_sources)


def test_units(sky_sources: QueryTables) -> None:
    made = translate("SELECT km3_sigma(err50, 0.5) AS s, km3_psf(1, 2) AS f FROM events", sky_sources)
    assert [(column.unit, column.ucd) for column in made.columns] == [("deg", "stat.stdev"), ("sr**-1", None)]


@pytest.mark.parametrize("radius", ["2 * km3_sigma(m.radius, 0.5)", "km3_sigma(0.1, 0.9)"])
def test_a_radius_from_an_error_uses_the_index(sky: psycopg.Connection, sky_sources: QueryTables, radius: str) -> None:
    condition = f"DISTANCE(e.ra, e.dec, m.ra, m.dec) < {radius}"
    made = translate(f"SELECT e.event_id FROM TAP_UPLOAD.mine AS m JOIN events AS e ON {condition}", sky_sources)
    plan = "\n".join(line for (line,) in sky.execute(b"EXPLAIN " + made.sql.encode()))
    assert "Index Scan" in plan and "events_public__pos" in plan, plan
