"""When an observation becomes public: the calendar, and what has no time."""

from __future__ import annotations

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.embargo.lab import add_event

pytestmark = pytest.mark.slow


def release_time(connection: psycopg.Connection, observed: str | None, latency: str | None) -> str | None:
    row = connection.execute(
        "SELECT to_char(km3vo.release_time(%s::timestamp, %s::interval) AT TIME ZONE 'UTC', "
        "'YYYY-MM-DD HH24:MI:SS.US')",
        (observed, latency),
    ).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize(
    ("observed", "latency", "expected"),
    [
        ("2022-03-01 12:00:00", "P2Y", "2024-03-01 12:00:00.000000"),
        # Where there is no such day it is the first of the next month: never a day early.
        ("2024-02-29 12:34:56.789", "P2Y", "2026-03-01 12:34:56.789000"),
        ("2024-02-29 12:00:00", "P4Y", "2028-02-29 12:00:00.000000"),
        ("2023-08-31 06:00:00", "P6M", "2024-03-01 06:00:00.000000"),
        ("2023-01-31 00:00:00", "P1M1D", "2023-03-02 00:00:00.000000"),
        ("2023-03-31 23:59:59.999999", "P18M", "2024-10-01 23:59:59.999999"),
        ("2024-02-28 00:00:00", "P2Y", "2026-02-28 00:00:00.000000"),
        ("2024-02-29 00:00:00", "P730D", "2026-02-28 00:00:00.000000"),  # days are days
        ("2024-12-31 23:30:00", "PT1H", "2025-01-01 00:30:00.000000"),
        ("2020-01-01 00:00:00", "P0D", "2020-01-01 00:00:00.000000"),
        # A leap second is read as the next one.
        ("2016-12-31 23:59:60", "P2Y", "2019-01-01 00:00:00.000000"),
        # A change to summer time somewhere is none here.
        ("2025-03-30 02:30:00", "P1Y", "2026-03-30 02:30:00.000000"),
        ("2020-01-01 00:00:00", None, None),
        (None, "P2Y", None),
        ("infinity", "P2Y", None),
        ("-infinity", "P2Y", None),
    ],
)
def test_calendar(owner: psycopg.Connection, observed: str | None, latency: str | None, expected: str | None) -> None:
    assert release_time(owner, observed, latency) == expected


@pytest.mark.parametrize("zone", ["Europe/Rome", "Pacific/Apia", "America/St_Johns"])
def test_time_zone_of_the_session_does_not_matter(
    owner: psycopg.Connection, ingest: psycopg.Connection, zone: str
) -> None:
    for connection in (owner, ingest):
        connection.execute(f"SET timezone = '{zone}'")
    add_event(ingest, "a", "2024-02-29 23:30:00")
    row = owner.execute("SELECT extract(epoch FROM _release_time) FROM lab.events").fetchone()
    expected = owner.execute("SELECT extract(epoch FROM timestamptz '2026-03-01 23:30:00Z')").fetchone()
    assert row == expected


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    observed=st.datetimes(min_value=__import__("datetime").datetime(1990, 1, 1)),
    years=st.integers(0, 30),
    months=st.integers(0, 30),
    days=st.integers(0, 400),
    hours=st.integers(0, 100),
)
def test_never_before_the_calendar_says(
    owner: psycopg.Connection, observed: object, years: int, months: int, days: int, hours: int
) -> None:
    """Reckoned another way: the day is the same one of a later month, or else the first of the month after."""
    import datetime

    assert isinstance(observed, datetime.datetime)
    count = observed.year * 12 + observed.month - 1 + years * 12 + months
    if count // 12 > 9000:
        return
    try:
        day = datetime.datetime(count // 12, count % 12 + 1, observed.day)
    except ValueError:
        day = datetime.datetime((count + 1) // 12, (count + 1) % 12 + 1, 1)
    expected = datetime.datetime.combine(day, observed.time()) + datetime.timedelta(days=days, hours=hours)
    latency = f"P{years}Y{months}M{days}DT{hours}H"
    found = release_time(owner, observed.isoformat(), latency)
    assert found == expected.strftime("%Y-%m-%d %H:%M:%S.%f").rjust(26, "0")
