"""Texts that are times, and texts that are none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
GOOD = {
    "2026-01-31": datetime(2026, 1, 31, tzinfo=UTC),
    "2026-01-31T12:00": NOON,
    "2026-01-31 12:00:00": NOON,
    "2026-01-31T12:00:00Z": NOON,
    " 2026-01-31T12:00:00z ": NOON,
    "2026-01-31T12:00:00+00:00": NOON,
    "2026-01-31 12:00:00+0000": NOON,
    "2026-01-31 12:00+00": NOON,
    "2026-01-31T12:00:00.5": NOON + timedelta(microseconds=500_000),
    "2026-01-31T12:00:00.123456Z": NOON + timedelta(microseconds=123_456),
    "2026-01-31T12:00:00.1234564": NOON + timedelta(microseconds=123_456),
    "2026-01-31T12:00:00.1234565": NOON + timedelta(microseconds=123_457),
    "2026-01-31T12:00:00.123456789": NOON + timedelta(microseconds=123_457),
    "2026-12-31T23:59:59.999999999": datetime(2027, 1, 1, tzinfo=UTC),
    "2024-02-29T00:00:00": datetime(2024, 2, 29, tzinfo=UTC),
    "0001-01-01": datetime(1, 1, 1, tzinfo=UTC),
    "9999-12-31T23:59:59.999999": datetime.max.replace(tzinfo=UTC),
}
BAD = {
    "": "is not a time in UTC like",
    "soon": "is not a time in UTC like",
    "58000.5": "is not a time in UTC like",
    "2026-1-31": "is not a time in UTC like",
    "20260131T120000": "is not a time in UTC like",
    "2026-13-01": "is not in the calendar",
    "2023-02-29T00:00:00": "is not in the calendar",
    "2100-02-29": "is not in the calendar",
    "0000-01-01": "is not in the calendar",
    "2026-01-31T24:00:00": "is not in the calendar",
    "2026-01-31T12:60:00": "is not in the calendar",
    "2026-01-31T12:00:61": "is not in the calendar",
    "2026-01-31T12": "is not a time in UTC like",
    "2026-01-31T12:00:00.": "is not a time in UTC like",
    "2026-01-31T12:00:00.1234567890": "is not a time in UTC like",
    "2026-01-31Z": "is not a time in UTC like",
    "2026-01-31T12:00:00ZZ": "is not a time in UTC like",
    "2026-01-31x12:00:00": "is not a time in UTC like",
    "２０26-01-31": "is not a time in UTC like",
    "2016-12-31T23:59:60": "is a leap second",
    "2016-12-31 23:59:60.5Z": "is a leap second",
    "2026-01-31T12:00:00+02:00": "is a time of another zone",
    "2026-01-31T12:00:00-00:30": "is a time of another zone",
    "2026-01-31T12:00:00 TT": "is a time in TT",
    "2026-01-31T12:00:00(TAI)": "is a time in TAI",
    "2026-01-31T12:00:00TDB": "is a time in TDB",
}
