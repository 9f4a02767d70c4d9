"""The standard event: the one message in which every pipeline reports an alert, field by field.

All that leaves the service (GCN notices, VOEvents, mails, pages, rows) is made from it. GCN's own schema takes ``{}``,
ra = 999 and a time of "yesterday"; this one is strict. An absent field is missing: null is refused. What
fields must agree on among each other is in ``profile``.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
)

from km3vo import times

MOST_BYTES = 2**20  # of a standard event
MOST_SKYMAP_BYTES = 20 * 2**20  # of a map that comes with one
EVENTS, COUNTERPARTS, VERTICES = 1000, 200, 1000  # most of each in one alert, so that a notice stays below 1 MB
SUPERNOVA = r"^(.*_)?(SN|sn|supernova)$"  # pipelines that look for bursts of events, and may know no direction
NAME = r"^(TEST-)?KM3-\d{6}[A-Z]{1,2}$"  # of an alert, event_name

Type: TypeAlias = Literal["initial", "subsequent", "update", "retraction"]
Tense: TypeAlias = Literal["current", "archival", "injection", "test"]
TEST_TENSES = ("test", "injection")

# What XML cannot hold has no place in a text that becomes a VOEvent (XML 1.0 §2.2).
_UNPRINTABLE = re.compile(r"[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _printable(text: str) -> str:
    if found := _UNPRINTABLE.search(text):
        raise ValueError(f"holds {found[0]!r}, which no XML document can: leave it out")
    return text


def _moment(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str):
        raise ValueError(times.complaint(""))
    return times.moment(value, exact=True)


def _kind(value: Any) -> str:
    return "list" if isinstance(value, list) else "word"


Moment = Annotated[
    datetime,
    BeforeValidator(_moment),
    WithJsonSchema({"type": "string", "pattern": r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,6}0{0,3})?(Z|\+00:?00)$"}),
]
Number = Annotated[float, Field(allow_inf_nan=False)]
RightAscension = Annotated[Number, Field(ge=0, lt=360, description="right ascension, ICRS, degrees, [0, 360)")]
Declination = Annotated[Number, Field(ge=-90, le=90, description="declination, ICRS, degrees, [-90, 90]")]
Radius = Annotated[Number, Field(gt=0, le=180)]
Probability = Annotated[Number, Field(ge=0, le=1)]
Cosine = Annotated[
    Number,
    Field(
        ge=-1,
        le=1,
        description="cosine of the zenith angle: 1 comes straight down from above, -1 up through the Earth "
        "(GCN's notices have the opposite sign, and get it)",
    ),
]
Energy = Annotated[Number, Field(gt=0, description="energy proxy in GeV")]
Line = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\t\n\r]*$"), AfterValidator(_printable)]
Word = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:+-]*$")]
Url = Annotated[str, Field(max_length=500, pattern=r"^https?://[!-~]+$")]
Err50 = Annotated[Radius, Field(description="radius that holds the true direction with 50 %, degrees")]
Err90 = Annotated[Radius, Field(description="radius that holds the true direction with 90 %, degrees")]


class Part(BaseModel):
    """Unknown keys are refused, a number is no text and a text no number."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class OnlineEvent(Part):
    """An event as the online pipeline saw it, with its preliminary calibration."""

    id: Annotated[Word, Field(description="the pipeline's own identifier of the event")]
    time: Annotated[Moment, Field(description="time of the event, UTC")]
    ra: RightAscension
    dec: Declination
    err50: Err50 | None = None
    err90: Err90 | None = None
    energy: Energy | None = None
    cos_zenith: Cosine | None = None
    topology: Annotated[
        Literal["track", "starting track", "shower"] | None, Field(description="shape of the event, in small letters")
    ] = None


class Counterpart(Part):
    """A known source near the direction."""

    name: Annotated[Line, Field(description="name of the source")]
    ra: RightAscension
    dec: Declination
    angular_distance: Annotated[Number, Field(ge=0, le=180, description="degrees from the alert")] | None = None
    catalogue: Annotated[Line, Field(description="catalogue and version in which it is listed")] | None = None
    url: Annotated[Url, Field(description="page of the catalogue or notice")] | None = None
    time: Annotated[Moment, Field(description="time of a transient, UTC")] | None = None
    redshift: Annotated[Number, Field(gt=-1, le=20, description="redshift")] | None = None
    luminosity_distance: Annotated[Number, Field(gt=0, description="luminosity distance in Mpc")] | None = None


Corner = Annotated[tuple[RightAscension, Declination], Field(strict=False)]


class Ellipse(Part):
    """A direction whose errors differ: the ellipse that holds it with a probability."""

    containment: Annotated[Number, Field(gt=0, lt=1, description="probability, such as 0.5 or 0.9")]
    semi_major: Annotated[Radius, Field(le=90, description="degrees")]
    semi_minor: Annotated[Radius, Field(le=90, description="degrees, at most semi_major")]
    position_angle: Annotated[
        Number, Field(ge=0, lt=180, description="of semi_major, from north through east, degrees")
    ]


class Contour(Part):
    """The border of the region that holds the direction with a probability."""

    containment: Annotated[Number, Field(gt=0, lt=1, description="probability, such as 0.5, 0.68 or 0.9")]
    polygon: Annotated[
        list[Corner],
        Field(min_length=3, max_length=VERTICES, description="corners as [ra, dec], joined by great circles"),
    ]


class Shape(Part):
    """What the sky map is made from, when a circle is not all that is known: an ellipse, contours, or a file."""

    ellipse: Ellipse | None = None
    contours: Annotated[list[Contour], Field(min_length=1, max_length=4)] | None = None
    file: (
        Annotated[
            str,
            Field(
                pattern="^[0-9a-f]{64}$",
                description="SHA-256 of a FITS file, which was sent with this message or with one before",
            ),
        ]
        | None
    ) = None


class StandardEvent(Part):
    """An alert of KM3NeT's online pipelines, or a revision of one."""

    model_config = ConfigDict(
        title="KM3NeT standard event",
        json_schema_extra={"$schema": "https://json-schema.org/draft/2020-12/schema"},
    )

    alert_id: Annotated[Word, Field(description="chosen by the pipeline, the same for all revisions of an alert")]
    event_name: (
        Annotated[
            str,
            Field(
                pattern=NAME,
                description="KM3-YYMMDD and letters; leave it out to have it assigned",
            ),
        ]
        | None
    ) = None
    type: Annotated[Type, Field(description="what this message does to the alert")]
    tense: Annotated[Tense, Field(description="current, or archival, injection or test")]
    time: Annotated[Moment, Field(description="time of the alert, UTC")] | None = None
    sent: Annotated[Moment, Field(description="when the pipeline sent this, UTC; tells clocks apart")] | None = None
    ra: RightAscension | None = None
    dec: Declination | None = None
    err50: Err50 | None = None
    err68: Annotated[Radius, Field(description="radius that holds the true direction with 68 %, degrees")] | None = None
    err90: Err90 | None = None
    systematic_included: Annotated[
        bool | None, Field(description="whether the radii include systematic errors; absent is false")
    ] = None
    energy: Energy | None = None
    quality: Annotated[Number, Field(description="quality of the reconstruction, the higher the better")] | None = None
    p_neutrino: Annotated[Probability, Field(description="probability of a neutrino, [0, 1]")] | None = None
    p_astro: Annotated[Probability, Field(description="probability of astrophysical origin, [0, 1]")] | None = None
    hypothesis: Annotated[
        Literal["nu_mu", "nu_e", "nu_tau"] | None, Field(description="neutrino type assumed in the reconstruction")
    ] = None
    multiplicity: Annotated[int, Field(ge=1, le=2**31 - 1, description="hits in the trigger")] | None = None
    trigger_type: Annotated[Line, Field(description="the trigger that selected the event")] | None = None
    topology: Annotated[
        Literal["Track", "Shower", "Multiplet"] | None, Field(description="shape of the alert, with a capital letter")
    ] = None
    detector: Annotated[Literal["ARCA", "ORCA"] | None, Field(description="the telescope")] = None
    configuration: (
        Annotated[
            str,
            Field(
                pattern=r"^(ARCA|ORCA)\d{1,3}$", description="detector and number of detection units, such as ARCA51"
            ),
        ]
        | None
    ) = None
    pipeline: Annotated[Word, Field(description="the analysis that found it, such as arca_HE")]
    far: Annotated[Number, Field(ge=0, description="false alarm rate in Hz")] | None = None
    p_value: Annotated[Probability, Field(description="p-value, [0, 1]")] | None = None
    cos_zenith: Cosine | None = None
    events: Annotated[list[OnlineEvent], Field(max_length=EVENTS, description="events of the alert")] = []
    counterparts: (
        Annotated[
            Annotated[
                Annotated[list[Counterpart], Field(min_length=1, max_length=COUNTERPARTS)],
                Tag("list"),
            ]
            | Annotated[Literal["No search", "No match"], Tag("word")],
            Discriminator(_kind),
            Field(description='known sources near it, or "No search", or "No match"'),
        ]
        | None
    ) = None
    skymap: Annotated[Shape, Field(description="an ellipse, contours or a file, instead of a circle")] | None = None
    reconstruction: Annotated[
        Literal["online", "offline"], Field(description="offline only for an update that was approved by the operator")
    ] = "online"
    text: (
        Annotated[
            str,
            Field(min_length=1, max_length=2000, description="in words, for people"),
            AfterValidator(_printable),
        ]
        | None
    ) = None

    @property
    def is_test(self) -> bool:
        """Whether nobody may take it for an observation."""
        return self.tense in TEST_TENSES
