"""What a revision becomes: GCN notice, VOEvent, mail, Atom entry. Each valid by an independent judge, and lossless."""

from __future__ import annotations

import email
import email.policy
import json
import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from lxml import etree

from km3vo.alerts import profile, revision
from km3vo.alerts.messages import atom, mail, notice, places, reader, voevent
from km3vo.alerts.mistakes import AlertError
from km3vo.alerts.revision import Revision
from km3vo.settings import Settings
from tests.support import samples
from tests.support.samples import NOW

ATOM = "{http://www.w3.org/2005/Atom}"
Judge = Callable[..., list[str]]


def made(message: dict[str, Any], name: str = "KM3-261127A") -> Revision:
    event = profile.check(message, now=NOW)
    return revision.first(event, event_name=event.event_name or name, received=NOW)


def history() -> list[Revision]:
    """An alert with an update, a later detection and a retraction."""
    first = made(samples.current())
    update = revision.following(
        profile.check(samples.current(type="update", ra=11.0), now=NOW), first, received=NOW + timedelta(seconds=40)
    )
    again = revision.following(
        profile.check(samples.current(type="subsequent"), now=NOW), update, received=NOW + timedelta(seconds=80)
    )
    return [first, update, again, revision.following(profile.check(samples.retraction(), now=NOW), again, received=NOW)]


REVISIONS = (
    [made(sample()) for sample in samples.ALL] + history() + [made(samples.current(tense="test"), "TEST-KM3-261127A")]
)


@pytest.mark.parametrize("one", REVISIONS, ids=lambda one: f"{one.key}-{one.pipeline}")
def test_notices_are_valid_and_have_no_nulls(one: Revision, settings: Settings, gcn: Judge) -> None:
    document = notice.document(one, settings)
    sent = json.loads(document)
    assert gcn(sent) == []
    assert b"null" not in document and len(document) < 1_000_000
    assert sent["$schema"] == "https://gcn.nasa.gov/schema/v7.2.1/gcn/notices/km3net/alert.schema.json"
    assert "main" not in sent["$schema"]


def test_a_notice_has_all_that_gcn_wants(settings: Settings) -> None:
    sent = notice.notice(made(samples.current()), settings)
    assert set(sent) >= {
        *("$schema", "mission", "messenger", "instrument", "pipeline", "alert_tense", "alert_type", "record_number"),
        *("alert_datetime", "event_name", "id", "trigger_time", "ra", "dec", "ra_dec_error", "containment_probability"),
        *("systematic_included", "far", "alert_topology", "number_of_events", "src_error_50", "event_details"),
        *("potential_counterpart", "counterpart_info", "healpix_url", "data_archive_page"),
    }
    assert (sent["mission"], sent["messenger"], sent["instrument"]) == ("KM3NeT", "Neutrino", "ORCA024")
    assert (sent["containment_probability"], sent["record_number"]) == (0.9, 1)
    assert (sent["potential_counterpart"], sent["counterpart_info"]) == (False, "No search")
    assert sent["trigger_time"] == "2026-11-27T11:59:12.345000Z"
    assert "quality = 212.5" in sent["additional_info"] and "p_neutrino = 0.97" in sent["additional_info"]


def test_the_cosine_of_the_zenith_changes_sign_for_gcn_and_nowhere_else(settings: Settings) -> None:
    event = made(samples.km3_230213a())
    assert event.cos_zenith == 0.0111
    assert notice.notice(event, settings)["event_details"][0]["cos_zenith"] == -0.0111
    packet = reader.read(voevent.packet(event, settings))
    assert packet.params["cos_zenith"].value == -0.0111
    assert email.message_from_string(mail.text(event, settings))["COS_ZENITH"].startswith("0.0111 ")


def test_false_alarm_rates_are_in_hertz_everywhere(settings: Settings) -> None:
    event = made(samples.current())
    assert notice.notice(event, settings)["far"] == 8.029e-8
    far = reader.read(voevent.packet(event, settings)).params["FAR"]
    assert (far.value, far.unit) == (8.029e-8, "Hz")
    assert email.message_from_string(mail.text(event, settings))["FAR"] == "8.029e-08 Hz"


@pytest.mark.parametrize("one", REVISIONS, ids=lambda one: f"{one.key}-{one.pipeline}")
@pytest.mark.parametrize("version", ["2.0", "2.1"])
def test_packets_are_valid(one: Revision, version: Any, settings: Settings, xsd: Judge) -> None:
    packet = voevent.packet(one, settings, version)
    assert xsd(packet, version) == []
    root = etree.fromstring(packet)
    names = [param.get("name") for param in root.findall("What/Param")]
    assert len(set(names)) == len(names)
    assert root.get("role") == ("test" if one.is_test else "observation")
    separator = "#" if version == "2.0" else "?"
    assert root.get("ivorn") == f"{places.stream(settings, test=one.is_test)}{separator}{one.key}"


def test_packets_cite_the_one_before(settings: Settings) -> None:
    packets = [reader.read(voevent.packet(one, settings)) for one in history()]
    assert packets[0].citations == ()
    assert [packet.citations for packet in packets[1:]] == [
        ((packets[0].ivorn, "supersedes"),),
        ((packets[1].ivorn, "followup"),),
        ((packets[2].ivorn, "retraction"),),
    ]
    assert packets[3].ra == packets[2].ra and packets[3].description == "An optical beacon was on."


def test_a_burst_without_direction_has_no_position_anywhere(settings: Settings) -> None:
    event = made(samples.supernova())
    assert not {"ra", "dec", "healpix_url", "containment_probability"} & set(notice.notice(event, settings))
    packet = reader.read(voevent.packet(event, settings))
    assert packet.ra is None and packet.radii == {} and "healpix_url" not in packet.params
    assert email.message_from_string(mail.text(event, settings))["RA"] is None


def close(value: Any, wanted: float | None) -> bool:
    return wanted is None or abs(float(value) - wanted) <= 1e-9 * max(1, abs(wanted))


def test_every_number_survives_every_message(settings: Settings) -> None:
    """Random values: what JSON, VOEvent and mail say is what the row says, to 1e-9 and better."""
    chooser = random.Random(5)
    for _ in range(200):
        event = made(
            samples.current(
                ra=chooser.uniform(0, 360),
                dec=chooser.uniform(-90, 90),
                err50=10 ** chooser.uniform(-4, 1),
                energy=10 ** chooser.uniform(0, 9),
                far=10 ** chooser.uniform(-12, 3),
                p_astro=chooser.random(),
            )
        )
        sent = json.loads(notice.document(event, settings))
        packet = reader.read(voevent.packet(event, settings))
        text = email.message_from_string(mail.text(event, settings))
        for row, in_notice, in_packet, in_text in (
            (event.ra, "ra", packet.ra, "RA"),
            (event.dec, "dec", packet.dec, "DEC"),
            (event.err50, "src_error_50", packet.radii[0.5], "ERR50"),
            (event.err90, "ra_dec_error", packet.radius, "ERR90"),
            (event.far, "far", packet.params["FAR"].value, "FAR"),
            (event.p_astro, "p_astro", packet.params["p_astro"].value, "P_ASTRO"),
            (event.energy, "energy", packet.params["energy_measured"].value, "ENERGY"),
        ):
            if in_notice in sent:
                assert sent[in_notice] == row
            assert in_packet == row
            assert close(text[in_text].split()[0], row)
        assert packet.time == event.time


def test_markup_and_letters_of_all_kinds_stay_what_they_are(settings: Settings) -> None:
    event = made(samples.multiplet())
    packet = reader.read(voevent.packet(event, settings))
    assert packet.description == "µ, <b>markup</b> & ]]> in a text of two lines"
    assert packet.groups["Counterpart_1"]["name"].text == "a <source> & more"
    assert packet.groups["Nu_Event_2"]["topology"].text == "shower"
    assert json.loads(notice.document(event, settings))["additional_info"].startswith(event.text or "-")


def test_mails_of_an_alert_are_a_thread(settings: Settings) -> None:
    mails = [mail.message(one, settings, sender="alerts@vo.example.org") for one in history()]
    assert [each["Subject"].split(" KM3NeT")[0] for each in mails[1:]] == ["UPDATE", "SUBSEQUENT", "RETRACTION"]
    assert mails[0]["Message-ID"] == "<KM3-261127A.1@vo.example.org>" and mails[0]["References"] is None
    assert {each["References"] for each in mails[1:]} == {mails[0]["Message-ID"]}
    assert {each["Auto-Submitted"] for each in mails} == {"auto-generated"}
    assert mail.message(REVISIONS[-1], settings, sender="a@b.c")["Subject"].startswith("TEST ")
    with_packet = mail.message(made(samples.multiplet()), settings, sender="a@b.c", attached="xml")
    (attached,) = with_packet.iter_attachments()
    assert attached.get_content_type() == "application/xml"
    read_back = email.message_from_bytes(bytes(with_packet), policy=email.policy.default)
    assert read_back.get_body().get_content() == mail.text(made(samples.multiplet()), settings)  # type: ignore[union-attr]
    assert len(bytes(with_packet)) < 30_000 and b"text/html" not in bytes(with_packet)


def test_the_feed_has_an_entry_for_each_revision(settings: Settings) -> None:
    published = [(one, NOW + timedelta(seconds=number)) for number, one in enumerate(history())][::-1]
    feed = etree.fromstring(atom.feed(published, settings, address="https://vo.example.org/alerts/feed.atom"))
    entries = feed.findall(f"{ATOM}entry")
    assert len(entries) == 4 and len({each.findtext(f"{ATOM}id") for each in entries}) == 4
    assert feed.findtext(f"{ATOM}updated") == entries[0].findtext(f"{ATOM}updated")
    assert entries[0].findtext(f"{ATOM}content") == mail.text(published[0][0], settings)
    assert entries[0].findtext(f"{ATOM}title").startswith("RETRACTION")
    for element in feed.iter(f"{ATOM}updated", f"{ATOM}published"):
        assert element.text.endswith("Z")
    assert etree.fromstring(atom.feed([], settings, address="x")).findtext(f"{ATOM}updated")


def test_whatever_is_accepted_can_be_sent(settings: Settings, gcn: Judge, xsd: Judge) -> None:
    """Mutated events that the profile takes become valid notices and packets."""
    chooser = random.Random(2)
    sent = 0
    for _ in range(1500):
        try:
            event = profile.check(samples.mutated(chooser), now=NOW)
        except AlertError:
            continue
        if event.type == "retraction":
            continue
        one = revision.first(event, event_name="KM3-261127A", received=NOW)
        assert gcn(json.loads(notice.document(one, settings))) == []
        assert xsd(voevent.packet(one, settings), "2.0") == []
        assert bytes(mail.message(one, settings, sender="a@b.c"))
        assert atom.feed([(one, NOW)], settings, address="x")
        sent += 1
    assert sent > 50
