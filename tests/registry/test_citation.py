"""How to cite a table, in the forms that others read; and all of them agree."""

from __future__ import annotations

import json
import re

import httpx
import pytest
from jsonschema_rs import validator_for

from km3vo.catalog.model import Citation, Column, Table
from km3vo.holdings.holdings import Holding
from km3vo.registry import citation
from km3vo.settings import Settings
from tests.support.server import Server

pytestmark = pytest.mark.slow

TABLES = ["ant20_01/main", "antares/data", "icecube/ps3yr", "km3net/events"]


def fields(bibtex: str) -> dict[str, str]:
    """The fields of a BibTeX entry, by counting braces as BibTeX does."""
    found = {}
    for match in re.finditer(r"^  (\w+) = \{", bibtex, re.M):
        depth, place = 1, match.end()
        while depth:
            character = bibtex[place]
            if character == "\\":
                place += 1
            depth += {"{": 1, "}": -1}.get(character, 0)
            place += 1
        found[match[1]] = bibtex[match.end() : place - 1]
    return found


@pytest.mark.parametrize("path", TABLES)
def test_all_forms_agree(registered: Server, path: str) -> None:
    page = httpx.get(f"{registered.url}/browse/{path}.json").json()
    bib = fields(httpx.get(f"{registered.url}/cite/{path}.bib").text)
    datacite = httpx.get(f"{registered.url}/cite/{path}.datacite.json").json()
    dataset = httpx.get(f"{registered.url}/cite/{path}.jsonld").json()
    title = page["title"]
    assert bib["title"] == "{" + title + "}"
    assert datacite["titles"] == [{"title": title}]
    assert dataset["name"] == title
    assert title in page["citation"]["text"]
    assert bib["version"] == datacite["version"] == dataset["version"] == page["version"]
    assert bib["year"] == datacite["publicationYear"]
    creators = [creator["name"] for creator in datacite["creators"]]
    assert bib["author"] == " and ".join("{" + name + "}" for name in creators)
    assert [creator["name"] for creator in dataset["creator"]] == creators
    assert bib["url"] == datacite["url"] == dataset["url"] == f"{registered.url}/browse/{path}"
    assert f"edition {page['edition']['number']}" in bib["note"]
    assert page["ivoid"] in bib["note"].replace("\\_", "_")
    assert page["ivoid"] in dataset["identifier"]
    assert page["ivoid"] == datacite["alternateIdentifiers"][0]["alternateIdentifier"]
    assert dataset["dateModified"] == page["edition"]["made_at"]


def test_datacite_has_what_it_must(registered: Server) -> None:
    """The mandatory properties of DataCite 4.6 and their types."""
    text = {"type": "string", "minLength": 1}
    schema = {
        "type": "object",
        "required": ["creators", "titles", "publisher", "publicationYear", "types", "schemaVersion"],
        "properties": {
            "creators": {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["name"]}},
            "titles": {"type": "array", "minItems": 1},
            "publisher": {"type": "object", "required": ["name"], "properties": {"name": text}},
            "publicationYear": {"type": "string", "pattern": "^[0-9]{4}$"},
            "types": {
                "type": "object",
                "required": ["resourceTypeGeneral", "resourceType"],
                "properties": {"resourceTypeGeneral": {"const": "Dataset"}},
            },
            "rightsList": {"type": "array", "items": {"type": "object", "required": ["rights"]}},
        },
    }
    check = validator_for(schema)
    for path in TABLES:
        found = httpx.get(f"{registered.url}/cite/{path}.datacite.json").json()
        check.validate(found)
    assert httpx.get(f"{registered.url}/cite/ant20_01/main.datacite.json").json()["rightsList"] == [
        {
            "rights": "CC BY 4.0",
            "rightsUri": "https://spdx.org/licenses/CC-BY-4.0.html",
            "rightsIdentifier": "CC-BY-4.0",
            "rightsIdentifierScheme": "SPDX",
        }
    ]


def test_search_engines_find_the_files(registered: Server) -> None:
    page = httpx.get(f"{registered.url}/browse/ant20_01/main").text
    (data,) = re.findall(r'<script type="application/ld\+json">(.*?)</script>', page, re.S)
    dataset = json.loads(data)
    assert dataset["@type"] == "Dataset"
    assert 50 <= len(dataset["description"]) <= 5000  # what Google asks for
    assert {item["contentUrl"].rpartition(".")[2] for item in dataset["distribution"]} == {
        "parquet",
        "fits",
        "vot",
        "csv",
        "ecsv",
    }
    assert {"name": "ra", "unitText": "deg"}.items() <= next(
        v for v in dataset["variableMeasured"] if v["name"] == "ra"
    ).items()


def table(**changes: object) -> Table:
    column = Column(name="a", datatype="int")
    return Table(schema="s", name="t", title="T", description="D", columns=(column,), citation=Citation(**changes))  # type: ignore[arg-type]


def test_tex_is_not_broken_by_names() -> None:
    bib = citation.bibtex(Holding(Settings(), table(creators=("A_B & Söhne {100%} \\x",), publisher="P#~^")))
    assert fields(bib)["author"] == r"{A\_B \& Söhne \{100\%\} \textbackslash{}x}"
    assert fields(bib)["publisher"] == r"P\#\textasciitilde{}\textasciicircum{}"
    assert bib.startswith("@misc{a-b-s-t,")


def test_a_doi_is_the_place_to_go() -> None:
    holding = Holding(Settings(), table(creators=("X",), doi="10.5281/zenodo.1", publication_date="2026"))
    assert "https://doi.org/10.5281/zenodo.1" in citation.text(holding)
    assert citation.datacite(holding)["doi"] == "10.5281/zenodo.1"
    assert fields(citation.bibtex(holding))["doi"] == "10.5281/zenodo.1"
    assert "https://doi.org/10.5281/zenodo.1" in citation.schema_org(holding, {})["identifier"]


def test_text_cannot_break_out_of_the_page() -> None:
    from dataclasses import replace

    from km3vo.catalog.model import Schema
    from km3vo.web import describe
    from km3vo.web.pages import render

    evil = replace(
        table(creators=("<b>",)), title="</script><script>alert(1)</script>", description="<img src=x onerror=alert(1)>"
    )
    schema = Schema(name="s", title="S", description="D", tables=(evil,))
    html = render(Settings(), "table.html", describe.table(Holding(Settings(), evil), schema)).decode()
    assert "<script>alert" not in html
    assert "<img src=x" not in html
    (data,) = re.findall(r'<script type="application/ld\+json">(.*?)</script>', html, re.S)
    assert json.loads(data)["name"] == "</script><script>alert(1)</script>"
