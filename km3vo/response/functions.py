"""A response as functions of energy and zenith angle, in bins, and how published tables hold it.

A schema's response is spread over tables that are recognised by their columns (docs/correlate.md): ``aeff`` is an
effective area, ``median`` an angular resolution, ``density`` over ``log10_separation`` a point spread function, and
``density`` over ``log10_proxy_min`` an energy response. The column of configurations or of classes of events says which
rows belong together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from km3vo.catalog.model import Catalog, Column, Table
from km3vo.errors import NotFoundError, ParameterError

Floats = npt.NDArray[np.float64]
# A circle of this many σ holds half of a two-dimensional Gaussian.
HALF = float(np.sqrt(2 * np.log(2)))
SEPARATIONS = np.concatenate([[0.0], np.geomspace(0.01, 180, 120)])


@dataclass(frozen=True, slots=True)
class EffectiveArea:
    """Effective area.

    Attributes:
        energy: n + 1 edges, GeV.
        zenith: m + 1 edges in degrees, growing; 0 is straight down from above.
        area: m², of shape (m, n).
    """

    energy: Floats
    zenith: Floats
    area: Floats


@dataclass(frozen=True, slots=True)
class Spread:
    """Point spread function, the same at all zenith angles.

    Attributes:
        energy: n + 1 edges, GeV.
        separation: k + 1 edges, degrees.
        density: per steradian, of shape (k, n).
    """

    energy: Floats
    separation: Floats
    density: Floats


@dataclass(frozen=True, slots=True)
class EnergyResponse:
    """Reconstructed energy over true energy, the same at all zenith angles.

    Attributes:
        energy: n + 1 edges of the true energy, GeV.
        ratio: k + 1 edges.
        density: per unit of the ratio, of shape (k, n); its integral is 1, or 0 where there are no events.
    """

    energy: Floats
    ratio: Floats
    density: Floats


@dataclass(frozen=True, slots=True)
class Response:
    """What is known of the response of one configuration, or to one class of events."""

    name: str
    area: EffectiveArea
    spread: Spread | None
    energy: EnergyResponse | None


def tables(catalog: Catalog, schema: str) -> dict[str, Table]:
    """The tables of a schema that hold its response: "area", "resolution", "spread", "energy"."""
    found: dict[str, Table] = {}
    for table in catalog.tables:
        names = {column.name for column in table.columns}
        kind = (
            "area" if {"aeff", "cos_zenith_min"} <= names
            else "resolution" if {"median", "energy_min"} <= names
            else "spread" if {"density", "log10_separation"} <= names
            else "energy" if {"density", "log10_proxy_min"} <= names
            else None
        )  # fmt: skip
        if table.schema == schema and kind is not None:
            found[kind] = table
    return found


def schemas(catalog: Catalog) -> Iterator[str]:
    """The schemas with a response."""
    for schema in catalog.schemas:
        if "area" in tables(catalog, schema.name):
            yield schema.name


def names(catalog: Catalog, schema: str) -> tuple[str, ...]:
    """The configurations or classes of events of a schema's response."""
    found = tables(catalog, schema)
    return key(found["area"]).values or () if "area" in found else ()


def key(table: Table) -> Column:
    """The column of configurations or of classes of events."""
    return next(column for column in table.columns if column.ucd in ("instr.setup", "meta.code.class"))


def of_bins(name: str, cells: dict[str, dict[str, Floats]]) -> Response:
    """A response from the rows of its tables.

    Args:
        name: of it.
        cells: for each kind of table that has rows, its columns as arrays; one row for each bin, in any order.

    Raises:
        NotFoundError: there is no effective area.
        ParameterError: the bins do not follow each other.
    """
    if not cells.get("area"):
        raise NotFoundError(f"The effective area of {name} is not loaded here.")
    spread = None
    if cells.get("spread"):
        spread = _spread(cells["spread"])
    elif cells.get("resolution"):
        spread = _gaussian(cells["resolution"])
    energy = _energy(cells["energy"]) if cells.get("energy") else None
    return Response(name, _area(cells["area"]), spread, energy)


def _edges(cells: dict[str, Floats], name: str) -> Floats:
    edges = np.unique(np.concatenate([cells[f"{name}_min"], cells[f"{name}_max"]]))
    if len(edges) - 1 != len(np.unique(cells[f"{name}_min"])):
        raise ParameterError(f"The bins of {name} do not follow each other.")
    return np.asarray(edges)


def _energies(cells: dict[str, Floats]) -> Floats:
    return _edges(cells, "energy") if "energy_min" in cells else 10 ** _edges(cells, "log10_energy")


def _energy_bins(cells: dict[str, Floats]) -> tuple[npt.NDArray[np.int64], int]:
    low = cells["energy_min"] if "energy_min" in cells else cells["log10_energy_min"]
    edges, place = np.unique(low, return_inverse=True)
    return place, len(edges)


def _area(cells: dict[str, Floats]) -> EffectiveArea:
    cosines = _edges(cells, "cos_zenith")
    across, number = _energy_bins(cells)
    area = np.zeros((len(cosines) - 1, number))
    # Zenith angles grow while their cosines fall.
    area[len(area) - 1 - np.searchsorted(cosines, cells["cos_zenith_min"]), across] = cells["aeff"]
    zenith = np.degrees(np.arccos(np.clip(cosines[::-1], -1, 1)))
    return EffectiveArea(_energies(cells), zenith, area)


def _gaussian(cells: dict[str, Floats]) -> Spread:
    """A Gaussian on the sphere with the median that is tabulated: more is not told."""
    order = np.argsort(cells["energy_min"])
    sigma = np.radians(cells["median"][order] / HALF)
    middle = np.radians((SEPARATIONS[1:] + SEPARATIONS[:-1]) / 2)[:, None]
    density = np.exp(-0.5 * (middle / sigma) ** 2) / (2 * np.pi * sigma**2)
    return Spread(_energies(cells), SEPARATIONS, density)


def _spread(cells: dict[str, Floats]) -> Spread:
    """Densities at separations that are even in the logarithm, each taken for the middle of its bin."""
    across, number = _energy_bins(cells)
    middle, down = np.unique(cells["log10_separation"], return_inverse=True)
    density = np.zeros((len(middle), number))
    density[down, across] = np.maximum(cells["density"], 0.0)  # some are -0.0002, by their interpolation
    step = (middle[-1] - middle[0]) / (len(middle) - 1)
    edges = 10 ** np.append(middle - step / 2, middle[-1] + step / 2)
    edges[0] = 0.0
    return Spread(_energies(cells), np.minimum(edges, 180.0 + np.arange(len(edges)) * 1e-9), density)


def _energy(cells: dict[str, Floats]) -> EnergyResponse:
    """A matrix of true and reconstructed energies with the same bins, as one of their ratios."""
    across, number = _energy_bins(cells)
    proxies = _edges(cells, "log10_proxy")
    if not np.allclose(np.diff(proxies), proxies[1] - proxies[0]) or number != len(proxies) - 1:
        raise ParameterError("The bins of the true and of the reconstructed energy are not the same.")
    shares = np.zeros((number, number))
    shares[np.searchsorted(proxies, cells["log10_proxy_min"] + 1e-9) - 1, across] = cells["density"]
    shares /= np.where(shares.sum(axis=0) > 0, shares.sum(axis=0), 1)
    ratio = 10 ** ((np.arange(2 * number) - number + 0.5) * (proxies[1] - proxies[0]))
    density = np.zeros((2 * number - 1, number))
    proxy, true = np.indices(shares.shape)
    density[proxy - true + number - 1, true] = shares
    return EnergyResponse(_energies(cells), ratio, density / np.diff(ratio)[:, None])
