"""Pictures of the sky: values of pixels or of sources, in colours that are told apart by everybody.

Equatorial coordinates in Hammer's projection, which keeps areas; right ascension 12h in the middle and growing to the
left, as the sky is seen from within.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from lxml import etree
from lxml.builder import ElementMaker

from km3vo.correlation.sphere import Floats

SVG = "http://www.w3.org/2000/svg"
WIDTH, HEIGHT, MARGIN = 1000, 500, 40
# Viridis, at even steps (van der Walt & Smith 2015).
COLOURS = np.array(
    [[68, 1, 84], [65, 68, 135], [42, 120, 142], [34, 168, 132], [122, 209, 81], [253, 231, 37]], dtype=np.float64
)
NOTHING = (205, 210, 215)  # where nothing is searched
SEA = (244, 247, 250, 255)  # the sky below marks
tag = ElementMaker(namespace=SVG, nsmap={None: SVG})
Bytes = npt.NDArray[np.uint8]


def hammer(ra: npt.ArrayLike, dec: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Where a direction is in the picture, both coordinates from 0 to 1, from the upper left."""
    half = np.radians(180 - np.mod(np.asarray(ra, dtype=np.float64), 360)) / 2
    delta = np.radians(dec)
    scale = np.sqrt(1 + np.cos(delta) * np.cos(half))
    return (1 + np.cos(delta) * np.sin(half) / scale) / 2, (1 - np.sin(delta) / scale) / 2


def directions(width: int, height: int) -> tuple[Floats, Floats]:
    """Right ascension and declination of the pixels of a picture; NaN outside the sky."""
    x = ((np.arange(width) + 0.5) / width * 2 - 1)[None, :]
    y = (1 - (np.arange(height) + 0.5) / height * 2)[:, None]
    lon, lat = from_hammer(x, y)
    return np.mod(180 - lon, 360), lat


def from_hammer(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Longitude and latitude, in degrees from the middle, of places in Hammer's projection; NaN outside the sky.

    Args:
        x, y: over their largest values, 2√2 and √2.
    """
    z = np.sqrt(np.where(x**2 + y**2 < 1, 1 - (x**2 + y**2) / 2, np.nan))
    half = np.arctan2(np.sqrt(2) * x * z, 2 * z**2 - 1)
    return np.degrees(2 * half), np.degrees(np.arcsin(np.clip(np.sqrt(2) * y * z, -1, 1)))


def colours(values: Floats, largest: float) -> Bytes:
    """Red, green and blue of values between 0 and the largest one."""
    place = np.clip(np.nan_to_num(values / max(largest, 1e-9)), 0, 1) * (len(COLOURS) - 1)
    steps = np.arange(len(COLOURS))
    mixed = np.stack([np.interp(place, steps, COLOURS[:, part]) for part in range(3)], axis=-1)
    mixed[np.isnan(values)] = NOTHING
    return np.asarray(np.rint(mixed), dtype=np.uint8)


def png_of_map(values: Floats, nside: int, largest: float, width: int = WIDTH) -> bytes:
    """The pixels of a HEALPix map (nested order) as a PNG; transparent outside the sky."""
    from astropy_healpix import healpy

    ra, dec = directions(width, width // 2)
    inside = ~np.isnan(ra)
    shown = np.zeros((*ra.shape, 4), dtype=np.uint8)
    pixels = healpy.ang2pix(nside, ra[inside], dec[inside], nest=True, lonlat=True)
    shown[inside, :3] = colours(values[pixels], largest)
    shown[inside, 3] = 255
    return png(shown)


def png_of_marks(ra: Floats, dec: Floats, values: Floats, largest: float, width: int = WIDTH) -> bytes:
    """Marks on the sky as a PNG, in the sizes and colours of :func:`svg`; transparent outside the sky.

    Where marks lie upon each other the larger value is seen.
    """
    height = width // 2
    x, y = hammer(ra, dec)
    column, row = (np.floor(part * size).astype(np.int64) for part, size in ((x, width), (y, height)))
    sizes = mark_sizes(values, largest) * width / WIDTH
    known = np.nan_to_num(values)
    highest = np.full((height, width), -np.inf)
    reach = int(np.ceil(sizes.max(initial=0)))
    for down in range(-reach, reach + 1):
        for across in range(-reach, reach + 1):
            mine = np.flatnonzero(
                (np.hypot(down, across) <= sizes)
                & ((row + down >= 0) & (row + down < height))
                & ((column + across >= 0) & (column + across < width))
            )
            np.maximum.at(highest, (row[mine] + down, column[mine] + across), known[mine])
    shown = np.zeros((height, width, 4), dtype=np.uint8)
    shown[~np.isnan(directions(width, height)[0])] = SEA
    marked = np.isfinite(highest)
    shown[marked, :3] = colours(highest[marked], largest)
    shown[marked, 3] = 255
    return png(shown)


def mark_sizes(values: Floats, largest: float) -> Floats:
    """Radius of marks in a picture of the usual width: the larger the value, the larger the mark."""
    return np.asarray(2.5 + 5 * np.minimum(1.0, np.nan_to_num(values) / max(largest, 1e-9)))


def png(pixels: Bytes) -> bytes:
    """An array (height, width, 4) of red, green, blue and opacity as a PNG (PNG 3rd edition, section 5)."""
    height, width, _ = pixels.shape

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    # Each line begins with the number of its filter, 0 for none.
    lines = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], axis=1).tobytes()
    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines, 9)) + chunk(b"IEND", b"")


def svg(
    title: str,
    scale: str,
    largest: float,
    *,
    image: bytes | None = None,
    ra: Floats | None = None,
    dec: Floats | None = None,
    values: Floats | None = None,
    names: Sequence[str] = (),
    rings: bool = False,
) -> bytes:
    """A picture of the sky.

    Args:
        title: what it shows.
        scale: what the colours mean.
        largest: value of the last colour; the first is 0.
        image: a PNG of the whole sky to lie below everything.
        ra, dec, values: of marks.
        names: of marks, shown when they are pointed at.
        rings: whether marks are empty rings rather than dots.
    """
    root = tag.svg(
        tag.title(title),
        viewBox=f"{-MARGIN} {-MARGIN} {WIDTH + 2 * MARGIN} {HEIGHT + 3 * MARGIN}",
        role="img",
    )
    rim = {"cx": str(WIDTH // 2), "cy": str(HEIGHT // 2), "rx": str(WIDTH // 2), "ry": str(HEIGHT // 2)}
    root.append(tag.rect(x=str(-MARGIN), y=str(-MARGIN), width="100%", height="100%", fill="#fff"))
    root.append(tag.ellipse(rim, fill="#f4f7fa"))
    if image is not None:
        address = "data:image/png;base64," + base64.b64encode(image).decode()
        root.append(tag.image(href=address, width=str(WIDTH), height=str(HEIGHT)))
    root.append(tag.path(d=_graticule(), fill="none", stroke="#5b6b7b", **{"stroke-opacity": "0.4"}))
    root.append(tag.ellipse(rim, fill="none", stroke="#5b6b7b", **{"stroke-width": "2"}))
    if ra is not None and dec is not None and values is not None and len(ra):
        root.append(_marks(ra, dec, values, largest, names, rings))
    root.append(_text(title, 0, -15, 20))
    for hours in (4, 8, 12, 16, 20):
        x, y = hammer(hours * 15, 0)
        root.append(_text(f"{hours}h", float(x) * WIDTH + 3, float(y) * HEIGHT - 4, 13))
    root.extend(_scale(scale, largest))
    return bytes(etree.tostring(root))


def _marks(
    ra: Floats, dec: Floats, values: Floats, largest: float, names: Sequence[str], rings: bool
) -> etree._Element:
    group = tag.g()
    x, y = hammer(ra, dec)
    shades, sizes = colours(values, largest), mark_sizes(values, largest)
    # The most significant ones last, so that nothing covers them.
    for place in np.argsort(np.nan_to_num(values, nan=-1.0), kind="stable").tolist():
        shade = "#{:02x}{:02x}{:02x}".format(*shades[place])
        style = {"fill": "none", "stroke": "#b3261e", "stroke-width": "2"} if rings else {"fill": shade}
        size = 9.0 if rings else float(sizes[place])
        mark = tag.circle(cx=f"{x[place] * WIDTH:.1f}", cy=f"{y[place] * HEIGHT:.1f}", r=f"{size:.1f}", **style)
        if names:
            mark.append(tag.title(names[place]))
        group.append(mark)
    return group


def _scale(text: str, largest: float) -> list[etree._Element]:
    top = HEIGHT + 20
    steps = 50
    parts = []
    for step in range(steps):
        shade = "#{:02x}{:02x}{:02x}".format(*colours(np.array([(step + 0.5) / steps]), 1.0)[0])
        parts.append(tag.rect(x=str(300 + 8 * step), y=str(top), width="8.5", height="14", fill=shade))
    parts += [_text("0", 288, top + 13, 14), _text(f"{largest:.1f}", 708, top + 13, 14), _text(text, 300, top + 34, 15)]
    return parts


def _text(text: str, x: float, y: float, size: int) -> etree._Element:
    style = {"font-size": str(size), "font-family": "system-ui, sans-serif", "fill": "#26323d"}
    return tag.text(text, x=f"{x:.0f}", y=f"{y:.0f}", **style)


def _graticule() -> str:
    lines = [(np.full(37, float(ra)), np.linspace(-90, 90, 37)) for ra in range(60, 360, 60)]
    lines += [(np.linspace(0.001, 359.999, 73), np.full(73, float(dec))) for dec in range(-60, 61, 30)]
    paths = []
    for ra, dec in lines:
        x, y = hammer(ra, dec)
        points = " ".join(f"{a * WIDTH:.0f} {b * HEIGHT:.0f}" for a, b in zip(x, y, strict=True))
        paths.append(f"M{points}")
    return "".join(paths)
