"""Webhooks: a POST to each, signed so that the receiver can tell that it is ours."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator

import httpx

from km3vo.alerts.sending.channels import Channel
from km3vo.alerts.sending.outbox import Arrived, Delivery, Refused

SECONDS = 10.0
SIGNATURE = "X-KM3VO-Signature"


class Webhook:
    """One client, which keeps its connection."""

    together = False

    def __init__(self, channel: Channel) -> None:
        self._url = channel.to
        self._secret = str(channel.values().get("secret", ""))
        self._client = httpx.Client(timeout=SECONDS, follow_redirects=False, headers={"User-Agent": "km3vo"})

    def send(self, batch: list[Delivery]) -> Iterator[tuple[Delivery, Arrived | Refused]]:
        """Send one after the other."""
        for one in batch:
            headers = {"Content-Type": one.content_type, "Idempotency-Key": one.key}
            if one.replay:
                headers["X-KM3VO-Replay"] = "1"
            if self._secret:
                headers[SIGNATURE] = signature(self._secret, one.payload)
            try:
                answer = self._client.post(self._url, content=one.payload, headers=headers)
            except httpx.HTTPError as error:
                yield one, Refused(type(error).__name__)
                continue
            if answer.is_success:
                yield one, Arrived(f"HTTP {answer.status_code}")
            else:
                lasting = 300 <= answer.status_code < 500 and answer.status_code not in (408, 425, 429)
                yield one, Refused(f"HTTP {answer.status_code}", lasting=lasting)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def signature(secret: str, payload: bytes) -> str:
    """HMAC-SHA256 of a body with the secret that both sides know."""
    return f"sha256={hmac.new(secret.encode(), payload, hashlib.sha256).hexdigest()}"
