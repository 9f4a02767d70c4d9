"""Who asks."""

from __future__ import annotations

from dataclasses import dataclass

from km3vo.database.audiences import Audience


@dataclass(frozen=True, slots=True)
class User:
    """Who asks.

    Attributes:
        audience: decides which rows there are: "public", "member", or the login of one observer (embargo/grants.py).
        name: for job lists and the access log; None for the public. What belongs to somebody (a job and its result)
            is for the same audience and name only.
        token: number of the personal token that was sent, or None.
        grants: numbers of the grants that an observer has just now.
        session: number of the session in which the request came (sessions.py), or None.
        scopes: what may be done beside reading (embargo/tokens.py).
        pipelines: whose alerts may be sent; none named is all of them.
    """

    audience: Audience = "public"
    name: str | None = None
    token: int | None = None
    grants: frozenset[int] = frozenset()
    session: int | None = None
    scopes: tuple[str, ...] = ()
    pipelines: tuple[str, ...] = ()


ANONYMOUS = User()
