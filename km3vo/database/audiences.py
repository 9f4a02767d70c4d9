"""Audiences: whose rows a statement reads, and the login that each of them reads as."""

from __future__ import annotations

from typing import TypeAlias

from km3vo.database.logins import MEMBER, PUBLIC

# "public", "member", or the login of one observer (embargo/grants.py).
Audience: TypeAlias = str


class _Logins(dict[Audience, str]):
    """An observer's audience is the name of the observer's own login."""

    def __missing__(self, audience: Audience) -> str:
        if not audience.startswith("km3vo_observer_"):
            raise KeyError(audience)
        return audience


LOGIN = _Logins(public=PUBLIC, member=MEMBER)
