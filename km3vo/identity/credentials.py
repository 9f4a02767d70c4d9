"""What ``Authorization`` headers say: personal tokens, and tokens of an identity provider."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from km3vo.embargo.access import Access
from km3vo.embargo.tokens import PREFIX
from km3vo.errors import CredentialsError, ForbiddenError, NoCredentialsError
from km3vo.identity.user import ANONYMOUS, User
from km3vo.settings import Oidc

if TYPE_CHECKING:
    from km3vo.identity.attempt import Person
    from km3vo.identity.oidc import Provider
    from km3vo.identity.sessions import Session

NOT_UNDERSTOOD = "these credentials are not understood: send one bearer token, or one as password"


class KnownError(ForbiddenError):
    """Somebody who is known has no access beyond the public data.

    Attributes:
        name: who it is.
    """

    def __init__(self, name: str) -> None:
        super().__init__(
            f"you are known as {name}, and have no access beyond the public data: ask for membership or a grant, or "
            "send no credentials"
        )
        self.name = name


class Authenticator:
    """Says who sends credentials. One per server process, since it keeps the identity provider's keys."""

    def __init__(self, access: Access, oidc: Oidc) -> None:
        self._access = access
        self._oidc = oidc
        if oidc.issuer:
            assert self.provider  # what is wrong with the settings is told at the start

    @cached_property
    def provider(self) -> Provider:
        """The identity provider. What checks its tokens takes 10 MB, so it is imported where there is one."""
        from km3vo.identity.oidc import Provider

        return Provider(self._oidc)

    async def identify(self, credentials: Sequence[str], *, required: bool = False) -> User:
        """Who sends these ``Authorization`` headers.

        Raises:
            CredentialsError: they are wrong, expired, revoked, or missing where they are required.
            KnownError: they are right, and give no access beyond the public data.
            UnavailableError: they cannot be checked just now.
        """
        if not credentials:
            if required:
                raise NoCredentialsError(
                    "this address needs credentials: a personal token as password, or a bearer token"
                )
            return ANONYMOUS
        if len(credentials) > 1:
            raise CredentialsError(NOT_UNDERSTOOD)
        token = token_in(credentials[0])
        if token.startswith(PREFIX):
            valid = await self._access.valid(token)
            if valid is None:
                raise CredentialsError(
                    "the token is wrong, expired or revoked: make a new one with `km3vo token create`"
                )
            if valid.audience == "public":
                return User(
                    "public", valid.owner, valid.number, scopes=tuple(valid.scopes), pipelines=tuple(valid.pipelines)
                )
            name, member, number = valid.owner, valid.audience == "member", valid.number
        else:
            (name, member), number = await self.provider.person(token), None
        return await self._known(name, member=member, token=number)

    async def of_person(self, person: Person) -> User:
        """Whom the provider speaks of, with the rights of just now; raises as ``in_session``."""
        return await self._known(person.name, member=person.member)

    async def in_session(self, session: Session) -> User:
        """Who a session is of, with the rights of just now.

        Raises:
            KnownError: he or she has no access beyond the public data.
            UnavailableError: that cannot be looked up just now.
        """
        return await self._known(session.name, member=session.member, session=session.number)

    async def _known(self, name: str, *, member: bool, token: int | None = None, session: int | None = None) -> User:
        if member:
            return User("member", name, token, session=session)
        observer = await self._access.observer(name)
        if observer is None:
            raise KnownError(name)
        return User(observer.login, name, token, observer.grants, session)


def token_in(credentials: str) -> str:
    """The token in an ``Authorization`` header: a bearer's, or a password (RFC 6750 §2.1, RFC 7617).

    Raises:
        CredentialsError: there is none.
    """
    return _sent(credentials)[1]


def account_in(credentials: Sequence[str]) -> str:
    """The user name in ``Authorization`` headers; "" when there is none, as with bearer tokens."""
    try:
        return _sent(credentials[0])[0] if len(credentials) == 1 else ""
    except CredentialsError:
        return ""


def _sent(credentials: str) -> tuple[str, str]:
    account = ""
    scheme, _, value = credentials.strip().partition(" ")
    value = value.strip()
    if scheme.lower() == "basic":
        try:
            account, _, value = base64.b64decode(value, validate=True).decode().partition(":")
        except ValueError:  # not Base64, not even ASCII, or not UTF-8 inside
            raise CredentialsError(NOT_UNDERSTOOD) from None
        # An identity provider's token may be the password, too.
    elif scheme.lower() != "bearer":
        raise CredentialsError(NOT_UNDERSTOOD)
    if not value:
        raise CredentialsError(NOT_UNDERSTOOD)
    return account, value
