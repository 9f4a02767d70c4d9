"""Tokens of an OpenID Connect provider: who signed them, whether they hold, and what their claims make of a person.

Keys come from the provider's discovery document (OpenID Connect Discovery 1.0 §4) and are kept; a token signed with a
key that is not known has them fetched again, but not more often than every ``AGAIN`` seconds, so that nobody makes us
hammer the provider.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from typing import Any
from urllib.parse import urlsplit

import httpx
from joserfc import jwt
from joserfc.errors import (
    BadSignatureError,
    ClaimError,
    ExpiredTokenError,
    InvalidKeyIdError,
    JoseError,
    MissingClaimError,
    UnsupportedAlgorithmError,
)
from joserfc.jwk import JWKRegistry, Key, KeySet

from km3vo.errors import CredentialsError, SetupError, UnavailableError
from km3vo.settings import Oidc

log = logging.getLogger(__name__)

# Asymmetric ones only: with a shared secret whoever can check a token can make one.
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA"]
# What a token says of its kind: an access token (RFC 9068 §2.1), or nothing special (RFC 7519 §5.1). Others are made
# for something else, such as to log somebody out, and must not open anything here.
TYPES = ("at+jwt", "application/at+jwt", "jwt", None)
LEEWAY = 60  # seconds by which the provider's clock and ours may differ
KEEP = 3600.0  # seconds for which keys are good
AGAIN = 30.0  # seconds between looks for new keys
TIMEOUT = 5.0


class Provider:
    """The identity provider that the settings name.

    Raises:
        SetupError: its URL is not https.
    """

    def __init__(self, settings: Oidc) -> None:
        self.settings = settings
        self._keys: KeySet | None = None
        self._about: dict[str, Any] = {}
        self._fetched = -KEEP
        self._lock = asyncio.Lock()
        if settings.issuer and not self.may_be_asked(settings.issuer):
            raise SetupError(f"KM3VO_OIDC_ISSUER is {settings.issuer}: it must be an https URL")

    async def person(self, token: str) -> tuple[str, bool]:
        """Whose a token is, and whether the claims make that person a member.

        Raises:
            CredentialsError: it is not signed by the provider, not for us, expired, or not valid yet.
            UnavailableError: the provider cannot be reached.
        """
        if not self.settings.issuer:
            raise CredentialsError("only personal tokens are accepted here, those that begin with km3vo_")
        return self.person_of(await self.claims(token, self.settings.audience))

    async def claims(self, token: str, audience: str, nonce: str = "") -> dict[str, Any]:
        """The claims of a token that was made for ``audience``, and where one is given, with this ``nonce``.

        Raises as ``person`` does.
        """
        claims = await self._claims(token)
        wanted: dict[str, Any] = {
            "iss": {"essential": True, "value": self.settings.issuer},
            "aud": {"essential": True, "value": audience},
            "sub": {"essential": True},
            "exp": {"essential": True},
        }
        if nonce:
            wanted["nonce"] = {"essential": True, "value": nonce}
        try:
            jwt.JWTClaimsRegistry(leeway=LEEWAY, **wanted).validate(claims)
        except ClaimError as error:
            raise self._refused(self._wrong_claim(error, audience), claims.get(error.claim)) from None
        return claims

    def person_of(self, claims: dict[str, Any]) -> tuple[str, bool]:
        """Whom claims speak of, and whether they make that person a member.

        The name is made of ``sub`` and issuer, which together are one person's (OpenID Connect Core 1.0 §5.7), such as
        ``8f3c@sso.example.org/realms/main``: owners of personal tokens are called otherwise.
        """
        values = self.groups(claims)
        groups = [values] if isinstance(values, str) else values if isinstance(values, list) else []
        name = f"{claims['sub']}@{place_of(self.settings.issuer)}"
        return name, any(group in self.settings.members for group in groups)

    def groups(self, claims: dict[str, Any]) -> Any:
        """What the claim of the settings holds; None when there is none."""
        return _deep(claims, self.settings.claim)

    async def about(self) -> dict[str, Any]:
        """What the provider says of itself (OpenID Connect Discovery 1.0 §3).

        Raises:
            UnavailableError: the provider cannot be reached.
        """
        await self._key_set(fresh=False)
        return self._about

    async def _claims(self, token: str) -> dict[str, Any]:
        for attempt in (1, 2):
            keys = await self._key_set(fresh=attempt == 2)
            try:
                decoded = jwt.decode(token, keys, algorithms=ALGORITHMS)
            except InvalidKeyIdError as error:
                if attempt == 2:
                    raise self._refused("the identity provider has no key of its kid", error.description) from None
            except UnsupportedAlgorithmError as error:
                raise self._refused("its alg is not one of those that are accepted here", error.description) from None
            except BadSignatureError:
                raise self._refused("its signature is not the identity provider's") from None
            except (JoseError, ValueError, TypeError, AttributeError):  # also a kid of a key of another kind
                raise self._refused("it is no signed JWT that can be read") from None
            else:
                kind = decoded.header.get("typ")
                if (kind.lower() if isinstance(kind, str) else kind) not in TYPES:
                    raise self._refused("its typ is neither at+jwt nor JWT", kind)
                return decoded.claims
        raise AssertionError("unreachable")

    def _wrong_claim(self, error: ClaimError, audience: str) -> str:
        """What is wrong with the claims, from what is public here and not from what the token says."""
        if isinstance(error, MissingClaimError):
            return f"it lacks {error.claim.replace(',', ', ')}"
        if isinstance(error, ExpiredTokenError):
            return "it has expired (exp)"
        return {
            "aud": f"its aud is not {audience}",
            "iss": f"its iss is not {self.settings.issuer}",
            "nbf": "it is not valid yet (nbf)",
            "iat": "it was issued in the future (iat)",
            "nonce": "its nonce is not the one of this attempt",
        }.get(error.claim, f"its {error.claim} cannot be read")

    @staticmethod
    def _refused(why: str, said: object = "") -> CredentialsError:
        """The error for a token; what the token ``said`` is for the log alone."""
        log.info("a token of the identity provider was refused: %s%s", why, f" ({str(said)[:200]})" if said else "")
        return CredentialsError(f"the token is not valid here: {why}; get a new one from the identity provider")

    async def _key_set(self, *, fresh: bool) -> KeySet:
        """The provider's keys; ``fresh`` ones if it is not too soon to ask again."""
        async with self._lock:
            age = time.monotonic() - self._fetched
            if self._keys is not None and age < (AGAIN if fresh else KEEP):
                return self._keys
            try:
                self._keys = await self._fetch()
            except (httpx.HTTPError, JoseError, ValueError, KeyError, TypeError) as error:
                log.warning("the keys of the identity provider cannot be had: %s", type(error).__name__)
                # Keys that were good an hour ago outlast a short absence of the provider.
                if self._keys is None or age > 24 * KEEP:
                    raise UnavailableError(
                        "the identity provider cannot be reached just now, so the token cannot be checked; try again"
                    ) from None
            self._fetched = time.monotonic()
            return self._keys

    async def _fetch(self) -> KeySet:
        async with httpx.AsyncClient(timeout=TIMEOUT, follow_redirects=False) as client:
            place = self.settings.issuer.rstrip("/") + "/.well-known/openid-configuration"
            discovered = (await client.get(place)).raise_for_status().json()
            # Another issuer's document must not be taken for this one's (OpenID Connect Discovery 1.0 §4.3).
            if discovered["issuer"] != self.settings.issuer or not self.may_be_asked(discovered["jwks_uri"]):
                raise ValueError("the discovery document is not the issuer's")
            keys = _usable((await client.get(discovered["jwks_uri"])).raise_for_status().json()["keys"])
        self._about = discovered
        return keys

    def may_be_asked(self, url: str) -> bool:
        """Whether an address is one that may be asked: https, or in tests one of this machine."""
        parts = urlsplit(url)
        if parts.scheme == "https" or not self.settings.insecure_http:
            return parts.scheme == "https"
        try:
            return parts.scheme == "http" and ipaddress.ip_address(parts.hostname or "").is_loopback
        except ValueError:
            return parts.hostname == "localhost"


def place_of(issuer: str) -> str:
    """An issuer as names of people have it: without the scheme, which is https."""
    return issuer.partition("://")[2]


def _usable(keys: list[Any]) -> KeySet:
    """The keys that signatures can be checked with; one that is not understood does not spoil the others (RFC 7517 §5).

    Raises:
        ValueError: there is none.
    """
    usable: list[Key] = []
    for one in keys:
        try:
            if one["kty"] == "oct":
                raise ValueError("a shared secret")
            key = JWKRegistry.import_key(one)
            key.public_key  # noqa: B018  (is read only now)
        except (JoseError, ValueError, KeyError, TypeError, AttributeError) as error:
            told = [str(one.get(name))[:60] for name in ("kid", "kty", "alg")] if isinstance(one, dict) else [""]
            log.warning("a key of the identity provider cannot be used: %s: %s", " ".join(told), type(error).__name__)
        else:
            if key.get("use") != "enc":
                usable.append(key)
    if not usable:
        raise ValueError("no key of the identity provider can be used")
    return KeySet(usable)


def _deep(claims: dict[str, Any], name: str) -> Any:
    """The value of a claim; dots go deeper, unless a claim is called so itself."""
    if name in claims:
        return claims[name]
    value: Any = claims
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
