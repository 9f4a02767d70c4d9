"""What the access log keeps of a request's parameters.

Those that the service has read are kept whole, QUERY first and then short ones before long ones; of uploaded tables,
however they came, size and SHA-256; of others, which had no effect, only how much there was. So nothing that is sent
along pushes a query out of the log, and nothing fills it. Names and values are written as in the
address of a request; what is no name or value has a ``*`` or a ``:``, which those never have.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote_plus

from starlette.types import Scope

from km3vo.protocols.http.scope import ASKED_KEY

FIRST = "QUERY"
SECRET = "PASSWORD"


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file, or a table in a field, that was sent with a request: how many bytes, and their SHA-256."""

    size: int
    sha256: str

    def __str__(self) -> str:
        return f"file:{self.size},{self.sha256}"


@dataclass(frozen=True, slots=True)
class Asked:
    """The parameters of a request as they were sent.

    Attributes:
        pairs: names and values, in order.
        read: the names, in upper case, that the service has looked at so far; None: all.
        tables: those whose values it took for uploaded tables.
    """

    pairs: Sequence[tuple[str, str | Attachment]]
    read: Collection[str] | None = None
    tables: Collection[str] = ()

    def matters(self, name: str) -> bool:
        """Whether a parameter of this name can have had an effect."""
        return self.read is None or name.upper() == FIRST or name.upper() in self.read

    def shown(self, name: str, value: str | Attachment) -> str | Attachment:
        """What the log shows of a value: a table that is nothing else besides is shown as files are."""
        if isinstance(value, str) and name.upper() in self.tables and not self.matters(name):
            content = value.encode()
            return Attachment(len(content), hashlib.sha256(content).hexdigest())
        return value


def recorded(scope: Scope, most: int) -> str:
    """The parameters of a request, for the access log.

    Args:
        most: how many characters are kept of names and values. No request with more in one parameter is carried out.
    """
    asked = scope.get(ASKED_KEY)
    if asked is None:
        asked = Asked(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
    kept: list[str] = []
    left_out: list[str] = []
    shown = [(name, asked.shown(name, value)) for name, value in asked.pairs]
    for name, value in sorted(shown, key=lambda pair: (pair[0].upper() != FIRST, len(pair[0]) + len(str(pair[1])))):
        if isinstance(value, Attachment):
            text = f"{quote_plus(name)}={value}"
        else:
            text = f"{quote_plus(name)}={quote_plus('' if name.upper() == SECRET else value)}"
        if (asked.matters(name) or isinstance(value, Attachment)) and len(name) + len(str(value)) <= most:
            most -= len(name) + len(str(value))
            kept.append(text)
        else:
            left_out.append(text)
    if left_out:
        rest = "&".join(left_out)
        kept.append(f"*={len(left_out)},{len(rest)},{hashlib.sha256(rest.encode()).hexdigest()}")
    return "&".join(kept)
