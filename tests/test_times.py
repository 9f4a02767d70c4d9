"""One grammar of times, for a text and for a column of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from km3vo import times
from tests.support.times import BAD, GOOD, NOON


@pytest.mark.parametrize("text", GOOD)
def test_a_time_is_read_to_the_microsecond(text: str) -> None:
    assert times.moment(text) == GOOD[text]


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_time_in_utc_is_told_apart(text: str) -> None:
    with pytest.raises(times.NotATime, match=BAD[text]):
        times.microseconds(text)


@pytest.mark.parametrize(
    ("text", "hour"),
    [("2026-01-31T12:00:00+02:00", 10), ("2026-01-31T12:00:00 -0130", 13.5), ("2026-01-31T12:00:00-00", 12)],
)
def test_where_zones_are_allowed_they_are_converted(text: str, hour: float) -> None:
    assert times.moment(text, zones=True) == NOON.replace(hour=0) + timedelta(hours=hour)


@pytest.mark.parametrize(
    "text", ["2026-01-31T12:00:00+24:00", "2026-01-31T12:00:00+01:60", "2026-02-31T12:00:00+01:00"]
)
def test_zones_that_are_none(text: str) -> None:
    with pytest.raises(times.NotATime):
        times.moment(text, zones=True)


def test_what_is_rounded_beyond_the_last_year_is_no_time() -> None:
    with pytest.raises(times.NotATime):
        times.moment("9999-12-31T23:59:59.9999999")


@pytest.mark.parametrize(
    "text", ["2026-01-31T12:00:00Z", "2026-01-31 12:00:00.000000000+00:00", "2026-01-31T12:00:00.0+0000"]
)
def test_an_exact_time_is_read(text: str) -> None:
    assert times.moment(text, exact=True) == NOON


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("2026-01-31T12:00:00", "says no time scale"),
        ("2026-01-31T12:00:00z", "says no time scale"),
        ("2026-01-31T12:00:00.1234567Z", "finer than a microsecond"),
        ("2026-01-31T12:00Z", "is not a time"),
        ("2026-01-31", "is not a time"),
        (" 2026-01-31T12:00:00Z", "is not a time"),
        ("2026-02-31T12:00:00Z", "is not in the calendar"),
        ("2016-12-31T23:59:60Z", "is a leap second"),
        ("2026-01-31T12:00:00 TT", "is a time in TT"),
    ],
)
def test_where_times_are_exact_nothing_is_guessed_or_rounded(text: str, wrong: str) -> None:
    with pytest.raises(times.NotATime, match=wrong):
        times.moment(text, exact=True)


def test_times_are_written_to_the_second_the_millisecond_and_the_microsecond() -> None:
    time = NOON.replace(microsecond=250_001)
    assert times.seconds(time) == "2026-01-31T12:00:00Z"
    assert times.milliseconds(time) == "2026-01-31T12:00:00.250Z"
    assert times.full(time) == "2026-01-31T12:00:00.250001Z"
    assert times.full(time.astimezone(timezone(timedelta(hours=2))), zone=False) == "2026-01-31T12:00:00.250001"


def test_the_modified_julian_date_counts_days() -> None:
    assert times.mjd(datetime(2000, 1, 1, 12, tzinfo=UTC)) == 51544.5


@given(st.datetimes(timezones=st.just(UTC)))
def test_every_moment_that_python_writes_is_read_back(moment: datetime) -> None:
    assert times.moment(moment.isoformat()) == moment
