"""Positions in every notation, and texts that are none."""

from __future__ import annotations

import random
import time
import warnings
from contextlib import suppress

import pytest

from km3vo.search.targets import Name, Target, TargetError, read

CRAB = (83.633, 22.0145)
PLACES: list[tuple[str, tuple[float, float], float]] = [
    *((text, CRAB, 0.002) for text in (
        "83.633 22.0145", "83.633 +22.0145", "83.633, +22.0145", "83.633,22.0145", " 83.633\t+22.0145 ",
        "83.633+22.0145", "83.633; 22.0145", "83.633 | 22.0145", "83.633° +22.0145°", "83.633deg +22.0145deg",
        "83.633d 22.0145d", "ra=83.633 dec=22.0145", "RA 83.633 Dec +22.0145", "ra = 83.633, dec = +22.0145",
        "83.633 22.0145 icrs", "ICRS 83.633 22.0145", "fk5 83.633 22.0145", "83.633 22.0145 J2000",
        "05 34 31.9 +22 00 52", "05 34 31.9 22 00 52", "05:34:31.9 22:00:52", "05:34:31.9, +22:00:52",
        "05:34:31.9+22:00:52", "5:34:31.9 22:0:52", "5h34m31.9s +22d0m52s", "5h34m31.9s+22d0m52s",
        "5h 34m 31.9s +22d 00m 52s", "5h34m31.9s 22d0m52s", "05h34.53m+22d00.87m", "05ʰ34ᵐ31.9ˢ +22°00′52″",
        "5h34m31.9s +22°0'52\"", "05:34:31.9 +22.0144", "5.57553h +22.0144", "J053431.9+220052", "j053431.9+220052",
        "J 053431.9 +220052", "83d37m58s +22d0m52s", "RA=05:34:31.9 DEC=+22:00:52",
    )),
    *((text, CRAB, 0.02) for text in (
        "J0534.5+2201", "05h34.5m+22d00.9m", "184.557 -5.784 gal", "184.557 −5.784 Galactic", "gal 184.557, -5.784",
        "l=184.557 b=-5.784", "l 184.557, b -5.784", "G184.557-05.784", "g184.557 −5.784", "-175.443 -5.784 gal",
        "glon=184.557 glat=-5.784", "05 31 31.4 +21 58 55 B1950", "fk4 82.8809 21.982", "B053131+215855",
    )),
    ("J0534+2200", (83.5, 22.0), 1e-6),
    ("B0531+219", (83.51, 21.93), 0.02),
    ("J050925.96+054135.3", (77.35817, 5.69314), 1e-4),
    ("J0509+0541", (77.25, 5.683333), 1e-4),
    ("77.358, +5.693", (77.358, 5.693), 1e-9),
    ("10 −20", (10, -20), 1e-9),
    ("12.5 10", (12.5, 10), 1e-9),
    ("0 -0.5", (0, -0.5), 1e-9),
    ("00:00:00 -00:30:00", (0, -0.5), 1e-9),
    ("360 90", (0, 90), 1e-9),
    ("23:59:59.99 -89:59:59.9", (359.99996, -89.99997), 1e-4),
    ("10 20 30 40", (155, 30.6667), 1e-3),
]  # fmt: skip
WRONG = {
    "": "empty",
    "83.63": "not clear where",
    "83.63 95": "between -90 and",
    "400 10": "0 and 360",
    "-10 10": "0 and 360",
    "83 37 58 +22 00 52": "beyond 24 hours",
    "25h00m00s +22d": "beyond 24 hours",
    "05:61:00 +22:00:00": "below 60",
    "05.5:30:00 +22:00:00": "decimals",
    "83.63 +22:00:52": "hours or in degrees",
    "05 34 31.9 22 00": "not clear where",
    "1 2 3": "not clear where",
    "12, 13, 14": "one comma",
    "5h34m +2h3m": "not hours",
    "l=1 dec=2": "l with b",
    "J05343+2200": "JHHMMSS",
    "+-+": "not clear where",
    "9" * 300: "at most",
}
NAMES = ["Crab", "M 31", "m31", "NGC 1275", "3C 273", "1H 0323+342", "4FGL J0509.4+0542", "TXS 0506+056", "e17",
         "1ES 1959+650", "HESS J1745-290", "Sgr A*", "KM3-230213A", "Centaurus\u00a0A", "ζ Tau", "galaxy", "Barnard 68",
         "4U 1700-37", "s5 0716+71", "GRB 130427A", "LMC", "η Car"]  # fmt: skip


def test_f5_there_are_sixty() -> None:
    assert len({text for text, _, _ in PLACES}) >= 60


@pytest.mark.parametrize(("text", "place", "within"), PLACES)
def test_f5_a_position_in_any_notation(text: str, place: tuple[float, float], within: float) -> None:
    found = read(text)
    assert isinstance(found, Target)
    assert found.ra == pytest.approx(place[0], abs=within)
    assert found.dec == pytest.approx(place[1], abs=within)


@pytest.mark.parametrize("text", NAMES)
def test_f5_a_name_is_no_position(text: str) -> None:
    assert read(text) == Name(" ".join(text.split()))


@pytest.mark.parametrize("text", WRONG)
def test_f6_what_is_ambiguous_or_nowhere_is_asked(text: str) -> None:
    with pytest.raises(TargetError, match=WRONG[text]):
        read(text)


def test_f6_two_numbers_are_degrees_and_say_so() -> None:
    found = read("12.5 10")
    assert isinstance(found, Target)
    assert found.read_as == "degrees, ICRS"


def test_f5_what_was_understood_is_told() -> None:
    assert str(read("05:34:31.9 +22:00:52")) == "83.6329 +22.0144 ICRS, 184.56 -5.78 Galactic"


def test_f5_frames_are_those_of_astropy() -> None:
    from astropy.coordinates import SkyCoord

    chooser = random.Random(17)
    for _ in range(40):
        lon, lat = chooser.uniform(0, 360), chooser.uniform(-90, 90)
        for word, frame in (("gal", "galactic"), ("fk5", "fk5"), ("b1950", "fk4")):
            ours = read(f"{lon} {lat} {word}")
            assert isinstance(ours, Target)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                theirs = SkyCoord(lon, lat, unit="deg", frame=frame).icrs
            apart = SkyCoord(ours.ra, ours.dec, unit="deg").separation(theirs).arcsec
            assert apart < 0.5, (lon, lat, word)  # FK4 turns a little with the epoch of observation


def test_f5_v6_any_text_is_read_or_refused_at_once() -> None:
    chooser = random.Random(6)
    pieces = [
        *"0123456789+-.,:;'\"°hdmsJBGlb= \t−′",
        "05:34:31.9",
        "+22",
        "gal",
        "deg",
        "J0534",
        "RA=",
        "é",
        "\x00",
        "٣",
    ]
    texts = ["".join(chooser.choices(pieces, k=chooser.randrange(1, 30))) for _ in range(100_000)]
    read("1 2")
    began = time.process_time()
    for text in texts:
        try:
            found = read(text)
        except TargetError:
            continue
        if isinstance(found, Target):
            assert 0 <= found.ra < 360
            assert -90 <= found.dec <= 90
    assert time.process_time() - began < 100  # 1 ms for each


@pytest.mark.parametrize("text", ["1" * 200, "1 " * 100, "l=" + "1," * 90 + "b=", "ra" + " " * 190, "G" + "1" * 190])
def test_v6_long_texts_are_read_as_quickly(text: str) -> None:
    began = time.process_time()
    for _ in range(20):
        with suppress(TargetError):
            read(text)
    assert time.process_time() - began < 0.1
