"""Logging in with a browser: a real provider, real cookies, and what happens to those who cheat."""

from __future__ import annotations

import hashlib
import html
import json
import re
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import httpx
import pytest
from lxml import etree
from psycopg import sql
from websockets.asyncio.client import connect

from km3vo.catalog.model import Table
from km3vo.database.logins import OWNER, Database
from km3vo.embargo import grants, tokens
from km3vo.settings import Settings
from km3vo.web.banner import safe_place
from tests.embargo.lab import SCHEMAS, add_alert, allow
from tests.support.axe import violations
from tests.support.chromium import Page, chromium, look, needs_chromium
from tests.support.issuer import CLIENT, Issuer
from tests.support.server import Server, serve

pytestmark = pytest.mark.slow

QUERY = {"LANG": "ADQL", "QUERY": "SELECT number FROM lab.alerts", "RESPONSEFORMAT": "csv"}
PAGE = "/browse/lab/alerts"
HIDDEN = "You see <strong>2</strong> events under embargo that others do not."
OURS, TYPED, OTHER = ({"Sec-Fetch-Site": site} for site in ("same-origin", "none", "cross-site"))
HTML = {"Accept": "text/html,*/*;q=0.8"}
BANNER = re.compile(r'<div class="visit.*?</div></div>', re.DOTALL)


@pytest.fixture(scope="module")
def lab(new_published: Callable[[], Database]) -> Database:
    """One public alert, and two under embargo."""
    database = new_published()
    with database.connect(OWNER, autocommit=True) as owner:
        add_alert(owner, 1, "2020-01-01")
        owner.execute("SELECT km3vo.promote('lab.alerts')")
        add_alert(owner, 2, "2090-01-01")
        add_alert(owner, 3, "2091-01-01")
    return database


@pytest.fixture(scope="module")
def server(lab: Database, issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("KM3VO_OIDC_ISSUER", issuer.url)
            patch.setenv("KM3VO_OIDC_INSECURE_HTTP", "true")
            for name, value in CLIENT.items():
                patch.setenv(f"KM3VO_OIDC_{name.upper()}", value)
            home = tmp_path_factory.mktemp("home")
            running = stack.enter_context(serve(lab, home, schemas=SCHEMAS, promote_seconds=0))
        yield running


@pytest.fixture(autouse=True)
def honest(issuer: Issuer) -> Iterator[None]:
    """The provider makes no mistakes but in the test that wants them."""
    yield
    issuer.claims, issuer.answer, issuer.more, issuer.left_out, issuer.failing = {}, {}, {}, set(), False


@pytest.fixture
def browser(server: Server) -> Iterator[httpx.Client]:
    """A browser before which nobody has logged in; what it asks for, our own pages ask for."""
    with httpx.Client(base_url=server.url, headers=OURS) as client:
        yield client


@pytest.fixture
def ada(browser: httpx.Client) -> httpx.Client:
    """The browser of a member who has logged in."""
    answer = sign_in(browser)
    assert answer.status_code == 200, answer.text
    return browser


def begin(browser: httpx.Client, place: str = PAGE) -> str:
    """Begin to log in; the address at the provider."""
    answer = browser.get("/auth/login", params={"next": place})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def brought_back(address: str) -> str:
    """Where the provider sends a browser that comes to its address."""
    return httpx.get(address).headers["location"]


def sign_in(browser: httpx.Client, place: str = PAGE) -> httpx.Response:
    return browser.get(brought_back(begin(browser, place)), headers=OTHER)


def numbers(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return sorted(answer.text.split()[1:])


def seen(browser: httpx.Client, **headers: str) -> list[str]:
    return numbers(browser.get("/tap/sync", params=QUERY, headers=headers))


def change(database: Database, name: str, statement: str) -> None:
    """Change the sessions of a person, as the owner of the tables can."""
    with database.connect(OWNER, autocommit=True) as owner:
        query = sql.SQL("UPDATE km3vo.session SET {} WHERE name LIKE %s").format(sql.SQL(statement))
        owner.execute(query, (f"{name}@%",))


EVERYTHING, PUBLIC = ["1", "2", "3"], ["1"]


# Logging in -----------------------------------------------------------------------------------------------------------


def test_l1_a_member_logs_in(browser: httpx.Client, server: Server, issuer: Issuer, lab: Database) -> None:
    address = begin(browser, f"{PAGE}?a=b")
    asked = dict(parse_qsl(urlsplit(address).query))
    assert asked["redirect_uri"] == f"{server.url}/auth/callback" and asked["response_type"] == "code"
    assert asked["code_challenge_method"] == "S256" and "secret" not in address
    before = browser.cookies["km3vo-login"]
    answer = browser.get(brought_back(address), headers=OTHER)
    assert f'<meta http-equiv="refresh" content="0;url={PAGE}?a=b">' in answer.text
    cookie = next(value for value in answer.headers.get_list("set-cookie") if value.startswith("km3vo="))
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Path=/" in cookie and "Max-Age" not in cookie
    assert "km3vo-login" not in browser.cookies and browser.cookies["km3vo"] != before
    assert seen(browser) == EVERYTHING
    # No token of the provider, of any kind, reaches the browser.
    everything = f"{answer.headers}{answer.text}{dict(browser.cookies)}"
    assert "eyJ" not in everything and "opaque" not in everything
    with lab.connect(OWNER) as owner:
        kept = owner.execute("SELECT sha256, one::text FROM km3vo.session AS one").fetchall()
        (row,) = owner.execute(
            "SELECT who, audience, parameters FROM km3vo.access_log WHERE path = '/auth/callback' "
            "ORDER BY id DESC LIMIT 1"
        ).fetchall()
    assert hashlib.sha256(browser.cookies["km3vo"].encode()).digest() in [one for one, _ in kept]
    assert not [text for _, text in kept if browser.cookies["km3vo"] in text]
    assert row == (f"ada@{issuer.url.partition('://')[2]}", "member", "")


def test_l1_a_code_is_used_once(ada: httpx.Client, issuer: Issuer, server: Server) -> None:
    """Nor does the answer of the provider work again in the same browser, or in another."""
    with httpx.Client(base_url=server.url) as other:
        address = begin(other)
        back = brought_back(address)
        secret = other.cookies["km3vo-login"]
        assert other.get(back, headers=OTHER).status_code == 200
        assert other.get(back, headers=OTHER).status_code == 400, "the attempt has ended"
        asked = issuer.asked["/realm/token"]
        again = httpx.get(back, cookies={"km3vo-login": secret}, headers=OTHER)
        assert again.status_code == 400 and issuer.asked["/realm/token"] == asked, "who kept the cookie gets no further"
        # A code of before in an attempt of now.
        code = dict(parse_qsl(urlsplit(back).query))["code"]
        issuer.answer = {"code": code}
        assert sign_in(other).status_code == 400 and issuer.used == [code]


def test_l1_answers_that_belong_to_no_attempt(server: Server) -> None:
    with httpx.Client(base_url=server.url) as mine, httpx.Client(base_url=server.url) as yours:
        begin(mine)
        back = brought_back(begin(yours))
        for cookies in ({}, {"km3vo-login": ""}, {"km3vo-login": "x" * 43}):
            assert httpx.get(back, cookies=cookies).status_code == 400
        # Somebody has me log in as somebody else.
        answer = mine.get(back, headers=OTHER)
        assert answer.status_code == 400 and "km3vo" not in mine.cookies
        assert "/auth/login?next=" in answer.text and "state" not in answer.text
        assert mine.get("/auth/callback", params={"state": "\N{SNOWMAN}"}, headers=OTHER).status_code == 400


@pytest.mark.parametrize(
    ("claims", "answer", "left_out"),
    [
        ({"nonce": "x"}, {}, set()),
        ({"nonce": None}, {}, set()),
        ({"iss": "https://elsewhere.example"}, {}, set()),
        ({"aud": "km3vo"}, {}, set()),
        ({"azp": "another"}, {}, set()),
        ({"exp": 1}, {}, set()),
        ({"groups": None, "sub": "eve"}, {}, set()),  # the userinfo is another person's
        ({}, {"iss": "https://elsewhere.example"}, set()),
        ({}, {"iss": ""}, set()),
        ({}, {"state": "x"}, set()),
        ({}, {"code": ""}, set()),
        ({}, {"code": "", "error": "access_denied"}, set()),
        ({}, {}, {"id_token"}),
    ],
    ids=str,
)
def test_l1_what_is_not_right_is_refused(
    browser: httpx.Client,
    issuer: Issuer,
    monkeypatch: pytest.MonkeyPatch,
    claims: dict[str, Any],
    answer: dict[str, str],
    left_out: set[str],
) -> None:
    if claims.get("sub") == "eve":
        monkeypatch.setattr(issuer, "_document", told_of_ada(issuer))
    issuer.claims, issuer.answer, issuer.left_out = claims, answer, left_out
    refused = sign_in(browser)
    assert refused.status_code == 400 and "km3vo" not in browser.cookies
    assert "access_denied" not in refused.text and "nonce" not in refused.text
    assert seen(browser) == PUBLIC


def told_of_ada(issuer: Issuer) -> Callable[[str], Any]:
    document = issuer._document
    return lambda path: {"sub": "ada", "groups": ["km3net"]} if path.endswith("/userinfo") else document(path)


def test_l1_groups_may_stand_in_the_userinfo(browser: httpx.Client, issuer: Issuer, monkeypatch: Any) -> None:
    monkeypatch.setattr(issuer, "_document", told_of_ada(issuer))
    issuer.claims = {"groups": None}
    assert sign_in(browser).status_code == 200
    assert seen(browser) == EVERYTHING


def test_a_provider_that_is_away_is_told(server: Server, browser: httpx.Client, issuer: Issuer) -> None:
    back = brought_back(begin(browser))
    issuer.failing = True
    answer = browser.get(back, headers=OTHER)
    assert answer.status_code == 503 and "cannot be reached" in answer.text and "km3vo" not in browser.cookies


def test_known_and_no_member(browser: httpx.Client, issuer: Issuer, lab: Database, alerts: Table) -> None:
    """Told by which name to ask for a grant; with one, the events of the grant."""
    issuer.claims = {"sub": "olga", "groups": ["guests"]}
    name = f"olga@{issuer.url.partition('://')[2]}"
    refused = sign_in(browser)
    assert refused.status_code == 403 and name in refused.text and "km3vo" not in browser.cookies
    number = allow(lab, alerts, name, end=2091)
    assert sign_in(browser).status_code == 200
    assert seen(browser) == ["1", "2"]
    assert "You see <strong>1</strong> event under embargo" in browser.get(PAGE, headers=HTML).text
    grants.revoke(lab, number)
    assert browser.get("/tap/sync", params=QUERY).status_code == 401
    assert seen(browser) == PUBLIC, "the cookie is gone"


# What the cookie counts for -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "Same-Origin"])
@pytest.mark.parametrize("mode", ["navigate", "no-cors", "cors"])
def test_l3_other_sites_are_answered_as_without_it(ada: httpx.Client, site: str, mode: str) -> None:
    """Forms, pictures, scripts and requests of scripts; "same-site" is another port of this machine."""
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Origin": "https://other.example"}
    assert seen(ada, **headers) == PUBLIC
    assert numbers(ada.post("/tap/sync", data=QUERY, headers=headers)) == PUBLIC
    assert ada.post("/auth/logout", headers=headers).status_code == 403
    assert ada.post("/auth/view", data={"as": "public"}, headers=headers).status_code == 403
    answer = ada.get(PAGE, headers=headers | HTML)
    assert "You came from another site" in answer.text and "Ada" not in answer.text
    assert answer.headers["cache-control"] == "private, no-store"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers
    assert seen(ada) == EVERYTHING


def test_l3_browsers_that_do_not_say_what_asks(ada: httpx.Client, server: Server) -> None:
    del ada.headers["Sec-Fetch-Site"]
    assert seen(ada) == PUBLIC
    for origin, found in ((server.url, EVERYTHING), ("http://127.0.0.1:1", PUBLIC), ("null", PUBLIC), ("", PUBLIC)):
        assert seen(ada, Origin=origin) == found
    assert seen(ada, **TYPED) == EVERYTHING
    # Nobody posts something by typing an address.
    assert numbers(ada.post("/tap/sync", data=QUERY, headers=TYPED)) == PUBLIC


def test_l3_credentials_count_before_the_cookie(ada: httpx.Client, issuer: Issuer) -> None:
    assert seen(ada, Authorization=f"Bearer {issuer.token()}") == EVERYTHING
    assert ada.get("/tap/sync", params=QUERY, headers={"Authorization": "Bearer wrong"}).status_code == 401
    answer = ada.get("/tap/sync", params=QUERY, headers={"Authorization": f"Bearer {issuer.token(sub='bob')}"})
    assert answer.status_code == 400 and "another's" in answer.text
    assert seen(ada, Authorization=f"Bearer {issuer.token(sub='bob')}", **OTHER) == EVERYTHING
    # Below /auth/ a session is as good as a token.
    assert numbers(ada.get("/auth/tap/sync", params=QUERY)) == EVERYTHING
    assert ada.get("/auth/tap/sync", params=QUERY, headers=OTHER).status_code == 401


def test_l4_no_cache_keeps_what_a_session_was_given(ada: httpx.Client) -> None:
    for path in (PAGE, "/", "/index.json", "/tap/capabilities", "/no/such/page", "/tap/sync", "/alerts", "/healthz"):
        answer = ada.get(path, headers=HTML)
        assert answer.headers["cache-control"] == "private, no-store", path
        assert answer.headers.get_list("cross-origin-resource-policy") == ["same-origin"], path
        varies = answer.headers["vary"]
        assert "Authorization" in varies and "Cookie" in varies, path
    assert "Cookie" in httpx.get(f"{ada.base_url}/index.json").headers["vary"]
    # The same for everybody.
    assert "no-store" not in ada.get("/static/style.css").headers["cache-control"]


def test_l9_checks_while_typing_leave_nothing_in_the_log(ada: httpx.Client, lab: Database) -> None:
    def entries() -> int:
        with lab.connect(OWNER) as owner:
            ((count,),) = owner.execute("SELECT count(*) FROM km3vo.access_log").fetchall()
        return int(count)

    before = entries()
    for length in range(1, 20):
        assert ada.post("/tap/check", data=QUERY | {"QUERY": QUERY["QUERY"][:length]}).status_code == 200
    ada.get("/static/style.css")
    assert entries() == before
    seen(ada)
    assert entries() == before + 1


# How a session ends ---------------------------------------------------------------------------------------------------


def test_l2_nobody_can_have_somebody_use_a_cookie_of_his(browser: httpx.Client) -> None:
    browser.cookies.set("km3vo", "f" * 43, domain="127.0.0.1")
    assert sign_in(browser).status_code == 200
    given = [cookie.value for cookie in browser.cookies.jar if cookie.name == "km3vo"]
    assert given != ["f" * 43]
    fixed = {"Cookie": f"km3vo={'f' * 43}"}
    assert httpx.get(f"{browser.base_url}/tap/sync", params=QUERY, headers=OURS | fixed).status_code == 401


def test_l2_who_logs_in_again_leaves_no_session_behind(ada: httpx.Client) -> None:
    old = ada.cookies["km3vo"]
    assert sign_in(ada).status_code == 200
    assert ada.cookies["km3vo"] != old
    assert stolen(ada, old).status_code == 401


def stolen(browser: httpx.Client, cookie: str) -> httpx.Response:
    """What is answered to somebody else with a cookie."""
    headers = OURS | {"Cookie": f"km3vo={cookie}"}
    return httpx.get(f"{browser.base_url}/tap/sync", params=QUERY, headers=headers)


def test_l2_logging_out_ends_it_for_whoever_has_the_cookie(ada: httpx.Client) -> None:
    cookie = ada.cookies["km3vo"]
    assert numbers(stolen(ada, cookie)) == EVERYTHING
    answer = ada.post("/auth/logout", headers=HTML)
    assert answer.status_code == 200 and "signed out" in answer.text
    assert answer.headers["clear-site-data"] == '"cache", "storage"'
    assert "km3vo" not in ada.cookies
    refused = stolen(ada, cookie)
    assert refused.status_code == 401 and "sign in again" in refused.text
    assert "Basic" not in refused.headers["www-authenticate"], "no window that asks for a password"
    assert seen(ada) == PUBLIC


@pytest.mark.parametrize(
    "happened",
    [
        "used_at = clock_timestamp() - interval '8 hours 1 minute'",
        "ends_at = clock_timestamp()",
        "ended_at = clock_timestamp()",
        "checked_at = clock_timestamp() - interval '5 minutes', sealed = NULL",
    ],
)
def test_l2_it_ends_by_itself(ada: httpx.Client, lab: Database, happened: str) -> None:
    change(lab, "ada", happened)
    page = ada.get(f"{PAGE}?a=b", headers=HTML)
    assert page.status_code == 401 and "Your session has ended" in page.text
    assert f'href="{PAGE}?a=b"' in page.text and "/auth/login?next=%2Fbrowse%2Flab%2Falerts%3Fa%3Db" in page.text
    assert page.headers["cache-control"] == "private, no-store"
    assert "km3vo" not in ada.cookies and seen(ada) == PUBLIC


def test_an_operator_ends_the_sessions_of_a_person(ada: httpx.Client, lab: Database, issuer: Issuer) -> None:
    name = f"ada@{issuer.url.partition('://')[2]}"
    with lab.connect(OWNER) as owner:
        assert tokens.end_sessions(owner, "ada") == 0
        assert tokens.end_sessions(owner, name) > 0
    assert ada.get("/tap/sync", params=QUERY).status_code == 401


def test_an_answer_is_cut_off_when_its_session_ends(ada: httpx.Client, server: Server, lab: Database) -> None:
    """One that waits for a job: nothing was sent as yet."""
    made = ada.post("/tap/async", data=QUERY).headers["location"]
    with socket.create_connection(("127.0.0.1", server.settings.port), timeout=30) as client:
        head = f"GET {urlsplit(made).path}?WAIT=60 HTTP/1.1\r\nHost: x\r\nSec-Fetch-Site: same-origin\r\n"
        client.sendall(f"{head}Cookie: km3vo={ada.cookies['km3vo']}\r\n\r\n".encode())
        while not server.app.state.service.ongoing._answers:
            time.sleep(0.01)
        assert ada.post("/auth/logout").status_code == 200
        assert client.recv(1000).startswith(b"HTTP/1.1 401")


def test_l2_it_lasts_while_it_is_used(ada: httpx.Client, lab: Database) -> None:
    change(lab, "ada", "used_at = clock_timestamp() - interval '7 hours'")
    assert seen(ada) == EVERYTHING
    with lab.connect(OWNER) as owner:
        old = owner.execute(
            "SELECT FROM km3vo.session WHERE ended_at IS NULL AND used_at < clock_timestamp() - interval '1 hour'"
        ).fetchall()
    assert not old


@pytest.mark.parametrize("told", ["id_token", "userinfo"])
def test_l5_the_provider_is_asked_again(
    ada: httpx.Client, lab: Database, issuer: Issuer, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has left the group is out within five minutes."""
    issuer.left_out = {"id_token"} if told == "userinfo" else set()
    asked = issuer.asked["/realm/token"]
    assert seen(ada) == EVERYTHING and issuer.asked["/realm/token"] == asked
    for _ in range(2):
        change(lab, "ada", "checked_at = clock_timestamp() - interval '4 minutes 1 second'")
        assert seen(ada) == seen(ada) == EVERYTHING
    assert issuer.asked["/realm/token"] == asked + 2
    issuer.claims = {"groups": ["guests"]}
    change(lab, "ada", "checked_at = clock_timestamp() - interval '4 minutes 1 second'")
    refused = ada.get("/tap/sync", params=QUERY)
    assert refused.status_code == 401 and seen(ada) == PUBLIC


def test_l5_a_provider_that_is_away_vouches_for_nobody(ada: httpx.Client, lab: Database, issuer: Issuer) -> None:
    change(lab, "ada", "checked_at = clock_timestamp() - interval '5 minutes'")
    issuer.failing = True
    assert ada.get("/tap/sync", params=QUERY).status_code == 503
    issuer.failing = False
    assert seen(ada) == EVERYTHING


def test_l5_one_of_many_requests_asks_the_provider(ada: httpx.Client, lab: Database, issuer: Issuer) -> None:
    """A provider may take what it is asked with for stolen when it comes twice."""
    from concurrent.futures import ThreadPoolExecutor

    change(lab, "ada", "checked_at = clock_timestamp() - interval '5 minutes'")
    asked = issuer.asked["/realm/token"]
    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(lambda _: numbers(stolen(ada, ada.cookies["km3vo"])), range(6)))
    assert found == [EVERYTHING] * 6 and issuer.asked["/realm/token"] == asked + 1


def test_requests_without_a_cookie_look_nothing_up(server: Server, lab: Database, issuer: Issuer) -> None:
    """They go on when sessions cannot be looked up, and so do cookies that are none of ours."""
    with lab.connect(OWNER, autocommit=True) as owner:
        owner.execute("ALTER TABLE km3vo.session RENAME TO session_away")
        try:
            for cookies in ({}, {"other": "x" * 43}, {"km3vo-login": "x" * 43, "xkm3vo": "x" * 43}):
                answer = httpx.get(f"{server.tap}/sync", params=QUERY, headers=OURS, cookies=cookies)
                assert numbers(answer) == PUBLIC
            assert (
                httpx.get(f"{server.tap}/sync", params=QUERY, headers=OURS, cookies={"km3vo": "x"}).status_code == 401
            )
            assert stolen(httpx.Client(base_url=server.url), "x" * 43).status_code == 503
        finally:
            owner.execute("ALTER TABLE km3vo.session_away RENAME TO session")


# What people see ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [PAGE, "/", "/query", "/no/such/page", "/browse/lab/alerts/search", "/alerts"])
def test_l6_pages_say_who_sees_more(ada: httpx.Client, server: Server, path: str) -> None:
    page = ada.get(path, headers=HTML).text
    assert HIDDEN in page and "Signed in as <strong>Ada</strong>" in page
    assert "View as public</button>" in page and "Sign out</button>" in page
    anonymous = httpx.get(server.url + path, headers=HTML | OURS).text
    assert "Ada" not in anonymous and "Sign in</a>" in anonymous


def test_l6_the_number_is_of_the_table(ada: httpx.Client) -> None:
    assert "There are no events under embargo here" in ada.get("/browse/lab/events", headers=HTML).text


def test_l6_who_sends_a_token_is_told_too(server: Server, issuer: Issuer) -> None:
    page = httpx.get(server.url + PAGE, headers=HTML | {"Authorization": f"Bearer {issuer.token()}"}).text
    assert HIDDEN in page and "Sign out" not in page


def test_l6_files_are_marked(ada: httpx.Client, server: Server, issuer: Issuer) -> None:
    """In their names and, where a format has room for it, in themselves; those that others get likewise are not."""
    name = f"ada@{issuer.url.partition('://')[2]}"
    told = "Events under embargo may be among these rows"
    for form, extension in (("votable", "vot"), ("csv", "csv"), ("fits", "fits"), ("json", "json"), ("ecsv", "ecsv")):
        for table, marked in (("lab.alerts", True), ("lab.known", False)):
            asked = QUERY | {"QUERY": f"SELECT * FROM {table}", "RESPONSEFORMAT": form}
            answer = ada.get("/tap/sync", params=asked)
            mark = "-EMBARGOED" if marked else ""
            assert answer.headers["content-disposition"] == f'inline; filename="{table}{mark}.{extension}"'
            assert (told in answer.text.replace("\n", "")) is (marked and form != "csv"), (form, table)
            others = httpx.get(f"{server.tap}/sync", params=asked)
            assert "EMBARGOED" not in others.headers["content-disposition"] and told not in others.text
    assert name in ada.get("/tap/sync", params=QUERY | {"RESPONSEFORMAT": "votable"}).text
    cone = {"RA": "1", "DEC": "1", "SR": "1"}
    for path, marked in (("/scs/lab/events", True), ("/scs/lab/known", False)):
        for maxrec in ("10", "50000"):
            answer = ada.get(path, params=cone | {"MAXREC": maxrec})
            assert (told in answer.text) is marked
            assert ("EMBARGOED.vot" in answer.headers.get("content-disposition", "")) is marked
            assert told not in httpx.get(server.url + path, params=cone).text


def test_l6_results_of_jobs_are_marked(ada: httpx.Client) -> None:
    for table, mark in (("lab.alerts", "-EMBARGOED"), ("lab.known", "")):
        made = ada.post("/tap/async", data=QUERY | {"QUERY": f"SELECT * FROM {table}", "PHASE": "RUN"})
        job = made.headers["location"]
        while ada.get(f"{job}/phase").text in ("QUEUED", "EXECUTING"):
            ada.get(job, params={"WAIT": "10"})
        answer = ada.get(f"{job}/results/result")
        assert answer.headers["content-disposition"].endswith(f'{job.rpartition("/")[2][:8]}{mark}.csv"')


def test_l6_pages_with_rows_say_who_sees_more(ada: httpx.Client, server: Server) -> None:
    asked = QUERY | {"RESPONSEFORMAT": "html"}
    page = ada.get("/tap/sync", params=asked, headers=HTML)
    assert "may be among these rows" in page.text and "View as public</button>" in page.text
    assert "script-src 'self'" in page.headers["content-security-policy"]
    (place,) = set(re.findall(r'name="next" value="([^"]*)"', page.text))
    assert html.unescape(place) == str(page.url.raw_path, "ascii")
    known = ada.get("/tap/sync", params=asked | {"QUERY": "SELECT * FROM lab.known"}, headers=HTML).text
    assert "Signed in as" in known and "may be among" not in known
    examples = ada.get("/tap/examples", headers=HTML).content
    assert b"Signed in as" in examples and etree.fromstring(examples) is not None
    ada.post("/auth/view", data={"as": "public"})
    for path, parameters in (("/tap/sync", asked), ("/tap/examples", {})):
        mine = ada.get(path, params=parameters, headers=HTML).text
        assert "You see what the public sees" in mine
        theirs = httpx.get(server.url + path, params=parameters, headers=HTML).text
        mine = re.sub(r"<header><div class=\"visit.*?</header>\n|<script[^\n]*\n", "", mine, flags=re.DOTALL)
        assert DATES.sub("", BANNER.sub("", mine)) == DATES.sub("", theirs), path


DATES = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z?")


def test_l7_view_as_public(ada: httpx.Client, server: Server) -> None:
    """One click, and every answer is what others get."""
    answer = ada.post("/auth/view", data={"as": "public", "next": f"{PAGE}?x=1"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"{PAGE}?x=1")
    assert seen(ada) == PUBLIC
    for path in (PAGE, "/", "/query", "/no/such/page", "/index.json", "/tap/tables", "/tap/async"):
        mine, theirs = (get(server.url + path, headers=HTML | OURS).text for get in (ada.get, httpx.get))
        if path not in ("/index.json", "/tap/tables", "/tap/async"):
            assert "You see what the public sees" in mine
            script = re.compile(r'<script src="/static/session.js[^\n]*\n')
            mine, theirs = BANNER.sub("", script.sub("", mine)), BANNER.sub("", theirs)
        assert mine == theirs, path
    assert ada.post("/auth/view", data={"as": "own"}).headers["location"] == "/"
    assert seen(ada) == EVERYTHING


@pytest.mark.parametrize(
    "place",
    ["//evil.example", "/\\evil.example", "https://evil.example", "\\\\evil", "/a\r\nX: y", "/\t/evil", "evil", ""],
)
def test_l8_nobody_is_led_elsewhere(browser: httpx.Client, ada: httpx.Client, place: str) -> None:
    assert safe_place(place) == "/"
    assert 'content="0;url=/">' in sign_in(browser, place).text
    answer = ada.post("/auth/view", data={"as": "own", "next": place})
    assert answer.headers["location"] == "/" and "x" not in answer.headers


def test_l8_places_of_ours() -> None:
    for place in ("/", "/query?sql=SELECT%201", f"/browse/x?next={quote('https://x', safe='')}"):
        assert safe_place(place) == place
    assert safe_place("/" + "x" * 5000) == "/"


def test_l5_no_https_no_login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KM3VO_OIDC_ISSUER", "https://sso.example.org")
    assert not Settings(url="https://vo.example.org").may_log_in, "the provider does not know us"
    monkeypatch.setenv("KM3VO_OIDC_CLIENT_ID", "km3vo")
    monkeypatch.setenv("KM3VO_OIDC_CLIENT_SECRET", "do not tell")
    for url, may in (("https://vo.example.org", True), ("http://vo.example.org", False), ("", True)):
        assert Settings(url=url).may_log_in is may
    assert not Settings(host="0.0.0.0").may_log_in
    assert "do not tell" not in repr(Settings().oidc)


def test_l2_with_https_no_other_host_can_set_the_cookie() -> None:
    from starlette.responses import Response

    from km3vo.protocols.http.visits import Cookies

    cookies, answer = Cookies(Settings(url="https://vo.example.org")), Response()
    cookies.give(answer, cookies.session, "x")
    cookies.take(answer, cookies.attempt)
    given, taken = answer.headers.getlist("set-cookie")
    assert given == "__Host-km3vo=x; HttpOnly; Path=/; SameSite=lax; Secure"
    assert taken.startswith("__Host-km3vo-login=") and "Secure" in taken and "Max-Age=0" in taken


def test_l5_without_a_provider_there_is_no_login(lab: Database, tmp_path: Path) -> None:
    with serve(lab, tmp_path, schemas=SCHEMAS, promote_seconds=0) as server:
        page = httpx.get(server.url, headers=HTML | OURS, cookies={"km3vo": "x" * 43})
        assert page.status_code == 200 and "Sign in" not in page.text and "Cookie" not in page.headers["vary"]
        assert httpx.get(f"{server.url}/auth/login").status_code == 404


# In Chromium ----------------------------------------------------------------------------------------------------------

BODY = "document.body.innerText"
ROWS = f"fetch('/tap/sync?{urlencode(QUERY)}').then(answer => answer.text())"


@pytest.mark.client
@needs_chromium
def test_l4_nothing_is_shown_after_logging_out(server: Server, issuer: Issuer, tmp_path: Path) -> None:
    """By Back, by what the browser keeps, or in another tab."""

    async def clicked(page: Page, what: str, then: str) -> None:
        await page.value(
            f"[...document.querySelectorAll('.visit a, .visit button')].find(it => it.textContent === '{what}').click()"
        )
        await page.until(then)

    async def visit(page: Page) -> None:
        await page.open(server.url + PAGE)
        await clicked(page, "Sign in", f"{BODY}.includes('Signed in as Ada. You see 2 events under embargo')")
        assert await page.value("location.pathname") == PAGE
        assert sorted((await page.value(ROWS)).split()[1:]) == EVERYTHING
        assert "eyJ" not in await page.value(
            "document.documentElement.outerHTML + document.cookie + JSON.stringify(localStorage)"
        )
        assert await page.value("document.cookie") == ""
        assert await violations(page) == []
        await page.value("localStorage.setItem('km3vo.history', '[]')")
        address = f"/tap/sync?{urlencode(QUERY | {'RESPONSEFORMAT': 'json'})}"
        await page.value(f"location.href = '{address}'")
        await page.until(f"location.pathname === '/tap/sync' && {BODY}.includes('3')")
        await page.value("history.back()")
        await page.until(f"{BODY}.includes('Signed in as Ada')")
        await clicked(page, "View as public", f"{BODY}.includes('You see what the public sees')")
        assert sorted((await page.value(ROWS)).split()[1:]) == PUBLIC
        await clicked(page, "View as yourself", f"{BODY}.includes('events under embargo')")
        async with second(chrome) as other:
            await other.open(server.url + PAGE)
            await other.until(f"{BODY}.includes('Signed in as Ada')")
            await clicked(page, "Sign out", f"{BODY}.includes('You are signed out')")
            await other.until(f"!{BODY}.includes('Signed in') && {BODY}.includes('Sign in')")
            assert (await other.value(ROWS)).split()[1:] == PUBLIC
        assert await page.value("localStorage.length") == 0
        entries = (await page.call("Page.getNavigationHistory"))["entries"]
        back = [entry for entry in entries if urlsplit(entry["url"]).path in (PAGE, "/tap/sync")]
        assert len(back) >= 2
        for entry in reversed(back):
            await page.call("Page.navigateToHistoryEntry", entryId=entry["id"])
            await page.until(f"location.href === {json.dumps(entry['url'])} && document.readyState === 'complete'")
            shown = await page.value(BODY)
            assert "under embargo" not in shown and "Ada" not in shown and "[3" not in shown, shown
        assert sorted((await page.value(ROWS)).split()[1:]) == PUBLIC
        # What is no page has no picture of its own.
        assert [one for one in page.complaints if "favicon.ico" not in one] == []

    with chromium(tmp_path / "profile") as chrome:
        look(chrome, visit)


@asynccontextmanager
async def second(chrome: str) -> AsyncIterator[Page]:
    """Another tab of the browser."""
    target = httpx.put(f"{chrome}/json/new?about:blank").json()
    async with connect(target["webSocketDebuggerUrl"], max_size=None, proxy=None) as socket:
        page = Page(socket)
        for domain in ("Page", "Runtime", "Log"):
            await page.call(f"{domain}.enable")
        yield page
