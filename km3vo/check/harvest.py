"""The publishing registry as a harvester sees it, by the rules of the Registry of Registries (RofR).

Their codes stand beside the checks: RI3.1.3 and so on are those of its validator.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from km3vo.check.report import Report
from km3vo.check.schemas import Schemas
from km3vo.check.visit import XSI_TYPE, Visitor

OAI = "{http://www.openarchives.org/OAI/2.0/}"
RI = "{http://www.ivoa.net/xml/RegistryInterface/v1.0}"
MOST_PAGES = 10_000
FORMATS = ("ivo_vor", "oai_dc")
_IVOID = re.compile(r"ivo://([A-Za-z0-9][\w.\-]{2,})(/[^ ]*)?")

# A request that is wrong → the code of the error (OAI-PMH 2.0 §3.6).
WRONG: tuple[tuple[dict[str, str], str], ...] = (
    ({}, "badVerb"),
    ({"verb": "Guess"}, "badVerb"),
    ({"verb": "Identify", "until": "2026-01-01"}, "badArgument"),
    ({"verb": "ListRecords"}, "badArgument"),
    ({"verb": "ListRecords", "metadataPrefix": "ivo_vor", "from": "yesterday"}, "badArgument"),
    (
        {"verb": "ListRecords", "metadataPrefix": "ivo_vor", "from": "2026-02-01", "until": "2026-01-01"},
        "badArgument",
    ),
    ({"verb": "ListRecords", "metadataPrefix": "marc"}, "cannotDisseminateFormat"),
    ({"verb": "ListRecords", "resumptionToken": "none of yours"}, "badResumptionToken"),
    ({"verb": "GetRecord", "metadataPrefix": "ivo_vor", "identifier": "ivo://nobody/nothing"}, "idDoesNotExist"),
    ({"verb": "ListRecords", "metadataPrefix": "ivo_vor", "until": "1900-01-01"}, "noRecordsMatch"),
)


def check_registry(visitor: Visitor, schemas: Schemas | None, report: Report) -> list[Any]:
    """Look at the registry. Returns the resources of all records that are not deleted."""
    report.section("Publishing registry (OAI-PMH)")
    _check_identify(visitor, schemas, report)
    for verb in ("ListSets", "ListMetadataFormats"):
        report.note(verb, visitor.get("/oai", verb=verb).mistakes(schemas))
    for wrong, code in WRONG:
        tree = visitor.get("/oai", **wrong).tree()
        found = None if tree is None else tree.find(f"{OAI}error")
        said = None if found is None else found.get("code")
        asked = " ".join(f"{name}={value}" for name, value in wrong.items()) or "no verb"
        report.note(f"{asked} is {code}", [] if said == code else [f"it is answered by {said}"])
    records = _check_lists(visitor, schemas, report)
    resources = [resource for record in records if (resource := record.find(f"{OAI}metadata/{RI}Resource")) is not None]
    _check_records(records, resources, report)
    return resources


def _check_identify(visitor: Visitor, schemas: Schemas | None, report: Report) -> None:
    answer = visitor.get("/oai", verb="Identify")
    if not report.note("Identify", answer.mistakes(schemas)):
        return
    said = answer.tree().find(f"{OAI}Identify")
    base = said.findtext(f"{OAI}baseURL")
    report.note("baseURL is where it was found", [] if base == f"{visitor.base}/oai" else [f"it is {base}: KM3VO_URL?"])
    facts = {
        "protocolVersion": "2.0",
        "granularity": "YYYY-MM-DDThh:mm:ssZ",
        "deletedRecord": "persistent",
    }
    wrong = [
        f"{name} is {said.findtext(OAI + name)}" for name, right in facts.items() if said.findtext(OAI + name) != right
    ]
    report.note("version, granularity and deleted records are declared", wrong)
    ours = said.findall(f"{OAI}description/{RI}Resource")
    kinds = [resource.get(XSI_TYPE) for resource in ours]
    report.note("it describes itself (RI3.1.5)", [] if kinds == ["vg:Registry"] else [f"description holds {kinds}"])


def pages(visitor: Visitor, verb: str, **arguments: str) -> Iterator[tuple[Any, Any]]:
    """The pages of a list, as (answer, the list's element)."""
    wanted = {"verb": verb, **arguments}
    for _ in range(MOST_PAGES):
        answer = visitor.get("/oai", **wanted)
        tree = answer.tree()
        content = None if tree is None else tree.find(f"{OAI}{verb}")
        yield answer, content
        token = None if content is None else content.findtext(f"{OAI}resumptionToken")
        if not token:
            return
        wanted = {"verb": verb, "resumptionToken": token}


def _check_lists(visitor: Visitor, schemas: Schemas | None, report: Report) -> list[Any]:
    """Harvest everything in all ways; the records in ivo_vor."""
    found: dict[tuple[str, ...], list[str]] = {}
    records: list[Any] = []
    tomorrow = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%d}"
    bounds: tuple[dict[str, str], ...] = (
        {},
        {"set": "ivo_managed"},
        {"from": "1990-01-01", "until": tomorrow},
        {"from": "1990-01-01T00:00:00Z"},
    )
    for verb in ("ListRecords", "ListIdentifiers"):
        for prefix in FORMATS:
            for more in bounds:
                wrong: list[str] = []
                names: list[str] = []
                for answer, content in pages(visitor, verb, metadataPrefix=prefix, **more):
                    wrong += answer.mistakes(schemas)
                    if content is None:
                        wrong.append(f"{answer.url}: no {verb}")
                        break
                    names += [name.text for name in content.iter(f"{OAI}identifier")]
                    if verb == "ListRecords" and prefix == "ivo_vor" and not more:
                        records += content.findall(f"{OAI}record")
                if len(set(names)) < len(names):
                    wrong.append("a record is there twice")
                found[verb, prefix, *more] = sorted(names)
                words = " ".join(f"{name}={value}" for name, value in more.items())
                report.note(f"{verb} {prefix} {words}: {len(names)} records".replace(" :", ":"), wrong)
    same = len({tuple(names) for names in found.values()}) == 1
    report.note("all lists name the same records", [] if same else ["they differ"])
    return records


def _check_records(records: list[Any], resources: list[Any], report: Report) -> None:
    now = datetime.now(UTC)
    wrong: list[str] = []
    for record in records:
        header, resource = record.find(f"{OAI}header"), record.find(f"{OAI}metadata/{RI}Resource")
        name, stamp = header.findtext(f"{OAI}identifier"), header.findtext(f"{OAI}datestamp")
        if (resource is None) != (header.get("status") == "deleted"):
            wrong.append(f"{name}: deleted records have no metadata, and all others do")
        if resource is None:
            continue
        if resource.findtext("identifier") != name:  # RI3.1.3
            wrong.append(f"{name}: the record calls itself {resource.findtext('identifier')}")
        if resource.get("updated", "").rstrip("Z") != stamp.rstrip("Z"):
            wrong.append(f"{name}: updated {resource.get('updated')}, datestamp {stamp}")
        if datetime.fromisoformat(stamp) > now + timedelta(minutes=1):
            wrong.append(f"{name}: changed in the future, {stamp}")
        if resource.get("status") not in ("active", "inactive"):
            wrong.append(f"{name}: status {resource.get('status')}")
    report.note("records agree with their headers (RI3.1.3)", wrong)
    kinds: dict[str, list[Any]] = {}
    for resource in resources:
        kinds.setdefault(resource.get(XSI_TYPE), []).append(resource)
    registries = kinds.get("vg:Registry", [])
    managed = {element.text for registry in registries for element in registry.findall("managedAuthority")}
    described = {
        str(resource.findtext("identifier")).removeprefix("ivo://") for resource in kinds.get("vg:Authority", [])
    }
    wrong = [] if len(registries) == 1 else [f"there are {len(registries)} records of type vg:Registry"]
    for registry in registries:
        ways = registry.findall("capability[@standardID='ivo://ivoa.net/std/Registry']/interface")
        if [(way.get(XSI_TYPE), way.get("role"), way.get("version")) for way in ways] != [("vg:OAIHTTP", "std", "1.0")]:
            wrong.append("its capability has no interface vg:OAIHTTP, role std, version 1.0")
    report.note("the registry itself is among them (RI3.1.4)", wrong)
    missing = sorted(str(name) for name in managed - described)
    report.note("each managed authority has a record", [f"none for {name}" for name in missing])
    foreign = [
        str(resource.findtext("identifier"))
        for resource in resources
        if not (match := _IVOID.fullmatch(str(resource.findtext("identifier")))) or match[1] not in managed
    ]
    report.note("all identifiers belong to it", [f"{name} is under another authority" for name in foreign])
