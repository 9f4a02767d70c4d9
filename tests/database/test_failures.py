"""What PostgreSQL's refusals mean for whoever asked."""

from __future__ import annotations

import logging

import psycopg
import pytest

from km3vo.database import failures
from km3vo.errors import DataError

# Statements that pgSphere refuses, each in other words.
SHAPES = [
    "scircle(spoint(0, 0), 2)",
    "spoly '{(0d, 0d), (1d, 1d)}'",
    "spoly '{(0d, 0d), (10d, 10d), (10d, 0d), (0d, 10d)}'",
    "spath '{(0d, 0d)}'",
    "sline(spoint(0, 0), spoint(pi(), 0))",
    "smoc '3/9999'",
]


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_that_cannot_be(shape: str, empty_database: str) -> None:
    with psycopg.connect(empty_database) as connection, pytest.raises(psycopg.Error) as refused:
        connection.execute(f"SELECT {shape}")
    error = failures.explain(refused.value.sqlstate, str(refused.value))
    assert isinstance(error, DataError)
    if refused.value.sqlstate == "XX000":
        assert "a geometry is not valid" in str(error)


def test_internal_errors_are_not_said_to_be_geometry(caplog: pytest.LogCaptureFixture) -> None:
    words = "cache lookup failed for type 4711 of secret 42"
    with caplog.at_level(logging.ERROR):
        error = failures.explain("XX000", words)
    assert error.status == 500 and "geometry" not in str(error)
    assert "secret" not in str(error) + caplog.text
    assert "XX000" in caplog.text
