"""Standard events for the tests, and a seeded source of wrong ones."""

from __future__ import annotations

import copy
import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

from km3vo.alerts.intake import Sender, accept
from km3vo.alerts.sending.outbox import Outgoing
from km3vo.database.audiences import Audience
from km3vo.database.logins import OWNER, SERVICE, Database
from km3vo.embargo import tokens
from km3vo.simulation.alerts import KM3_230213A

NOW = datetime(2026, 11, 27, 12, 0, 0, tzinfo=UTC)

Message = dict[str, Any]


def km3_230213a() -> Message:
    """KM3-230213A, as its VOEvent and paper have it (Nature 638, 376); cos_zenith is that of its track, 0.636° above
    the horizon."""
    shared = {name: KM3_230213A[name] for name in ("time", "ra", "dec", "err50", "err90", "energy", "cos_zenith")}
    return KM3_230213A | {
        "events": [shared | {"id": "KM3-230213A", "topology": "track"}],
        "text": "Ultra-high-energy neutrino; energy is that of the muon.",
    }


def current(**changes: Any) -> Message:
    """A current alert of a track."""
    message = {
        "alert_id": "a-3f5c",
        "type": "initial",
        "tense": "current",
        "time": "2026-11-27T11:59:12.345Z",
        "ra": 10.82,
        "dec": 20.01,
        "err50": 0.49,
        "energy": 120000.0,
        "quality": 212.5,
        "p_neutrino": 0.97,
        "p_astro": 0.53,
        "hypothesis": "nu_mu",
        "multiplicity": 84,
        "trigger_type": "3DMuon",
        "topology": "Track",
        "detector": "ORCA",
        "configuration": "ORCA24",
        "pipeline": "orca_HE",
        "far": 8.029e-8,
        "p_value": 0.0021,
        "cos_zenith": -0.01,
        "events": [
            {
                "id": "km3.234.23492.58968.763",
                "time": "2026-11-27T11:59:12.345Z",
                "ra": 10.82,
                "dec": 20.01,
                "err90": 0.9,
                "energy": 120000.0,
                "cos_zenith": -0.01,
                "topology": "track",
            }
        ],
    }
    return message | changes


def multiplet(**changes: Any) -> Message:
    """A current multiplet with counterparts and contours."""
    first, second = current()["events"][0], dict(current()["events"][0])
    second |= {"id": "km3.234.22488.72853.13018", "topology": "shower", "cos_zenith": 0.02, "err50": 0.4}
    message = current(
        alert_id="m-77",
        topology="Multiplet",
        pipeline="orca_multiplet",
        events=[first, second],
        counterparts=[
            {
                "name": "a <source> & more",
                "ra": 10.9,
                "dec": 20.3,
                "angular_distance": 0.3,
                "catalogue": "RFC 2026b",
                "url": "https://astrogeo.org/rfc/",
                "redshift": 0.7,
                "luminosity_distance": 4300.0,
                "time": "2026-11-26T09:56:15.000Z",
            },
            {"name": "another", "ra": 11, "dec": 19},
        ],
        skymap={
            "contours": [
                {"containment": 0.5, "polygon": [[10.4, 19.6], [11.2, 19.6], [11.2, 20.4], [10.4, 20.4]]},
                {"containment": 0.9, "polygon": [[9.9, 19.1], [11.7, 19.1], [11.7, 20.9], [9.9, 20.9]]},
            ]
        },
        text="µ, <b>markup</b> & ]]> in a text\nof two lines",
    )
    return message | changes


def supernova(**changes: Any) -> Message:
    """A burst without a direction."""
    message = {
        "alert_id": "sn-1",
        "type": "initial",
        "tense": "current",
        "time": "2026-11-27T11:59:50.001Z",
        "detector": "ARCA",
        "configuration": "ARCA51",
        "pipeline": "km3net_SN",
        "far": 3e-8,
        "multiplicity": 9,
    }
    return message | changes


def retraction(**changes: Any) -> Message:
    """The retraction of ``current()``."""
    message = {
        "alert_id": "a-3f5c",
        "type": "retraction",
        "tense": "current",
        "pipeline": "orca_HE",
        "text": "An optical beacon was on.",
    }
    return message | changes


def send_alerts(database: Database, outgoing: Outgoing) -> None:
    """Publish some of long ago: a track, a multiplet with counterparts, a burst without a direction."""
    with database.connect(SERVICE, autocommit=True) as connection:
        for message in (km3_230213a(), multiplet(), supernova()):
            message |= {"tense": "archival", "time": "2023-02-13T01:16:47.703Z"}
            message["events"] = [one | {"time": message["time"]} for one in message.get("events", ())]
            accept(connection, json.dumps(message).encode(), Sender("tests"), outgoing=outgoing)


ALL = (km3_230213a, current, multiplet, supernova)

# What people and programs write by mistake.
_WRONG: tuple[Any, ...] = (
    *(None, True, "", "x", "yesterday", "NaN", 0, -1, 1e308, -0.0, 361, 90.0000001, 2**63, 10**400, 1.5),
    *([], {}, [[]], [None], {"a": 1}, "\x00", "\ud800", "a" * 5000, "<x>&'\"", "2026-02-30T00:00:00Z"),
    *("2026-11-27T11:59:60Z", "2026-11-27 11:59:12", "2036-01-01T00:00:00Z", "1858-01-01T00:00:00.1234567Z"),
    *("track", "Track", "current", "update", "retraction", "ORCA", "ARCA999", "KM3-261127A", "No match"),
)


def mutated(chooser: random.Random) -> Message:
    """A standard event with up to four things changed, left out, added or moved."""
    message: Message = copy.deepcopy(chooser.choice(ALL)())
    donor = chooser.choice(ALL)()
    for _ in range(chooser.randint(1, 4)):
        place: Any = message
        while isinstance(place, (dict, list)) and place and chooser.random() < 0.4:
            inner = [
                each
                for each in (place.values() if isinstance(place, dict) else place)
                if isinstance(each, (dict, list))
            ]
            if not inner:
                break
            place = chooser.choice(inner)
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        kind = chooser.choice(("change", "change", "drop", "add", "copy", "nudge"))
        if kind == "add" or not keys:
            if isinstance(place, dict):
                place[chooser.choice((*donor, "unknown", "RA", ""))] = copy.deepcopy(chooser.choice(_WRONG))
            else:
                place.append(copy.deepcopy(chooser.choice(_WRONG)))
            continue
        key = chooser.choice(keys)
        if kind == "drop":
            del place[key]
        elif kind == "copy":
            place[key] = copy.deepcopy(chooser.choice(list(donor.values())))
        elif kind == "nudge" and isinstance(place[key], float):
            place[key] *= chooser.choice((-1, 0.5, 2, 1e3, 1e-6, 1 + 1e-12))
        else:
            place[key] = copy.deepcopy(chooser.choice(_WRONG))
    return message


def token(
    database: Database, *scopes: str, audience: Audience = "public", pipelines: tuple[str, ...] = ()
) -> dict[str, str]:
    """The header of a pipeline's token that was just made."""
    with database.connect(OWNER) as owner:
        _, secret = tokens.create(
            owner,
            "pipe",
            audience=audience,
            label="",
            valid=timedelta(hours=1),
            by="tests",
            scopes=scopes,
            pipelines=pipelines,
        )
    return {"Authorization": f"Bearer {secret}"}
