"""The standard event: what is taken, what is refused, and what the refusal says.

`KM3VO_MUTATIONS` is the number of mutated events (default 2000; 100000 is the long form), `KM3VO_SEED` where to begin.
"""

from __future__ import annotations

import json
import os
import random
from datetime import timedelta
from typing import Any

import jsonschema_rs
import pytest

from km3vo.alerts import names, profile, revision
from km3vo.alerts.mistakes import AlertError
from km3vo.errors import ConflictError
from tests.support import samples
from tests.support.samples import NOW, current

MUTATIONS = int(os.environ.get("KM3VO_MUTATIONS", "2000"))
SEED = int(os.environ.get("KM3VO_SEED", "1"))


def refusals(message: Any) -> dict[str, str]:
    """Path → repair of all mistakes."""
    with pytest.raises(AlertError) as caught:
        profile.check(message, now=NOW)
    assert caught.value.status == 422
    return {mistake.path: mistake.repair for mistake in caught.value.mistakes}


@pytest.mark.parametrize("sample", [*samples.ALL, samples.retraction])
def test_right_events_are_taken(sample: Any) -> None:
    message = sample()
    event = profile.read(json.dumps(message).encode(), now=NOW)
    for name, value in message.items():
        if isinstance(value, (int, float)):
            assert getattr(event, name) == value
    jsonschema_rs.validator_for(profile.schema()).validate(message)


def test_all_mistakes_are_told_at_once_in_the_order_of_the_fields() -> None:
    message = current(ra=361, dec=None, foo=1, hypothesis="mu", energy="high", counterparts="none")
    del message["far"], message["alert_id"]
    message["events"][0] |= {"time": "yesterday", "topology": "Track"}
    told = refusals(message)
    assert list(told) == [
        *(
            "foo",
            "alert_id",
            "ra",
            "dec",
            "energy",
            "hypothesis",
            "far",
            "events[0].time",
            "events[0].topology",
            "counterparts",
        ),
    ]
    assert "leave it out" in told["foo"]
    assert "less than 360" in told["ra"] and "degrees" in told["ra"]
    assert "null" in told["dec"]
    assert "2025-03-01T12:00:00.5Z" in told["events[0].time"]
    assert "'track'" in told["events[0].topology"]


@pytest.mark.parametrize(
    ("changes", "path", "word"),
    [
        ({"time": "2026-11-27T12:02:00Z"}, "time", "future"),
        ({"time": "2026-10-01T00:00:00Z"}, "time", "archival"),
        ({"time": "2026-11-27T11:59:12.345"}, "time", "Z"),
        ({"time": "2026-11-27T11:59:12.3456789Z"}, "time", "microsecond"),
        ({"time": "2026-06-30T23:59:60Z"}, "time", "leap second"),
        ({"time": "2026-02-30T00:00:00Z"}, "time", "calendar"),
        ({"err90": 0.3}, "err90", "err50"),
        ({"err50": 181.0}, "err50", "180"),
        ({"far": -1.0}, "far", "0"),
        ({"cos_zenith": 1.1}, "cos_zenith", "1"),
        ({"configuration": "ARCA51"}, "configuration", "ORCA"),
        ({"alert_id": "km3.234.23492.58968.763"}, "alert_id", "UUID"),
        ({"event_name": "KM3-261126A"}, "event_name", "KM3-261127"),
        ({"event_name": "TEST-KM3-261127A"}, "event_name", "TEST-"),
        ({"topology": "Multiplet"}, "events", "two"),
        ({"topology": "track"}, "topology", "'Track'"),
        ({"events": []}, "events", "at least one"),
        ({"reconstruction": "offline", "type": "update"}, "reconstruction", "--offline-approved"),
        ({"skymap": {}}, "skymap", "one of"),
        ({"ra": True}, "ra", "number"),
        ({"multiplicity": 84.0}, "multiplicity", "integer"),
        ({"text": "a\x07b"}, "text", "XML"),
        ({"ra": float("inf")}, "ra", "finite"),
    ],
)
def test_each_rule_says_where_and_what_instead(changes: dict[str, Any], path: str, word: str) -> None:
    told = refusals(current(**changes))
    assert word in told[path], told


@pytest.mark.parametrize(
    ("document", "word"),
    [
        (b"", "not JSON"),
        (b"\xff", "UTF-8"),
        (b"[]", "one JSON object"),
        (b'{"ra": 1, "ra": 2}', "twice"),
        (b'{"ra": NaN}', "NaN"),
        (b"[" * 100_000, "nested"),
        (b'{"ra": ' + b"9" * 5000 + b"}", "digits"),
    ],
)
def test_what_is_no_json_is_refused(document: bytes, word: str) -> None:
    with pytest.raises(AlertError, match=word):
        profile.read(document, now=NOW)


def test_positions_are_whole_or_absent() -> None:
    told = refusals(samples.supernova(ra=1.0))
    assert set(told) == {"dec", "err50"}
    told = refusals(samples.supernova(err90=1.0))
    assert set(told) == {"ra", "dec", "err50"}
    assert "topology" in refusals(samples.supernova(pipeline="arca_HE"))


def test_a_retraction_says_why() -> None:
    message = samples.retraction()
    del message["text"]
    assert "why" in refusals(message)["text"]


def test_offline_data_need_an_approval() -> None:
    message = current(type="update", reconstruction="offline")
    assert profile.check(message, now=NOW, offline_approved=True).reconstruction == "offline"


def test_contours_enclose_one_another() -> None:
    contours = samples.multiplet()["skymap"]["contours"]
    polygons = [each["polygon"] for each in contours]
    contours[0]["polygon"], contours[1]["polygon"] = polygons[1], polygons[0]
    assert "hold all" in refusals(samples.multiplet(skymap={"contours": contours}))["skymap.contours"]
    assert (
        "inner outwards"
        in refusals(samples.multiplet(skymap={"contours": contours[::-1]}))["skymap.contours[1].containment"]
    )


def test_the_same_event_has_the_same_hash_however_it_is_written() -> None:
    def hashed(message: Any) -> str:
        return profile.content_hash(profile.read(json.dumps(message).encode(), now=NOW))

    first = current()
    assert hashed(first) == hashed(dict(reversed(first.items()))) == hashed(first | {"sent": "2026-11-27T11:59:40Z"})
    assert hashed(first) == hashed(first | {"energy": 120000})
    assert hashed(first) != hashed(first | {"energy": 120001})


def test_mutated_events_are_taken_whole_or_refused_with_path_and_repair() -> None:
    chooser = random.Random(SEED)
    schema = jsonschema_rs.validator_for(profile.schema())
    taken = 0
    for _ in range(MUTATIONS):
        message = samples.mutated(chooser)
        try:
            event = profile.check(message, now=NOW)
        except AlertError as error:
            assert error.mistakes and all(mistake.repair for mistake in error.mistakes)
            assert len({str(mistake) for mistake in error.mistakes}) == len(error.mistakes)
            continue
        taken += 1
        # An independent validator finds nothing that ours let pass.
        schema.validate(message)
        if event.type != "retraction":
            made = revision.first(event, event_name="KM3-261127A", received=NOW)
            assert made.err90 is None or made.err50 <= made.err68 <= made.err90 <= 180  # type: ignore[operator]
    assert MUTATIONS / 50 < taken < MUTATIONS / 2, taken


def test_radii_that_were_not_given_follow_from_a_gaussian() -> None:
    made = revision.first(profile.check(current(), now=NOW), event_name="KM3-261127A", received=NOW)
    assert made.err_derived
    assert made.err68 == pytest.approx(0.49 * 1.2821, rel=1e-4) and made.err90 == pytest.approx(0.49 * 1.8226, rel=1e-4)
    given = revision.first(
        profile.check(current(err68=0.6, err90=0.9), now=NOW), event_name="KM3-261127A", received=NOW
    )
    assert (given.err68, given.err90, given.err_derived) == (0.6, 0.9, False)


def test_a_retraction_keeps_what_was_known() -> None:
    before = revision.first(profile.check(current(), now=NOW), event_name="KM3-261127A", received=NOW)
    later = NOW + timedelta(hours=1)
    after = revision.following(profile.check(samples.retraction(), now=later), before, received=later)
    assert (after.revision, after.type, after.text) == (2, "retraction", "An optical beacon was on.")
    assert (after.ra, after.dec, after.events) == (before.ra, before.dec, before.events)


def test_names_count_the_alerts_of_a_day() -> None:
    start = names.stem(NOW, test=False)
    assert start == "KM3-261127" and names.stem(NOW, test=True) == "TEST-KM3-261127"
    assert names.next_name(start, []) == "KM3-261127A"
    assert names.next_name(start, ["KM3-261127A", "KM3-261127C"]) == "KM3-261127D"
    assert names.next_name(start, ["KM3-261127Z"]) == "KM3-261127AA"
    assert names.next_name(start, ["KM3-261127AZ"]) == "KM3-261127BA"
    with pytest.raises(ConflictError):
        names.next_name(start, ["KM3-261127ZZ"])
