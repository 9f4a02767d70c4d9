"""Tokens of an identity provider, looked at without a service: real keys, signatures and HTTP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey

from km3vo.errors import CredentialsError, SetupError, UnavailableError
from km3vo.identity.oidc import AGAIN, KEEP, Provider
from km3vo.settings import Oidc
from tests.support.issuer import Issuer

KEYS = "/realm/keys"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    one = Issuer()
    yield one
    one.close()


def provider_of(issuer: Issuer, claim: str = "groups", members: tuple[str, ...] = ("km3net",)) -> Provider:
    return Provider(Oidc(issuer=issuer.url, insecure_http=True, claim=claim, members=list(members)))


def person(provider: Provider, token: str) -> tuple[str, bool]:
    return asyncio.run(provider.person(token))


def refusal(provider: Provider, token: str) -> str:
    with pytest.raises(CredentialsError) as caught:
        person(provider, token)
    return str(caught.value)


def test_who_a_person_is(issuer: Issuer) -> None:
    provider, place = provider_of(issuer), issuer.url.removeprefix("http://")
    assert person(provider, issuer.token()) == (f"ada@{place}", True)
    assert person(provider, issuer.token(sub="bob", groups=["guests"])) == (f"bob@{place}", False)
    for groups, member in (
        ("km3net", True),
        ("km3net guests", False),
        ([], False),
        (None, False),
        ({"km3net": 1}, False),
    ):
        assert person(provider, issuer.token(groups=groups)) == (f"ada@{place}", member), groups


def test_a_claim_within_another(issuer: Issuer) -> None:
    provider = provider_of(issuer, "realm.roles", ("member", "guest"))
    assert person(provider, issuer.token(realm={"roles": ["guest"]}))[1]
    # A claim that is called so itself comes first.
    assert not person(provider, issuer.token(**{"realm.roles": ["x"], "realm": {"roles": ["guest"]}}))[1]  # type: ignore[arg-type]
    for odd in ("roles", ["roles"], None, {"roles": None}, {"other": ["guest"]}):
        assert not person(provider, issuer.token(realm=odd))[1], odd


def test_clocks_may_differ_by_a_minute(issuer: Issuer) -> None:
    provider, now = provider_of(issuer), int(time.time())
    assert person(provider, issuer.token(exp=now - 40, nbf=now + 40, iat=now + 40))[1]
    for change, told in (({"exp": now - 70}, "exp"), ({"nbf": now + 80}, "nbf"), ({"iat": now + 80}, "iat")):
        assert f"({told})" in refusal(provider, issuer.token(**change))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"iss": "https://elsewhere.example"}, "its iss is not http"),
        ({"aud": "other"}, "its aud is not km3vo"),
        ({"aud": ["other"]}, "its aud is not km3vo"),
        ({"exp": "soon"}, "its exp cannot be read"),
        ({"sub": None}, "it lacks sub"),
        ({"iss": None}, "it lacks iss"),
        ({"aud": None}, "it lacks aud"),
        ({"exp": None}, "it lacks exp"),
    ],
)
def test_claims_that_are_wrong(issuer: Issuer, change: dict[str, object], told: str) -> None:
    assert told in refusal(provider_of(issuer), issuer.token(**change))  # type: ignore[arg-type]


def test_signatures_and_kinds(issuer: Issuer) -> None:
    provider = provider_of(issuer)
    assert person(provider, issuer.token(header={"typ": "AT+jwt"}))[1]
    header, payload, _ = issuer.token().split(".")
    for token, told in (
        (issuer.token(header={"typ": "logout+jwt"}), "its typ is neither"),
        (issuer.token(OctKey.generate_key(256, {"kid": "first"}), alg="HS256"), "its alg is not"),
        (issuer.token(RSAKey.generate_key(2048, {"kid": "first"})), "its signature is not"),
        (f"{header}.{payload}.", "its signature is not"),
        ("a.b.c", "it is no signed JWT"),
    ):
        assert told in refusal(provider, token)


def test_the_provider_is_asked_once_and_again_for_a_new_key(issuer: Issuer) -> None:
    provider = provider_of(issuer)
    for _ in range(3):
        person(provider, issuer.token())
    assert issuer.asked[KEYS] == 1
    key = ECKey.generate_key("P-256", {"kid": "second"})
    issuer.keys.append(key)
    # Just now the keys were looked at: nobody makes us look again and again.
    for _ in range(3):
        assert "no key of its kid" in refusal(provider, issuer.token(key, alg="ES256"))
    assert issuer.asked[KEYS] == 1
    provider._fetched -= AGAIN + 1
    assert person(provider, issuer.token(key, alg="ES256"))[1]
    assert issuer.asked[KEYS] == 2
    provider._fetched -= KEEP - 10  # what is known is good for an hour
    assert person(provider, issuer.token())[1] and issuer.asked[KEYS] == 2
    provider._fetched -= 20
    assert person(provider, issuer.token())[1] and issuer.asked[KEYS] == 3


def test_keys_outlast_an_absence_of_a_day(issuer: Issuer) -> None:
    provider, token = provider_of(issuer), issuer.token()
    issuer.failing = True
    with pytest.raises(UnavailableError, match="try again"):
        person(provider, token)
    issuer.failing = False
    assert person(provider, token)[1]
    issuer.failing = True
    provider._fetched -= 23 * KEEP
    assert person(provider, token)[1]
    asked = issuer.asked.total()
    assert person(provider, token)[1] and issuer.asked.total() == asked, "an absent provider is not asked each time"
    provider._fetched -= 25 * KEEP
    with pytest.raises(UnavailableError):
        person(provider, token)


def test_keys_that_are_not_for_signatures(issuer: Issuer) -> None:
    key = issuer.keys.pop()
    public = key.as_dict(private=False)
    issuer.odd_keys = [public | {"use": "enc"}]
    with pytest.raises(UnavailableError):
        person(provider_of(issuer), issuer.token(key))
    shared = OctKey.generate_key(256, {"kid": "shared"}).as_dict(private=True)
    issuer.odd_keys = [public | {"use": "sig"}, shared, "x", None]
    assert person(provider_of(issuer), issuer.token(key))[1]


def test_another_issuers_document_is_not_taken(issuer: Issuer) -> None:
    issuer.says_issuer = "https://elsewhere.example"
    with pytest.raises(UnavailableError):
        person(provider_of(issuer), issuer.token())


@pytest.mark.parametrize(
    ("url", "insecure", "good"),
    [
        ("https://sso.example.org", False, True),
        ("https://sso.example.org", True, True),
        ("http://sso.example.org", False, False),
        ("http://sso.example.org", True, False),
        ("http://127.0.0.1:8080", False, False),
        ("http://127.0.0.1:8080", True, True),
        ("http://localhost:8080", True, True),
        ("http://10.0.0.1", True, False),
        ("ftp://127.0.0.1", True, False),
    ],
)
def test_addresses_of_providers(url: str, insecure: bool, good: bool) -> None:
    if good:
        assert Provider(Oidc(issuer=url, insecure_http=insecure)).settings.issuer == url
        return
    with pytest.raises(SetupError, match="must be an https URL"):
        Provider(Oidc(issuer=url, insecure_http=insecure))


def test_without_a_provider_only_personal_tokens_work(issuer: Issuer) -> None:
    assert "only personal tokens" in refusal(Provider(Oidc()), issuer.token())
