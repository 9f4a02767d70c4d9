"""Other people's conformance queries: accepted and refused as labelled, and the accepted ones run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg

from km3vo.adql import QueryTables, parse, translate
from km3vo.errors import AdqlError

# Cases whose label is about the grammar alone, although no tables could make sense of them; with the reason.
UNANSWERABLE: dict[str, str] = json.loads((Path(__file__).parent / "exceptions.json").read_text())


def _is_adql(case: dict[str, Any]) -> bool:
    try:
        parse(case["adql"], case["version"])
    except AdqlError:
        return False
    return True


def test_the_grammar_accepts_and_refuses_as_labelled(cases: list[dict[str, Any]]) -> None:
    wrong = [
        case["id"]
        for case in cases
        # A semantic case may be refused for its meaning only: then the grammar accepts it.
        if _is_adql(case) != case["valid"] and not (case["level"] != "syntax" and not case["valid"])
    ]
    assert not wrong


def test_names_and_types_accept_and_refuse_as_labelled(
    cases: list[dict[str, Any]], groups: dict[str, QueryTables]
) -> None:
    wrong = {}
    for case in cases:
        try:
            translate(case["adql"], groups[case["schema"]], version=case["version"])
            accepted, why = True, ""
        except AdqlError as error:
            accepted, why = False, error.message
        if accepted != case["valid"] and case["id"] not in UNANSWERABLE:
            wrong[case["id"]] = why
    assert not wrong


def test_the_exceptions_are_exceptions(cases: list[dict[str, Any]], groups: dict[str, QueryTables]) -> None:
    by_id = {case["id"]: case for case in cases}
    for name in UNANSWERABLE:
        case = by_id[name]
        assert case["level"] == "syntax" and case["valid"]
        try:
            translate(case["adql"], groups[case["schema"]], version=case["version"])
        except AdqlError:
            continue
        raise AssertionError(f"{name} is answered: take it out of exceptions.json")


def test_what_is_accepted_runs(
    cases: list[dict[str, Any]], groups: dict[str, QueryTables], group_database: Callable[[str], psycopg.Connection]
) -> None:
    ran, failed = 0, {}
    for case in cases:
        try:
            made = translate(case["adql"], groups[case["schema"]], version=case["version"], maxrec=100)
        except AdqlError:
            continue
        try:
            cursor = group_database(case["schema"]).execute(made.sql.encode())
            cursor.fetchall()
        except psycopg.Error as error:
            failed[case["id"]] = f"{case['adql']}\n{made.sql}\n{error}"
            continue
        ran += 1
        assert [column.name for column in cursor.description or ()] == [column.sql for column in made.columns]
    assert not failed
    assert ran > 350
