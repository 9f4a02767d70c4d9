"""Registry records in Dublin Core, which every OAI-PMH harvester reads (OAI-PMH 2.0 §2.3, VOResource 1.1 §1.1.4)."""

from __future__ import annotations

from lxml import etree
from lxml.builder import ElementMaker

from km3vo.registry.elements import XSI

OAI_DC = "http://www.openarchives.org/OAI/2.0/oai_dc/"
DC = "http://purl.org/dc/elements/1.1/"
dc = ElementMaker(namespace=DC)

# Dublin Core element → where a VOResource has it.
PLACES = {
    "title": ("title",),
    "creator": ("curation/creator/name",),
    "subject": ("content/subject", "coverage/waveband"),
    "description": ("content/description",),
    "publisher": ("curation/publisher",),
    "date": ("curation/date",),
    "type": ("content/type",),
    "identifier": ("identifier", "altIdentifier", "content/referenceURL"),
    "source": ("content/source",),
    "relation": ("content/relationship/relatedResource",),
    "rights": ("rights",),
}


def core(resource: etree._Element) -> etree._Element:
    """The Dublin Core of a VOResource record."""
    record = etree.Element(f"{{{OAI_DC}}}dc", nsmap={"oai_dc": OAI_DC, "dc": DC, "xsi": XSI})
    record.set(f"{{{XSI}}}schemaLocation", f"{OAI_DC} http://www.openarchives.org/OAI/2.0/oai_dc.xsd")
    for name, places in PLACES.items():
        for place in places:
            record.extend(dc(name, found.text) for found in resource.findall(place) if found.text)
    return record
