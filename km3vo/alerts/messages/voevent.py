"""VOEvent packets, version 2.0, or 2.1 for who asks for it. Valid by the standard's XML Schema, without exceptions."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from lxml import etree
from lxml.builder import ElementMaker

from km3vo import times
from km3vo.alerts.messages import places
from km3vo.alerts.messages.notice import flipped, instrument
from km3vo.alerts.revision import Revision
from km3vo.settings import Settings

Version: TypeAlias = Literal["2.0", "2.1"]

_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_SITE, _SKY = "UTC-GEOD-TOPO", "UTC-ICRS-TOPO"  # two of the fourteen systems that 2.0 allows
_CONCEPT = "https://www.ivoa.net/rdf/uat#neutrino-astronomy"
_GCN = "https://gcn.nasa.gov/missions/km3net"
_CITED = {"update": "supersedes", "subsequent": "followup", "retraction": "retraction"}

E = ElementMaker()


def packet(revision: Revision, settings: Settings, version: Version = "2.0") -> bytes:
    """The packet of a revision, UTF-8."""
    space = f"http://www.ivoa.net/xml/VOEvent/v{version}"
    root = ElementMaker(namespace=space, nsmap={"voe": space, "xsi": _XSI}).VOEvent(
        version=version,
        role="test" if revision.is_test else "observation",
        ivorn=places.ivoid(revision, settings, separator=_separator(version)),
    )
    root.set(f"{{{_XSI}}}schemaLocation", f"{space} http://www.ivoa.net/xml/VOEvent/VOEvent-v{version}.xsd")
    root.extend([_who(revision, settings), _what(revision, settings), _where_when(revision, settings)])
    root.append(_how(revision, settings))
    if (why := _why(revision)) is not None:
        root.append(why)
    if revision.revision > 1:
        root.append(_citations(revision, settings, version))
    if revision.text is not None:
        root.append(E.Description(revision.text))
    written: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)
    return written


def _separator(version: Version) -> str:
    return "#" if version == "2.0" else "?"


def _who(revision: Revision, settings: Settings) -> Any:
    publisher = settings.publisher
    return E.Who(
        E.AuthorIVORN(f"ivo://{publisher.authority}/organisation"),
        E.Date(times.full(revision.received, zone=False)),
        E.Author(
            E.title(publisher.title),
            E.shortName(publisher.name),
            E.contactName(publisher.contact_name),
            E.contactEmail(publisher.contact_email),
        ),
    )


def _param(name: str, value: object, *, unit: str = "", ucd: str = "") -> Any:
    """A Param, or None without a value. Numbers are written so that they read back as the same number."""
    if value is None:
        return None
    kind = {bool: "string", int: "int", float: "float"}.get(type(value), "string")
    text = value if isinstance(value, str) else repr(value).lower() if isinstance(value, bool) else repr(value)
    attributes = {"name": name, "value": text, "dataType": kind, "unit": unit, "ucd": ucd}
    return E.Param(**{key: given for key, given in attributes.items() if given or key == "value"})


def _group(name: str, *params: Any) -> Any:
    return E.Group(*[each for each in params if each is not None], name=name)


def _what(revision: Revision, settings: Settings) -> Any:
    params = [
        _param("TrigID", revision.alert_id, ucd="meta.id"),
        _param("Event_Name", revision.event_name, ucd="meta.id;meta.main"),
        _param("record_number", revision.revision, ucd="meta.version"),
        _param("alert_type", revision.type, ucd="meta.code.class"),
        _param("alert_tense", revision.tense, ucd="meta.code"),
        _param("Instrument", instrument(revision), ucd="instr.setup"),
        _param("Pipeline", revision.pipeline, ucd="meta.code"),
        _param("alert_topology", revision.topology, ucd="meta.code.class"),
        _param("src_error_50", revision.err50, unit="deg", ucd="stat.error;pos.eq"),
        _param("src_error_68", revision.err68, unit="deg", ucd="stat.error;pos.eq"),
        _param("src_error_90", revision.err90, unit="deg", ucd="stat.error;pos.eq"),
        _param("systematic_included", None if revision.ra is None else revision.systematic_included, ucd="meta.code"),
        _param("energy_measured", revision.energy, unit="GeV", ucd="phys.energy"),
        _param("quality", revision.quality, ucd="stat.fit.goodness"),
        _param("p_neutrino", revision.p_neutrino, ucd="stat.probability"),
        _param("p_astro", revision.p_astro, ucd="stat.probability"),
        _param("hypothesis", revision.hypothesis, ucd="meta.code.class"),
        _param("multiplicity", revision.multiplicity, ucd="meta.number;instr.det"),
        _param("trigger_type", revision.trigger_type, ucd="meta.code;instr.det"),
        _param("FAR", revision.far, unit="Hz", ucd="arith.rate"),
        _param("p_value", revision.p_value, ucd="stat.probability"),
        _param("cos_zenith", flipped(revision.cos_zenith), ucd="pos.az.zd"),
        _param("number_of_events", len(revision.events), ucd="meta.number"),
        _param("healpix_url", places.skymap(revision, settings), ucd="meta.ref.url"),
    ]
    for number, event in enumerate(revision.events, start=1):
        params.append(
            _group(
                f"Nu_Event_{number}",
                _param("id", event.id, ucd="meta.id"),
                _param("time", times.full(event.time, zone=False), ucd="time.epoch"),
                _param("ra", event.ra, unit="deg", ucd="pos.eq.ra"),
                _param("dec", event.dec, unit="deg", ucd="pos.eq.dec"),
                _param("src_error_50", event.err50, unit="deg", ucd="stat.error;pos.eq"),
                _param("src_error_90", event.err90, unit="deg", ucd="stat.error;pos.eq"),
                _param("energy_measured", event.energy, unit="GeV", ucd="phys.energy"),
                _param("cos_zenith", flipped(event.cos_zenith), ucd="pos.az.zd"),
                _param("topology", event.topology, ucd="meta.code.class"),
            )
        )
    if isinstance(revision.counterparts, str):
        params.append(_param("counterpart_info", revision.counterparts, ucd="meta.note"))
    else:
        for number, source in enumerate(revision.counterparts, start=1):
            params.append(
                _group(
                    f"Counterpart_{number}",
                    _param("name", source.name, ucd="meta.id"),
                    _param("ra", source.ra, unit="deg", ucd="pos.eq.ra"),
                    _param("dec", source.dec, unit="deg", ucd="pos.eq.dec"),
                    _param("angular_distance", source.angular_distance, unit="deg", ucd="pos.angDistance"),
                    _param("catalogue", source.catalogue, ucd="meta.bib"),
                    _param("url", source.url, ucd="meta.ref.url"),
                    _param("time", source.time and times.full(source.time, zone=False), ucd="time.epoch"),
                    _param("redshift", source.redshift, ucd="src.redshift"),
                    _param("luminosity_distance", source.luminosity_distance, unit="Mpc", ucd="pos.distance"),
                )
            )
    return E.What(*[each for each in params if each is not None])


def _where_when(revision: Revision, settings: Settings) -> Any:
    longitude, latitude, elevation = settings.alerts.site(revision.detector)
    sky = [
        E.Time(E.TimeInstant(E.ISOTime(times.full(revision.time, zone=False))), unit="s"),
    ]
    # Without a position there is none at all: 2.0 demands an error radius inside it.
    if revision.ra is not None:
        sky.append(
            E.Position2D(
                E.Name1("RA"),
                E.Name2("Dec"),
                E.Value2(E.C1(repr(revision.ra)), E.C2(repr(revision.dec))),
                E.Error2Radius(repr(revision.err90)),
                unit="deg",
            )
        )
    return E.WhereWhen(
        E.ObsDataLocation(
            E.ObservatoryLocation(
                E.AstroCoordSystem(id=_SITE),
                E.AstroCoords(
                    E.Position3D(
                        E.Name1("longitude"),
                        E.Name2("latitude"),
                        E.Name3("elevation"),
                        E.Value3(E.C1(repr(longitude)), E.C2(repr(latitude)), E.C3(repr(elevation))),
                        unit="deg-deg-m",
                    ),
                    coord_system_id=_SITE,
                ),
            ),
            E.ObservationLocation(E.AstroCoordSystem(id=_SKY), E.AstroCoords(*sky, coord_system_id=_SKY)),
        ),
        *(
            [E.Description("Direction of the neutrino; Error2Radius holds it with a probability of 90 %.")]
            if revision.ra is not None
            else []
        ),
    )


def _how(revision: Revision, settings: Settings) -> Any:
    return E.How(
        E.Description(f"KM3NeT/{revision.detector} neutrino telescope"),
        E.Reference(uri=places.page(revision, settings), type="url"),
        E.Reference(uri=_GCN, type="url"),
    )


def _why(revision: Revision) -> Any:
    if revision.p_astro is None:
        return None
    return E.Why(
        E.Inference(
            E.Concept(_CONCEPT),
            E.Description("a neutrino of astrophysical origin"),
            probability=repr(revision.p_astro),
        )
    )


def _citations(revision: Revision, settings: Settings, version: Version) -> Any:
    before = places.ivoid(revision, settings, number=revision.revision - 1, separator=_separator(version))
    return E.Citations(E.EventIVORN(before, cite=_CITED.get(revision.type, "followup")))
