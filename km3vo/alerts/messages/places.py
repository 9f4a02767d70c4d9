"""Where each revision of an alert is found, and what identifies it: the same in every message."""

from __future__ import annotations

import re

from km3vo.alerts.revision import Revision
from km3vo.settings import Settings


def page(revision: Revision, settings: Settings) -> str:
    """Address of the alert's page, with all its revisions."""
    return f"{settings.base_url}/alerts/{revision.event_name}"


def document(revision: Revision, settings: Settings, suffix: str) -> str:
    """Address of a document of this revision: ``json``, ``xml``, ``txt``, ``fits``, ``moc.fits``."""
    return f"{page(revision, settings)}/{revision.revision}.{suffix}"


def skymap(revision: Revision, settings: Settings) -> str | None:
    """Address of the sky map, or None where there is no position. It is known before the map is made."""
    return None if revision.ra is None else document(revision, settings, "fits")


def stream(settings: Settings, *, test: bool) -> str:
    """IVOID of the stream, which the registry resolves."""
    return f"ivo://{settings.publisher.authority}/VOEvent{'_test' if test else ''}"


def named(ivoid: str, settings: Settings) -> tuple[str, int] | None:
    """The name of the alert and the number of the revision that an identifier of a VOEvent of ours names, or None."""
    start = re.escape(stream(settings, test=False))
    found = re.fullmatch(rf"{start}(?:_test)?[#?]([A-Z0-9-]{{1,60}})_(\d{{1,9}})", ivoid, re.IGNORECASE)
    return (found[1], int(found[2])) if found else None


def ivoid(revision: Revision, settings: Settings, *, number: int | None = None, separator: str = "#") -> str:
    """Identifier of the VOEvent of a revision, this one or another of the same alert.

    VOEvent 2.0 knows ``#`` before the local part; 2.1 (§2.2) prefers ``?``.
    """
    local = f"{revision.event_name}_{number or revision.revision}"
    return f"{stream(settings, test=revision.is_test)}{separator}{local}"
