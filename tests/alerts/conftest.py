"""What the tests of alerts share: settings, the schemas of what is sent."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from lxml import etree
from referencing import Registry, Resource

from km3vo.settings import Settings


@pytest.fixture(scope="session")
def settings() -> Settings:
    return Settings(url="https://vo.example.org")


@pytest.fixture(scope="session")
def gcn(data_dir: Path) -> Callable[[Any], list[str]]:
    """What GCN's schema for KM3NeT says against a notice."""
    folder = data_dir / "gcn_json" / "gcn"
    if not folder.is_dir():
        pytest.skip(f"there is no folder {folder} with GCN's schemas")
    contents = [json.loads(file.read_text()) for file in folder.rglob("*.schema.json")]
    known = Registry().with_resources([(each["$id"], Resource.from_contents(each)) for each in contents])
    schema = json.loads((folder / "notices" / "km3net" / "alert.schema.json").read_text())
    validator = Draft202012Validator(schema, registry=known)
    return lambda notice: [f"{error.json_path}: {error.message}" for error in validator.iter_errors(notice)]


@pytest.fixture(scope="session")
def xsd() -> Callable[[bytes, str], list[str]]:
    """What the XML Schema of a version of VOEvent says against a packet."""
    with resources.as_file(resources.files("comet") / "schema" / "VOEvent-v2.0.xsd") as file:
        schemas = {"2.0": etree.XMLSchema(etree.parse(file))}
    # The Proposed Recommendation's schema is in no package.
    newer = os.environ.get("KM3VO_VOEVENT_2_1_XSD")

    def mistakes(packet: bytes, version: str) -> list[str]:
        if version == "2.1" and newer is None:
            pytest.skip("KM3VO_VOEVENT_2_1_XSD names no file with the schema of VOEvent 2.1")
        schema = schemas.get(version) or etree.XMLSchema(etree.parse(str(newer)))
        schema.validate(etree.fromstring(packet))
        return [str(each) for each in schema.error_log]

    return mistakes
