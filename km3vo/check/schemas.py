"""Validation against the XML Schemas of the IVOA, where a folder with them is at hand."""

from __future__ import annotations

from pathlib import Path

from lxml import etree

from km3vo.errors import SetupError

# Where Debian's python3-gavo puts them.
FOLDER = Path("/usr/lib/python3/dist-packages/gavo/resources/schemata")
FILES = (
    "OAI-PMH.xsd",
    "oai_dc.xsd",
    "RegistryInterface.xsd",
    "VOResource.xsd",
    "VODataService.xsd",
    "VORegistry.xsd",
    "TAPRegExt.xsd",
    "ConeSearch.xsd",
    "VOEventRegExt.xsd",
    "VOSICapabilities.xsd",
    "VOSIAvailability.xsd",
    "VOSITables.xsd",
    "VOTable.xsd",
    "UWS.xsd",
)
_XS = "http://www.w3.org/2001/XMLSchema"


class Schemas:
    """The schemas of all documents that km3vo serves, read from files and never from the net."""

    def __init__(self, folder: Path = FOLDER) -> None:
        """Raises SetupError when the schemas are not in ``folder``."""
        if missing := [name for name in FILES if not (folder / name).is_file()]:
            raise SetupError(
                f"{folder} has no {missing[0]}: install python3-gavo, or name the folder of the XML Schemas"
            )
        self._parser = etree.XMLParser(no_network=True)
        self._parser.resolvers.add(_Local(folder))
        root = etree.Element(f"{{{_XS}}}schema", nsmap={"xs": _XS})
        for name in FILES:
            space = etree.parse(folder / name).getroot().get("targetNamespace")
            etree.SubElement(root, f"{{{_XS}}}import", namespace=space, schemaLocation=(folder / name).as_uri())
        # Parsed anew, so that the imports go through our resolver.
        self._schema = etree.XMLSchema(etree.fromstring(etree.tostring(root), self._parser))

    def mistakes(self, document: bytes) -> list[str]:
        """What is wrong with a document; empty when it is valid."""
        try:
            tree = etree.fromstring(document, etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True))
        except etree.XMLSyntaxError as error:
            return [f"not well-formed XML: {error.msg}"]
        if self._schema.validate(tree):
            return []
        return [f"line {entry.line}: {entry.message}" for entry in self._schema.error_log]


class _Local(etree.Resolver):  # type: ignore[misc]
    """Finds the schemas that schemas import beside them, whatever host they are said to be on."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def resolve(self, url: str, identifier: str, context: object) -> object:
        name = url.rpartition("/")[2]
        file = self._folder / name
        if not file.is_file():
            raise OSError(f"no schema {name}")
        return self.resolve_filename(str(file), context)
