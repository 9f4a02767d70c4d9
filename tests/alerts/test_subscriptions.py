"""Alerts that somebody chose: conditions that were saved, mails that were confirmed and ended, streams of one's own."""

from __future__ import annotations

import email.policy
import json
import re
from collections.abc import Iterator
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from km3vo.adql import QueryTables
from km3vo.alerts import filters
from km3vo.alerts.intake import Sender, accept
from km3vo.catalog.files import read_catalog
from km3vo.database.logins import SERVICE, Database
from km3vo.embargo import partitions
from km3vo.errors import AdqlError, ParameterError
from tests.alerts.mailbox import Mailbox, mailbox
from tests.support import samples
from tests.support.folders import ROOT
from tests.support.server import Server, serve
from tests.support.waiting import until


def alert(number: int, **changes: Any) -> dict[str, Any]:
    return samples.km3_230213a() | {"alert_id": f"a-{number}", "event_name": f"KM3-230213{chr(65 + number)}"} | changes


@pytest.fixture(scope="module")
def tables() -> QueryTables:
    return partitions.sources(read_catalog(ROOT / "schemas"), "public")


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mailbox("451 later") as one:
        yield one


@pytest.fixture
def server(copy_published: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, box: Mailbox) -> Iterator[Server]:
    file = tmp_path / "channels.yaml"
    file.write_text(yaml.safe_dump([{"name": "people", "kind": "subscriptions", "options": box.options}]))
    monkeypatch.setenv("KM3VO_ALERTS_CHANNELS", str(file))
    with serve(copy_published, tmp_path, promote_seconds=0, metadata_seconds=0) as running:
        yield running


def publish(server: Server, database: Database, *messages: dict[str, Any]) -> None:
    outgoing = server.app.state.service.outgoing
    with database.connect(SERVICE, autocommit=True) as service:
        for message in messages:
            accept(service, json.dumps(message).encode(), Sender("tests"), outgoing=outgoing)


@pytest.mark.parametrize(
    ("condition", "mistake"),
    [
        ("far <", "end"),
        ("no_such > 1", "column 1"),
        ("1 = 1) OR (1 = 1", "column 6"),
        ("1 = 1 ORDER BY ra", "ORDER"),
        ("1 = 1; DELETE FROM km3net.alerts", "column 6"),
        ("EXISTS (SELECT 1 FROM km3net.alert_links_embargo)", "alert_links_embargo"),
        ("ra < 1" + " " * 2000, "2000 characters"),
    ],
)
def test_what_is_no_condition_is_refused(tables: QueryTables, condition: str, mistake: str) -> None:
    with pytest.raises((AdqlError, ParameterError), match=mistake):
        filters.check(condition, tables)


def test_a_condition_is_asked_of_one_row_as_the_public_and_not_for_long(
    copy_published: Database, tables: QueryTables, server: Server
) -> None:
    publish(server, copy_published, alert(0), alert(0, type="update", ra=96.0), alert(1, ra=200.0))
    long = (
        "EXISTS (SELECT 1 FROM km3net.events AS a, km3net.events AS b, km3net.events AS c "
        "WHERE a.energy + b.energy + c.energy < 0)"
    )
    with filters.connect(copy_published) as public:

        def chosen(condition: str, name: str = "KM3-230213A", revision: int | None = 1) -> bool:
            filters.check(condition, tables)
            return filters.chooses(public, condition, tables, name, revision)

        assert chosen("ra < 95") and not chosen("ra < 95", revision=2) and chosen("ra < 95", revision=None)
        assert chosen("ra < 95 -- in the west") and chosen("") and not chosen("ra < 95", "KM3-230213B")
        assert not chosen("1 / (revision - 1) > 0")  # fails on the row
        assert not chosen("EXISTS (SELECT 1 FROM km3net.candidates)")
        assert not chosen(long)
        assert public.execute("SELECT current_user").fetchone() == ("km3vo_public",)


def test_a_stream_of_what_a_condition_chooses(copy_published: Database, server: Server) -> None:
    publish(server, copy_published, alert(0), alert(0, type="update", ra=96.0), alert(1, ra=200.0))

    def subscribe(**fields: str) -> httpx.Response:
        return httpx.post(f"{server.url}/alerts/subscribe", data=fields, headers={"Accept": "application/json"})

    saved = subscribe(where="ra > 95 AND ra < 100")
    assert saved.status_code == 201
    told = httpx.get(saved.json()["stream"] + "&follow=0&last=0").text
    assert re.findall(r"^id: (\d+)$", told, re.MULTILINE) == ["2"]
    assert subscribe(where="ra >").status_code == 400
    assert "no_such" in subscribe(where="no_such = 1").text
    assert subscribe().status_code == 400
    assert httpx.get(f"{server.url}/alerts/stream?filter=0123456789ab").status_code == 404
    unconfirmed = subscribe(address="ada@example.org").json()["stream"]
    assert httpx.get(unconfirmed + "&follow=0").status_code == 404


def mails(box: Mailbox, whom: str) -> list[EmailMessage]:
    """What somebody got."""
    read = BytesParser(policy=email.policy.default).parsebytes
    return [read(one) for one, to in zip(box.got, box.to, strict=False) if to == whom]


def text(mail: EmailMessage) -> str:
    body = mail.get_body()
    assert body is not None
    return str(body.get_content())


def test_mails_from_the_question_to_the_end(copy_published: Database, server: Server, box: Mailbox) -> None:
    with copy_published.connect(SERVICE, autocommit=True) as service:
        publish(server, copy_published, alert(9))  # of before
        page = f"{server.url}/alerts/subscribe"
        for fields in (
            {"address": "ada@example.org", "where": "ra < 95", "format": "json"},
            {"address": "bob@example.org", "test": "1"},
            {"address": "refused@example.org"},
            {"address": "eve@example.org"},
        ):
            assert "on its way" in httpx.post(page, data=fields).text
        assert httpx.post(page, data={"address": "ada@example.org\nBcc: x@example.org"}).status_code == 400
        links = {}
        for whom in ("ada@example.org", "bob@example.org", "eve@example.org"):
            (question,) = until(lambda whom=whom: mails(box, whom))  # type: ignore[misc]
            (links[whom],) = re.findall(r"http://\S+/alerts/subscriptions/\S+", text(question))
        for whom in ("ada@example.org", "bob@example.org"):
            assert "Yes, send me" in httpx.get(links[whom]).text
            assert "Thank you" in httpx.post(links[whom], data={"do": "confirm"}).text
        changes: list[dict[str, Any]] = [
            alert(0),
            alert(1, ra=200.0),
            alert(2, tense="test", event_name="TEST-KM3-230213A"),
            alert(0, type="update", ra=96.0),
            samples.retraction(alert_id="a-0", tense="archival", pipeline="arca_UHE"),
        ]
        publish(server, copy_published, *changes)
        until(lambda: len(mails(box, "bob@example.org")) == 6 and len(mails(box, "ada@example.org")) == 3)
        ada, bob = mails(box, "ada@example.org")[1:], mails(box, "bob@example.org")[1:]
        assert [one["Message-ID"] for one in ada] == ["<KM3-230213A.1@example.org>", "<KM3-230213A.3@example.org>"]
        assert [one["Message-ID"].partition("@")[0][1:] for one in bob] == [
            *("KM3-230213A.1", "KM3-230213B.1", "TEST-KM3-230213A.1", "KM3-230213A.2", "KM3-230213A.3")
        ]
        assert ada[0].is_multipart() and not bob[0].is_multipart()
        assert ada[0]["List-Unsubscribe"] == f"<{links['ada@example.org']}>"
        assert text(bob[0]).rstrip().endswith(links["bob@example.org"])
        # One click, as mail programs do it.
        assert httpx.post(links["ada@example.org"], data={"List-Unsubscribe": "One-Click"}).status_code == 200
        assert httpx.get(links["ada@example.org"]).status_code == 404
        left = service.execute(
            "SELECT address, ended IS NULL FROM km3vo.alert_subscription ORDER BY address"
        ).fetchall()
    assert left == [("bob@example.org", True), ("eve@example.org", True), ("refused@example.org", False)]
    assert len(mails(box, "eve@example.org")) == 1
