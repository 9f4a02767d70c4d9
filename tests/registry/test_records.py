"""What the records say, held against what the services do."""

from __future__ import annotations

import io

import httpx
import pytest
import pyvo
from lxml import etree
from pyvo.io.vosi import parse_capabilities

from km3vo.alerts import profile, revision
from km3vo.alerts.messages import places
from km3vo.catalog.model import Catalog
from km3vo.check.schemas import Schemas
from km3vo.holdings.holdings import Holdings
from km3vo.registry import dublin
from km3vo.registry.records import records
from km3vo.settings import Settings
from tests.support import samples
from tests.support.registry import Registry
from tests.support.server import Server

VOSI = "{http://www.ivoa.net/xml/VOSICapabilities/v1.0}"
MAIN = "ivo://km3net.org/ant20_01/main"


@pytest.fixture(scope="module")
def found(registered: Server) -> dict[str, etree._Element]:
    """All resources, by identifier."""
    return {resource.findtext("identifier"): resource for resource in Registry(registered.url).resources()}


def plain(element: etree._Element) -> tuple[object, ...]:
    """An element without what does not matter."""
    return (
        element.tag,
        sorted(element.attrib.items()),
        (element.text or "").strip(),
        [plain(child) for child in element],
    )


def test_everything_published_has_records(found: dict[str, etree._Element], registered: Server) -> None:
    wanted = {
        "ivo://km3net.org",
        *(f"ivo://km3net.org/{name}" for name in ("registry", "organisation", "tap", "VOEvent", "VOEvent_test")),
    }
    for table in registered.app.state.service.published.tables:
        wanted.add(f"ivo://km3net.org/{table.schema}/{table.name}")
        if table.position:
            wanted.add(f"ivo://km3net.org/{table.schema}/{table.name}/scs")
    assert set(found) == wanted


@pytest.mark.parametrize(
    ("name", "path"),
    [("tap", "/tap"), ("ant20_01/main/scs", "/scs/ant20_01/main"), ("km3net/events/scs", "/scs/km3net/events")],
)
def test_capabilities_are_those_of_the_service(
    found: dict[str, etree._Element], registered: Server, name: str, path: str
) -> None:
    there = etree.fromstring(httpx.get(f"{registered.url}{path}/capabilities").content)
    here = found[f"ivo://km3net.org/{name}"].findall("capability")
    assert [plain(element) for element in here] == [plain(element) for element in there]


def test_test_queries_give_rows(found: dict[str, etree._Element]) -> None:
    cones = [resource for name, resource in found.items() if name.endswith("/scs")]
    assert len(cones) >= 4
    for resource in cones:
        (capability,) = resource.findall("capability[@standardID='ivo://ivoa.net/std/ConeSearch']")
        url, test = capability.findtext("interface/accessURL"), capability.find("testQuery")
        if test is None:  # a catalogue that nobody has loaded
            assert "/scs/cat/" in url or url.endswith(("/icecat1?", "/cascades?", "/gcn_notices?", "/offline?")), url
            continue
        place = (float(test.findtext("ra")), float(test.findtext("dec")))
        assert len(pyvo.dal.SCSService(url).search(place, float(test.findtext("sr")))) > 0, url


def test_a_collection_says_who_when_what_and_where(found: dict[str, etree._Element], registered: Server) -> None:
    resource = found[MAIN]
    assert resource.findtext("curation/creator/name") == "ANTARES Collaboration"
    assert resource.find("curation/publisher").get("ivo-id") == "ivo://km3net.org/organisation"
    assert "@" in resource.findtext("curation/contact/email")
    assert resource.findtext("curation/version") == "1.1"
    assert resource.find("curation/date[@role='Updated']") is not None
    assert "neutrino-astronomy" in [subject.text for subject in resource.findall("content/subject")]
    assert resource.find("content/source").get("format") == "bibcode"
    assert resource.findtext("content/contentLevel") == "Research"
    assert resource.find("rights").get("rightsURI") == "https://spdx.org/licenses/CC-BY-4.0.html"
    assert resource.findtext("coverage/waveband") == "Neutrino"
    assert resource.find("coverage/footprint").get("ivo-id") == "ivo://ivoa.net/std/moc"
    assert httpx.get(resource.findtext("content/referenceURL")).status_code == 200
    assert [name.text for name in resource.findall("tableset/schema/table/name")] == ["ant20_01.main"]
    (auxiliary,) = resource.findall("capability[@standardID='ivo://ivoa.net/std/TAP#aux']")
    assert auxiliary.findtext("interface/accessURL") == registered.tap


def test_services_and_data_refer_to_each_other(found: dict[str, etree._Element]) -> None:
    def related(name: str, kind: str) -> set[str]:
        relations = found[name].findall("content/relationship")
        return {
            other.get("ivo-id")
            for relation in relations
            if relation.findtext("relationshipType") == kind
            for other in relation.findall("relatedResource")
        }

    assert related(MAIN, "IsServedBy") == {"ivo://km3net.org/tap", f"{MAIN}/scs"}
    assert related(f"{MAIN}/scs", "IsServiceFor") == {MAIN}
    assert MAIN in related("ivo://km3net.org/tap", "IsServiceFor")
    everything = {other for name in found for kind in ("IsServedBy", "IsServiceFor") for other in related(name, kind)}
    assert everything <= set(found)


def test_a_doi_is_another_identifier(registered: Server, schemas: Schemas) -> None:
    from dataclasses import replace

    service = registered.app.state.service
    (schema,) = [schema for schema in service.published.schemas if schema.name == "ant20_01"]
    (table,) = schema.tables
    table = replace(table, citation=replace(table.citation, doi="10.5281/zenodo.1"))
    catalog = replace(service.published, schemas=(replace(schema, tables=(table,)),))
    made = records(Holdings(registered.settings, catalog))
    resource = etree.fromstring(made[MAIN])
    assert resource.findtext("altIdentifier") == "doi:10.5281/zenodo.1"
    for name in ("created", "updated"):
        resource.set(name, "2026-01-01T00:00:00Z")
    assert schemas.mistakes(etree.tostring(resource)) == []
    assert "doi:10.5281/zenodo.1" in [element.text for element in dublin.core(resource)]


def test_simulated_data_say_so(found: dict[str, etree._Element]) -> None:
    resource = found["ivo://km3net.org/km3net/events"]
    assert [kind.text for kind in resource.findall("content/type")] == ["Simulation", "Catalog"]
    assert "imulated" in resource.findtext("title") + resource.findtext("content/description")


def capabilities(resource: etree._Element) -> io.BytesIO:
    """The capabilities of a record as a document of their own."""
    root = etree.Element(f"{VOSI}capabilities", nsmap=resource.nsmap)
    root.extend([etree.fromstring(etree.tostring(item)) for item in resource.findall("capability")])
    return io.BytesIO(etree.tostring(root))


def test_pyvo_reads_the_capabilities_of_the_tap_record(found: dict[str, etree._Element], registered: Server) -> None:
    parsed = parse_capabilities(capabilities(found["ivo://km3net.org/tap"]), pedantic=True)
    by_standard = {str(capability.standardid): capability for capability in parsed}
    assert len(by_standard) == len(found["ivo://km3net.org/tap"].findall("capability"))
    service = by_standard["ivo://ivoa.net/std/TAP"]
    assert {language.name for language in service.languages} == {"ADQL"}
    assert service.get_adql().get_feature("ivo://ivoa.net/std/TAPRegExt#features-adqlgeo", "POINT")
    assert str(service.datamodels[0].ivo_id) == "ivo://ivoa.net/std/ObsCore#core-1.1"
    assert service.interfaces[0].accessurls[0].content == registered.tap


@pytest.mark.filterwarnings("ignore:Unknown xsi.type cs.ConeSearch")  # pyvo knows TAP's alone
@pytest.mark.filterwarnings("ignore::pyvo.utils.xml.exceptions.UnknownElementWarning")
def test_pyvo_reads_the_capabilities_of_a_cone_record(found: dict[str, etree._Element], registered: Server) -> None:
    parsed = parse_capabilities(capabilities(found[f"{MAIN}/scs"]))
    (cone,) = [item for item in parsed if str(item.standardid) == "ivo://ivoa.net/std/ConeSearch"]
    assert cone.interfaces[0].accessurls[0].content == f"{registered.url}/scs/ant20_01/main?"
    assert cone.interfaces[0].role == "std"


def test_identifiers_in_results_lead_to_records(found: dict[str, etree._Element], registered: Server) -> None:
    """Data Origin and the registry speak of the same thing."""
    rows = pyvo.dal.TAPService(registered.tap).run_sync("SELECT TOP 1 * FROM ant20_01.main")
    infos = {info.name: info.value for info in rows.votable.resources[0].infos} | {
        info.name: info.value for info in rows.votable.infos
    }
    assert infos["data_ivoid"] == MAIN
    resource = found[MAIN]
    assert infos["resource_version"] == resource.findtext("curation/version")
    assert infos["rights_uri"] == resource.find("rights").get("rightsURI")
    assert infos["creator"] == resource.findtext("curation/creator/name")
    assert infos["publisher"] == resource.findtext("curation/publisher")


@pytest.mark.parametrize("address", ["", "x-kafka://kafka.gcn.nasa.gov?topic=gcn.notices.km3net.voevent"])
def test_the_stream_that_identifiers_of_alerts_name(
    address: str, schemas: Schemas, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KM3VO_ALERTS_STREAM_URL", address)
    settings = Settings()
    found = records(Holdings(settings, Catalog(())))
    one = revision.first(profile.check(samples.km3_230213a(), now=samples.NOW), event_name="A", received=samples.NOW)
    document = found[places.ivoid(one, settings).partition("#")[0]]
    root = etree.fromstring(document)
    for date in ("created", "updated"):  # which the registry adds
        root.set(date, "2026-11-27T00:00:00Z")
    assert schemas.mistakes(etree.tostring(root)) == []
    urls = [element.text for element in root.iter("accessURL")]
    assert urls == [*([address] if address else []), f"{settings.base_url}/alerts"]
    assert places.stream(settings, test=True) in found
