"""A revision of an alert: what is stored, one row each, and what every outgoing message is made from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from km3vo import times
from km3vo.alerts import containment
from km3vo.alerts.standard import TEST_TENSES, Counterpart, OnlineEvent, Shape, StandardEvent, Tense, Type

_AS_SENT = (
    *("alert_id", "type", "tense", "pipeline", "ra", "dec", "err50", "energy", "quality", "p_neutrino", "p_astro"),
    *("hypothesis", "multiplicity", "trigger_type", "topology", "far", "p_value", "cos_zenith", "skymap", "text"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One revision of an alert. Rows never change: what is learnt later is another revision.

    Attributes:
        event_name: of the alert, the same in all its revisions, such as KM3-230213A.
        revision: counted from 1.
        received: when the service accepted it (UTC).
        err68, err90: in degrees; where the pipeline gave none, those of a Gaussian.
        err_derived: whether one of them is such.
        counterparts: known sources near it, or that none was looked for or found.
        updates: event_name, revision and what it does to it: the revision before, or None for the first.

    The other attributes are the fields of the standard event, and None where it had none.
    """

    event_name: str
    revision: int
    received: datetime
    alert_id: str
    type: Type
    tense: Tense
    time: datetime
    detector: str
    configuration: str
    pipeline: str
    ra: float | None = None
    dec: float | None = None
    err50: float | None = None
    err68: float | None = None
    err90: float | None = None
    err_derived: bool = False
    systematic_included: bool = False
    energy: float | None = None
    quality: float | None = None
    p_neutrino: float | None = None
    p_astro: float | None = None
    hypothesis: str | None = None
    multiplicity: int | None = None
    trigger_type: str | None = None
    topology: Literal["Track", "Shower", "Multiplet"] | None = None
    far: float | None = None
    p_value: float | None = None
    cos_zenith: float | None = None
    events: tuple[OnlineEvent, ...] = ()
    counterparts: tuple[Counterpart, ...] | Literal["No search", "No match"] = "No search"
    skymap: Shape | None = None
    text: str | None = None

    @property
    def is_test(self) -> bool:
        """Whether nobody may take it for an observation."""
        return self.tense in TEST_TENSES

    @property
    def key(self) -> str:
        """Name and number in one word: the identifier of the row, and the local part of the packet's."""
        return f"{self.event_name}_{self.revision}"

    @property
    def mjd(self) -> float:
        """Time of the alert as Modified Julian Date (UTC, days)."""
        return times.mjd(self.time)


def first(event: StandardEvent, *, event_name: str, received: datetime) -> Revision:
    """The first revision of a new alert."""
    return _made(event, event_name, 1, received)


def following(event: StandardEvent, before: Revision, *, received: datetime) -> Revision:
    """The revision after ``before``.

    An update repeats everything, since everything older is void (VOEvent 2.1 §3.7.1). A retraction says why, and keeps
    all else as it was.
    """
    if event.type == "retraction":
        return replace(before, revision=before.revision + 1, received=received, type="retraction", text=event.text)
    return _made(event, before.event_name, before.revision + 1, received)


def _made(event: StandardEvent, name: str, number: int, received: datetime) -> Revision:
    assert event.time is not None and event.detector is not None and event.configuration is not None
    err68, err90, derived = event.err68, event.err90, False
    if event.err50 is not None:
        err68, err90, derived = containment.radii(event.err50, event.err68, event.err90)
    counterparts = event.counterparts or "No search"
    return Revision(
        event_name=name,
        revision=number,
        received=received,
        time=event.time,
        detector=event.detector,
        configuration=event.configuration,
        err68=err68,
        err90=err90,
        err_derived=derived,
        systematic_included=bool(event.systematic_included),
        counterparts=counterparts if isinstance(counterparts, str) else tuple(counterparts),
        events=tuple(event.events),
        **{name: getattr(event, name) for name in _AS_SENT},
    )
