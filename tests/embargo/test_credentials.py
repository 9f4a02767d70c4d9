"""Who is asking: tokens, passwords, identity providers; and what the wrong ones get."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Iterator
from datetime import timedelta

import httpx
import psycopg
import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey

from km3vo.database.logins import OWNER, Database
from km3vo.embargo import tokens
from km3vo.errors import NotFoundError
from tests.embargo.lab import SCHEMAS, add_alert, paths
from tests.support.issuer import Issuer
from tests.support.server import Server, serve

pytestmark = pytest.mark.slow

QUERY = {"LANG": "ADQL", "QUERY": "SELECT COUNT(*) AS n FROM lab.alerts", "RESPONSEFORMAT": "csv"}


@pytest.fixture(scope="module")
def lab(new_published: object) -> Database:
    """A database with one public and one embargoed alert."""
    assert callable(new_published)
    database: Database = new_published()
    with database.connect(OWNER, autocommit=True) as owner:
        add_alert(owner, 1, "2020-01-01")
        owner.execute("SELECT km3vo.promote('lab.alerts')")
        add_alert(owner, 2, "2090-01-01")
    return database


@pytest.fixture(scope="module")
def server(lab: Database, issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that knows the identity provider."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KM3VO_OIDC_ISSUER", issuer.url)
        patch.setenv("KM3VO_OIDC_INSECURE_HTTP", "true")
        with serve(lab, tmp_path_factory.mktemp("home"), schemas=SCHEMAS, promote_seconds=0) as running:
            yield running


def ask(server: Server, token: str | None = None, **headers: str) -> httpx.Response:
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    return httpx.get(f"{server.url}/tap/sync", params=QUERY, headers=headers)


def rows(answer: httpx.Response) -> int:
    assert answer.status_code == 200, answer.text
    return int(answer.text.split()[1])


def personal(
    database: Database, audience: str = "member", valid: timedelta = timedelta(days=1), owner: str = "ada"
) -> str:
    with database.connect(OWNER) as connection:
        return tokens.create(connection, owner, audience=audience, label="test", valid=valid, by="me")[1]


def test_anonymous_and_member(server: Server, lab: Database, issuer: Issuer) -> None:
    assert rows(ask(server)) == 1
    assert rows(ask(server, issuer.token())) == 2
    assert rows(ask(server, personal(lab))) == 2


def test_the_token_is_not_kept(lab: Database) -> None:
    token = personal(lab)
    with lab.connect(OWNER) as owner:
        kept = owner.execute("SELECT token::text, sha256 FROM km3vo.token AS token").fetchall()
        assert not [row for row in kept if token.removeprefix("km3vo_") in row[0]]
        assert hashlib.sha256(token.encode()).digest() in [row[1] for row in kept]


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://elsewhere.example"},
        {"iss": None},
        {"aud": "other"},
        {"aud": None},
        {"exp": 1},
        {"exp": None},
        {"exp": "soon"},
        {"exp": int(time.time()) - 120},
        {"nbf": int(time.time()) + 3600},
        {"iat": int(time.time()) + 3600},
        {"sub": None},
        {"sub": 5},
    ],
)
def test_wrong_claims(server: Server, issuer: Issuer, change: dict[str, object]) -> None:
    assert ask(server, issuer.token(**change)).status_code == 401  # type: ignore[arg-type]


def test_clocks_may_differ_a_little(server: Server, issuer: Issuer) -> None:
    now = int(time.time())
    assert rows(ask(server, issuer.token(exp=now - 30, nbf=now + 30, iat=now + 30))) == 2


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"aud": "other"}, "its aud is not km3vo"),
        ({"iss": "https://elsewhere.example"}, "its iss is not http"),
        ({"exp": 1}, "expired (exp)"),
        ({"nbf": int(time.time()) + 3600}, "not valid yet (nbf)"),
        ({"aud": None, "sub": None}, "it lacks aud, sub"),
    ],
)
def test_why_a_token_was_refused(
    server: Server, issuer: Issuer, caplog: pytest.LogCaptureFixture, change: dict[str, object], told: str
) -> None:
    token = issuer.token(**change)  # type: ignore[arg-type]
    with caplog.at_level("INFO", logger="km3vo.identity"):
        answer = ask(server, token)
    assert told in answer.text
    assert told in caplog.text and token not in caplog.text
    if change.get("aud"):
        assert "(other)" in caplog.text and "other" not in answer.text


def test_why_a_signature_was_refused(server: Server, issuer: Issuer) -> None:
    header, payload, signature = issuer.token().split(".")
    for token, told in (
        (issuer.token(RSAKey.generate_key(2048, {"kid": "unknown"})), "kid"),
        (issuer.token(OctKey.generate_key(256, {"kid": "first"}), alg="HS256"), "alg"),
        (issuer.token(ECKey.generate_key("P-256", {"kid": "first"}), alg="ES256"), "it is no signed JWT"),
        (issuer.token(RSAKey.generate_key(2048, {"kid": "first"})), "signature"),
        (f"{header}.{payload}.{signature[:-8]}AAAAAAAA", "signature"),
        ("a.b.c", "it is no signed JWT"),
    ):
        answer = ask(server, token)
        assert (answer.status_code, told in answer.text) == (401, True), answer.text


@pytest.mark.parametrize("kind", ["logout+jwt", "secevent+jwt", "dpop+jwt", "", "x"])
def test_wrong_types(server: Server, issuer: Issuer, kind: str) -> None:
    answer = ask(server, issuer.token(header={"typ": kind}))
    assert (answer.status_code, "typ" in answer.text) == (401, True)


@pytest.mark.parametrize("kind", ["JWT", "jwt", "at+jwt", "application/at+jwt"])
def test_right_types(server: Server, issuer: Issuer, kind: str) -> None:
    assert rows(ask(server, issuer.token(header={"typ": kind}))) == 2


def test_keys_that_cannot_be_used(server: Server, issuer: Issuer, caplog: pytest.LogCaptureFixture) -> None:
    """They are left out and logged, and spoil none of the others."""
    good = issuer.keys[0].as_dict(private=False)
    shared = OctKey.generate_key(256, {"kid": "shared"})
    issuer.odd_keys = [
        {**good, "n": "!!!", "kid": "broken"},
        {**good, "e": "AA"},  # with the name of a good one
        {"kty": "AKP", "alg": "ML-DSA-44", "kid": "later"},
        {"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA", "kid": "off"},
        {"kty": "EC", "crv": "P-999", "x": "AAAA", "y": "AAAA", "kid": "curve"},
        shared.as_dict(private=True),
        *("x", None, 5),
    ]
    provider = server.app.state.service.authenticator.provider
    try:
        provider._keys = None
        assert rows(ask(server, issuer.token())) == 2
        for kid in ("broken", "later", "off", "curve", "shared"):
            assert f"cannot be used: {kid}" in caplog.text
        assert ask(server, issuer.token(shared, alg="HS256")).status_code == 401
    finally:
        issuer.odd_keys = []
        provider._keys = None


def test_a_person_of_the_provider_is_no_owner_of_tokens(server: Server, lab: Database, issuer: Issuer) -> None:
    """Though the ``sub`` is the name of one: neither sees the other's jobs."""
    tokens_of = {"token": personal(lab, owner="ada"), "provider": issuer.token(sub="ada")}
    made = {}
    for who, token in tokens_of.items():
        answer = httpx.post(f"{server.tap}/async", data=QUERY, headers={"Authorization": f"Bearer {token}"})
        made[who] = answer.headers["location"]
        named = {"token": "ada", "provider": f"ada@{issuer.url.partition('://')[2]}"}[who]
        assert answer.headers["x-vo-authenticated"] == named
    for who, token in tokens_of.items():
        headers = {"Authorization": f"Bearer {token}"}
        (other,) = made.keys() - {who}
        listed = httpx.get(f"{server.tap}/async", headers=headers).text
        assert made[who].rpartition("/")[2] in listed and made[other].rpartition("/")[2] not in listed
        assert httpx.get(made[who], headers=headers).status_code == 200
        assert httpx.get(made[other], headers=headers).status_code == 404


def test_a_program_of_the_same_name_lists_no_jobs_of_a_member(server: Server, lab: Database) -> None:
    """Its token reads what the public does: of jobs that read more it does not learn that they are there."""
    with lab.connect(OWNER) as owner:
        program = tokens.create(
            owner, "ada", audience="public", label="", valid=timedelta(1), by="me", scopes=["alerts:write"]
        )[1]
    headers = {who: {"Authorization": f"Bearer {token}"} for who, token in (("ada", personal(lab)), ("it", program))}
    made = {
        who: httpx.post(f"{server.tap}/async", data=QUERY, headers=headers[who]).headers["location"] for who in headers
    }
    listed = {who: httpx.get(f"{server.tap}/async", headers=headers[who]).text for who in headers}
    ids = {who: url.rpartition("/")[2] for who, url in made.items()}
    assert ids["it"] in listed["it"] and ids["ada"] not in listed["it"]
    assert ids["ada"] in listed["ada"] and ids["it"] in listed["ada"]


def test_wrong_signatures(server: Server, issuer: Issuer) -> None:
    other = RSAKey.generate_key(2048, {"kid": "first"})
    unknown = RSAKey.generate_key(2048, {"kid": "unknown"})
    confused = OctKey.generate_key(256, {"kid": "first"})
    good = issuer.token()
    header, payload, signature = good.split(".")
    nothing = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    for token in (
        issuer.token(other),
        issuer.token(unknown),
        issuer.token(confused, alg="HS256"),
        f"{nothing}.{payload}.",
        f"{nothing}.{payload}.{signature}",
        f"{header}.{payload}.{signature[:-4]}AAAA",
        f"{header}.{payload}",
        "x",
        "a.b.c",
    ):
        assert ask(server, token).status_code == 401, token


def test_keys_rotate_and_the_provider_is_not_hammered(server: Server, issuer: Issuer) -> None:
    provider = server.app.state.service.authenticator.provider
    new = ECKey.generate_key("P-256", {"kid": "second"})
    issuer.keys.append(new)
    provider._fetched = -1e9  # longer ago than it takes to ask again
    assert rows(ask(server, issuer.token(new, alg="ES256"))) == 2
    before = issuer.asked["/realm/keys"]
    for _ in range(5):
        assert ask(server, issuer.token(RSAKey.generate_key(2048, {"kid": "third"}))).status_code == 401
    assert issuer.asked["/realm/keys"] == before


def test_provider_away(server: Server, issuer: Issuer) -> None:
    provider = server.app.state.service.authenticator.provider
    ask(server, issuer.token())
    issuer.failing = True
    try:
        provider._fetched -= 2 * 3600
        assert rows(ask(server, issuer.token())) == 2  # the keys of an hour ago are good for a while
        provider._keys = None
        assert ask(server, issuer.token()).status_code == 503
    finally:
        issuer.failing = False
    issuer.says_issuer = "https://elsewhere.example"
    try:
        assert ask(server, issuer.token()).status_code == 503
    finally:
        issuer.says_issuer = None
    assert rows(ask(server, issuer.token())) == 2


@pytest.mark.parametrize("groups", [["guests"], [], None, "guests", {"km3net": 1}, [["km3net"]]])
def test_known_but_no_member(server: Server, issuer: Issuer, groups: object) -> None:
    answer = ask(server, issuer.token(groups=groups))
    assert answer.status_code == 403
    assert "beyond the public data" in answer.text


def test_revoked_and_expired_tokens(server: Server, lab: Database) -> None:
    with lab.connect(OWNER) as owner:
        number, token = tokens.create(owner, "bo", audience="member", label="x", valid=timedelta(days=1), by="me")
        assert rows(ask(server, token)) == 2
        assert tokens.revoke(owner, number=number) == 1
        with pytest.raises(NotFoundError):
            tokens.revoke(owner, number=number)
        states = {one.id: one.state for one in tokens.find_all(owner)}
        assert states[number] == "revoked"
    assert ask(server, token).status_code == 401
    short = personal(lab, valid=timedelta(seconds=1))
    assert rows(ask(server, short)) == 2
    time.sleep(1.1)
    assert ask(server, short).status_code == 401
    assert ask(server, "km3vo_" + "x" * 43).status_code == 401


def test_all_tokens_of_a_person_are_revoked_at_once(lab: Database) -> None:
    personal(lab, owner="cy"), personal(lab, owner="cy")
    with lab.connect(OWNER) as owner:
        assert tokens.revoke(owner, owner="cy") == 2


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Basic", "Basic !!", "Basic eA==", "Digest x", "Negotiate abc", "token", "Basic eDo="],
)
def test_odd_headers_are_refused(server: Server, header: str) -> None:
    answer = httpx.get(f"{server.url}/tap/sync", params=QUERY, headers={"Authorization": header})
    assert answer.status_code == 401


def test_two_headers_are_refused(server: Server, lab: Database) -> None:
    header = ("Authorization", f"Bearer {personal(lab)}")
    assert httpx.get(f"{server.url}/tap/sync", params=QUERY, headers=[header, header]).status_code == 401


def test_a_token_as_password(server: Server, lab: Database, issuer: Issuer) -> None:
    for password in (personal(lab), issuer.token()):
        answer = httpx.get(f"{server.url}/tap/sync", params=QUERY, auth=("anybody", password))
        assert rows(answer) == 2
    assert httpx.get(f"{server.url}/tap/sync", params=QUERY, auth=("ada", "guess")).status_code == 401


def test_every_route_refuses_wrong_credentials(server: Server) -> None:
    for known in (*paths(server.app), "/no/such/page"):
        for path in (known, "/auth" + known):
            answer = httpx.get(server.url + path, headers={"Authorization": "Bearer wrong"})
            assert answer.status_code == 401, path


def test_challenges(server: Server, issuer: Issuer) -> None:
    answer = ask(server, "wrong")
    challenges = answer.headers.get_list("www-authenticate")
    assert 'Bearer realm="km3vo", error="invalid_token"' in challenges
    assert 'Basic realm="km3vo", charset="UTF-8"' in challenges
    login = f'access_url="{server.url}/login"'
    assert f'ivoa_bearer standard_id="ivo://ivoa.net/sso#tls-with-password", {login}' in challenges
    assert f'ivoa_bearer standard_id="ivo://ivoa.net/sso#OpenID", access_url="{issuer.url}"' in challenges
    assert answer.headers["cache-control"] == "no-store"
    # Told on the capabilities, too, where clients look whether they could log in.
    offered = httpx.get(f"{server.url}/tap/capabilities")
    assert offered.status_code == 200
    assert all(one.startswith("ivoa_bearer") for one in offered.headers.get_list("www-authenticate"))


def test_login(server: Server, lab: Database) -> None:
    token = personal(lab)
    for answer in (
        httpx.post(f"{server.url}/login", data={"username": "ada", "password": token}),
        httpx.get(f"{server.url}/login", auth=("ada", token)),
    ):
        assert (answer.status_code, answer.headers["x-vo-bearer"]) == (200, token)
        assert rows(ask(server, answer.headers["x-vo-bearer"])) == 2
    for answer in (
        httpx.post(f"{server.url}/login", data={"username": "ada", "password": "guess"}),
        httpx.post(f"{server.url}/login"),
        httpx.get(f"{server.url}/login"),
    ):
        assert answer.status_code == 401
        assert "x-vo-bearer" not in answer.headers


def test_the_address_that_asks_for_credentials(server: Server, lab: Database) -> None:
    answer = httpx.get(f"{server.url}/auth/tap/sync", params=QUERY)
    assert answer.status_code == 401
    assert any(one.startswith("Basic") for one in answer.headers.get_list("www-authenticate"))
    assert rows(httpx.get(f"{server.url}/auth/tap/sync", params=QUERY, auth=("ada", personal(lab)))) == 2


def test_caches(server: Server, lab: Database) -> None:
    token = personal(lab)
    for path in ("/tap/sync", "/tap/capabilities", "/tap/tables", "/"):
        anonymous = httpx.get(server.url + path, params=QUERY)
        member = httpx.get(server.url + path, params=QUERY, headers={"Authorization": f"Bearer {token}"})
        assert "Authorization" in anonymous.headers["vary"]
        assert "Authorization" in member.headers["vary"]
        assert member.headers["cache-control"] == "private, no-store"
        assert "no-cache" in anonymous.headers["cache-control"] or "max-age" in anonymous.headers["cache-control"]
        assert member.headers["x-vo-authenticated"] == "ada"
        assert "x-vo-authenticated" not in anonymous.headers


def test_a_name_breaks_no_header(server: Server, lab: Database) -> None:
    with lab.connect(OWNER) as owner:
        name = "dee\r\nX-Forged: 1\n\n\N{SNOWMAN}\x7f"
        token = tokens.create(owner, name, audience="member", label="", valid=timedelta(1), by="me")[1]
    for path in ("/tap/capabilities", "/login"):
        answer = httpx.get(server.url + path, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 200
        assert answer.headers["x-vo-authenticated"] == r"dee\r\nX-Forged: 1\n\n\u2603\x7f"
        assert "x-forged" not in answer.headers


def test_access_log(server: Server, lab: Database) -> None:
    token = personal(lab, owner="dee\N{SNOWMAN}")

    def logged() -> list[tuple[object, ...]]:
        with lab.connect(OWNER) as owner:
            return owner.execute(
                "SELECT who, audience, method, path, parameters, status FROM km3vo.access_log ORDER BY id DESC LIMIT 2"
            ).fetchall()

    before = logged()
    ask(server)
    assert logged() == before  # nothing is written of the public
    ask(server, token)
    httpx.post(
        f"{server.url}/tap/sync",
        data={"LANG": "ADQL", "QUERY": "SELECT nothing FROM lab.alerts"},
        headers={"Authorization": f"Bearer {token}"},
    )
    latest, first = logged()
    assert first[:4] == ("dee\N{SNOWMAN}", "member", "GET", "/tap/sync")
    assert "SELECT+COUNT" in str(first[4])
    assert latest[2:] == ("POST", "/tap/sync", "QUERY=SELECT+nothing+FROM+lab.alerts&LANG=ADQL", 400)


def test_no_answer_without_log(server: Server, lab: Database) -> None:
    token = personal(lab)
    with lab.connect(OWNER, autocommit=True) as owner:
        owner.execute("REVOKE INSERT ON km3vo.access_log FROM km3vo_service")
        try:
            answer = ask(server, token)
            assert answer.status_code == 503
            assert "2" not in answer.text.partition("(request")[0]
            assert rows(ask(server)) == 1
        finally:
            owner.execute("GRANT INSERT ON km3vo.access_log TO km3vo_service")
    assert rows(ask(server, token)) == 2


def test_anonymous_requests_ask_nothing_about_identity(server: Server, lab: Database) -> None:
    """They go on when tokens cannot be looked up."""
    with lab.connect(OWNER, autocommit=True) as owner:
        owner.execute("ALTER TABLE km3vo.token RENAME TO token_away")
        try:
            assert rows(ask(server)) == 1
            assert ask(server, "km3vo_x").status_code == 503
        finally:
            owner.execute("ALTER TABLE km3vo.token_away RENAME TO token")


def test_pyvo_with_an_auth_session(server: Server, lab: Database) -> None:
    import pyvo
    from pyvo.auth.authsession import AuthSession

    session = AuthSession()
    session.credentials.set_password("ada", personal(lab))
    service = pyvo.dal.TAPService(f"{server.url}/tap", session=session)
    service.capabilities  # noqa: B018  (where it learns that passwords are taken)
    assert service.search("SELECT number FROM lab.alerts").to_table()["number"].size == 2
    assert len(pyvo.dal.TAPService(f"{server.url}/tap").search("SELECT number FROM lab.alerts")) == 1


def test_settings_of_the_provider() -> None:
    from km3vo.errors import SetupError
    from km3vo.identity.oidc import Provider
    from km3vo.settings import Oidc

    for issuer, insecure in (("http://127.0.0.1/x", False), ("http://example.org", True), ("ftp://example.org", True)):
        with pytest.raises(SetupError):
            Provider(Oidc(issuer=issuer, insecure_http=insecure))
    Provider(Oidc(issuer="https://example.org"))


def test_psycopg_never_shows_passwords(lab: Database) -> None:
    """Observers' passwords are made, not kept; two databases with other secrets have others."""
    other = Database(lab.admin, {**lab.passwords, "km3vo_observers": "else"})
    assert lab.password("km3vo_observer_1") != other.password("km3vo_observer_1")
    assert "km3vo_observer_1" not in lab.passwords
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(other.conninfo("km3vo_observer_1"))
