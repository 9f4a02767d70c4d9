"""The queries that we show are queries that run."""

from __future__ import annotations

import httpx
import pytest
import pyvo

from km3vo.catalog.files import read_catalog
from km3vo.catalog.model import Example
from tests.support.folders import ROOT
from tests.support.server import Server

EXAMPLES = [example for schema in read_catalog(ROOT / "schemas").schemas for example in schema.examples]


def test_there_are_examples_with_names_of_their_own() -> None:
    assert len(EXAMPLES) >= 8
    assert len({example.name for example in EXAMPLES}) == len(EXAMPLES)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name.replace(" ", "_"))
def test_an_example_runs(server: Server, example: Example) -> None:
    result = pyvo.dal.TAPService(server.tap).search(example.query)
    assert result.fieldnames
    # Also by clients that read examples as ADQL 2.0 before they send them, such as TOPCAT of Debian 12.
    for language in ("ADQL", "ADQL-2.0"):
        answer = httpx.get(f"{server.tap}/sync", params={"LANG": language, "QUERY": example.query})
        assert answer.status_code == 200, answer.text
