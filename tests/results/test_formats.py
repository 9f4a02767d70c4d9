"""The list of formats: what is asked for is found, what is declared works, what there is is documented."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from km3vo.errors import ParameterError
from km3vo.results import formats
from km3vo.results.formats import FORMATS, find
from tests.support.cells import sample
from tests.support.folders import ROOT

DOCUMENT = ROOT / "docs" / "formats.md"


@pytest.mark.parametrize(
    ("requested", "name", "sent"),
    [
        ("votable", "votable-binary2", "application/x-votable+xml;serialization=BINARY2"),
        ("VOTable", "votable-binary2", "application/x-votable+xml;serialization=BINARY2"),
        ("application/x-votable+xml", "votable-binary2", "application/x-votable+xml"),
        ("application/x-votable xml", "votable-binary2", "application/x-votable+xml"),
        ("text/xml", "votable-tabledata", "text/xml"),
        ("TEXT/XML; charset=utf-8", "votable-tabledata", "text/xml"),
        (
            'application/x-votable+xml ; Serialization = "tabledata"',
            "votable-tabledata",
            "application/x-votable+xml;serialization=TABLEDATA",
        ),
        (
            "application/x-votable+xml;version=1.5;serialization=BINARY",
            "votable-binary-1.5",
            "application/x-votable+xml;serialization=BINARY;version=1.5",
        ),
        ("votable/td", "votable-tabledata", "application/x-votable+xml;serialization=TABLEDATA"),
        ("text/csv", "csv", "text/csv;header=present;charset=utf-8"),
        ("text/csv;header=present", "csv", "text/csv;header=present;charset=utf-8"),
        ("application/vnd.apache.parquet", "parquet", "application/vnd.apache.parquet"),
        ("application/vnd.apache.arrow.stream", "arrow", "application/vnd.apache.arrow.stream"),
        ("image/fits", "fits", "image/fits"),
        (" tsv ", "tsv", "text/tab-separated-values;charset=utf-8"),
    ],
)
def test_a_format_is_found_however_it_is_spelt(requested: str, name: str, sent: str) -> None:
    found = find(requested)
    assert (found.name, found.content_type) == (name, sent)


@pytest.mark.parametrize("format", FORMATS, ids=lambda format: format.name)
def test_every_declared_name_works(format: formats.Format) -> None:
    for requested in (format.mime, *format.aliases):
        found = find(requested)
        assert found.name == format.name
        assert b"".join(found.write(sample({"int": [1, None]}).result()))
        if re.match("application/|text/|image/", requested):
            assert found.content_type.split(";")[0] == requested.split(";")[0]
    # taplint checks that what is declared are media types (RFC 6838).
    assert re.fullmatch(r"[a-z]+/[a-z0-9.+-]+(;[a-z]+=[A-Za-z0-9.]+)*", format.mime)


def test_names_are_unique() -> None:
    names = [name.lower() for format in FORMATS for name in (format.mime, *format.aliases)]
    assert len(names) == len(set(names))
    ids = [format.ivo_id for format in FORMATS if format.ivo_id]
    # TAPRegExt 1.0 knows these three and no others.
    assert ids == [f"ivo://ivoa.net/std/TAPRegExt#output-votable-{name}" for name in ("binary2", "td", "binary")]


@pytest.mark.parametrize(
    "requested", ["", ";", "xml", "text/csv;header=absent", "text/xml;version=1.9", "a/b;c", "=;="]
)
def test_an_unknown_format_is_refused_with_a_list(requested: str) -> None:
    with pytest.raises(ParameterError, match=r"votable/td.*csv.*parquet"):
        find(requested)


@given(st.text())
def test_any_text_is_found_or_refused(requested: str) -> None:
    try:
        find(requested)
    except ParameterError as error:
        assert len(str(error)) < 600


def test_the_documentation_lists_every_format_and_no_other() -> None:
    rows = re.findall(r"^\| `([^`]+)` \| (.+?) \| (.+?) \| ", DOCUMENT.read_text(), re.MULTILINE)
    documented = {mime: tuple(re.findall("`([^`]+)`", aliases)) for mime, aliases, _ in rows}
    assert documented == {format.mime: format.aliases for format in FORMATS}
