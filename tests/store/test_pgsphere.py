from __future__ import annotations

import psycopg


def test_a_database_with_pgsphere_answers_a_cone(empty_database: str) -> None:
    with psycopg.connect(empty_database) as connection:
        inside = "SELECT spoint(0, 0.01) <@ scircle(spoint(0, 0), 0.02), spoint(0, 0.03) <@ scircle(spoint(0, 0), 0.02)"
        assert connection.execute(inside).fetchone() == (True, False)
