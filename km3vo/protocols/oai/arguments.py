"""The arguments of an OAI-PMH request: which a verb takes, what they may be, and tokens for the rest of a list."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from km3vo.errors import RequestError
from km3vo.registry.harvested import Window

SETS = {"ivo_managed": "Resources of this publisher"}
PREFIXES = ("ivo_vor", "oai_dc")

# verb → arguments it must have, arguments it may have (OAI-PMH 2.0 §4). A resumptionToken stands alone.
VERBS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "Identify": (frozenset(), frozenset()),
    "ListMetadataFormats": (frozenset(), frozenset({"identifier"})),
    "ListSets": (frozenset(), frozenset({"resumptionToken"})),
    "GetRecord": (frozenset({"identifier", "metadataPrefix"}), frozenset()),
    "ListIdentifiers": (frozenset({"metadataPrefix"}), frozenset({"from", "until", "set", "resumptionToken"})),
    "ListRecords": (frozenset({"metadataPrefix"}), frozenset({"from", "until", "set", "resumptionToken"})),
}
# The patterns of OAI-PMH.xsd: what breaks them cannot be echoed.
_WORD = r"[A-Za-z0-9\-_.!~*'()]+"
_SHAPES = {"metadataPrefix": re.compile(_WORD), "set": re.compile(rf"{_WORD}(:{_WORD})*")}
_NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0 §2.2
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_SECOND = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


class OaiError(RequestError):
    """A mistake in a request, by its code (OAI-PMH 2.0 §3.6)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def check(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """The arguments of a request, each once and each known to its verb.

    Raises:
        OaiError: badVerb or badArgument.
    """
    verbs = [value for name, value in pairs if name == "verb"]
    if len(verbs) != 1 or verbs[0] not in VERBS:
        said = "is missing" if not verbs else "is given more than once" if len(verbs) > 1 else "is not known"
        raise OaiError("badVerb", f"the verb {said}: it is one of {', '.join(VERBS)}")
    if any(_NOT_XML.search(name + value) for name, value in pairs):
        raise OaiError("badArgument", "an argument holds a character that XML does not allow")
    arguments = dict(pairs)
    if len(arguments) < len(pairs):
        raise OaiError("badArgument", "an argument is given more than once")
    needed, allowed = VERBS[verbs[0]]
    names = arguments.keys() - {"verb"}
    if unknown := sorted(names - needed - allowed):
        raise OaiError("badArgument", f"{verbs[0]} takes no argument {unknown[0][:40]}")
    for name, shape in _SHAPES.items():
        if name in names and not shape.fullmatch(arguments[name]):
            raise OaiError("badArgument", f"{name} holds characters that it cannot")
    if "resumptionToken" in names:
        if len(names) > 1:
            raise OaiError("badArgument", "a resumptionToken stands alone")
    elif missing := sorted(needed - names):
        raise OaiError("badArgument", f"{verbs[0]} needs the argument {missing[0]}")
    return arguments


@dataclass(frozen=True, slots=True)
class Listing:
    """A list that is asked for, and how much of it is known already.

    Attributes:
        prefix: the metadata format.
        since, until: as they were given, or "".
        after: the last identifier that was sent, or "".
        cursor: how many records were sent.
    """

    prefix: str
    since: str = ""
    until: str = ""
    after: str = ""
    cursor: int = 0

    @property
    def window(self) -> Window:
        """The records asked for, both ends included."""
        return Window(_moment(self.since), _moment(self.until, end=True))


def listing(arguments: dict[str, str]) -> Listing:
    """The list that a request asks for.

    Raises:
        OaiError: whatever is wrong with it.
    """
    if token := arguments.get("resumptionToken"):
        return _open(token)
    if "resumptionToken" in arguments:
        raise OaiError("badResumptionToken", "the resumptionToken is empty")
    check_prefix(arguments["metadataPrefix"])
    since, until = arguments.get("from", ""), arguments.get("until", "")
    for name in arguments.keys() & {"from", "until"}:
        if not (_DAY.fullmatch(arguments[name]) or _SECOND.fullmatch(arguments[name])):
            raise OaiError("badArgument", f"{name} is not a time like 2026-01-31 or 2026-01-31T12:00:00Z")
    if since and until and len(since) != len(until):
        raise OaiError("badArgument", "from and until must both be days or both be times")
    wanted = Listing(arguments["metadataPrefix"], since, until)
    if since and until and since > until:
        raise OaiError("badArgument", "from is later than until")
    _ = wanted.window  # a month 13 shows here
    if "set" in arguments and arguments["set"] not in SETS:
        raise OaiError("noRecordsMatch", f"there is no set {arguments['set'][:40]}: see verb=ListSets")
    return wanted


def check_prefix(prefix: str) -> None:
    """Raises OaiError (cannotDisseminateFormat) unless there is such a metadata format."""
    if prefix not in PREFIXES:
        raise OaiError("cannotDisseminateFormat", f"the metadataPrefix is one of {', '.join(PREFIXES)}")


def seal(rest: Listing) -> str:
    """A resumption token: the rest of the list, whatever server process or restart comes between.

    It carries all that is needed, so nothing about harvesters is kept; a checksum finds tokens cut off on their way.
    """
    text = json.dumps([rest.prefix, rest.since, rest.until, rest.after, rest.cursor], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_sum(text) + text).decode().rstrip("=")


def _open(token: str) -> Listing:
    bad = OaiError("badResumptionToken", "the resumptionToken is not one of ours: begin the list anew")
    try:
        sealed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise bad from None
    if sealed[:6] != _sum(sealed[6:]):
        raise bad
    try:
        rest = Listing(*json.loads(sealed[6:]))
        _ = rest.window
    except (TypeError, ValueError, OaiError):
        raise bad from None
    return rest


def _sum(text: bytes) -> bytes:
    return hashlib.blake2b(text, digest_size=6, person=b"km3vo oai").digest()


def _moment(text: str, *, end: bool = False) -> datetime | None:
    """The time; with ``end`` the last second of a day."""
    if not text:
        return None
    try:
        start = datetime.fromisoformat(text.replace("Z", "")).replace(tzinfo=UTC)
        return start.replace(hour=23, minute=59, second=59) if end and len(text) == 10 else start
    except ValueError:
        raise OaiError("badArgument", f"there is no such day or time as {text}") from None
