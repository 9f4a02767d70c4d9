"""Tokens of an OpenID Connect provider: who signed them, whether they hold, and what their claims make of a person.

Keys come from the provider's discovery document (OpenID Connect Discovery 1.0 §4) and are kept; a token signed with a
key that is not known has them fetched again, but not more often than every ``AGAIN`` seconds, so that nobody makes us
hammer the provider.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from typing import Any
from urllib.parse import urlsplit

import httpx
from joserfc import jwt
from joserfc.errors import ExpiredTokenError, InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from km3vo.errors import CredentialsError, ForbiddenError, SetupError, UnavailableError
from km3vo.settings import Oidc

# Asymmetric ones only: with a shared secret whoever can check a token can make one.
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA"]
LEEWAY = 60  # seconds by which the provider's clock and ours may differ
KEEP = 3600.0  # seconds for which keys are good
AGAIN = 30.0  # seconds between looks for new keys
TIMEOUT = 5.0

AWAY = UnavailableError("the identity provider cannot be reached just now, so the token cannot be checked; try again")
INVALID = CredentialsError("the token is not valid here: get a new one from the identity provider")
EXPIRED = CredentialsError("the token has expired: get a new one from the identity provider")


class Provider:
    """The identity provider that the settings name.

    Raises:
        SetupError: its URL is not https.
    """

    def __init__(self, settings: Oidc) -> None:
        self.settings = settings
        self._keys: KeySet | None = None
        self._fetched = -KEEP
        self._lock = asyncio.Lock()
        if settings.issuer and not self._may_be_asked(settings.issuer):
            raise SetupError(f"KM3VO_OIDC_ISSUER is {settings.issuer}: it must be an https URL")

    async def subject(self, token: str) -> tuple[str, bool]:
        """Whose a token is (its ``sub``), and whether the claims make that person a member.

        Raises:
            CredentialsError: it is not signed by the provider, not for us, expired, or not valid yet.
            UnavailableError: the provider cannot be reached.
        """
        if not self.settings.issuer:
            raise CredentialsError("only personal tokens are accepted here, those that begin with km3vo_")
        claims = await self._claims(token)
        try:
            jwt.JWTClaimsRegistry(
                leeway=LEEWAY,
                iss={"essential": True, "value": self.settings.issuer},
                aud={"essential": True, "value": self.settings.audience},
                sub={"essential": True},
                exp={"essential": True},
            ).validate(claims)
        except ExpiredTokenError:
            raise EXPIRED from None
        except JoseError:
            raise INVALID from None
        values = _deep(claims, self.settings.claim)
        groups = [values] if isinstance(values, str) else values if isinstance(values, list) else []
        return claims["sub"], any(group in self.settings.members for group in groups)

    async def _claims(self, token: str) -> dict[str, Any]:
        for attempt in (1, 2):
            keys = await self._key_set(fresh=attempt == 2)
            try:
                return jwt.decode(token, keys, algorithms=ALGORITHMS).claims
            except InvalidKeyIdError:
                if attempt == 2:
                    raise INVALID from None
            except (JoseError, ValueError):
                raise INVALID from None
        raise AssertionError("unreachable")

    async def _key_set(self, *, fresh: bool) -> KeySet:
        """The provider's keys; ``fresh`` ones if it is not too soon to ask again."""
        async with self._lock:
            age = time.monotonic() - self._fetched
            if self._keys is not None and age < (AGAIN if fresh else KEEP):
                return self._keys
            try:
                self._keys = await self._fetch()
            except (httpx.HTTPError, JoseError, ValueError, KeyError, TypeError):
                # Keys that were good an hour ago outlast a short absence of the provider.
                if self._keys is None or age > 24 * KEEP:
                    raise AWAY from None
            self._fetched = time.monotonic()
            return self._keys

    async def _fetch(self) -> KeySet:
        async with httpx.AsyncClient(timeout=TIMEOUT, follow_redirects=False) as client:
            place = self.settings.issuer.rstrip("/") + "/.well-known/openid-configuration"
            found = (await client.get(place)).raise_for_status().json()
            # Another issuer's document must not be taken for this one's (OpenID Connect Discovery 1.0 §4.3).
            if found["issuer"] != self.settings.issuer or not self._may_be_asked(found["jwks_uri"]):
                raise ValueError("the discovery document is not the issuer's")
            keys = (await client.get(found["jwks_uri"])).raise_for_status().json()
        return KeySet.import_key_set(keys)

    def _may_be_asked(self, url: str) -> bool:
        parts = urlsplit(url)
        if parts.scheme == "https" or not self.settings.insecure_http:
            return parts.scheme == "https"
        try:
            return parts.scheme == "http" and ipaddress.ip_address(parts.hostname or "").is_loopback
        except ValueError:
            return parts.hostname == "localhost"


NOBODY = ForbiddenError(
    "you are known and have no access beyond the public data: ask for membership or a grant, or send no credentials"
)


def _deep(claims: dict[str, Any], name: str) -> Any:
    """The value of a claim; dots go deeper, unless a claim is called so itself."""
    if name in claims:
        return claims[name]
    value: Any = claims
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
