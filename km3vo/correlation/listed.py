"""Tables as lists of events or of sources: from Arrow batches to arrays, in an order of their own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from km3vo.column import MJD, Column
from km3vo.correlation import containment
from km3vo.correlation.roles import Roles
from km3vo.correlation.sphere import Floats, Ints
from km3vo.errors import ParameterError, TooLargeError

if TYPE_CHECKING:
    import pyarrow as pa

UNIX = 40587.0  # MJD of 1970-01-01
DAY = 86_400_000_000  # microseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """The rows of a table that have a position. All arrays are of length n, ordered by identifier.

    Attributes:
        name: of the table, for people.
        ids: what the rows are called; their number in the table where it has no identifiers.
        ra, dec: degrees.
        sigma: width of the error in degrees; NaN where it is not known.
        mjd: time, NaN where it is not known; None when the table has none.
        group: number of the configuration; None when the table has none.
        groups: names of the configurations.
        weight: a column that was asked for, or None.
        without: rows that were left out, since they have no position.
    """

    name: str
    ids: pa.Array
    ra: Floats
    dec: Floats
    sigma: Floats
    mjd: Floats | None
    group: Ints | None
    groups: tuple[str, ...]
    weight: Floats | None
    without: int

    def __len__(self) -> int:
        return len(self.ra)

    def rows(self, chosen: Ints) -> Listed:
        """These rows alone, in their order."""
        import pyarrow as pa

        def of(values: Floats | None) -> Floats | None:
            return None if values is None else values[chosen]

        return Listed(
            name=self.name,
            ids=self.ids.take(pa.array(chosen)),
            ra=self.ra[chosen],
            dec=self.dec[chosen],
            sigma=self.sigma[chosen],
            mjd=of(self.mjd),
            group=None if self.group is None else self.group[chosen],
            groups=self.groups,
            weight=of(self.weight),
            without=self.without,
        )


def read(
    name: str,
    columns: Sequence[Column],
    batches: Iterable[pa.RecordBatch],
    roles: Roles,
    most: int,
    weight: str | None = None,
) -> Listed:
    """Read a table.

    Args:
        name: for people.
        columns: of the batches.
        roles: of the columns.
        most: how many rows it may have.
        weight: name of a column with weights.

    Raises:
        TooLargeError: it has more rows.
        ParameterError: there is no column for the weights, or none of the rows has a position.
    """
    import pyarrow as pa

    weighed = None
    if weight is not None:
        weighed = next((place for place, column in enumerate(columns) if column.name.lower() == weight.lower()), None)
        if weighed is None:
            raise ParameterError(f"{name} has no column {weight[:60]} for the weights.")
    wanted = {
        "ra": roles.ra,
        "dec": roles.dec,
        "id": roles.id,
        "error": roles.error,
        "time": roles.time,
        "group": roles.group,
        "weight": weighed,
    }
    kept = {role: place for role, place in wanted.items() if place is not None}
    parts: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        rows += batch.num_rows
        if rows > most:
            raise TooLargeError(f"{name} has more than {most:,} rows, and so many may be correlated: choose some.")
        parts.append(pa.RecordBatch.from_arrays([batch.column(place) for place in kept.values()], names=list(kept)))
    if not rows:
        raise ParameterError(f"{name} has no rows that are seen here.")
    return _arranged(name, columns, pa.Table.from_batches(parts), kept, roles)


def _arranged(name: str, columns: Sequence[Column], table: pa.Table, kept: dict[str, int], roles: Roles) -> Listed:
    import pyarrow as pa
    import pyarrow.compute as pc

    def numbers(role: str) -> Floats:
        return np.asarray(table.column(role).cast(pa.float64()).to_numpy(), dtype=np.float64)

    ra, dec = numbers("ra"), numbers("dec")
    if "id" in kept:
        ids = table.column("id").cast(pa.string()).combine_chunks()
    else:
        ids = pa.array([f"{number:07d}" for number in range(1, len(ra) + 1)])
    mjd = times(columns[kept["time"]], table.column("time")) if "time" in kept else None
    order = pc.sort_indices(
        pa.table({"id": ids, "mjd": np.zeros(len(ra)) if mjd is None else mjd, "ra": ra, "dec": dec}),
        sort_keys=[(key, "ascending") for key in ("id", "mjd", "ra", "dec")],
    ).to_numpy()
    chosen = order[np.isfinite(ra[order]) & np.isfinite(dec[order])]
    if not len(chosen):
        raise ParameterError(f"{name} has no rows with a position.")
    sigma = np.full(len(ra), np.nan)
    if "error" in kept:
        sigma = containment.sigma(numbers("error") * _degrees(columns[kept["error"]]), roles.share)
    group: Ints | None = None
    groups: tuple[str, ...] = ()
    if "group" in kept:
        # By Arrow, which lets others have the interpreter meanwhile: the service answers in the same process.
        encoded = table.column("group").cast(pa.string()).combine_chunks().fill_null("").dictionary_encode()
        names = encoded.dictionary.to_pylist()
        # In the order of their names, so that the same rows have the same numbers.
        groups = tuple(sorted(names))
        numbered = np.array([groups.index(name) for name in names], dtype=np.int64)
        group = numbered[encoded.indices.to_numpy()]
    everything = Listed(
        name=name,
        ids=ids,
        ra=ra,
        dec=dec,
        sigma=sigma,
        mjd=mjd,
        group=group,
        groups=groups,
        weight=numbers("weight") if "weight" in kept else None,
        without=len(ra) - len(chosen),
    )
    return everything.rows(chosen)


def times(column: Column, cells: pa.ChunkedArray) -> Floats:
    """Times as MJD."""
    import pyarrow as pa

    if pa.types.is_timestamp(cells.type):
        micro = cells.cast(pa.timestamp("us")).cast(pa.int64())
        return np.asarray(micro.cast(pa.float64(), safe=False).to_numpy() / DAY + UNIX, dtype=np.float64)
    origin = MJD if column.time is None or column.time.origin is None else column.time.origin
    return np.asarray(cells.cast(pa.float64()).to_numpy() + (origin - MJD), dtype=np.float64)


def _degrees(column: Column) -> float:
    """What an error is multiplied with to be in degrees."""
    from astropy import units

    if not column.unit:
        return 1.0
    try:
        return float(units.Unit(column.unit, format="vounit").to("deg"))
    except (ValueError, units.UnitConversionError):
        raise ParameterError(f"The error {column.name} is in {column.unit[:20]}, which is no angle.") from None
