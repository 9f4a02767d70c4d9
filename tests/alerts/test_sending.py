"""Alerts on their way to brokers, mail servers and webhooks that are really there, and sometimes away."""

from __future__ import annotations

import email
import json
import subprocess
import sys
import threading
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from km3vo.alerts.intake import Sender, accept
from km3vo.alerts.messages import reader
from km3vo.alerts.redaction import redact
from km3vo.alerts.sending import channels, outbox, webhook
from km3vo.alerts.sending.channels import Channel
from km3vo.alerts.sending.dispatcher import Dispatcher
from km3vo.alerts.sending.operators import Operators
from km3vo.alerts.sending.outbox import Outgoing
from km3vo.alerts.tables import AlertTables
from km3vo.catalog.files import read_catalog
from km3vo.catalog.model import Catalog
from km3vo.commands import alert as commands
from km3vo.commands import opening
from km3vo.database.logins import OWNER, SERVICE, Database
from km3vo.embargo import tokens
from km3vo.errors import SetupError, UnavailableError
from km3vo.operating.metrics_server import FromDatabase
from km3vo.settings import Settings
from tests.alerts.hook import hook
from tests.alerts.mailbox import free_port, mailbox
from tests.support import samples
from tests.support.folders import ROOT
from tests.support.kafka import broker
from tests.support.server import serve
from tests.support.waiting import until

SETTINGS = Settings(url="https://vo.example.org")
TOPIC = "gcn.notices.km3net.alert"


@contextmanager
def dispatching(database: Database, *places: Channel) -> Iterator[None]:
    """Dispatchers for these channels, as the service has them."""
    stop = threading.Event()
    threads = [threading.Thread(target=Dispatcher(database, one, timedelta(days=7), stop.is_set).run) for one in places]
    for thread in threads:
        thread.start()
    yield
    stop.set()
    for thread in threads:
        thread.join()


def alert(number: int = 0, **changes: Any) -> dict[str, Any]:
    return samples.km3_230213a() | {"alert_id": f"a-{number}", "event_name": f"KM3-230213{chr(65 + number)}"} | changes


@pytest.fixture
def service(copy_published: Database) -> Iterator[psycopg.Connection]:
    with copy_published.connect(SERVICE, autocommit=True) as connection:
        yield connection


def send(connection: psycopg.Connection, places: tuple[Channel, ...], *messages: dict[str, Any]) -> None:
    for message in messages:
        accept(connection, json.dumps(message).encode(), Sender("me"), outgoing=Outgoing(SETTINGS, places))


def counted(connection: psycopg.Connection, channel: str) -> tuple[int, int, int]:
    """How many wait, arrived, were given up."""
    state = {one["channel"]: one for one in outbox.states(connection)}[channel]
    return state["waiting"], state["sent"], state["failed"]


def kafka(address: str) -> Channel:
    return Channel(
        name="gcn",
        kind="kafka",
        to=TOPIC,
        options={"bootstrap.servers": address, "delivery.timeout.ms": 3000},
    )


def test_an_alert_and_its_deliveries_are_one_transaction(service: psycopg.Connection) -> None:
    def number() -> int:
        return int(service.execute("SELECT count(*) FROM km3vo.alert_delivery").fetchall()[0][0])

    place = Channel(name="hook", kind="webhook", to="https://x.example.org", tenses=("archival",))
    send(service, (place,), alert(0), alert(1, tense="test", event_name="TEST-KM3-230213A"), alert(0))
    assert number() == 1
    with pytest.raises(Exception, match="ra"):
        send(service, (place,), alert(2, ra=361))
    broken = place.model_copy(update={"name": "no such\0name"})
    with pytest.raises(Exception, match="broke"):
        send(service, (place, broken), alert(2))
    assert number() == 1
    assert service.execute("SELECT count(*) FROM km3vo.alert").fetchall() == [(2,)]


@pytest.mark.slow
def test_kafka(copy_published: Database, service: psycopg.Connection) -> None:
    with broker(TOPIC) as one, dispatching(copy_published, place := kafka(one.address)):
        send(service, (place,), alert(0), alert(0, type="update", ra=95.0))
        first, second = one.messages(TOPIC, 2)
        assert first.key() == second.key() == b"KM3-230213A"
        assert dict(first.headers() or []) == {"km3vo-dedup": b"KM3-230213A/1", "_format": b"json"}
        assert json.loads(second.value() or b"")["record_number"] == 2
        until(lambda: counted(service, "gcn") == (0, 2, 0))
    sent = service.execute("SELECT detail FROM km3vo.alert_log WHERE what = 'sent' ORDER BY id").fetchall()
    assert sent == [(f"gcn: {TOPIC}/0/0",), (f"gcn: {TOPIC}/0/1",)]


@pytest.mark.slow
def test_what_kafka_does_not_take(copy_published: Database, service: psycopg.Connection) -> None:
    """Too large is for good. Signing in as GCN wants it asks for a token with the secret, which is told nowhere."""
    with broker(TOPIC) as one, hook() as endpoint:
        address = {"bootstrap.servers": one.address}
        small = Channel(name="small", kind="kafka", to=TOPIC, options=address | {"message.max.bytes": 1000})
        gcn = Channel(
            name="gcn",
            kind="kafka",
            to=TOPIC,
            tenses=("test",),
            options=address
            | {"security.protocol": "sasl_plaintext", "sasl.mechanisms": "OAUTHBEARER", "delivery.timeout.ms": 1500}
            | {"sasl.oauthbearer.method": "oidc", "sasl.oauthbearer.token.endpoint.url": endpoint.url}
            | {"sasl.oauthbearer.client.id": "km3net", "sasl.oauthbearer.client.secret": "hush"},
        )
        with dispatching(copy_published, small, gcn):
            send(service, (small, gcn), alert(0), alert(1, tense="test", event_name="TEST-KM3-230213A"))
            until(lambda: counted(service, "small") == (0, 0, 2))
            until(lambda: endpoint.got)
            until(lambda: service.execute("SELECT last_error FROM km3vo.alert_delivery WHERE attempts > 0").fetchall())
        headers, body = endpoint.got[0]
        assert b64decode(headers["Authorization"].removeprefix("Basic ")) == b"km3net:hush"
        assert b"grant_type=client_credentials" in body
    said = service.execute("SELECT string_agg(last_error, ' ') FROM km3vo.alert_delivery").fetchone()
    assert said is not None and "MSG_SIZE_TOO_LARGE" in said[0] and "hush" not in said[0]


def test_a_notification_that_is_lost_does_not_matter(copy_published: Database, service: psycopg.Connection) -> None:
    with copy_published.connect(OWNER, autocommit=True) as owner:
        owner.execute("ALTER TABLE km3vo.alert DISABLE TRIGGER tell")
    with hook() as receiver:
        place = Channel(name="hook", kind="webhook", to=receiver.url)
        with dispatching(copy_published, place):
            send(service, (place,), alert(0))
            until(lambda: counted(service, "hook") == (0, 1, 0))


@pytest.mark.slow
def test_a_broker_that_comes_and_goes_loses_nothing_and_keeps_the_order(
    copy_published: Database, service: psycopg.Connection
) -> None:
    alerts, revisions = 7, 6
    with broker(TOPIC) as one:
        place = kafka(one.address)
        with dispatching(copy_published, place, place):  # as two processes have it
            for revision in range(revisions):
                if revision in (1, 4):
                    one.tell("down")
                for number in range(alerts):
                    changes = {"type": "update", "ra": 94.0 + revision / 100} if revision else {}
                    send(service, (place,), alert(number, **changes))
                if revision in (2, 5):
                    one.tell("up")
            until(lambda: counted(service, "gcn") == (0, alerts * revisions, 0))
            got = one.messages(TOPIC, alerts * revisions)
    keys = [dict(each.headers() or [])["km3vo-dedup"] for each in got]
    assert len(set(keys)) == alerts * revisions
    for number in range(alerts):
        wanted = [f"{alert(number)['event_name']}/{revision}".encode() for revision in range(1, revisions + 1)]
        assert [key for key in dict.fromkeys(keys) if key in wanted] == wanted


def test_webhooks_are_signed_and_tried_again_in_order(
    copy_published: Database, service: psycopg.Connection, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("hush-hush\n")
    with hook(503, 429) as receiver:
        place = Channel(
            name="hook", kind="webhook", to=receiver.url, format="xml", secrets={"secret": tmp_path / "secret"}
        )
        with dispatching(copy_published, place):
            send(service, (place,), alert(0), alert(0, type="update", ra=95.0), alert(1))
            until(lambda: counted(service, "hook") == (0, 3, 0))
    keys = [headers["Idempotency-Key"] for headers, _ in receiver.got]
    assert sorted(keys) == ["KM3-230213A/1", "KM3-230213A/2", "KM3-230213B/1"]
    assert keys.index("KM3-230213A/1") < keys.index("KM3-230213A/2")
    for headers, body in receiver.got:
        assert headers[
            "X-Km3Vo-Signature".upper().replace("X-KM3VO-SIGNATURE", webhook.SIGNATURE)
        ] == webhook.signature("hush-hush", body)
    with copy_published.connect() as admin:
        for table in ("alert_delivery", "alert_log", "alert"):
            kept = admin.execute(f"SELECT t::text FROM km3vo.{table} AS t").fetchall()
            assert kept and not [row for row in kept if "hush" in row[0]]


def test_what_is_refused_for_good_blocks_nobody(
    copy_published: Database, service: psycopg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    with hook(400) as one, hook() as two:
        places = tuple(Channel(name=name, kind="webhook", to=each.url) for name, each in (("one", one), ("two", two)))
        with dispatching(copy_published, *places):
            send(service, places, alert(0), alert(0, type="update", ra=95.0))
            until(lambda: counted(service, "one") == (0, 1, 1) and counted(service, "two") == (0, 2, 0))
    assert "given up on channel one: HTTP 400" in caplog.text
    assert service.execute("SELECT detail FROM km3vo.alert_log WHERE what = 'failed'").fetchall() == [
        ("one: HTTP 400",)
    ]


def test_tests_are_given_up_after_three_attempts(copy_published: Database, service: psycopg.Connection) -> None:
    with hook(*[503] * 9) as receiver:
        place = Channel(name="hook", kind="webhook", to=receiver.url)
        with dispatching(copy_published, place):
            send(service, (place,), alert(0, tense="test", event_name="TEST-KM3-230213A"))
            until(lambda: counted(service, "hook") == (0, 0, 1))
    assert service.execute("SELECT attempts FROM km3vo.alert_delivery").fetchall() == [(3,)]


def test_mail(copy_published: Database, service: psycopg.Connection) -> None:
    with mailbox("451 later", "554 never") as box:
        place = Channel(name="list", kind="mail", to="alerts@example.org", options=box.options)
        two = Channel(
            name="two", kind="mail", to="ada@example.org, bob@example.org", options=box.options, tenses=("test",)
        )
        with dispatching(copy_published, place, two):
            send(service, (place,), alert(1))  # is tried again, and refused
            until(lambda: counted(service, "list") == (0, 0, 1))
            send(service, (place,), alert(0), alert(0, type="update", ra=95.0))
            until(lambda: counted(service, "list") == (0, 2, 1))
            send(service, (two,), alert(2, tense="test", event_name="TEST-KM3-230213A"))
            until(lambda: counted(service, "two") == (0, 1, 0))
    assert box.to[2:] == ["ada@example.org", "bob@example.org"] and b"bob@" not in box.got.pop()
    first, second = (email.message_from_bytes(each) for each in box.got)
    assert second["References"] == first["Message-ID"] == "<KM3-230213A.1@example.org>"
    assert second["Subject"].startswith("UPDATE") and first["Auto-Submitted"] == "auto-generated"
    assert first["To"] == "alerts@example.org" and first["List-Unsubscribe"]
    assert all(len(each) < 30_000 for each in box.got)


def test_operators_are_told_once_what_begins_to_be_wrong(
    copy_published: Database, service: psycopg.Connection, tmp_path: Path
) -> None:
    """As when a channel refuses an alert for good."""
    settings = SETTINGS.model_copy(update={"home": tmp_path, "promote_seconds": 0})
    with (
        mailbox("451 later") as box,
        hook(400, 200, 400) as receiver,
        dispatching(copy_published, place := Channel(name="hook", kind="webhook", to=receiver.url)),
    ):
        whom = Channel(name="people", kind="operators", to="ops@example.org", options=box.options)
        operators = Operators(copy_published, settings, whom, read_catalog(ROOT / "schemas"))
        send(service, (place,), alert(0))
        until(lambda: counted(service, "hook")[2] == 1)
        with pytest.raises(UnavailableError):
            operators.look()  # the server wants to have it later
        told = operators.look()
        assert operators.look() == []
        send(service, (place,), alert(1), alert(2))
        until(lambda: counted(service, "hook") == (0, 1, 2))
        again = operators.look()
        operators.close()
        collected = FromDatabase(settings, copy_published, read_catalog(ROOT / "schemas")).collect()
        figures = {(one.name, *one.labels.values()): one.value for metric in collected for one in metric.samples}
    assert [one for one in told if "hook" in one] == ["1 alerts were given up on hook within a day: `km3vo alert log`"]
    assert again == ["2 alerts were given up on hook within a day: `km3vo alert log`"]
    assert figures["km3vo_alerts_accepted_total", "archival"] == 3
    assert (
        figures["km3vo_delivery_seconds_count", "hook"] == figures["km3vo_delivery_seconds_bucket", "hook", "+Inf"] == 1
    )
    assert figures["km3vo_delivery_seconds_bucket", "hook", "3600.0"] == 1
    first, second = (email.message_from_bytes(each) for each in box.got)
    assert first["To"] == "ops@example.org" and "given up on hook" in second["Subject"]


@pytest.mark.slow
def test_a_voevent_broker(copy_published: Database, service: psycopg.Connection, tmp_path: Path) -> None:
    port = free_port()
    command = [str(Path(sys.executable).with_name("twistd")), "-n", "--pidfile=", "comet", "--receive", "--save-event"]
    command += [f"--receive-port={port}", f"--save-event-directory={tmp_path / 'got'}", f"--eventdb={tmp_path}"]
    (tmp_path / "got").mkdir()

    def kept() -> list[Path]:
        return [file for file in (tmp_path / "got").rglob("*") if file.is_file()]

    with subprocess.Popen([*command, "--local-ivo=ivo://example.org/broker"], stdout=subprocess.DEVNULL) as comet:
        try:
            place = Channel(name="comet", kind="vtp", to=f"127.0.0.1:{port}", format="xml")
            with dispatching(copy_published, place):
                send(service, (place,), alert(0), alert(0, type="update", ra=95.0))
                until(lambda: counted(service, "comet") == (0, 2, 0) and len(kept()) == 2)
        finally:
            comet.kill()
    assert sorted(str(reader.read(file.read_bytes()).ra) for file in kept()) == ["94.3", "95.0"]


def test_what_was_redacted_is_not_sent(copy_published: Database, service: psycopg.Connection) -> None:
    with hook() as receiver:
        place = Channel(name="hook", kind="webhook", to=receiver.url)
        send(service, (place,), alert(0), alert(1))
        with copy_published.connect(OWNER) as owner:
            redact(owner, "KM3-230213A", AlertTables(Catalog(())), reason="a court", by="ada")
        with dispatching(copy_published, place):
            until(lambda: counted(service, "hook") == (0, 1, 1))
    assert [headers["Idempotency-Key"] for headers, _ in receiver.got] == ["KM3-230213B/1"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: x", "holds no list"),
        ("- {name: x, kind: webhook, to: 'http://example.org'}", "https address"),
        ("- {name: x, kind: kafka, to: t}", "bootstrap.servers"),
        ("- {name: x, kind: mail, to: a@b}", "host and from"),
        ("- {name: x, kind: vtp, to: 'a:1'}", "format: xml"),
        ("- {name: x, kind: pigeon, to: t, secret: hush}", "kind"),
        ("- {name: x, kind: webhook, to: 'https://a'}\n- {name: x, kind: webhook, to: 'https://b'}", "same name"),
        ("- {", "YAML"),
    ],
)
def test_mistakes_in_the_file_of_channels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, told: str
) -> None:
    file = tmp_path / "channels.yaml"
    file.write_text(text)
    monkeypatch.setenv("KM3VO_ALERTS_CHANNELS", str(file))
    with pytest.raises(SetupError, match=told) as caught:
        channels.read(Settings())
    assert "hush" not in str(caught.value)


def test_from_the_request_to_a_channel_and_again_by_hand(
    copy_published: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with copy_published.connect(OWNER) as owner:
        options: dict[str, Any] = {"audience": "public", "label": "", "valid": timedelta(hours=1), "by": "tests"}
        token = tokens.create(owner, "pipe", scopes=["alerts:write"], **options)[1]
    with hook() as receiver:
        file = tmp_path / "channels.yaml"
        file.write_text(f"- {{name: hook, kind: webhook, to: '{receiver.url}'}}\n")
        monkeypatch.setenv("KM3VO_ALERTS_CHANNELS", str(file))
        with serve(copy_published, tmp_path, promote_seconds=0, metadata_seconds=0) as server:
            made = httpx.post(f"{server.url}/alerts", json=alert(0), headers={"Authorization": f"Bearer {token}"})
            assert made.json()["channels"] == ["hook"], made.text
            until(lambda: len(receiver.got) == 1)
            monkeypatch.setattr(opening, "opened", lambda: nullcontext((server.settings, copy_published)))
            monkeypatch.setattr(commands, "opened", opening.opened)
            run("drill")
            assert len(receiver.got) == 2
        with pytest.raises(SetupError, match="yes-public"):
            with copy_published.connect(OWNER, autocommit=True) as owner:
                owner.execute("UPDATE km3vo.alert_delivery SET created = created - interval '2 hours'")
            run("replay", "--channel", "hook", "--alert", "KM3-230213A")
        run("replay", "--channel", "hook", "--alert", "KM3-230213A", "--yes-public")
    first, drill, again = receiver.got
    assert first[1] == again[1] and again[0]["X-KM3VO-Replay"] == "1" and first[0]["X-KM3VO-Replay"] is None
    assert json.loads(drill[1])["alert_tense"] == "test"


def run(*arguments: str) -> None:
    commands.command.main(["alert", *arguments][1:], standalone_mode=False)
