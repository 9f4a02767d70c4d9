"""A picture of the sky with the density of a table's public rows, as SVG: light and dark, no scripts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from lxml import etree
from lxml.builder import ElementMaker

from km3vo.holdings.coverage import Coverage

SVG = "http://www.w3.org/2000/svg"
WIDTH, HEIGHT = 2000, 1000  # of the ellipse, in the picture's own units
MARGIN = 60
LEVELS = 8
FEW = 25_000  # events
SKY = 41252.96  # square degrees
# From pale to deep for light pages, from dim to bright for dark ones.
LIGHT = ("#d8e6f3", "#b9d4ea", "#94bddf", "#6ba2d1", "#4684be", "#2a66a6", "#174a86", "#0b2f5f")
DARK = ("#16324f", "#1b4468", "#1f5a84", "#24739f", "#2f8fb8", "#49acc9", "#78c8d6", "#b6e5e4")
tag = ElementMaker(namespace=SVG, nsmap={None: SVG})


@lru_cache(maxsize=64)
def _draw(title: str, density: tuple[int, ...]) -> bytes:
    most = max(density)
    root = tag.svg(
        tag.title(title),
        tag.style(_style()),
        viewBox=f"{-MARGIN} {-MARGIN} {WIDTH + 2 * MARGIN} {HEIGHT + 2 * MARGIN}",
        role="img",
    )
    ellipse = {"cx": str(WIDTH // 2), "cy": str(HEIGHT // 2), "rx": str(WIDTH // 2), "ry": str(HEIGHT // 2)}
    root.append(tag.defs(tag.clipPath(tag.ellipse(ellipse), id="sky")))
    root.append(tag.ellipse(ellipse, {"class": "sea"}))
    cells = tag.g({"clip-path": "url(#sky)"})
    for level, path in enumerate(_cells(density, most)):
        if path:
            cells.append(tag.path(d=path, **{"class": f"d{level}"}))
    cells.append(tag.path(d=_graticule(), **{"class": "grid"}))
    cells.append(tag.path(d=_galactic_plane(), **{"class": "plane"}))
    root.append(cells)
    root.append(tag.ellipse(ellipse, {"class": "rim"}))
    root.extend(_labels())
    return bytes(etree.tostring(root))


def draw(found: Coverage, title: str) -> bytes | None:
    """The picture, or None when there is nothing to show.

    Equatorial coordinates in Mollweide's projection, which keeps areas; right ascension 12h in the middle and growing
    to the left, as the sky is seen from within.
    """
    if not found.density or not any(found.density):
        return None
    return _draw(title, picture(found.density))


def picture(density: Sequence[int]) -> tuple[int, ...]:
    """The density in the cells of the picture: larger ones for few events, which else would show chance alone."""
    if sum(density) >= FEW:
        return tuple(density)
    return tuple(sum(density[first : first + 4]) for first in range(0, len(density), 4))


def cell(density: Sequence[int]) -> float:
    """The area of a cell of the picture in square degrees."""
    return SKY / len(picture(density))


_STYLE = """
.sea { fill: #f4f7fa }
.rim { fill: none; stroke: #5b6b7b; stroke-width: 3 }
.grid { fill: none; stroke: #5b6b7b; stroke-width: 1; stroke-opacity: .45 }
.plane { fill: none; stroke: #c2571a; stroke-width: 5; stroke-dasharray: 14 10 }
path { stroke-width: .6; stroke-linejoin: round }
text { font: 36px system-ui, sans-serif; fill: #34424f; stroke: #fff; stroke-width: 7; stroke-opacity: .75;
    paint-order: stroke }
%s
@media (prefers-color-scheme: dark) {
.sea { fill: #0d1722 }
.rim, .grid { stroke: #8fa3b5 }
.plane { stroke: #f0a35e }
text { fill: #c9d6e2; stroke: #0d1722 }
%s
}
"""


def _style() -> str:
    light, dark = (
        "\n".join(f".d{level} {{ fill: {colour}; stroke: {colour} }}" for level, colour in enumerate(colours))
        for colours in (LIGHT, DARK)
    )
    return _STYLE % (light, dark)


def _project(lon: Any, lat: Any) -> tuple[Any, Any]:
    """Mollweide's projection of degrees, with lon 180 in the middle."""
    import numpy as np

    phi = np.radians(np.asarray(lat, float))
    theta = phi.copy()
    for _ in range(60):  # Newton converges slowly next to the poles only, where it hardly matters
        slope = 2 + 2 * np.cos(2 * theta)
        step = np.where(
            slope > 1e-9, (2 * theta + np.sin(2 * theta) - np.pi * np.sin(phi)) / np.maximum(slope, 1e-9), 0
        )
        theta = np.clip(theta - step, -np.pi / 2, np.pi / 2)
    x = (180 - np.asarray(lon, float)) / 180 * np.cos(theta)
    return (x + 1) / 2 * WIDTH, (1 - np.sin(theta)) / 2 * HEIGHT


def _cells(density: tuple[int, ...], most: int) -> list[str]:
    """One path for each level of density: the outlines of its HEALPix cells."""
    import numpy as np
    from astropy_healpix import HEALPix

    counts = np.array(density)
    filled = np.flatnonzero(counts)
    lon, lat = HEALPix(math.isqrt(len(density) // 12), order="nested").boundaries_lonlat(filled, step=1)
    lon, lat = lon.deg % 360, lat.deg
    pole = np.abs(lat) > 89.999
    lon = np.where(pole, np.nanmedian(np.where(pole, np.nan, lon), axis=1)[:, None], lon)
    # A cell across the seam is drawn at both ends; the ellipse cuts off what is outside.
    across = np.ptp(lon, axis=1) > 180
    lon[across] = np.where(lon[across] > 180, lon[across] - 360, lon[across])
    lon = np.concatenate([lon, lon[across] + 360])
    lat = np.concatenate([lat, lat[across]])
    low = int(counts[filled].min())
    steps = LEVELS * (counts - low) // max(most - low, 1)
    levels = np.clip(steps, 0, LEVELS - 1)[np.concatenate([filled, filled[across]])]
    x, y = (np.rint(values).astype(int) for values in _project(lon, lat))
    paths: list[list[str]] = [[] for _ in range(LEVELS)]
    for level, xs, ys in zip(levels.tolist(), x.tolist(), y.tolist(), strict=True):
        rest = " ".join(f"{b - a} {d - c}" for a, b, c, d in zip(xs, xs[1:], ys, ys[1:], strict=False))
        paths[level].append(f"M{xs[0]} {ys[0]}l{rest}z")
    return ["".join(path) for path in paths]


def _line(lon: Any, lat: Any) -> str:
    """A path through the points, broken where it goes round the back of the sky."""
    import numpy as np

    x, y = _project(lon, lat)
    pieces, before = [], None
    for a, b in zip(np.rint(x).astype(int).tolist(), np.rint(y).astype(int).tolist(), strict=True):
        pieces.append(f"{'M' if before is None or abs(a - before) > WIDTH // 3 else 'L'}{a} {b}")
        before = a
    return "".join(pieces)


@lru_cache
def _graticule() -> str:
    import numpy as np

    meridian, parallel = np.linspace(-89.9, 89.9, 37), np.linspace(0.01, 359.99, 73)
    lines = [_line(np.full(37, lon), meridian) for lon in range(60, 360, 60)]
    lines += [_line(parallel, np.full(73, lat)) for lat in range(-60, 61, 30)]
    return "".join(lines)


@lru_cache
def _galactic_plane() -> str:
    import numpy as np
    from astropy.coordinates import SkyCoord

    plane = SkyCoord(np.linspace(0, 360, 181), np.zeros(181), unit="deg", frame="galactic").icrs
    return _line(plane.ra.deg, plane.dec.deg)


def _labels() -> list[etree._Element]:
    labels = []
    for hours in range(4, 24, 4):
        x, y = _project(hours * 15, 0)
        labels.append(tag.text(f"{hours}h", x=f"{float(x) + 6:.0f}", y=f"{float(y) - 8:.0f}"))
    for lat in (-60, -30, 30, 60):
        x, y = _project(359.99, lat)
        anchor = {"text-anchor": "end"}
        below = 30 if lat < 0 else -8
        labels.append(tag.text(f"{lat:+d}°", anchor, x=f"{float(x) - 10:.0f}", y=f"{float(y) + below:.0f}"))
    return labels
