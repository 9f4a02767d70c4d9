"""Tables that queries of the tests speak of."""

from __future__ import annotations

from km3vo.adql import QueryTable
from km3vo.catalog.model import Column

EVENTS = QueryTable(
    name=("km3net", "events"),
    relation=("km3net", "events_public"),
    columns=(
        Column(name="event_id", datatype="long", ucd="meta.id;meta.main", description="Number of the event"),
        Column(name="mjd", datatype="double", unit="d", ucd="time.epoch", utype="t.mjd"),
        Column(name="ra", datatype="double", unit="deg", ucd="pos.eq.ra;meta.main"),
        Column(name="dec", datatype="double", unit="deg", ucd="pos.eq.dec;meta.main"),
        Column(name="err50", datatype="float", unit="deg", ucd="stat.error;pos.eq"),
        Column(name="energy", datatype="float", unit="GeV", ucd="phys.energy"),
        Column(name="nhits", datatype="short", ucd="meta.number"),
        Column(name="detector", datatype="char", arraysize="8*", ucd="meta.id;instr"),
        Column(name="author", datatype="unicodeChar", arraysize="*"),
        Column(name="obs_time", datatype="char", arraysize="*", xtype="timestamp"),
        Column(name="good", datatype="boolean"),
        Column(name="region", datatype="double", arraysize="*", xtype="polygon", unit="deg"),
    ),
    positions={("ra", "dec"): "_pos"},
    circles={("ra", "dec", "err50"): "_errc"},
    geometries={"region": "_region"},
)

UPLOAD = QueryTable(
    name=("TAP_UPLOAD", "mine"),
    relation=("upload", "mine"),
    columns=(
        Column(name="id", datatype="int"),
        Column(name="RA", datatype="double", unit="deg"),
        Column(name="DEC", datatype="double", unit="deg"),
        Column(name="radius", datatype="double", unit="deg"),
        Column(name="my flux", datatype="float", unit="Jy"),
        Column(name="spectrum", datatype="double", arraysize="*"),
        Column(name="place", datatype="double", arraysize="2", xtype="point"),
        Column(name="field", datatype="double", arraysize="3", xtype="circle"),
        Column(name="outline", datatype="double", arraysize="*", xtype="polygon"),
    ),
)
