"""docs/adql.md tells of everything that is declared, and its recipes work."""

from __future__ import annotations

import re
from pathlib import Path

import km3vo.adql
from km3vo.adql import FEATURES, FUNCTIONS, parse
from km3vo.adql.lexer import MAX_LENGTH
from km3vo.adql.polygons import MAX_VERTICES
from km3vo.adql.token_stream import MAX_CHAIN, MAX_DEPTH, MAX_TABLES
from km3vo.adql.values import MAX_SQL, MAX_TEXTS
from tests.support.folders import ROOT

DOCS = ROOT / "docs"
PAGE = (DOCS / "adql.md").read_text()


def test_every_function_and_feature_is_documented() -> None:
    page = (DOCS / "functions.md").read_text()
    for signature, _ in FUNCTIONS:
        assert f"`{signature}`" in page, signature
    for feature in FEATURES[1:]:
        row = next(line for line in PAGE.splitlines() if f"`{feature.type.split('#')[1]}`" in line)
        assert {form for form, _ in feature.forms} == set(re.findall(r"\b[A-Z][A-Z_0-9]+\b", row))


def test_every_module_is_named() -> None:
    modules = {file.stem for file in Path(km3vo.adql.__file__).parent.glob("*.py")} - {"__init__", "tables_file"}
    assert modules <= set(re.findall(r"`(\w+)`", PAGE))


def test_the_limits_are_those_of_the_code() -> None:
    for limit in (MAX_LENGTH, MAX_DEPTH, MAX_CHAIN, MAX_TABLES, MAX_VERTICES, MAX_SQL, MAX_TEXTS):
        assert f"{limit:,}" in PAGE


def test_the_recipes_are_adql() -> None:
    blocks = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 4
    for block in blocks[:3]:
        for query in re.split(r"\n(?=SELECT)", block.strip()):
            parse(query)
