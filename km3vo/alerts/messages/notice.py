"""The notice that GCN distributes: JSON by the schema gcn/notices/km3net/alert (gcn-schema 7.2)."""

from __future__ import annotations

import json
from typing import Any

from km3vo import times
from km3vo.alerts.messages import places
from km3vo.alerts.revision import Revision
from km3vo.alerts.standard import Counterpart, OnlineEvent
from km3vo.settings import Settings

SCHEMA = "https://gcn.nasa.gov/schema/{version}/gcn/notices/km3net/alert.schema.json"


def document(revision: Revision, settings: Settings) -> bytes:
    """The notice as it is sent."""
    return json.dumps(notice(revision, settings), ensure_ascii=False, allow_nan=False).encode()


def notice(revision: Revision, settings: Settings) -> dict[str, Any]:
    """The notice as an object. Fields without a value are left out: the schema has no nulls."""
    fields = {
        "$schema": SCHEMA.format(version=settings.alerts.gcn_schema),
        "mission": "KM3NeT",
        "messenger": "Neutrino",
        "instrument": instrument(revision),
        "pipeline": revision.pipeline,
        "alert_tense": revision.tense,
        "alert_type": revision.type,
        "record_number": revision.revision,
        "alert_datetime": times.full(revision.received),
        "event_name": revision.event_name,
        "id": revision.alert_id,
        "trigger_time": times.full(revision.time),
        "ra": revision.ra,
        "dec": revision.dec,
        "ra_dec_error": revision.err90,
        "containment_probability": None if revision.ra is None else 0.9,
        "systematic_included": None if revision.ra is None else revision.systematic_included,
        "src_error_50": revision.err50,
        "healpix_url": places.skymap(revision, settings),
        "far": revision.far,
        "p_value": revision.p_value,
        "p_astro": revision.p_astro,
        "alert_topology": revision.topology,
        "number_of_events": len(revision.events),
        "event_details": [_event(event, revision) for event in revision.events],
        "potential_counterpart": not isinstance(revision.counterparts, str),
        "counterpart_info": revision.counterparts
        if isinstance(revision.counterparts, str)
        else [_counterpart(each) for each in revision.counterparts],
        "data_archive_page": places.page(revision, settings),
        "additional_info": _additional(revision),
    }
    return {name: value for name, value in fields.items() if value is not None}


def instrument(revision: Revision) -> str:
    """Detector and number of its units in three digits, as KM3NeT's notices have it: ARCA021."""
    return f"{revision.detector}{int(revision.configuration.removeprefix(revision.detector)):03d}"


def flipped(cosine: float | None) -> float | None:
    """The cosine of the zenith angle as GCN wants it: 1 is up-going there, and down-going here."""
    return None if cosine is None else 0.0 - cosine


def _event(event: OnlineEvent, revision: Revision) -> dict[str, Any]:
    # What the pipeline says of the alert, it says of its only event.
    alone = len(revision.events) == 1
    error = event.err90 or event.err50
    fields = {
        "id": event.id,
        "trigger_time": times.full(event.time),
        "ra": event.ra,
        "dec": event.dec,
        "ra_dec_error": error,
        "containment_probability": None if error is None else 0.9 if event.err90 else 0.5,
        "cos_zenith": flipped(
            revision.cos_zenith if alone and event.cos_zenith is None else event.cos_zenith,
        ),
        "prob_evt_topology": event.topology,
        "energy_measured": revision.energy if alone and event.energy is None else event.energy,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _counterpart(source: Counterpart) -> dict[str, Any]:
    reference = {"catalogue": source.catalogue, "url": source.url}
    fields = {
        "name": source.name,
        "reference": {name: value for name, value in reference.items() if value is not None} or None,
        "ra": source.ra,
        "dec": source.dec,
        "angular_distance": source.angular_distance,
        "trigger_time": source.time and times.full(source.time),
        "redshift": source.redshift,
        "luminosity_distance": source.luminosity_distance,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _additional(revision: Revision) -> str | None:
    """Words, and what the schema has no field for."""
    values = {"quality": revision.quality, "p_neutrino": revision.p_neutrino}
    told = "; ".join(f"{name} = {value!r}" for name, value in values.items() if value is not None)
    return " ".join(filter(None, (revision.text, told and f"[{told}]"))) or None
