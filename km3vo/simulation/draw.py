"""Drawing numbers, words and identifiers at random, a whole column at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def from_curve(rng: np.random.Generator, x: Floats, density: Floats, count: int) -> Floats:
    """Numbers distributed as a tabulated density, which need not be normalised."""
    areas = (density[1:] + density[:-1]) / 2 * np.diff(x)
    cumulated = np.concatenate([[0.0], np.cumsum(areas)])
    return np.asarray(np.interp(rng.random(count) * cumulated[-1], cumulated, x))


def power_law(rng: np.random.Generator, low: Floats | float, high: float, index: Floats | float, count: int) -> Floats:
    """Numbers between ``low`` and ``high`` whose density falls with the power ``index`` (not 1)."""
    slope = 1 - np.asarray(index)
    ends = np.power(low, slope), np.power(high, slope)
    return np.asarray(np.power(ends[0] + rng.random(count) * (ends[1] - ends[0]), 1 / slope))


def within_error(rng: np.random.Generator, radius50: Floats) -> Floats:
    """Distances from the truth, half of them within ``radius50`` (a Gaussian on the sky, hence Rayleigh's law)."""
    return np.asarray(radius50 / np.sqrt(np.log(4)) * np.sqrt(-2 * np.log(1 - rng.random(len(radius50)))))


def significant(values: Floats, digits: int) -> Floats:
    """Positive values, rounded to so many significant digits."""
    scale = 10.0 ** (digits - 1 - np.floor(np.log10(values)))
    return np.asarray(np.round(values * scale) / scale)


def right_ascension(values: Floats, decimals: int) -> Floats:
    """Right ascensions rounded, with 0 for what would round to 360."""
    return np.asarray(np.round(values, decimals) % 360)


def words(choice: Sequence[str], which: npt.ArrayLike) -> pa.Array:
    """The words at the given places."""
    codes = pa.array(np.asarray(which, dtype=np.int32))
    return pa.DictionaryArray.from_arrays(codes, pa.array(choice)).cast(pa.string())


def identifiers(prefix: str, seed: int, first: int, count: int) -> pa.Array:
    """Identifiers ``first`` to ``first + count`` of a series: all different, and in no order that tells how many.

    Numbers counted up would show by their gaps how many events are under embargo. Here the count goes through a
    one-to-one scrambling of the 64-bit numbers (the finaliser of SplitMix64, keyed with the seed), so that no two can
    meet, and is written as 16 hexadecimal digits.
    """
    key = np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]
    with np.errstate(over="ignore"):
        z = np.arange(first, first + count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + key
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    hexadecimal = np.frombuffer(z.astype(">u8").tobytes().hex().upper().encode(), np.uint8).reshape(count, 16)
    letters = np.empty((count, len(prefix) + 16), np.uint8)
    letters[:, : len(prefix)] = np.frombuffer(prefix.encode(), np.uint8)
    letters[:, len(prefix) :] = hexadecimal
    ends = np.arange(count + 1, dtype=np.int32) * letters.shape[1]
    return pa.StringArray.from_buffers(count, pa.py_buffer(ends), pa.py_buffer(letters))
