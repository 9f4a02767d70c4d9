"""Credentials that give no access: told with all ways to get better ones, written down, and slow where many come."""

from __future__ import annotations

import asyncio
import logging
import math

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from km3vo.embargo.access import Access, Entry
from km3vo.errors import CredentialsError, Km3voError, NoCredentialsError, TooManyError
from km3vo.identity.challenges import challenges
from km3vo.identity.credentials import KnownError
from km3vo.identity.failures import Failures
from km3vo.logs import text_of
from km3vo.protocols.http.addresses import base_url, client_network
from km3vo.settings import Settings

log = logging.getLogger(__name__)

REFUSED = "refused"  # the audience of those who are none, in the access log
DELAY_SECONDS = 2.0  # of an answer to one wrong attempt too many
WHO_LENGTH = 200


def refusal(request: Request, settings: Settings, error: Km3voError) -> Response:
    """The refusal of credentials, with all ways to get better ones."""
    response = PlainTextResponse(f"{text_of(error)}\n", status_code=error.status, headers=error.headers)
    response.headers["Cache-Control"] = "no-store"
    response.headers.add_vary_header("Authorization")
    for challenge in challenges(error, base_url(request, settings), settings.oidc.issuer):
        response.headers.append("WWW-Authenticate", challenge)
    return response


class Denials:
    """Refuses credentials. What was wrong of late is counted for the whole process."""

    def __init__(self, settings: Settings, access: Access, failures: Failures) -> None:
        self._settings = settings
        self._access = access
        self._failures = failures

    async def refuse(self, request: Request, error: Km3voError, account: str) -> Response:
        """The answer to credentials that were refused.

        Args:
            error: why.
            account: the user name that was sent, or "".
        """
        if isinstance(error, KnownError):
            await self._note(request, error.name, error.status)
        elif isinstance(error, CredentialsError) and not isinstance(error, NoCredentialsError):
            error = await self._wrong(request, error, account[:WHO_LENGTH])
        return refusal(request, self._settings, error)

    async def _wrong(self, request: Request, error: Km3voError, account: str) -> Km3voError:
        network = client_network(request)
        number, wait = self._failures.note(f"from {network}", f"as {account}" if account else "")
        if wait:
            error = TooManyError(f"{error} (wrong credentials came too often; wait {math.ceil(wait)} seconds)")
            error.retry_after = math.ceil(wait)
        # Of a flood only some are written down, each with its number: the log is no place to fill a disk.
        if not wait or number & (number - 1) == 0:
            await self._note(request, account, error.status, f"attempt={number}")
        if wait:
            await asyncio.sleep(min(wait, DELAY_SECONDS))
        return error

    async def _note(self, request: Request, who: str, status: int, parameters: str = "") -> None:
        entry = Entry(
            who=who,
            audience=REFUSED,
            client=client_network(request),
            method=request.method,
            path=request.scope["path"],
            parameters=parameters,
            status=status,
        )
        try:
            await self._access.note(entry)
        except Km3voError:  # nothing was given away
            log.warning("a refusal of credentials could not be written to the access log")
