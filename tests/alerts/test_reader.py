"""Reading VOEvents of all senders, valid or not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from km3vo.alerts.messages import reader
from km3vo.alerts.messages.reader import PacketError

INVALID = {
    *("km3_230213a", "antares_1364519891_template", "antares_1438351269", "antares_1439919723"),
    "icecube_134191_017593623_0",
}
MINIMAL = (
    b'<VOEvent ivorn="ivo://a/b#c" version="2.0"><WhereWhen><ObsDataLocation><ObservationLocation>'
    b"<AstroCoords><Time><TimeInstant><ISOTime>%s</ISOTime></TimeInstant></Time>%s</AstroCoords>"
    b"</ObservationLocation></ObsDataLocation></WhereWhen></VOEvent>"
)
TIME = b"2026-11-27T11:59:12.345"


@pytest.fixture(scope="module")
def packets(data_dir: Path) -> dict[str, bytes]:
    found = {file.stem: file.read_bytes() for file in (data_dir / "voevents").glob("*.xml")}
    if not found:
        pytest.skip(f"there are no packets in {data_dir / 'voevents'}")
    return found


def test_five_of_twelve_real_packets_are_invalid(
    packets: dict[str, bytes], xsd: Callable[[bytes, str], list[str]]
) -> None:
    assert {name for name, packet in packets.items() if xsd(packet, "2.0")} == INVALID


def test_all_twelve_are_read(packets: dict[str, bytes]) -> None:
    assert len(packets) == 12
    for document in packets.values():
        packet = reader.read(document)
        assert packet.ivorn.startswith("ivo://") and packet.role == "observation" and not packet.is_test
        assert packet.ra is not None and packet.dec is not None and 2016 <= packet.time.year <= 2023
        assert packet.radius or packet.radii


def test_km3_230213a_is_read_with_all_its_radii(packets: dict[str, bytes]) -> None:
    packet = reader.read(packets["km3_230213a"])
    assert (packet.ra, packet.dec, packet.system) == (94.3, -7.8, "UTC-ICRS-TOPO")
    assert packet.radii == {0.5: 1.2, 0.68: 1.5, 0.9: 2.2, 0.99: 3.0}
    assert packet.time == datetime(2023, 2, 13, 1, 16, 47, tzinfo=UTC)
    assert (packet.params["Energy"].value, packet.params["Energy"].unit) == (120, "PeV")


def test_values_have_the_types_they_say(packets: dict[str, bytes]) -> None:
    antares = reader.read(packets["antares_1438351269"])
    assert antares.params["isRealAlert"].value is True and antares.params["ranking"].value == 1
    assert antares.params["pvalue"].value == 0.00810926
    assert antares.radius == 0.325 and antares.radii == {}  # of which containment, the packet does not say
    assert antares.citations == ()  # it cites nothing, in an empty element
    icecube = reader.read(packets["icecube_134191_017593623_0"])
    assert icecube.radii == {0.5: 0.3584, 0.9: 0.9201}
    assert icecube.groups["Trigger_ID"]["Retraction"].text == "false"


def test_a_test_is_known_by_its_mark_as_well_as_by_its_role() -> None:
    packet = MINIMAL % (TIME, b"")
    assert not reader.read(packet).is_test
    assert reader.read(
        packet.replace(b"<WhereWhen", b'<What><Param name="Test" value="true"/></What><WhereWhen')
    ).is_test
    assert reader.read(packet.replace(b'version="2.0"', b'version="2.0" role="test"')).is_test


@pytest.mark.parametrize(
    ("document", "word"),
    [
        (b"", "well-formed"),
        (b"<a>", "well-formed"),
        (b"<a/>", "no VOEvent"),
        (b"<VOEvent/>", "no ivorn"),
        (b'<VOEvent ivorn="ivo://a/b#c"/>', "ISOTime"),
        (MINIMAL % (b"yesterday", b""), "ISOTime"),
        (MINIMAL % (TIME, b"<Position2D><Value2><C1>400</C1><C2>0</C2></Value2></Position2D>"), "position"),
        (MINIMAL % (TIME, b"<Position2D><Value2><C1>nan</C1><C2>0</C2></Value2></Position2D>"), "position"),
        (b'<!DOCTYPE v [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + MINIMAL % (b"&e;", b""), "document type"),
        (b"<VOEvent>" + b"<a>" * 5000 + b"</a>" * 5000 + b"</VOEvent>", "well-formed"),
        (b"\x00" * 10, "well-formed"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(document: bytes, word: str) -> None:
    with pytest.raises(PacketError, match=word) as caught:
        reader.read(document)
    assert "\n" not in str(caught.value) and "root:" not in str(caught.value)
