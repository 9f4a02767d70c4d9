"""Reading VOEvents as they are sent, valid or not: five of twelve real packets break the standard's XML Schema.

What is there is taken (other elements for other radii, types that the schema does not know, text between elements);
what is needed and is not there is an error.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lxml import etree

from km3vo import times
from km3vo.errors import RequestError

MOST_BYTES = 4 * 2**20
_RADIUS = re.compile(r"Error2Radius(\d\d)?")
_NAMED = re.compile(r"src_error_?(\d\d)")


class PacketError(RequestError):
    """A VOEvent cannot be read."""

    status = 422


@dataclass(frozen=True, slots=True)
class Param:
    """A Param: its value as text, and as what it says it is.

    Attributes:
        kind: its dataType as written, or "string".
    """

    name: str
    text: str
    unit: str = ""
    ucd: str = ""
    kind: str = "string"

    @property
    def value(self) -> str | float | int | bool:
        """The value by its type; the text where that is not what the type says."""
        try:
            if self.kind == "int":
                return int(self.text)
            if self.kind == "float":
                return float(self.text)
        except ValueError:
            return self.text
        return {"true": True, "false": False}.get(self.text, self.text) if self.kind == "bool" else self.text


@dataclass(frozen=True, slots=True)
class Packet:
    """A VOEvent.

    Attributes:
        role: "observation" where the packet says none (VOEvent 2.1 §3.1.2).
        ra, dec: in degrees, in the frame of ``system``; None where there is no position.
        radius: Error2Radius in degrees; which containment it has, senders do not say.
        radii: containment → radius in degrees, as far as the packet says so.
        params: by name; of two with one name, the first.
        groups: by name.
        citations: (IVOID, "followup", "supersedes" or "retraction").
    """

    ivorn: str
    version: str
    role: str
    time: datetime
    system: str = ""
    ra: float | None = None
    dec: float | None = None
    radius: float | None = None
    radii: dict[float, float] = field(default_factory=dict)
    params: dict[str, Param] = field(default_factory=dict)
    groups: dict[str, dict[str, Param]] = field(default_factory=dict)
    citations: tuple[tuple[str, str], ...] = ()
    description: str = ""

    @property
    def is_test(self) -> bool:
        """Whether nobody may take it for an observation. GCN's packets have the role "observation" even then."""
        told = dict(self.params)
        for group in self.groups.values():
            told |= group
        marks = {name.lower(): param.text.lower() for name, param in told.items()}
        sent_as_test = "true" in (marks.get("test"), marks.get("internaltest")) or marks.get("isrealalert") == "false"
        return self.role == "test" or sent_as_test


def read(document: bytes) -> Packet:
    """The packet that a document is.

    Raises:
        PacketError: it is no XML, no VOEvent, or has no usable time or position.
    """
    root = _parse(document)
    name = etree.QName(root)
    if name.localname != "VOEvent":
        raise PacketError(f"this is no VOEvent: its outermost element is {name.localname[:60]}")
    ivorn = root.get("ivorn") or root.get("ivoid")
    if not ivorn:
        raise PacketError("the VOEvent has no ivorn, which identifies it")
    coordinates = _find(root, "ObservationLocation", "AstroCoords")
    moment = _text(_find(coordinates, "TimeInstant", "ISOTime"))
    try:
        time = times.moment(moment)
    except ValueError as error:
        raise PacketError(f"the VOEvent's ISOTime {moment[:40]!r} {error}") from None
    params, groups = _params(root)
    position = _find(coordinates, "Position2D")
    ra, dec, radius, radii = _position(position)
    for param in params.values():
        if (found := _NAMED.fullmatch(param.name)) and (value := _number(param.text)) is not None:
            radii.setdefault(int(found[1]) / 100, value)
    return Packet(
        ivorn=ivorn,
        version=root.get("version", ""),
        role=root.get("role", "observation"),
        time=time,
        system="" if coordinates is None else coordinates.get("coord_system_id", ""),
        ra=ra,
        dec=dec,
        radius=radius,
        radii=dict(sorted(radii.items())),
        params=params,
        groups=groups,
        citations=tuple(
            (_text(each), each.get("cite", "followup")) for each in _all(root, "EventIVORN") if _text(each)
        ),
        description=_text(next((each for each in root if _named(each, "Description")), None)),
    )


def _parse(document: bytes) -> Any:
    if len(document) > MOST_BYTES:
        raise PacketError(f"the VOEvent is larger than {MOST_BYTES // 2**20} MiB")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True)
    try:
        root = etree.fromstring(document, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise PacketError(f"this is not well-formed XML: {getattr(error, 'msg', error)}") from None
    if root.getroottree().docinfo.doctype:
        raise PacketError("the VOEvent declares a document type, which no VOEvent needs")
    return root


def _named(element: Any, name: str) -> bool:
    return isinstance(element.tag, str) and etree.QName(element).localname == name


def _all(element: Any, name: str) -> list[Any]:
    return [] if element is None else [each for each in element.iter() if _named(each, name)]


def _find(element: Any, *names: str) -> Any:
    """The first descendant of that name, of it the first of the next, and so on; or None."""
    for name in names:
        element = next((each for each in _all(element, name) if each is not element), None)
    return element


def _text(element: Any) -> str:
    return "" if element is None else " ".join("".join(element.itertext()).split())


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _params(root: Any) -> tuple[dict[str, Param], dict[str, dict[str, Param]]]:
    what = next((each for each in root if _named(each, "What")), None)
    params: dict[str, Param] = {}
    groups: dict[str, dict[str, Param]] = {}
    for element in [] if what is None else what:
        if _named(element, "Param"):
            found = _param(element)
            params.setdefault(found.name, found)
        elif _named(element, "Group"):
            inside = groups.setdefault(element.get("name", ""), {})
            for one in map(_param, _all(element, "Param")):
                inside.setdefault(one.name, one)
    return params, groups


def _param(element: Any) -> Param:
    text = element.get("value")
    return Param(
        name=element.get("name", ""),
        text=_text(_find(element, "Value")) if text is None else text,
        unit=element.get("unit", ""),
        ucd=element.get("ucd", ""),
        kind=element.get("dataType", "string"),
    )


def _position(
    position: Any,
) -> tuple[float | None, float | None, float | None, dict[float, float]]:
    """Right ascension and declination, the radius of unknown containment, and those whose containment is known."""
    if position is None:
        return None, None, None, {}
    ra, dec = (_number(_text(_find(position, "Value2", name))) for name in ("C1", "C2"))
    if ra is None or dec is None or not (0 <= ra <= 360 and -90 <= dec <= 90):
        raise PacketError("the VOEvent's position is not valid: C1 is from 0 to 360, C2 from -90 to 90 degrees")
    radius, radii = None, {}
    for element in position:
        found = _RADIUS.fullmatch(etree.QName(element).localname) if isinstance(element.tag, str) else None
        if found and (value := _number(_text(element))) is not None:
            if found[1]:
                radii[int(found[1]) / 100] = value
            else:
                radius = value
    return ra % 360, dec, radius, radii
