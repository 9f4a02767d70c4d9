"""What headers say of who asks, and what is answered to those who may not."""

from __future__ import annotations

import base64

import pytest

from km3vo.errors import CredentialsError, ForbiddenError, NoCredentialsError, NotFoundError
from km3vo.identity.challenges import challenges, ivoa_challenges
from km3vo.identity.credentials import account_in, token_in
from km3vo.identity.failures import MOST_KEYS, Failures


def basic(text: str) -> str:
    return f"Basic {base64.b64encode(text.encode()).decode()}"


@pytest.mark.parametrize(
    ("header", "token", "account"),
    [
        ("Bearer abc", "abc", ""),
        ("  bearer   abc ", "abc", ""),
        (basic("ada:abc"), "abc", "ada"),
        (basic("ada:a:b"), "a:b", "ada"),
        (basic(":abc"), "abc", ""),
        (basic("ä:ö").replace("Basic", "BASIC"), "ö", "ä"),
    ],
)
def test_tokens_and_accounts(header: str, token: str, account: str) -> None:
    assert token_in(header) == token
    assert account_in([header]) == account


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Digest abc",
        "abc",
        "Basic ???",
        "Basic YWRh!OmFiYw==",
        "Basic /w==",
        basic("ada:"),
        basic("ada"),
    ],
)
def test_headers_that_hold_no_token(header: str) -> None:
    with pytest.raises(CredentialsError, match="not understood"):
        token_in(header)
    assert account_in([header]) == ""


def test_accounts_of_several_headers_or_none() -> None:
    assert account_in([]) == account_in([basic("ada:x"), basic("bob:x")]) == ""


def test_challenges() -> None:
    base, issuer = "https://vo.example.org", "https://sso.example.org"
    methods = ["tls-with-password", "BasicAA"]
    assert [text.partition("sso#")[2].partition('"')[0] for text in ivoa_challenges(base, "")] == methods
    ivoa = ivoa_challenges(base, issuer)
    assert [text.partition("sso#")[2].partition('"')[0] for text in ivoa] == [*methods, "OpenID"]
    assert [text.partition('access_url="')[2][:-1] for text in ivoa] == [f"{base}/login", f"{base}/login", issuer]
    password = 'Basic realm="km3vo", charset="UTF-8"'
    assert challenges(NoCredentialsError("x"), base, issuer) == ['Bearer realm="km3vo"', *ivoa, password]
    wrong = challenges(CredentialsError("x"), base, issuer)
    assert wrong == ['Bearer realm="km3vo", error="invalid_token"', *ivoa, password]
    assert challenges(ForbiddenError("x"), base, issuer) == ivoa
    assert challenges(NotFoundError("x"), base, issuer) == []


def test_wrong_attempts_drain() -> None:
    now = [0.0]
    failures = Failures(6, clock=lambda: now[0])
    assert failures.note("", "") == (1, 0.0)
    assert [failures.note("a") for _ in range(7)] == [*((number, 0.0) for number in range(1, 7)), (7, 10.0)]
    # Of several keys, the one that waits longest.
    assert failures.note("b", "a") == (8, 20.0)
    now[0] += 20
    assert failures.note("a") == (9, 10.0)
    assert failures.note("b") == (1, 0.0), "it was quiet"
    now[0] += 5
    assert failures.note("b") == (2, 0.0)
    for _ in range(50):
        failures.note("b")
    assert failures.note("b").wait == 60.0, "nobody waits for longer"


def test_who_was_quiet_for_longest_is_forgotten() -> None:
    failures = Failures(6, clock=lambda: 0.0)
    for name in ("old", "kept"):
        failures.note(name)
    failures.note("old")
    for number in range(MOST_KEYS - 1):
        failures.note(f"x{number}")
    assert failures.note("old").number == 3
    assert failures.note("kept").number == 1
