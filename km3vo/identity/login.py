"""Logging in with a browser: the authorization code flow with PKCE (OpenID Connect Core 1.0 §3.1, RFC 7636, RFC 9700).

The service does all of it and the browser carries a code, which is worth nothing without the service: no token of the
provider ever reaches it.
"""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import quote_plus, urlencode

import httpx

from km3vo.errors import CredentialsError, UnavailableError
from km3vo.identity.attempt import Attempt, Person
from km3vo.identity.oidc import TIMEOUT, Provider
from km3vo.settings import Oidc

log = logging.getLogger(__name__)

BACK = "/auth/callback"
SHOWN_LENGTH = 60


class Login:
    """The flow, for one provider."""

    def __init__(self, provider: Provider, base_url: str) -> None:
        """``base_url`` is the one address of the service, to which the provider sends people back."""
        self._provider = provider
        self._settings: Oidc = provider.settings
        self._back = base_url + BACK

    async def address(self, attempt: Attempt) -> str:
        """Where the browser has to go.

        Raises:
            UnavailableError: the provider cannot be reached, or does not say where.
        """
        place = await self._endpoint("authorization_endpoint")
        asked = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": self._back,
            "scope": self._settings.scopes,
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": attempt.challenge,
            "code_challenge_method": "S256",
        }
        return f"{place}{'&' if '?' in place else '?'}{urlencode(asked)}"

    async def person(self, attempt: Attempt, code: str, issuer: str | None) -> Person:
        """Who has come back from the provider with a code.

        Args:
            issuer: the parameter ``iss`` of the provider's answer (RFC 9207), or None.

        Raises:
            CredentialsError: the answer is not this provider's, or not for this attempt.
            UnavailableError: the provider cannot be reached.
        """
        always = (await self._provider.about()).get("authorization_response_iss_parameter_supported") is True
        if issuer != self._settings.issuer and (always or issuer is not None):
            raise _refused("the answer is another issuer's", issuer)
        given = await self._tokens(
            grant_type="authorization_code", code=code, redirect_uri=self._back, code_verifier=attempt.verifier
        )
        return await self._person(given, await self._claims(given, attempt.nonce))

    async def again(self, name: str, refresh: str) -> Person:
        """What the provider says now of somebody who is logged in.

        Raises:
            CredentialsError: it does not vouch for this person any more.
            UnavailableError: it cannot be reached.
        """
        given = await self._tokens(grant_type="refresh_token", refresh_token=refresh)
        # A token that says who it is need not come again (OpenID Connect Core 1.0 §12.2).
        claims = await self._claims(given) if "id_token" in given else await self._told(given)
        person = await self._person({"refresh_token": refresh} | given, claims)
        if person.name != name:
            raise _refused("another person's token came back", person.name)
        return person

    async def _claims(self, given: dict[str, Any], nonce: str = "") -> dict[str, Any]:
        claims = await self._provider.claims(str(given.get("id_token")), self._settings.client_id, nonce)
        if claims.get("azp", self._settings.client_id) != self._settings.client_id:
            raise _refused("its azp is not this service", claims["azp"])
        return claims

    async def _person(self, given: dict[str, Any], claims: dict[str, Any]) -> Person:
        if self._provider.groups(claims) is None and "userinfo_endpoint" in await self._provider.about():
            told = await self._told(given)
            if told.get("sub") != claims["sub"]:
                raise _refused("the userinfo is another person's", told.get("sub"))
            claims = told | claims
        name, member = self._provider.person_of(claims)
        shown = str(claims.get("preferred_username") or claims.get("name") or name)
        shown = "".join(letter for letter in shown if letter.isprintable())[:SHOWN_LENGTH]
        return Person(name, shown or name, member, str(given.get("refresh_token") or ""))

    async def _told(self, given: dict[str, Any]) -> dict[str, Any]:
        """What the provider tells whoever has an access token (OpenID Connect Core 1.0 §5.3)."""
        place = await self._endpoint("userinfo_endpoint")
        told = await self._ask("GET", place, headers={"Authorization": f"Bearer {given.get('access_token')}"})
        if not isinstance(told.get("sub"), str):
            raise _refused("the userinfo does not say whose it is", told.get("sub"))
        return told

    async def _tokens(self, **asked: str) -> dict[str, Any]:
        """What the provider's token endpoint gives (RFC 6749 §4.1.3, §6)."""
        place = await self._endpoint("token_endpoint")
        secret = self._settings.client_secret.get_secret_value()
        if not secret:
            return await self._ask("POST", place, data=asked | {"client_id": self._settings.client_id})
        ways = (await self._provider.about()).get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        if "client_secret_basic" not in ways:
            who = {"client_id": self._settings.client_id, "client_secret": secret}
            return await self._ask("POST", place, data=asked | who)
        # Both are written as in forms before they are put together (RFC 6749 §2.3.1).
        return await self._ask(
            "POST", place, data=asked, auth=(quote_plus(self._settings.client_id), quote_plus(secret))
        )

    async def _ask(self, method: str, place: str, **more: Any) -> dict[str, Any]:
        try:
            async with httpx.AsyncClient(timeout=TIMEOUT, follow_redirects=False) as client:
                answer = await client.request(method, place, **more)
            if 400 <= answer.status_code < 500:
                raise _refused(f"the identity provider answered {answer.status_code}", answer.text)
            told = answer.raise_for_status().json()
        except (httpx.HTTPError, ValueError) as error:
            log.warning("the identity provider cannot be asked: %s", type(error).__name__)
            raise _away() from None
        if not isinstance(told, dict):
            raise _away()
        return told

    async def _endpoint(self, name: str) -> str:
        place = (await self._provider.about()).get(name)
        if not isinstance(place, str) or not self._provider.may_be_asked(place):
            log.warning("the identity provider names no %s that can be used", name)
            raise _away()
        return place


def _away() -> UnavailableError:
    return UnavailableError("the identity provider cannot be reached just now; try again in a moment")


def _refused(why: str, said: object) -> CredentialsError:
    """The error for what came back; what it ``said`` is for the log alone."""
    log.info("logging in was refused: %s (%s)", why, str(said)[:200])
    return CredentialsError(f"logging in did not succeed: {why}")
