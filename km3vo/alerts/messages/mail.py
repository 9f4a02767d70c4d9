"""The notice as a text that people read and programs parse: lines "KEY: value", as GCN's classic texts are.

``email.message_from_string`` reads it back.
"""

from __future__ import annotations

import textwrap
from email.message import EmailMessage

from km3vo import times
from km3vo.alerts.messages import notice, places, voevent
from km3vo.alerts.revision import Revision
from km3vo.settings import Settings

_WIDTH = 26
_MARKS = {"update": "UPDATE", "subsequent": "SUBSEQUENT", "retraction": "RETRACTION"}


def subject(revision: Revision) -> str:
    """The subject: what is unusual comes first."""
    marks = ["TEST"] if revision.is_test else []
    marks += [_MARKS[revision.type]] if revision.type in _MARKS else []
    marks += ["ARCHIVAL"] if revision.tense == "archival" else []
    return " ".join((*marks, f"KM3NeT {revision.event_name} revision {revision.revision}"))


def text(revision: Revision, settings: Settings) -> str:
    """The notice as text, a field per line."""
    return "".join(_line(name, value, unit) for name, value, unit in _fields(revision, settings) if value is not None)


def _fields(revision: Revision, settings: Settings) -> list[tuple[str, object, str]]:
    fields: list[tuple[str, object, str]] = [
        ("TITLE", f"KM3NeT/{revision.detector} neutrino alert", ""),
        ("EVENT_NAME", revision.event_name, ""),
        ("REVISION", revision.revision, ""),
        ("ALERT_TYPE", revision.type, ""),
        ("ALERT_TENSE", revision.tense, ""),
        ("TRIGGER_TIME", times.full(revision.time), ""),
        ("RA", revision.ra, "deg"),
        ("DEC", revision.dec, "deg"),
        ("ERR50", revision.err50, "deg"),
        ("ERR68", revision.err68, "deg"),
        ("ERR90", revision.err90, "deg"),
        ("ERR_DERIVED", "yes, from a Gaussian" if revision.err_derived else None, ""),
        ("SYSTEMATIC_INCLUDED", None if revision.ra is None else "yes" if revision.systematic_included else "no", ""),
        ("TOPOLOGY", revision.topology, ""),
        ("ENERGY", revision.energy, "GeV"),
        ("QUALITY", revision.quality, ""),
        ("P_NEUTRINO", revision.p_neutrino, ""),
        ("P_ASTRO", revision.p_astro, ""),
        ("HYPOTHESIS", revision.hypothesis, ""),
        ("MULTIPLICITY", revision.multiplicity, ""),
        ("TRIGGER_TYPE", revision.trigger_type, ""),
        ("FAR", revision.far, "Hz"),
        ("P_VALUE", revision.p_value, ""),
        ("COS_ZENITH", revision.cos_zenith, "(1 is straight down from above)"),
        ("DETECTOR", revision.detector, ""),
        ("CONFIGURATION", revision.configuration, ""),
        ("PIPELINE", revision.pipeline, ""),
        ("ALERT_ID", revision.alert_id, ""),
        ("NUMBER_OF_EVENTS", len(revision.events), ""),
    ]
    for number, event in enumerate(revision.events, start=1):
        fields += [
            (f"EVENT_{number}_ID", event.id, ""),
            (f"EVENT_{number}_TIME", times.full(event.time), ""),
            (f"EVENT_{number}_RA", event.ra, "deg"),
            (f"EVENT_{number}_DEC", event.dec, "deg"),
            (f"EVENT_{number}_ERR50", event.err50, "deg"),
            (f"EVENT_{number}_ERR90", event.err90, "deg"),
            (f"EVENT_{number}_ENERGY", event.energy, "GeV"),
            (f"EVENT_{number}_COS_ZENITH", event.cos_zenith, ""),
            (f"EVENT_{number}_TOPOLOGY", event.topology, ""),
        ]
    if isinstance(revision.counterparts, str):
        fields.append(("COUNTERPARTS", revision.counterparts, ""))
    else:
        for number, source in enumerate(revision.counterparts, start=1):
            fields += [
                (f"COUNTERPART_{number}", f"{source.name} at RA {source.ra!r} deg, Dec {source.dec!r} deg", ""),
                (f"COUNTERPART_{number}_DISTANCE", source.angular_distance, "deg"),
                (f"COUNTERPART_{number}_CATALOGUE", source.catalogue, ""),
            ]
    return [
        *fields,
        ("SKYMAP", places.skymap(revision, settings), ""),
        ("PAGE", places.page(revision, settings), ""),
        ("VOEVENT", places.ivoid(revision, settings), ""),
        ("RECEIVED", times.full(revision.received), ""),
        ("COMMENTS", revision.text, ""),
    ]


def _line(name: str, value: object, unit: str) -> str:
    said = value if isinstance(value, str) else repr(value)
    said = f"{said} {unit}".strip()
    head = f"{name}:".ljust(_WIDTH)
    if len(head) + len(said) <= 100 and "\n" not in said:
        return f"{head}{said}\n"
    # Continued lines begin with a space (RFC 5322 §2.2.3).
    wrapped = textwrap.wrap(said, 100 - _WIDTH, break_long_words=False, break_on_hyphens=False) or [""]
    return head + f"\n{' ' * _WIDTH}".join(wrapped) + "\n"


def message(
    revision: Revision, settings: Settings, *, sender: str, attached: str = "", unsubscribe: str = ""
) -> EmailMessage:
    """The mail of a revision, without a recipient.

    Mails of one alert are one thread, and the same revision sent again is the same mail, by its Message-ID.

    Args:
        sender: the address it comes from; its domain is part of the Message-ID.
        attached: "json" for the GCN notice or "xml" for the VOEvent beside the text.
        unsubscribe: the address of a page where mails are ended; in the text as well.
    """
    host = sender.rpartition("@")[2]
    mail = EmailMessage()
    mail["From"] = sender
    mail["Subject"] = subject(revision)
    mail["Date"] = revision.received
    mail["Message-ID"] = f"<{revision.event_name}.{revision.revision}@{host}>"
    if revision.revision > 1:
        mail["In-Reply-To"] = f"<{revision.event_name}.{revision.revision - 1}@{host}>"
        mail["References"] = f"<{revision.event_name}.1@{host}>"
    mail["Auto-Submitted"] = "auto-generated"
    ending = _line("UNSUBSCRIBE", unsubscribe, "") if unsubscribe else ""
    mail.set_content(text(revision, settings) + ending)
    if attached == "json":
        mail.add_attachment(
            notice.document(revision, settings), maintype="application", subtype="json", filename=f"{revision.key}.json"
        )
    elif attached == "xml":
        mail.add_attachment(
            voevent.packet(revision, settings), maintype="application", subtype="xml", filename=f"{revision.key}.xml"
        )
    return mail
