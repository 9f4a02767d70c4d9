"""Reading standard events: every field by itself, then what fields must agree on. All mistakes are told at once."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any

from pydantic import ValidationError, create_model

from km3vo.alerts import mistakes
from km3vo.alerts.mistakes import AlertError, Mistake
from km3vo.alerts.standard import SUPERNOVA, TEST_TENSES, StandardEvent

LATEST, OLDEST = timedelta(seconds=60), timedelta(days=30)  # of the time of a current alert, from now
_SUPERNOVA = re.compile(SUPERNOVA)
_DEEPEST = 20  # of objects and lists within one another
_NULL = "null says nothing: leave the field out when there is no value"
_COUNTS = re.compile(r"km3\.\d+\.\d+\.\d+\.\d+")

Fields = Mapping[str, Any]


def read(document: bytes, *, now: datetime, offline_approved: bool = False) -> StandardEvent:
    """The standard event that a document is.

    Args:
        document: JSON, UTF-8.
        now: the present, which the time of a current alert must be near.
        offline_approved: whether an operator approved that it was made from offline data, which may be embargoed.

    Raises:
        AlertError: it is none; all mistakes are told, in the order of the fields.
    """
    return check(parse(document), now=now, offline_approved=offline_approved)


def check(message: Any, *, now: datetime, offline_approved: bool = False) -> StandardEvent:
    """As ``read``, for JSON that was parsed already.

    Raises:
        AlertError: as ``read`` does.
    """
    if not isinstance(message, dict):
        raise AlertError([Mistake("", mistakes.shown(message), "write one JSON object with the fields of an alert")])
    mistaken = nulls(message)
    event: StandardEvent | None = None
    try:
        event = StandardEvent.model_validate(message)
        wrong = {_top(mistake) for mistake in mistaken}
        values = {name: getattr(event, name) for name in event.model_fields_set}
    except ValidationError as error:
        mistaken += [mistake(each, schema()) for each in error.errors(include_url=False) if each["input"] is not None]
        wrong = {_top(mistake) for mistake in mistaken}
        readable = _partial().model_validate({name: value for name, value in message.items() if name not in wrong})
        values = {name: getattr(readable, name) for name in readable.model_fields_set}
    # What is there but wrong is neither missing nor at odds with other fields.
    values = {name: value for name, value in values.items() if name not in wrong}
    mistaken += [one for one in _disagreements(values, now, offline_approved) if one.path not in wrong]
    if mistaken or event is None:
        order = {name: place for place, name in enumerate(StandardEvent.model_fields)}
        mistaken.sort(key=lambda mistake: order.get(_top(mistake), -1))
        raise AlertError(mistaken)
    return event


def content_hash(event: StandardEvent) -> str:
    """SHA-256 of what an event says, the same however it was written. When it was sent is not part of it."""
    said = event.model_dump(mode="json", exclude={"sent"}, exclude_defaults=True)
    return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@cache
def _partial() -> type[StandardEvent]:
    """The model with every field optional, for what is left of a message without its wrong fields."""
    optional: dict[str, Any] = {
        name: (field.annotation, None) for name, field in StandardEvent.model_fields.items() if field.is_required()
    }
    return create_model("PartialEvent", __base__=StandardEvent, **optional)


def parse(document: bytes) -> Any:
    """What a JSON document says. Raises AlertError when it is none, or says a thing twice."""

    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is no JSON: leave the field out when there is no number")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = dict(pairs)
        if len(keys) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"the key {mistakes.shown(twice)} is there twice: write it once")
        return keys

    try:
        return json.loads(document.decode("utf-8"), parse_constant=refuse, object_pairs_hook=once)
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 at byte {error.start + 1}"
    except json.JSONDecodeError as error:
        problem = f"is not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
    except RecursionError:
        problem = "is nested too deeply"
    except ValueError as error:
        problem = "has a number with too many digits" if "digits" in str(error) else str(error)
    raise AlertError([Mistake("", "", problem)])


def _top(mistake: Mistake) -> str:
    return re.split(r"[.\[]", mistake.path)[0]


def nulls(message: Any) -> list[Mistake]:
    """The places where a message says null. Raises AlertError when it is nested too deeply."""
    return [Mistake(path, "null", _NULL) for path in _nulls(message)]


def _nulls(value: Any, steps: tuple[str | int, ...] = ()) -> Iterator[str]:
    if len(steps) > _DEEPEST:
        raise AlertError([Mistake(str(steps[0]), "", "is nested too deeply")])
    if value is None:
        yield mistakes.path(steps)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _nulls(inner, (*steps, key))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _nulls(inner, (*steps, place))


def mistake(error: Any, root: dict[str, Any]) -> Mistake:
    """One of pydantic's errors as a mistake; ``root`` is the JSON Schema that says what the fields are."""
    steps = tuple(step for step in error["loc"] if step not in ("list", "word"))
    where = mistakes.path(steps)
    kind = error["type"]
    if kind == "missing":
        return Mistake(where, "", f"is missing{_explained(steps, root)}")
    value = mistakes.shown(error["input"])
    if kind == "extra_forbidden":
        return Mistake(where, value, "there is no such field: leave it out, or write what it says into text")
    if kind == "value_error":
        return Mistake(where, value, str(error["ctx"]["error"]))
    return Mistake(where, value, error["msg"].replace("Input should", "should") + _explained(steps, root))


def _explained(steps: tuple[str | int, ...], root: dict[str, Any]) -> str:
    """What the field at the end of a path is, from its JSON Schema, in brackets; or nothing."""
    node = root
    for step in steps:
        options = [_resolved(root, option) for option in (node, *node.get("oneOf", ()))]
        inner = [
            option["items"] if isinstance(step, int) else option["properties"][step]
            for option in options
            if ("items" in option if isinstance(step, int) else step in option.get("properties", {}))
        ]
        if not inner:
            return ""
        node = _resolved(root, inner[0])
    return f" ({node['description']})" if "description" in node else ""


def _resolved(root: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in node:
        found: dict[str, Any] = root["$defs"][node["$ref"].rpartition("/")[2]]
        return found | {key: value for key, value in node.items() if key != "$ref"}
    return node


@cache
def schema() -> dict[str, Any]:
    """The profile as a JSON Schema (draft 2020-12): what a program can check before it sends."""
    made: dict[str, Any] = _without_nulls(StandardEvent.model_json_schema())
    science = {"required": ["time", "detector", "configuration"]}
    made["allOf"] = [
        {"if": {"properties": {"type": {"const": "retraction"}}}, "then": {"required": ["text"]}, "else": science},
        {
            "if": {
                "properties": {
                    "type": {"not": {"const": "retraction"}},
                    "pipeline": {"not": {"pattern": SUPERNOVA}},
                }
            },
            "then": {"required": ["topology", "events"], "properties": {"events": {"minItems": 1}}},
        },
        {
            "if": {"properties": {"type": {"not": {"const": "retraction"}}, "tense": {"const": "current"}}},
            "then": {"required": ["far"]},
        },
        {"if": {"required": ["topology"]}, "then": {"required": ["ra", "dec", "err50"]}},
    ]
    return made


def _without_nulls(node: Any) -> Any:
    """A schema without the nulls that stand for absent fields in Python."""
    if isinstance(node, list):
        return [_without_nulls(item) for item in node]
    if not isinstance(node, dict):
        return node
    schema = {key: _without_nulls(value) for key, value in node.items() if (key, value) != ("default", None)}
    options = [option for option in schema.get("anyOf", ()) if option != {"type": "null"}]
    if len(options) == 1:
        schema = options[0] | {key: value for key, value in schema.items() if key not in ("anyOf", "title")}
    return schema


def _disagreements(values: Fields, now: datetime, offline_approved: bool) -> Iterator[Mistake]:
    yield from _required(values)
    yield from _position(values)
    yield from _times(values, now)
    yield from _identity(values)
    yield from _shape(values)
    if values.get("reconstruction") == "offline":
        if values.get("type", "update") != "update":
            yield _wrong(values, "reconstruction", "only an update is made from offline data")
        elif not offline_approved:
            yield _wrong(
                values,
                "reconstruction",
                "offline data may be embargoed: an operator sends it, `km3vo alert send --offline-approved --reason …`",
            )


def _missing(name: str, why: str) -> Mistake:
    return Mistake(name, "", f"is missing{_explained((name,), schema())}: {why}")


def _wrong(values: Fields, name: str, repair: str) -> Mistake:
    value = values.get(name)
    return Mistake(name, mistakes.shown(value if not isinstance(value, datetime) else value.isoformat()), repair)


def _required(values: Fields) -> Iterator[Mistake]:
    kind, pipeline = values.get("type"), values.get("pipeline")
    if kind == "retraction":
        if "text" not in values:
            yield _missing("text", "why the alert is retracted")
        return
    if kind is None:
        return
    for name in ("time", "detector", "configuration"):
        if name not in values:
            yield _missing(name, "every alert but a retraction has it")
    if pipeline is not None and not _SUPERNOVA.fullmatch(pipeline):
        if "topology" not in values:
            yield _missing("topology", "only pipelines named …_SN go without")
        if not values.get("events"):
            yield _missing("events", "at least one; only pipelines named …_SN go without")
    if values.get("tense") == "current" and "far" not in values:
        yield _missing("far", "every current alert has it")


def _position(values: Fields) -> Iterator[Mistake]:
    wanted = [name for name in ("ra", "dec", "err50") if name in values]
    reason = "a topology" if "topology" in values else "a position" if wanted else None
    if "err68" in values or "err90" in values:
        reason = reason or "a radius"
    if reason:
        for name in ("ra", "dec", "err50"):
            if name not in values:
                yield _missing(name, f"{reason} goes with ra, dec and err50")
    if "skymap" in values and "ra" not in values:
        yield _missing("ra", "a sky map goes with a position")
    radii = [(name, values[name]) for name in ("err50", "err68", "err90") if name in values]
    for (smaller, low), (larger, high) in pairwise(radii):
        if low > high:
            yield _wrong(values, larger, f"must not be smaller than {smaller} = {low:g}")
    for place, event in enumerate(values.get("events", ())):
        if event.err50 is not None and event.err90 is not None and event.err50 > event.err90:
            yield Mistake(f"events[{place}].err90", f"{event.err90:g}", "must not be smaller than err50")


def _times(values: Fields, now: datetime) -> Iterator[Mistake]:
    moment, tense = values.get("time"), values.get("tense")
    if moment is None:
        return
    if moment > now + LATEST:
        yield _wrong(values, "time", "lies in the future: look at the clock, and at the time zone")
    elif tense == "current" and moment < now - OLDEST:
        yield _wrong(values, "time", "is more than 30 days ago: send it with tense archival")
    for place, event in enumerate(values.get("events", ())):
        if event.time > now + LATEST:
            yield Mistake(f"events[{place}].time", event.time.isoformat(), "lies in the future: look at the clock")


def _identity(values: Fields) -> Iterator[Mistake]:
    if _COUNTS.fullmatch(values.get("alert_id", "")):
        yield _wrong(
            values,
            "alert_id",
            "is made of run and trigger numbers, and would count what is not public: choose another, such as a UUID, "
            "and write this one as events[].id",
        )
    detector, configuration = values.get("detector"), values.get("configuration")
    if detector and configuration and not configuration.startswith(detector):
        yield _wrong(values, "configuration", f"is none of {detector}: write {detector} and the number of its units")
    name, moment, tense = values.get("event_name"), values.get("time"), values.get("tense")
    if name and moment:
        day = moment.strftime("%y%m%d")
        if day not in name:
            yield _wrong(values, "event_name", f"is not of the day of time: KM3-{day} and a letter")
    if name and tense and name.startswith("TEST-") != (tense in TEST_TENSES):
        yield _wrong(values, "event_name", "TEST- begins the names of tests and injections, and of nothing else")
    ids = [event.id for event in values.get("events", ())]
    for place, one in enumerate(ids):
        if one in ids[:place]:
            yield Mistake(f"events[{place}].id", mistakes.shown(one), "is there twice: each event has its own")
    if values.get("topology") == "Multiplet" and len(ids) == 1:
        yield Mistake("events", "1 event", "a Multiplet has two or more")


def _shape(values: Fields) -> Iterator[Mistake]:
    shape = values.get("skymap")
    if shape is None:
        return
    if [shape.ellipse, shape.contours, shape.file].count(None) != 2:
        yield Mistake("skymap", "", "write one of ellipse, contours and file")
    if shape.ellipse is not None and shape.ellipse.semi_minor > shape.ellipse.semi_major:
        yield Mistake(
            "skymap.ellipse.semi_minor", f"{shape.ellipse.semi_minor:g}", "must not be larger than semi_major"
        )
    if shape.contours and "ra" in values and "dec" in values:
        from km3vo.alerts.skymaps.shapes import check_contours  # numpy

        if wrong := check_contours(values["ra"], values["dec"], shape.contours):
            yield Mistake("skymap.contours", "", wrong)
    levels = [contour.containment for contour in shape.contours or ()]
    for place, (inner, outer) in enumerate(pairwise(levels)):
        if inner >= outer:
            yield Mistake(
                f"skymap.contours[{place + 1}].containment", f"{outer:g}", "write the contours from the inner outwards"
            )
