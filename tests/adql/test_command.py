"""`km3vo adql`: what a query becomes, for people and for batches."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from km3vo.commands.adql import command


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """A file of two groups of tables."""
    column = {"pg": "double precision", "datatype": "double", "arraysize": None, "xtype": None, "unit": "deg"}
    point = {"pg": "spoint", "datatype": "double", "arraysize": "2", "xtype": "point"}
    path = tmp_path / "tables.json"
    groups = {"a": {"s.stars": {"ra": column, "dec": column, "pos": point}}, "b": {"B/odd.name/cat": {"x": column}}}
    path.write_text(json.dumps({"schemas": groups}))
    return path


def _run(*arguments: object, stdin: str | None = None) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments], input=stdin)


def test_sql_and_columns_are_shown(tables: Path) -> None:
    result = _run("SELECT ra, COORD1(pos) AS Lon FROM stars", "--tables", tables, "--group", "a")
    assert result.exit_code == 0
    assert 'FROM "s"."stars" AS "t1"' in result.stdout
    assert [line.split()[:3] for line in result.stdout.splitlines()[-2:]] == [
        ["ra", "double", "deg"],
        ["Lon", "double", "deg"],
    ]


def test_an_error_is_shown_and_the_command_fails(tables: Path) -> None:
    result = _run("SELECT rra FROM stars", "--tables", tables, "--group", "a")
    assert result.exit_code == 1
    assert "did you mean ra?" in result.stderr and "^^^" in result.stderr


def test_a_query_from_standard_input_and_the_versions(tables: Path) -> None:
    query = "SELECT ra FROM stars OFFSET 5"
    assert _run("-", "--tables", tables, "--group", "a", "--maxrec", 7, stdin=query).stdout.startswith("SELECT")
    assert "LIMIT 8 OFFSET 5" in _run("-", "--tables", tables, "--group", "a", "--maxrec", 7, stdin=query).stdout
    assert _run("-", "--tables", tables, "--group", "a", "--lang", "ADQL-2.0", stdin=query).exit_code == 1


def test_the_published_tables_are_the_default() -> None:
    result = _run("SELECT TOP 5 * FROM km3net.events WHERE DISTANCE(ra, dec, 83.6, 22) < 2")
    assert result.exit_code == 0
    assert "events_public" in result.stdout and "_pos" in result.stdout
    assert _run('SELECT table_name, "size" FROM TAP_SCHEMA.columns').exit_code == 0


def test_a_group_has_to_be_chosen_where_there_are_several(tables: Path) -> None:
    assert "--group: a, b" in _run("SELECT ra FROM stars", "--tables", tables).stderr
    assert _run('SELECT x FROM "B/odd.name/cat"', "--tables", tables, "--group", "b").exit_code == 0


def test_a_batch_answers_every_line_and_never_stops(tables: Path, tmp_path: Path) -> None:
    lines: list[Any] = [
        {"id": 1, "adql": "SELECT ra FROM stars", "version": "2.1", "group": "a"},
        {"id": 2, "adql": "SELECT ra FROM stars LIMIT 5", "version": "2.1", "group": "a"},
        {"id": 3, "adql": "SELECT nothing FROM stars", "group": "a"},
        {"id": 4, "adql": "SELECT nothing FROM stars", "version": "2.0"},
        {"id": 5, "adql": "SELECT ivo_foo(1) FROM nowhere", "group": "a", "level": "syntax"},
        {"id": 6, "adql": "SELECT ivo_foo(1) FROM stars", "group": "a"},
        {"id": 7, "adql": "SELECT ra FROM stars", "group": "c"},
        {"id": 8, "adql": 5},
        {"id": 9},
        [1, 2],
        {"id": 10, "adql": "SELECT ra FROM stars", "version": "3"},
        {"id": 11, "adql": 'SELECT x AS "é" FROM "B/odd.name/cat"', "schema": "b"},
    ]
    batch = tmp_path / "batch.jsonl"
    batch.write_text("\n".join([*map(json.dumps, lines), "no json", "", "{}"]))
    result = _run("--tables", tables, "--batch", batch)
    assert result.exit_code == 0
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    accepted = {answer["id"]: answer["accepted"] for answer in answers if answer["id"] is not None}
    assert accepted == {
        1: True,
        2: False,
        3: False,
        4: True,
        5: True,
        6: False,
        7: False,
        8: False,
        9: False,
        10: False,
        11: True,
    }
    assert len(answers) == len(lines) + 2
    first, second, third = answers[:3]
    assert first["sql"].startswith("SELECT") and first["columns"][0]["unit"] == "deg"
    assert (second["line"], second["column"]) == (1, 22) and "TOP" in second["hint"] and not second["syntax"]
    assert third["syntax"] and "no column" in third["error"]
    for answer in answers:
        wanted = {"sql", "columns"} if answer["accepted"] else {"error", "line", "column", "hint"}
        assert wanted <= set(answer)


def test_the_whole_set_of_cases_as_a_batch(adql_cases_dir: Path, cases: list[dict[str, Any]]) -> None:
    result = _run("--tables", adql_cases_dir / "schema.json", "--batch", adql_cases_dir / "cases.jsonl")
    answers = {answer["id"]: answer["accepted"] for answer in map(json.loads, result.stdout.splitlines())}
    assert answers == {case["id"]: case["valid"] for case in cases}


def test_a_file_of_another_form_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "wrong.json"
    path.write_text("[]")
    result = _run("SELECT 1 FROM t", "--tables", path)
    assert result.exit_code != 0 and "cannot be read" in str(result.exception)
