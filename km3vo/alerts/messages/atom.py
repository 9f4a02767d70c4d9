"""The Atom feed of the alerts (RFC 4287): an entry for each revision."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from lxml import etree
from lxml.builder import ElementMaker

from km3vo import times
from km3vo.alerts.messages import mail, places
from km3vo.alerts.revision import Revision
from km3vo.settings import Settings

_SPACE = "http://www.w3.org/2005/Atom"
_BEGINNING = "1970-01-01T00:00:00Z"  # of a feed that has no entries yet

E = ElementMaker(namespace=_SPACE, nsmap={None: _SPACE})


def feed(revisions: Iterable[tuple[Revision, datetime]], settings: Settings, *, address: str) -> bytes:
    """A feed.

    Args:
        revisions: the newest first, each with the time at which it was published.
        address: of the feed itself.
    """
    entries = [entry(revision, published, settings) for revision, published in revisions]
    updated = entries[0].findtext(f"{{{_SPACE}}}updated") if entries else _BEGINNING
    publisher = settings.publisher
    made = E.feed(
        E.id(f"{settings.base_url}/alerts/feed.atom"),
        E.title(f"{publisher.title}: alerts"),
        E.updated(updated),
        E.link(rel="self", type="application/atom+xml", href=address),
        E.link(rel="alternate", type="text/html", href=f"{settings.base_url}/alerts"),
        E.author(E.name(publisher.name), E.email(publisher.contact_email), E.uri(publisher.reference_url)),
        E.generator("km3vo"),
        *entries,
    )
    written: bytes = etree.tostring(made, xml_declaration=True, encoding="UTF-8", pretty_print=True)
    return written


def entry(revision: Revision, published: datetime, settings: Settings) -> Any:
    """The entry of a revision. Its id stays the same whenever it is served."""
    links = [
        ("alternate", "text/html", places.page(revision, settings)),
        ("related", "application/json", places.document(revision, settings, "json")),
        ("related", "application/xml", places.document(revision, settings, "xml")),
        ("related", "application/fits", places.skymap(revision, settings)),
    ]
    return E.entry(
        E.id(places.ivoid(revision, settings)),
        E.title(mail.subject(revision)),
        E.updated(times.full(published)),
        E.published(times.full(published)),
        *[E.link(rel=rel, type=kind, href=address) for rel, kind, address in links if address],
        E.category(term=revision.type),
        E.category(term=revision.tense),
        E.content(mail.text(revision, settings), type="text"),
    )
