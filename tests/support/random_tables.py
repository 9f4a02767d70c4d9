"""Tables of every type with random cells that every program can carry, and what a cell means to all of them."""

from __future__ import annotations

import math
import random
import string
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from astropy.table import MaskedColumn, Table

from tests.support import kept
from tests.support.cells import CELLS, Sample, iso
from tests.support.round_trip import AWKWARD

_LETTERS = string.ascii_letters + string.digits + " ,;'\"<>&|\\_-+.#/"
# STILTS takes 255 for a missing byte in what it writes.
_RANGES = {"byte": (0, 254), "short": (1 - 2**15, 2**15 - 1), "int": (1 - 2**31, 2**31 - 1)}


def sample(seed: int, rows: int, without: Sequence[str] = ()) -> Sample:
    """A table of every type, a tenth of whose cells are missing, with what every program can carry: ASCII."""
    rng = random.Random(seed)
    columns = [column for column in CELLS if column.name not in without]
    cells = [[_value(column.name, rng) for _ in range(rows)] for column in columns]
    return kept.sampled(columns, cells)


def _value(name: str, rng: random.Random) -> Any:
    if rng.random() < 0.1:
        return None
    if name in AWKWARD and name not in ("text", "ascii", "word", "short", "int", "byte") and rng.random() < 0.2:
        return rng.choice(AWKWARD[name])
    if name in _RANGES:
        return rng.randint(*_RANGES[name])
    size = rng.randrange(6)
    numbers: dict[str, Callable[[], Any]] = {
        "flag": lambda: rng.random() < 0.5,
        "long": lambda: rng.randint(1 - 2**63, 2**63 - 1),
        "float": lambda: float(np.float32(rng.gauss(0, 1) * 10.0 ** rng.randint(-30, 30))),
        "ra": lambda: rng.gauss(0, 1) * 10.0 ** rng.randint(-300, 300),
        "mjd": lambda: rng.uniform(50_000, 60_000),
        "word": lambda: "".join(rng.choices(string.ascii_letters, k=8)),
        "time": lambda: datetime(2000, 1, 1) + timedelta(microseconds=rng.randrange(10**15)),
        "point": lambda: [rng.uniform(0, 360), rng.uniform(-90, 90)],
        "polygon": lambda: [rng.uniform(0, 90) for _ in range(2 * rng.randint(3, 6))],
        "counts": lambda: [rng.randint(-(2**31), 2**31 - 1) for _ in range(size)],
        "matrix": lambda: [float(np.float32(rng.gauss(0, 1))) for _ in range(6)],
    }
    return numbers[name]() if name in numbers else "x" + "".join(rng.choices(_LETTERS, k=size)) + "."


def meaning(value: Any) -> Any:
    """A cell without what not every program tells: a missing text or array from an empty one, or one of nothing."""
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, np.ndarray | list):
        numbers = [item.item() if isinstance(item, np.generic) else item for item in np.asanyarray(value).ravel()]
        numbers = [math.nan if number is np.ma.masked or number is None else number for number in numbers]
        return None if all(map(math.isnan, numbers)) else numbers
    if value is None or value is np.ma.masked:
        return None
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bytes):
        value = value.decode()
    return None if value == "" or value != value else value


def astropy_table(seed: int, rows: int) -> Table:
    """Columns of every type that numpy has and astropy writes, with masked cells."""
    rng = np.random.default_rng(seed)
    table = Table()
    for kind in ("u1", "i2", "i4", "i8", "f4", "f8"):
        type_ = np.dtype(kind)
        if type_.kind == "f":
            values = (rng.normal(size=rows) * 10.0 ** rng.integers(-30, 30, rows)).astype(type_)
        else:
            known = np.iinfo(type_)
            values = rng.integers(known.min, known.max, rows, type_, endpoint=True)
        table[kind] = values
        table[f"masked_{kind}"] = MaskedColumn(values, mask=rng.random(rows) < 0.2)
        if type_.kind == "f" or kind in ("i2", "i4"):
            table[f"vector_{kind}"] = np.stack([values, values[::-1]], axis=1)
    table["truth"] = rng.random(rows) < 0.5
    table["text"] = ["x" + "".join(rng.choice(list(string.ascii_letters + " ,"), 5)) + "." for _ in range(rows)]
    table["masked_text"] = MaskedColumn(table["text"], mask=rng.random(rows) < 0.2)
    for name in ("f8", "masked_f4"):
        table[name].unit = "km"
    return table
