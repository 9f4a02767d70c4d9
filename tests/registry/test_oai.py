"""OAI-PMH 2.0 and the Registry Interfaces, verb by verb; the RofR's rules carry their codes."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import psycopg
import pytest
from psycopg import sql

from km3vo.catalog.model import Table
from km3vo.check.schemas import Schemas
from km3vo.database.logins import OWNER, Database
from tests.support.registry import OAI, RI, XSI_TYPE, Registry, tell
from tests.support.server import Server

pytestmark = pytest.mark.slow

KNOWN = "ivo://km3net.org/ant20_01/main"
VERBS = [
    {"verb": "Identify"},
    {"verb": "ListSets"},
    {"verb": "ListMetadataFormats"},
    {"verb": "ListMetadataFormats", "identifier": KNOWN},
    *(
        {"verb": verb, "metadataPrefix": form}
        for verb in ("ListRecords", "ListIdentifiers")
        for form in ("ivo_vor", "oai_dc")
    ),
    *({"verb": "GetRecord", "metadataPrefix": form, "identifier": KNOWN} for form in ("ivo_vor", "oai_dc")),
]
WRONG = [
    ({}, "badVerb"),
    ({"verb": ""}, "badVerb"),
    ({"verb": "identify"}, "badVerb"),  # OAI-PMH tells capitals from small letters
    ({"Verb": "Identify"}, "badVerb"),
    ({"verb": "Identify", "identifier": "x"}, "badArgument"),
    ({"verb": "ListSets", "metadataPrefix": "ivo_vor"}, "badArgument"),
    ({"verb": "ListSets", "resumptionToken": "x"}, "badResumptionToken"),
    ({"verb": "ListMetadataFormats", "identifier": "ivo://km3net.org/none"}, "idDoesNotExist"),
    ({"verb": "GetRecord"}, "badArgument"),
    ({"verb": "GetRecord", "identifier": KNOWN}, "badArgument"),
    ({"verb": "GetRecord", "metadataPrefix": "ivo_vor"}, "badArgument"),
    ({"verb": "GetRecord", "metadataPrefix": "marc21", "identifier": KNOWN}, "cannotDisseminateFormat"),
    ({"verb": "GetRecord", "metadataPrefix": "ivo_vor", "identifier": "not even a URI <&>"}, "idDoesNotExist"),
    ({"verb": "GetRecord", "metadataPrefix": "ivo_vor", "identifier": "\x01"}, "badArgument"),
    ({"verb": "ListRecords"}, "badArgument"),
    ({"verb": "ListRecords", "metadataPrefix": "marc21"}, "cannotDisseminateFormat"),
    ({"verb": "ListRecords", "metadataPrefix": "ivo_vor", "resumptionToken": "x"}, "badArgument"),
    ({"verb": "ListRecords", "resumptionToken": ""}, "badResumptionToken"),
    ({"verb": "ListRecords", "resumptionToken": "x"}, "badResumptionToken"),
    ({"verb": "ListRecords", "metadataPrefix": "ivo_vor", "set": "nobody"}, "noRecordsMatch"),
    ({"verb": "ListRecords", "metadataPrefix": "ivo_vor", "set": ""}, "badArgument"),
    ({"verb": "ListRecords", "metadataPrefix": "ivo vor"}, "badArgument"),
    *(
        ({"verb": "ListIdentifiers", "metadataPrefix": "oai_dc", **bounds}, "badArgument")
        for bounds in (
            {"from": ""},
            {"from": "2026"},
            {"from": "2026-13-01"},
            {"until": "2026-02-30"},
            {"from": "2026-01-01T00:00:00"},
            {"from": "2026-01-01T25:00:00Z"},
            {"from": "2026-01-01 00:00:00Z"},
            {"from": "2026-01-01T00:00:00.5Z"},
            {"from": "2026-01-01", "until": "2026-01-02T00:00:00Z"},
            {"from": "2026-01-02", "until": "2026-01-01"},
        )
    ),
    ({"verb": "ListIdentifiers", "metadataPrefix": "oai_dc", "until": "1999-12-31"}, "noRecordsMatch"),
    ({"verb": "ListIdentifiers", "metadataPrefix": "oai_dc", "from": "2999-01-01"}, "noRecordsMatch"),
    ({"verb": "ListIdentifiers", "metadataPrefix": "oai_dc", "until": "0001-01-01"}, "noRecordsMatch"),
    (
        {"verb": "ListIdentifiers", "metadataPrefix": "oai_dc", "until": "9999-12-31", "from": "9999-12-31"},
        "noRecordsMatch",
    ),
]


@pytest.mark.parametrize("asked", VERBS, ids=lambda asked: " ".join(asked.values()))
def test_every_answer_is_valid(registry: Registry, schemas: Schemas, asked: dict[str, str]) -> None:
    assert schemas.mistakes(registry.raw(**asked)) == []
    assert registry.code(**asked) is None


@pytest.mark.parametrize(("asked", "code"), WRONG, ids=lambda part: str(part)[:60])
def test_every_mistake_has_its_code(registry: Registry, schemas: Schemas, asked: dict[str, str], code: str) -> None:
    assert registry.code(**asked) == code
    assert schemas.mistakes(registry.raw(**asked)) == []


@pytest.mark.parametrize(
    "text", ["verb=Identify&verb=Identify", "verb=GetRecord&identifier=a&identifier=b&metadataPrefix=c"]
)
def test_what_is_given_twice_is_wrong(registered: Server, text: str) -> None:
    body = httpx.get(f"{registered.url}/oai?{text}").text
    assert "badVerb" in body or "badArgument" in body


def test_post_answers_as_get_does(registered: Server) -> None:
    asked = {"verb": "GetRecord", "metadataPrefix": "oai_dc", "identifier": KNOWN}
    one, other = (
        httpx.get(f"{registered.url}/oai", params=asked).text,
        httpx.post(f"{registered.url}/oai", data=asked).text,
    )
    now = re.compile("<oai:responseDate>.*?</oai:responseDate>")
    assert now.sub("", one) == now.sub("", other)


def test_the_request_is_echoed_only_when_it_is_legal(registry: Registry) -> None:
    good = registry.get(verb="GetRecord", metadataPrefix="marc21", identifier='<"&')
    assert dict(good.find(f"{OAI}request").attrib) == {
        "verb": "GetRecord",
        "metadataPrefix": "marc21",
        "identifier": '<"&',
    }
    for bad in ({"verb": "Guess"}, {"verb": "Identify", "made": "up"}):
        assert dict(registry.get(**bad).find(f"{OAI}request").attrib) == {}


def test_it_says_what_it_is(registry: Registry, registered: Server) -> None:
    """RI3.1.5a, RI3.1.5b: baseURL as harvested, protocol, granularity, one description with the vg:Registry record."""
    said = registry.get(verb="Identify").find(f"{OAI}Identify")
    assert said.findtext(f"{OAI}baseURL") == f"{registered.url}/oai"
    assert said.findtext(f"{OAI}protocolVersion") == "2.0"
    assert said.findtext(f"{OAI}granularity") == "YYYY-MM-DDThh:mm:ssZ"
    assert said.findtext(f"{OAI}deletedRecord") == "persistent"
    assert "@" in said.findtext(f"{OAI}adminEmail")
    (resource,) = said.findall(f"{OAI}description/{RI}Resource")
    assert resource.get(XSI_TYPE) == "vg:Registry"
    stamps = [
        header.findtext(f"{OAI}datestamp")
        for header in registry.get(verb="ListIdentifiers", metadataPrefix="oai_dc").iter(f"{OAI}header")
    ]
    assert said.findtext(f"{OAI}earliestDatestamp") <= min(stamps)


def test_there_is_the_set_of_managed_records_and_none_of_our_own_that_looks_like_it(registry: Registry) -> None:
    """RI3.1.6."""
    names = [name.text for name in registry.get(verb="ListSets").iter(f"{OAI}setSpec")]
    assert "ivo_managed" in names
    assert [name for name in names if name.startswith("ivo_")] == ["ivo_managed"]


def test_both_formats_are_there(registry: Registry) -> None:
    formats = registry.get(verb="ListMetadataFormats").find(f"{OAI}ListMetadataFormats")
    spaces = {form.findtext(f"{OAI}metadataPrefix"): form.findtext(f"{OAI}metadataNamespace") for form in formats}
    assert spaces == {"ivo_vor": RI.strip("{}"), "oai_dc": "http://www.openarchives.org/OAI/2.0/oai_dc/"}


def test_records_are_called_as_their_headers_say(registry: Registry) -> None:
    """RI3.1.3: identifiers equal, one resource each, with type, status and dates in the past."""
    records = registry.records()
    assert len(records) > 10
    for record in records:
        (resource,) = record.findall(f"{OAI}metadata/{RI}Resource")
        header = record.find(f"{OAI}header")
        assert resource.findtext("identifier") == header.findtext(f"{OAI}identifier")
        assert resource.get("updated") == header.findtext(f"{OAI}datestamp")
        assert resource.get("created") <= resource.get("updated") <= f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        assert resource.get("status") == "active"
        prefix = resource.get(XSI_TYPE).split(":")[0]
        location = resource.get("{http://www.w3.org/2001/XMLSchema-instance}schemaLocation").split()
        assert resource.nsmap[prefix] in location[::2]


def test_the_managed_set_holds_the_registry_and_its_authority_and_nothing_foreign(registry: Registry) -> None:
    """RI3.1.4."""
    resources = [record.find(f"{OAI}metadata/{RI}Resource") for record in registry.records(set="ivo_managed")]
    (itself,) = [resource for resource in resources if resource.get(XSI_TYPE) == "vg:Registry"]
    managed = [authority.text for authority in itself.findall("managedAuthority")]
    assert managed == ["km3net.org"]
    (way,) = itself.findall("capability[@standardID='ivo://ivoa.net/std/Registry']/interface")
    assert (way.get(XSI_TYPE), way.get("role"), way.get("version")) == ("vg:OAIHTTP", "std", "1.0")
    authorities = [r.findtext("identifier") for r in resources if r.get(XSI_TYPE) == "vg:Authority"]
    assert authorities == ["ivo://km3net.org"]
    for resource in resources:
        assert re.match(r"ivo://km3net\.org(/|$)", resource.findtext("identifier"))


def test_a_list_in_pages_is_the_whole_list(registry: Registry) -> None:
    pages = list(registry.pages())
    assert [len(page.findall(f"{OAI}record")) for page in pages[:-1]] == [5] * (len(pages) - 1)
    assert len(pages) > 2
    tokens = [page.find(f"{OAI}resumptionToken") for page in pages]
    assert tokens[-1].text is None  # empty on the last page
    assert [int(token.get("cursor")) for token in tokens] == [5 * number for number in range(len(pages))]
    names = [name.text for page in pages for name in page.iter(f"{OAI}identifier")]
    assert len(names) == len(set(names)) == int(tokens[0].get("completeListSize"))


def test_tokens_cannot_be_made_up(registry: Registry) -> None:
    token = next(registry.pages()).findtext(f"{OAI}resumptionToken")
    sealed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        text = base64.urlsafe_b64encode(changed).decode().rstrip("=")
        assert registry.code(verb="ListRecords", resumptionToken=text) == "badResumptionToken"
    assert registry.code(verb="ListRecords", resumptionToken=token[:-3]) == "badResumptionToken"
    assert registry.code(verb="ListRecords", resumptionToken=token) is None


def test_both_ends_of_an_interval_are_inside(registry: Registry) -> None:
    stamps = {record.findtext(f"{OAI}header/{OAI}datestamp") for record in registry.records()}
    (stamp,) = stamps  # all were written at once
    moment = datetime.fromisoformat(stamp)
    before, after = (f"{moment + timedelta(seconds=step):%Y-%m-%dT%H:%M:%SZ}" for step in (-1, 1))
    everything = len(registry.records())
    for bounds, expected in (
        ({"from": stamp, "until": stamp}, everything),
        ({"from": stamp[:10], "until": stamp[:10]}, everything),
        ({"from": after}, 0),
        ({"until": before}, 0),
    ):
        assert len(registry.records(**bounds)) == expected, bounds


def test_a_record_that_went_away_stays_known(
    registry: Registry, registered: Server, published: Database, schemas: Schemas
) -> None:
    service = registered.app.state.service
    catalog = service.published
    try:
        service.published = replace(catalog, schemas=tuple(s for s in catalog.schemas if s.name != "antares"))
        gone = tell(registered, published)
        assert {"ivo://km3net.org/antares/data", "ivo://km3net.org/antares/data/scs"} <= set(gone)
        raw = registry.raw(verb="GetRecord", metadataPrefix="ivo_vor", identifier="ivo://km3net.org/antares/data")
        assert schemas.mistakes(raw) == []
        (record,) = registry.get(
            verb="GetRecord", metadataPrefix="oai_dc", identifier="ivo://km3net.org/antares/data"
        ).iter(f"{OAI}record")
        assert record.find(f"{OAI}header").get("status") == "deleted"
        assert record.find(f"{OAI}metadata") is None
        assert (
            registry.code(verb="ListMetadataFormats", identifier="ivo://km3net.org/antares/data") == "noMetadataFormats"
        )
        deleted = [r for r in registry.records() if r.find(f"{OAI}header").get("status") == "deleted"]
        assert len(deleted) == 2
    finally:
        service.published = catalog
        tell(registered, published)
    assert not [r for r in registry.records() if r.find(f"{OAI}header").get("status") == "deleted"]


def test_nothing_changes_when_nothing_changed(registry: Registry, registered: Server, published: Database) -> None:
    before = registry.records()
    assert tell(registered, published) == []
    stamps = [
        [record.findtext(f"{OAI}header/{OAI}datestamp") for record in records]
        for records in (before, registry.records())
    ]
    assert stamps[0] == stamps[1]


def test_a_changed_description_changes_its_records_and_no_others(registered: Server, published: Database) -> None:
    service = registered.app.state.service
    catalog = service.published

    def mend(table: Table) -> Table:
        return replace(table, citation=replace(table.citation, version="1.2")) if table.schema == "ant20_01" else table

    try:
        service.published = replace(
            catalog, schemas=tuple(replace(s, tables=tuple(mend(t) for t in s.tables)) for s in catalog.schemas)
        )
        changed = tell(registered, published)
        assert sorted(changed) == ["ivo://km3net.org/ant20_01/main", "ivo://km3net.org/ant20_01/main/scs"]
    finally:
        service.published = catalog
        tell(registered, published)


def test_harvesters_wait_for_a_change_that_is_under_way(registry: Registry, published: Database) -> None:
    """Else they would next ask for changes since a time after ours, and never see it (registry.harvested.update)."""
    with published.connect(OWNER) as writer:
        writer.execute("LOCK TABLE km3vo.record IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(
                f"{registry.base}/oai", params={"verb": "ListIdentifiers", "metadataPrefix": "oai_dc"}, timeout=0.5
            )
        writer.rollback()
    assert registry.code(verb="ListIdentifiers", metadataPrefix="oai_dc") is None


def test_a_clock_that_was_set_back_does_not_hide_changes(
    registered: Server, published: Database, registry: Registry
) -> None:
    with published.connect(OWNER, autocommit=True) as owner:
        later = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
        owner.execute("UPDATE km3vo.record SET updated = %s WHERE identifier = 'ivo://km3net.org'", (later,))
        try:
            owner.execute("UPDATE km3vo.record SET xml = '<old/>' WHERE identifier = %s", (KNOWN,))
            assert tell(registered, published) == [KNOWN]
            row = owner.execute("SELECT updated FROM km3vo.record WHERE identifier = %s", (KNOWN,)).fetchone()
            assert row == (later,)
        finally:
            owner.execute("UPDATE km3vo.record SET updated = created")


def test_without_a_database_it_says_so(registered: Server, published: Database) -> None:
    name = sql.Identifier(str(psycopg.conninfo.conninfo_to_dict(published.admin)["dbname"]))
    with psycopg.connect(published.admin, dbname="postgres", autocommit=True) as admin:
        admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
        try:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                (psycopg.conninfo.conninfo_to_dict(published.admin)["dbname"],),
            )
            assert httpx.get(f"{registered.url}/oai?verb=Identify", timeout=30).status_code == 503
            capabilities = httpx.get(f"{registered.url}/scs/ant20_01/main/capabilities", timeout=30)
            assert capabilities.status_code == 200
            assert b"cs:ConeSearch" in capabilities.content
            # The pages go on without numbers.
            assert httpx.get(f"{registered.url}/", timeout=30).status_code == 200
        finally:
            admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))
