"""Whom headers make of a sender, by what the database says of tokens and grants; and what ends with a right."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest

from km3vo.catalog.files import read_catalog
from km3vo.database.logins import OWNER, SERVICE, Database
from km3vo.database.pool import Pool
from km3vo.embargo import grants, tokens
from km3vo.embargo.access import Access
from km3vo.errors import CredentialsError, NoCredentialsError
from km3vo.identity.credentials import Authenticator, KnownError
from km3vo.identity.ongoing import Ongoing
from km3vo.identity.user import ANONYMOUS, User
from km3vo.settings import Oidc
from tests.support.folders import ROOT
from tests.support.issuer import Issuer

pytestmark = pytest.mark.slow

T = TypeVar("T")


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    one = Issuer()
    yield one
    one.close()


def with_access(database: Database, use: Callable[[Access], Awaitable[T]]) -> T:
    """The outcome of using what the database knows of people."""

    async def run() -> T:
        pool = Pool(database.conninfo(SERVICE), size=2)
        await pool.open()
        try:
            return await asyncio.wait_for(use(Access(pool)), 120)
        finally:
            await pool.close()

    return asyncio.run(run())


def token_for(database: Database, owner: str, audience: str, **more: list[str]) -> tuple[int, str]:
    with database.connect(OWNER) as connection:
        return tokens.create(
            connection, owner, audience=audience, label="", valid=timedelta(days=1), by="tests", **more
        )


def grant_for(database: Database, observer: str) -> int:
    table = read_catalog(ROOT / "schemas").table("km3net.events")
    return grants.add(
        database,
        table,
        observer,
        observed_from=None,
        observed_to=None,
        ends_at=datetime.now(UTC) + timedelta(days=1),
        reason="",
        by="tests",
    )


def test_who_sends_credentials(copy_published: Database, issuer: Issuer) -> None:
    number, member = token_for(copy_published, "ada", "member")
    sender, program = token_for(copy_published, "arca", "public", scopes=["alerts:write"], pipelines=["arca_HE"])
    reader, observing = token_for(copy_published, "olga", "observer")
    grant = grant_for(copy_published, "olga")
    _, stranger = token_for(copy_published, "zoe", "observer")
    remote = f"bob@{issuer.url.partition('://')[2]}"
    remote_grant = grant_for(copy_published, remote)
    login = grants.login_of

    async def use(access: Access) -> None:
        authenticator = Authenticator(access, Oidc(issuer=issuer.url, insecure_http=True))

        async def who(*headers: str, required: bool = False) -> User:
            return await authenticator.identify(headers, required=required)

        assert await who() == ANONYMOUS
        assert await who(f"Bearer {member}", required=True) == User("member", "ada", number)
        as_program = User("public", "arca", sender, scopes=("alerts:write",), pipelines=("arca_HE",))
        assert await who(f"Bearer {program}") == as_program
        assert await who(f"Bearer {observing}") == User(login("olga"), "olga", reader, frozenset({grant}))
        place = issuer.url.partition("://")[2]
        assert await who(f"Bearer {issuer.token()}") == User("member", f"ada@{place}")
        guest = issuer.token(sub="bob", groups=[])
        assert await who(f"Bearer {guest}") == User(login(remote), remote, None, frozenset({remote_grant}))
        with pytest.raises(NoCredentialsError):
            await who(required=True)
        with pytest.raises(CredentialsError, match="not understood"):
            await who(f"Bearer {member}", f"Bearer {member}")
        with pytest.raises(CredentialsError, match="wrong, expired or revoked"):
            await who(f"Bearer {member}x")
        with pytest.raises(KnownError, match="known as zoe"):
            await who(f"Bearer {stranger}")

    with_access(copy_published, use)


def test_answers_end_with_their_right(copy_published: Database) -> None:
    """Of those under way, the ones whose token or grant ended, once each, and no others."""
    number, _ = token_for(copy_published, "ada", "member")
    other, _ = token_for(copy_published, "eve", "member")
    grant, lasting = grant_for(copy_published, "olga"), grant_for(copy_published, "olga")
    ended: list[str] = []

    async def use(access: Access) -> None:
        ongoing = Ongoing(access)
        await ongoing.look()
        with (
            ongoing.answer(User("member", "ada", number), lambda: ended.append("ada")),
            ongoing.answer(User("member", "eve", other), lambda: ended.append("eve")),
            ongoing.answer(ANONYMOUS, lambda: ended.append("anonymous")),
            ongoing.answer(User("x", "olga", None, frozenset({grant, lasting})), lambda: ended.append("olga")),
            ongoing.answer(User("x", "olga", None, frozenset({lasting})), lambda: ended.append("lasting")),
        ):
            with ongoing.answer(User("member", "ada", number), lambda: ended.append("over")):
                pass
            await ongoing.look()
            assert ended == []
            with copy_published.connect(OWNER) as owner:
                tokens.revoke(owner, number=number)
            await ongoing.look()
            await ongoing.look()
            assert ended == ["ada"]
            grants.revoke(copy_published, grant)
            await ongoing.look()
            assert ended == ["ada", "olga"]
            await ongoing.open()
            with copy_published.connect(OWNER) as owner:
                tokens.revoke(owner, owner="eve")
            while "eve" not in ended:
                await asyncio.sleep(0.05)
            await ongoing.close()
        assert ended == ["ada", "olga", "eve"]

    with_access(copy_published, use)
