"""An attempt to log in with a browser, and whom it brings."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass


class Attempt:
    """One attempt to log in, of one browser, which keeps the secret that all else is made of.

    Attributes:
        state: ties the provider's answer to this browser (RFC 6749 §10.12).
        nonce: ties the provider's token to this attempt.
    """

    def __init__(self, secret: str) -> None:
        self.secret = secret
        self.state = self._made("state")
        self.nonce = self._made("nonce")
        self.verifier = self._made("verifier")

    @classmethod
    def new(cls) -> Attempt:
        """One that nobody can guess."""
        return cls(secrets.token_urlsafe(32))

    @property
    def challenge(self) -> str:
        """What the provider is told of the verifier (RFC 7636 §4.2)."""
        return _base64(hashlib.sha256(self.verifier.encode()).digest())

    def _made(self, use: str) -> str:
        return _base64(hmac.digest(self.secret.encode(), use.encode(), "sha256"))


@dataclass(frozen=True, slots=True)
class Person:
    """What the provider says of somebody just now.

    Attributes:
        name: SUB@ISSUER, as everywhere (oidc.py).
        shown: what people call this person.
        refresh: with which the provider can be asked again; "" when it gives no such thing.
    """

    name: str
    shown: str
    member: bool
    refresh: str


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
