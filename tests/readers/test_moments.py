"""Columns of times: the same as one by one, by the same grammar."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from km3vo import times
from km3vo.readers.mistakes import Place
from km3vo.readers.moments import moments, parsed
from tests.support.times import BAD, GOOD

_PIECES = st.sampled_from(
    ["2026-01-31", "2024-02-29", "2023-02-29", "0000-01-01", "T", " ", "12:00", ":00", ":60", ".5", ".1234567", "Z",
     "+00:00", "+00", "+0000", "+02:00", "x", "٣", "9999-12-31T23:59:59.999999999"]
)  # fmt: skip
_TEXTS = st.lists(_PIECES, max_size=6).map("".join) | st.text(max_size=30) | st.datetimes().map(datetime.isoformat)


def _one(text: str) -> int | None:
    try:
        return times.microseconds(text)
    except times.NotATime:
        return None


@given(st.lists(_TEXTS, max_size=8))
def test_a_column_is_read_like_each_of_its_cells(texts: list[str]) -> None:
    stripped = [text.strip() for text in texts]
    # A slice, whose buffers begin elsewhere than its cells.
    array = pa.array(["before", *stripped, "after"], pa.string())[1:-1]
    values, good = parsed(array)
    found = [value if there else None for value, there in zip(values.tolist(), good.tolist(), strict=True)]
    assert found == [_one(text) for text in stripped]


def test_bad_cells_are_told_and_left_empty() -> None:
    told: list[tuple[int, str]] = []
    texts = [*GOOD, *BAD, None]
    place = Place("t", pa.array(range(len(texts))), lambda line, text: told.append((line, text)))
    found = moments(pa.array(texts, pa.string()), place).to_pylist()
    assert [moment.replace(tzinfo=UTC) for moment in found[: len(GOOD)]] == list(GOOD.values())
    assert found[len(GOOD) :] == [None] * (len(BAD) + 1)
    # An empty text is a missing time, and no mistake.
    assert [line for line, _ in told] == list(range(len(GOOD) + 1, len(GOOD) + len(BAD)))
    for (_, text), wrong in zip(told, list(BAD.values())[1:], strict=True):
        assert text.startswith("column t: ") and wrong in text
