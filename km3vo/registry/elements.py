"""Namespaces and elements of the documents of VOResource and VOSI, as lxml makes them."""

from __future__ import annotations

from lxml import etree
from lxml.builder import ElementMaker

XSI = "http://www.w3.org/2001/XMLSchema-instance"
NAMESPACES = {
    "xsi": XSI,
    "vosi": "http://www.ivoa.net/xml/VOSICapabilities/v1.0",
    "avail": "http://www.ivoa.net/xml/VOSIAvailability/v1.0",
    "vtm": "http://www.ivoa.net/xml/VOSITables/v1.0",
    "ri": "http://www.ivoa.net/xml/RegistryInterface/v1.0",
    "vr": "http://www.ivoa.net/xml/VOResource/v1.0",
    "vg": "http://www.ivoa.net/xml/VORegistry/v1.0",
    "vs": "http://www.ivoa.net/xml/VODataService/v1.1",
    "tr": "http://www.ivoa.net/xml/TAPRegExt/v1.0",
    "voe": "http://www.ivoa.net/xml/VOEventRegExt/v2",
    "cs": "http://www.ivoa.net/xml/ConeSearch/v1.0",
}
TYPE = f"{{{XSI}}}type"
plain = ElementMaker()  # the schemas' local elements are unqualified


def root(prefix: str, name: str, *used: str) -> etree._Element:
    """An element to be the root of a document; ``used`` are the prefixes that its descendants need."""
    prefixes = {key: NAMESPACES[key] for key in ("xsi", prefix, *used)}
    return etree.Element(f"{{{NAMESPACES[prefix]}}}{name}", nsmap=prefixes)


def document(root: etree._Element) -> bytes:
    """A tree as an XML document."""
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8"))
