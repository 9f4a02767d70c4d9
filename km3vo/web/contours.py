"""Which part of the sky holds an alert's direction with 50, 68 and 90 %: circles, or cells of its map."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from km3vo.alerts.revision import Revision
from km3vo.followup.places import Place
from km3vo.web.fieldview import Area, View

LEVELS = (0.5, 0.68, 0.9)
MOST_CELLS = 1500  # of one contour in a picture; with more it is drawn coarser
REMEMBERED = 64


@dataclass(frozen=True, slots=True)
class Contour:
    """The smallest region that holds the direction with a probability.

    Attributes:
        level: the probability.
        radius: of a circle, degrees; of another shape that of the smallest circle around the direction that holds it.
        order: of the HEALPix cells that the region is made of; None for a circle.
        cells: their numbers, nested.
    """

    level: float
    radius: float
    order: int | None = None
    cells: frozenset[int] = frozenset()

    def holds(self, place: Place, ra: float, dec: float) -> bool:
        """Whether a direction lies in it; ``place`` is the alert's."""
        if self.order is None:
            return place.separation(ra, dec) <= self.radius
        from astropy import units
        from astropy_healpix import lonlat_to_healpix

        return int(lonlat_to_healpix(ra * units.deg, dec * units.deg, 2**self.order, order="nested")) in self.cells

    def area(self, view: View) -> Area:
        """It in a picture."""
        title = f"{self.level:.0%} of the probability"
        if self.order is None:
            return Area(title, f"p{100 * self.level:.0f}", radius=self.radius)
        import numpy as np
        from astropy_healpix import healpix_to_lonlat

        corners = []
        for dx, dy in ((0, 0), (1, 0), (1, 1), (0, 1)):
            lon, lat = healpix_to_lonlat(np.array(sorted(self.cells)), 2**self.order, dx, dy, order="nested")
            corners.append((lon.deg, lat.deg))
        outline = []
        for number in range(len(self.cells)):
            points = [view.point(float(lon[number]), float(lat[number])) for lon, lat in corners]
            outline.append("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) + "z")
        return Area(title, f"p{100 * self.level:.0f} cells", path="".join(outline))


class Contours:
    """Works contours out, and remembers them: revisions do not change."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[Contour, ...]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, revision: Revision, skymap: bytes | None) -> Sequence[Contour]:
        """Those of a revision with a position. Blocks for a second where there is a map.

        Args:
            skymap: the file that the pipeline sent, or None.
        """
        if revision.skymap is None:
            radii = (revision.err50, revision.err68, revision.err90)
            return [Contour(level, radius or 0.0) for level, radius in zip(LEVELS, radii, strict=True)]
        with self._lock:
            known = self._known.get(revision.key)
        if known is None:
            known = tuple(_of_map(revision, skymap))
            with self._lock:
                self._known[revision.key] = known
                while len(self._known) > REMEMBERED:
                    self._known.popitem(last=False)
        return known


def _of_map(revision: Revision, skymap: bytes | None) -> Sequence[Contour]:
    from km3vo.alerts.skymaps import files  # numpy and astropy

    cells = files.read(skymap) if skymap else files.of(revision)
    assert revision.ra is not None and revision.dec is not None
    place = Place(revision.ra, revision.dec)
    return [_contour(level, files.region(cells, level), place) for level in LEVELS]


def _contour(level: float, moc: Any, place: Place) -> Contour:
    """Cells that a picture has room for: as many as make the area, of those that are covered most."""
    import numpy as np
    from astropy_healpix import healpix_to_lonlat

    order, area = int(moc.max_order), float(moc.sky_fraction)
    while order > 0 and area * 12 * 4**order > MOST_CELLS:
        order -= 1
    begins, ends = np.asarray(moc.to_depth29_ranges, dtype=np.int64).T
    before = np.concatenate([[0], np.cumsum(ends - begins)])

    def covered(edges: Any) -> Any:
        """How much of the region lies before each of these cells of the deepest order."""
        number = np.searchsorted(begins, edges, side="right")
        beyond = np.where(number > 0, np.maximum(0, ends[np.maximum(number, 1) - 1] - edges), 0)
        return before[number] - beyond

    cells = np.array(moc.degrade_to_order(order).flatten(), dtype=np.int64)
    size = 4 ** (29 - order)
    shares = (covered((cells + 1) * size) - covered(cells * size)) / size
    most = np.argsort(-shares, kind="stable")[: max(1, round(float(shares.sum())))]
    cells = cells[most]
    lon, lat = healpix_to_lonlat(cells, 2**order, order="nested")
    far = max(place.separation(float(ra), float(dec)) for ra, dec in zip(lon.deg, lat.deg, strict=True))
    return Contour(level, far + 58.6 / 2**order, order, frozenset(cells.tolist()))
