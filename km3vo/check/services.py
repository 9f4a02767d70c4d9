"""The services as their clients see them: documents, test queries, pages."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from lxml import etree

from km3vo.check.report import Report
from km3vo.check.schemas import Schemas
from km3vo.check.visit import XSI_TYPE, Answer, Visitor

VOTABLE = "{http://www.ivoa.net/xml/VOTable/v1.3}"
CONE_UCDS = ("ID_MAIN", "POS_EQ_RA_MAIN", "POS_EQ_DEC_MAIN")
LOCAL = ("127.", "localhost", "[::1]", "0.0.0.0")


def check_services(visitor: Visitor, schemas: Schemas | None, resources: list[Any], report: Report) -> None:
    """Look at the services that the registry's records name."""
    report.section("Services")
    local = urlsplit(visitor.base).netloc.startswith(LOCAL)
    report.note(
        "addresses can be reached from elsewhere",
        [f"{visitor.base} is this machine alone: set KM3VO_URL before registering"] if local else [],
        warning=True,
    )
    for resource in resources:
        for capability in resource.findall("capability"):
            if capability.get(XSI_TYPE) == "tr:TableAccess":
                check_tap(visitor, schemas, resource, capability, report)
            elif capability.get(XSI_TYPE) == "cs:ConeSearch":
                check_cone(visitor, schemas, resource, capability, report)


def _address(capability: Any) -> str:
    return str(capability.findtext("interface/accessURL")).strip()


def _vosi(visitor: Visitor, schemas: Schemas | None, base: str, resource: Any, report: Report) -> None:
    for name in ("capabilities", "availability", "tables"):
        answer = visitor.get(f"{base}/{name}")
        report.note(f"{base}/{name}", answer.mistakes(schemas))
        if name == "capabilities" and (tree := answer.tree()) is not None:
            here, there = ([_plain(item) for item in root.findall("capability")] for root in (tree, resource))
            same = [] if here == there else ["they differ from those in the registry's record"]
            report.note("capabilities and record agree", same)
        if name == "availability" and (tree := answer.tree()) is not None:
            said = tree.findtext("{*}available")
            report.note("it says that it is available", [] if said == "true" else [f"available is {said}"])


def _plain(element: Any) -> tuple[Any, ...]:
    """An element without what does not matter: white space between elements, and prefixes."""
    text = (element.text or "").strip()
    return element.tag, sorted(element.attrib.items()), text, [_plain(child) for child in element]


def check_tap(visitor: Visitor, schemas: Schemas | None, resource: Any, capability: Any, report: Report) -> None:
    """A TAP service: its documents, its examples, and a query of each table that it lists."""
    base = _address(capability)
    report.note(f"TAP at {base}")
    _vosi(visitor, schemas, base, resource, report)
    wrong = []
    names = [str(table.findtext("name")) for table in resource.findall("tableset/schema/table")]
    for name in names:
        answer = visitor.get(
            f"{base}/sync", LANG="ADQL", RESPONSEFORMAT="votable/td", QUERY=" ".join(("SELECT TOP 1 * FROM", name))
        )
        wrong += _table_mistakes(answer, schemas, name)
    report.note(f"each of {len(names)} tables can be queried", wrong)
    answer = visitor.get(f"{base}/sync", LANG="ADQL", QUERY="SELECT nothing FROM nowhere")
    said = "ERROR" if b'value="ERROR"' in answer.body else "no error"
    report.note("a wrong query gets an error document", [] if said == "ERROR" else [f"it gets {said}"])
    examples = visitor.get(f"{base}/examples")
    if examples.status == 200:
        report.note(f"{base}/examples", examples.mistakes())
        wrong = []
        for element in etree.fromstring(examples.body).xpath("//*[@property='query']"):
            query = "".join(element.itertext())
            wrong += _table_mistakes(
                visitor.get(f"{base}/sync", LANG="ADQL", MAXREC="5", RESPONSEFORMAT="votable/td", QUERY=query),
                schemas,
                " ".join(query.split())[:60],
            )
        report.note("its examples run", wrong)


def check_cone(visitor: Visitor, schemas: Schemas | None, resource: Any, capability: Any, report: Report) -> None:
    """A cone search: its documents, its test query, its columns, and what it says of mistakes."""
    base = _address(capability)
    report.note(f"cone search at {base}")
    report.note("the address ends in ? or &", [] if base.endswith(("?", "&")) else [base])
    _vosi(visitor, schemas, base.rstrip("?&"), resource, report)
    test = capability.find("testQuery")
    if test is None:
        report.note("it has a test query", ["there is none: are there public rows?"], warning=True)
        return
    place = {"RA": test.findtext("ra"), "DEC": test.findtext("dec"), "SR": test.findtext("sr")}
    answer = visitor.get(base.rstrip("?"), **place)
    wrong = _table_mistakes(answer, schemas, "the test query")
    tree = answer.tree()
    if tree is not None:
        ucds = [field.get("ucd") for field in tree.iter(f"{VOTABLE}FIELD")]
        wrong += [f"{ucds.count(ucd)} columns have the UCD {ucd}" for ucd in CONE_UCDS if ucds.count(ucd) != 1]
        if not list(tree.iter(f"{VOTABLE}TR")):
            wrong.append("no rows")
    report.note("its test query gives rows", wrong)
    answer = visitor.get(base.rstrip("?"), RA="10", SR="1")
    tree = answer.tree()
    errors = [] if tree is None else [info for info in tree.iter(f"{VOTABLE}INFO") if info.get("name") == "Error"]
    said = (
        []
        if answer.status == 200 and len(errors) == 1
        else [f"status {answer.status}, {len(errors)} INFOs named Error"]
    )
    report.note("a missing DEC is told in one INFO named Error", said)


def _table_mistakes(answer: Answer, schemas: Schemas | None, what: str) -> list[str]:
    wrong = answer.mistakes(schemas)
    tree = answer.tree()
    if not wrong and tree is not None:
        for info in tree.iter(f"{VOTABLE}INFO"):
            if info.get("value") == "ERROR":
                wrong.append(f"{what}: {(info.text or '').strip()[:200]}")
    return wrong


def check_pages(visitor: Visitor, resources: list[Any], report: Report) -> None:
    """The pages that records refer to, and what hangs on them."""
    report.section("Pages")
    pages = {str(resource.findtext("content/referenceURL")) for resource in resources}
    ours = sorted(page for page in pages if page.startswith(visitor.base))
    for page in ours:
        answer = visitor.get(page)
        good = answer.status == 200 and answer.kind == "text/html"
        report.note(page, [] if good else [answer.failed or f"status {answer.status}, {answer.kind or 'no type'}"])
    for url in sorted({str(found.text) for resource in resources for found in resource.findall("coverage/footprint")}):
        answer = visitor.get(url)
        good = answer.status == 200 and answer.body.startswith(b"SIMPLE  =")
        report.note(url, [] if good else [f"status {answer.status}: no FITS file"])
