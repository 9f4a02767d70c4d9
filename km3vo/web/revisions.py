"""What is said of the revisions of an alert, on its page and on those of its events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from km3vo import times
from km3vo.alerts.documents import FORMS
from km3vo.alerts.messages import places
from km3vo.alerts.records import Record
from km3vo.alerts.revision import Revision
from km3vo.settings import Settings
from km3vo.web.describe import Page

TITLES = {
    "json": "GCN notice (JSON)",
    "xml": "VOEvent 2.0",
    "txt": "Text",
    "fits": "Sky map (multi-order FITS)",
    "moc.fits": "90 % region (MOC)",
}
# What differs between any two revisions, or says the same in other words.
_EXPECTED = ("revision", "received", "type", "err_derived")


def revision_page(found: list[Record], place: int, settings: Settings) -> Page:
    """What is said of a revision: the one at ``place`` of those of an alert, which are in order."""
    record, before = found[place], found[place - 1].found if place else None
    if record.found is None:
        return {"number": record.revision, "redacted": f"{record.redacted:%Y-%m-%d}"}
    said, now = flat(before) if before else {}, flat(record.found)
    changed = {
        name: (said.get(name), now.get(name))
        for name in dict.fromkeys((*said, *now))
        if name not in _EXPECTED and said.get(name) != now.get(name)
    }
    return {
        "number": record.revision,
        "redacted": None,
        "type": record.found.type,
        "published": f"{record.published:%Y-%m-%d %H:%M:%S}",
        "delay": round((record.published - record.found.time).total_seconds(), 3),
        "changed": changed if before else {},
        "text": record.found.text,
        "documents": documents(record.found, settings),
    }


def documents(one: Revision, settings: Settings) -> list[dict[str, str]]:
    """The documents of a revision."""
    return [
        link(title, places.document(one, settings, form), FORMS[form])
        for form, title in TITLES.items()
        if one.ra is not None or not form.endswith("fits")
    ]


def link(title: str, url: str, media_type: str) -> dict[str, str]:
    """A link of a page."""
    return {"title": title, "url": url, "type": media_type}


def flat(one: Revision) -> dict[str, Any]:
    """The plain values of a revision by name."""
    return {
        name: value
        for name in Revision.__dataclass_fields__
        if isinstance(value := getattr(one, name), (str, int, float, bool))
    } | {"time": times.full(one.time), "number of events": len(one.events)}


def side_by_side(found: Sequence[Record]) -> list[Page]:
    """The values of all revisions, name by name: the oldest first, and whether each differs from the one before."""
    said = [flat(one.found) if one.found else {} for one in found]
    rows = []
    for name in dict.fromkeys(name for one in said for name in one):
        values = [one.get(name) for one in said]
        if name in ("revision", "event_name") or not any(value not in (None, "") for value in values):
            continue
        changed = [number > 0 and value != values[number - 1] for number, value in enumerate(values)]
        rows.append({"name": name, "cells": list(zip(values, changed, strict=True)), "changed": any(changed)})
    return rows
