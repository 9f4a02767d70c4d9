"""Alerts for a service without any: KM3-230213A, which is real and long public, and tests, which say that they are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

# As its VOEvent and its paper have it: The KM3NeT Collaboration, Nature 638, 376 (2025).
KM3_230213A: dict[str, Any] = {
    "alert_id": "km3-230213a",
    "event_name": "KM3-230213A",
    "type": "initial",
    "tense": "archival",
    "time": "2023-02-13T01:16:47.703Z",
    "ra": 94.3,
    "dec": -7.8,
    "err50": 1.2,
    "err68": 1.5,
    "err90": 2.2,
    "systematic_included": True,
    "energy": 1.2e8,
    "hypothesis": "nu_mu",
    "topology": "Track",
    "detector": "ARCA",
    "configuration": "ARCA21",
    "pipeline": "arca_UHE",
    "cos_zenith": 0.0111,
    "text": "Ultra-high-energy neutrino, Nature 638, 376 (2025). The energy is that of the muon.",
}
SIMULATED = "Simulated, to show what an alert looks like: this is no observation."


def demonstration() -> Iterator[bytes]:
    """Standard events, as documents."""
    for message in (KM3_230213A, *_tests(datetime.now(UTC))):
        event: dict[str, Any] = {
            name: message[name] for name in ("time", "ra", "dec", "err50", "err90", "energy") if name in message
        }
        first = {"id": message["alert_id"], **event}
        second = {**first, "id": f"{message['alert_id']}-2", "ra": message["ra"] + 0.2}
        several = message["topology"] == "Multiplet"
        yield json.dumps({**message, "events": [first, second] if several else [first]}).encode()


def _tests(now: datetime) -> Iterator[dict[str, Any]]:
    test: dict[str, Any] = {"type": "initial", "tense": "test", "time": now.isoformat(), "text": SIMULATED, "far": 2e-8}
    yield test | {
        "alert_id": "simulated-track",
        "ra": 150.0,
        "dec": -30.0,
        "err50": 0.3,
        "energy": 3e5,
        "p_astro": 0.6,
        "topology": "Track",
        "detector": "ARCA",
        "configuration": "ARCA51",
        "pipeline": "arca_HE",
    }
    yield test | {
        "alert_id": "simulated-multiplet",
        "ra": 83.6,
        "dec": 22.0,
        "err50": 1.1,
        "energy": 900.0,
        "topology": "Multiplet",
        "detector": "ORCA",
        "configuration": "ORCA24",
        "pipeline": "orca_multiplet",
    }
