"""The user-defined functions of docs/functions.md, each beside what astropy, scipy or duckdb say that it is."""

from __future__ import annotations

import random
from collections.abc import Callable

from astropy.coordinates import Angle

from km3vo.column import JD, MJD, TimeSystem
from tests.adql.differential import regions
from tests.adql.differential.piece import About, Piece
from tests.adql.differential.sky import ORDERS, PIXEL_ORDER

_JD, _MJD = (About("d", "time.epoch", None, TimeSystem(origin)) for origin in (JD, MJD))
_CHANCE = About(None, "stat.probability")


def healpix_index(rng: random.Random, alias: str) -> Piece:
    order = rng.choice(ORDERS)
    place = rng.choice([f"POINT({alias}.ra, {alias}.decl)", f"{alias}.ra, {alias}.decl"])
    return Piece(f"ivo_healpix_index({order}, {place})", f"{alias}.pixel{order}", About(None, "pos.healpix"))


def healpix_center(rng: random.Random, alias: str) -> Piece:
    number, name, ucd = rng.choice([(1, "cl", "pos.eq.ra"), (2, "cb", "pos.eq.dec")])
    center = f"ivo_healpix_center({PIXEL_ORDER}, ivo_healpix_index({PIXEL_ORDER}, {alias}.ra, {alias}.decl))"
    return Piece(f"COORD{number}({center})", f"{alias}.{name}", About("deg", ucd, "ICRS"))


def nocasematch(rng: random.Random, alias: str) -> Piece:
    pattern = rng.choice(["A%", "ab", "_", "%B%", "X\\_Y"])
    return Piece(f"ivo_nocasematch({alias}.s, '{pattern}')", f"({alias}.s ILIKE '{pattern}')::INT")


def hasword(rng: random.Random, alias: str) -> Piece:
    word = rng.choice(["ab", "ABC", "b"])
    return Piece(
        f"ivo_hasword({alias}.s || ' events', '{word}')",
        rf"regexp_matches({alias}.s || ' events', '(?i)(^|[^a-z]){word}($|[^a-z])')::INT",
    )


def hashlist_has(rng: random.Random, alias: str) -> Piece:
    item = rng.choice(["ab", "abc", "ABC", "b", "q"])
    return Piece(
        f"ivo_hashlist_has('q#' || {alias}.s, '{item}')",
        f"list_contains(string_split(lower('q#' || {alias}.s), '#'), lower('{item}'))::INT",
    )


def interval_overlaps(rng: random.Random, alias: str) -> Piece:
    a, b = rng.randint(-8, 4), rng.randint(-4, 8)
    x, y = f"{alias}.x", f"{alias}.y"
    return Piece(
        f"ivo_interval_overlaps({a}, {b}, {x}, {y})",
        f"({a} <= {y}::DOUBLE AND {x} <= {b} AND {a} <= {b} AND {x} <= {y}::DOUBLE)::INT",
    )


def to_jd(rng: random.Random, alias: str) -> Piece:
    return Piece(f"ivo_to_jd({alias}.t)", f"(epoch_us({alias}.t) / 86400e6 + 2440587.5)", _JD)


def to_mjd(rng: random.Random, alias: str) -> Piece:
    return Piece(f"ivo_to_mjd({alias}.t)", f"(epoch_us({alias}.t) / 86400e6 + 40587)", _MJD)


def normal_random(rng: random.Random, alias: str) -> Piece:
    return Piece(f"ivo_normal_random({alias}.x, 0)", f"{alias}.x", About("GeV"))


def hms_to_degrees(rng: random.Random, alias: str) -> Piece:
    return _sexagesimal(rng, "hms", 23, "hourangle")


def dms_to_degrees(rng: random.Random, alias: str) -> Piece:
    return _sexagesimal(rng, "dms", 89, "deg")


def _sexagesimal(rng: random.Random, kind: str, most: int, unit: str) -> Piece:
    parts = f"{rng.randint(0, most):02}", f"{rng.randint(0, 59):02}", f"{rng.uniform(0, 59.9):05.2f}"
    written = rng.choice(["", "-", "+"]) + rng.choice([":", " "]).join(parts)
    return Piece(
        f"ivo_{kind}_to_degrees('{written}')", f"{float(Angle(written, unit=unit).deg)!r}::DOUBLE", About("deg")
    )


def epoch_prop_pos(rng: random.Random, alias: str) -> Piece:
    number, name, ucd = rng.choice([(1, "ml", "pos.eq.ra"), (2, "mb", "pos.eq.dec")])
    moved = f"ivo_epoch_prop_pos({alias}.ra, {alias}.decl, 250, -140, 2000, 2016)"
    return Piece(f"COORD{number}({moved})", f"{alias}.{name}", About("deg", ucd, "ICRS"))


def geom_transform(rng: random.Random, alias: str) -> Piece:
    frame, name, ucd = rng.choice(
        [
            ("GALACTIC", "g", "pos.galactic.{}"),
            ("FK5", "fk5", "pos.eq.{}"),
            ("FK4", "fk4", "pos.eq.{}"),
            ("ECLIPTIC", "ecl", "pos.ecliptic.{}"),
        ]
    )
    number, letter, axis = rng.choice([(1, "l", "lon"), (2, "b", "lat")])
    if "eq" in ucd:
        axis = {"lon": "ra", "lat": "dec"}[axis]
    place = f"POINT({alias}.ra, {alias}.decl)"
    if rng.random() < 0.4:  # by way of another frame
        place = f"ivo_geom_transform('ICRS', 'GALACTIC', {place})"
        moved = place if frame == "GALACTIC" else f"ivo_geom_transform('GALACTIC', '{frame}', {place})"
    else:
        moved = f"ivo_geom_transform('ICRS', '{frame}', {place})"
    return rng.choice(
        [
            Piece(f"COORD{number}({moved})", f"{alias}.{name}{letter}", About("deg", ucd.format(axis), frame)),
            Piece(f"COORDSYS({moved})", f"(CASE WHEN {alias}.ra IS NOT NULL THEN '{frame}' END)"),
        ]
    )


def area(rng: random.Random, alias: str) -> Piece:
    radius = rng.randint(1, 179)
    circle = f"CIRCLE({alias}.ra, {alias}.decl, {radius})"
    size = f"(2 * pi() * (1 - cos(radians({radius}))) * pow(180 / pi(), 2))"
    return Piece(f"AREA({circle})", f"(CASE WHEN {alias}.ra IS NOT NULL THEN {size} END)")


def km3_sigma(rng: random.Random, alias: str) -> Piece:
    share = rng.choice([0.1, 0.3935, 0.5, 0.9])
    return Piece(
        f"km3_sigma({alias}.x, {share})", f"({alias}.x / sqrt(-2 * ln(1 - {share})))", About("GeV", "stat.stdev")
    )


def km3_psf(rng: random.Random, alias: str) -> Piece:
    sigma = rng.choice([0.5, 2.0, 9.0])
    return Piece(
        f"km3_psf({alias}.x, {sigma})",
        f"(exp(-pow({alias}.x, 2) / (2 * {sigma} * {sigma})) / (2 * pi() * pow(radians({sigma}), 2)))",
        About("sr**-1"),
    )


def km3_containment(rng: random.Random, alias: str) -> Piece:
    sigma = rng.choice([0.5, 2.0, 9.0])
    return Piece(f"km3_containment(ABS({alias}.x), {sigma})", f"(1 - exp(-pow({alias}.x / {sigma}, 2) / 2))", _CHANCE)


def km3_poisson_p(rng: random.Random, alias: str) -> Piece:
    mean = rng.choice([0.5, 2.0, 7.25])
    return Piece(f"km3_poisson_p({alias}.n, {mean})", f"poisson_p({alias}.n, {mean})", _CHANCE)


def km3_lima(rng: random.Random, alias: str) -> Piece:
    off, alpha = rng.randint(1, 9), rng.choice([0.1, 0.5, 1.0])
    return Piece(f"km3_lima({alias}.n, {off}, {alpha})", f"lima({alias}.n, {off}, {alpha})")


def km3_binomial_p(rng: random.Random, alias: str) -> Piece:
    off, tau = rng.randint(1, 9), rng.choice([0.5, 1.0, 4.0])
    return Piece(f"km3_binomial_p({alias}.n, {off}, {tau})", f"binomial_p({alias}.n, {off}, {tau})", _CHANCE)


def string_agg(rng: random.Random, alias: str) -> Piece:
    return Piece(f"ivo_string_agg({alias}.s, '|')", f"string_agg({alias}.s, '|')")


def histogram(rng: random.Random, alias: str) -> Piece:
    bins, low, high = rng.randint(1, 4), rng.randint(-8, 0), rng.randint(1, 8)
    x, width = f"{alias}.x", (high - low) / bins
    counts = [f"count(*) FILTER (WHERE {x} IS NULL OR {x} < {low})"]
    for number in range(bins):
        first, last = low + number * width, low + (number + 1) * width if number + 1 < bins else high
        counts.append(f"count(*) FILTER (WHERE {x} >= {first!r} AND {x} < {last!r})")
    counts.append(f"count(*) FILTER (WHERE {x} >= {high})")
    return Piece(f"ivo_histogram({x}, {low}, {high}, {bins})", f"[{', '.join(counts)}]")


ONES: dict[str, Callable[[random.Random, str], Piece]] = {
    "ivo_healpix_index": healpix_index,
    "ivo_healpix_center": healpix_center,
    "ivo_nocasematch": nocasematch,
    "ivo_hasword": hasword,
    "ivo_hashlist_has": hashlist_has,
    "ivo_interval_overlaps": interval_overlaps,
    "ivo_to_jd": to_jd,
    "ivo_to_mjd": to_mjd,
    "ivo_normal_random": normal_random,
    "ivo_hms_to_degrees": hms_to_degrees,
    "ivo_dms_to_degrees": dms_to_degrees,
    "ivo_epoch_prop_pos": epoch_prop_pos,
    "ivo_geom_transform": geom_transform,
    "MOC": regions.moc,
    "POLYGON": regions.polygon,
    "BOX": regions.box,
    "AREA": area,
    "km3_sigma": km3_sigma,
    "km3_psf": km3_psf,
    "km3_containment": km3_containment,
    "km3_poisson_p": km3_poisson_p,
    "km3_lima": km3_lima,
    "km3_binomial_p": km3_binomial_p,
}
AGGREGATES = {"ivo_string_agg": string_agg, "ivo_histogram": histogram}
WITHIN = {"gavo_mocunion": regions.moc, "gavo_mocintersect": regions.moc}  # of which others make use
