"""Weak signals together."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate

from km3vo.correlation import joint, skymap
from km3vo.correlation.sphere import separation
from km3vo.correlation.spread import gaussian
from km3vo.errors import ParameterError


def test_the_common_direction_is_the_weighted_mean() -> None:
    ra, dec = joint.common_direction(np.array([10.0, 12.0]), np.array([0.0, 0.0]), np.array([1.0, 1.0]))
    assert (ra, dec) == pytest.approx((11.0, 0.0), abs=1e-9)
    ra, dec = joint.common_direction(np.array([359.0, 1.0]), np.array([0.0, 0.0]), np.array([1.0, 3.0]))
    assert ra == pytest.approx(359.2, abs=1e-9)
    with pytest.raises(ParameterError, match="opposite"):
        joint.common_direction(np.array([0.0, 180.0]), np.array([0.0, 0.0]), np.ones(2))


def test_coincidence_is_the_largest_on_a_fine_grid() -> None:
    ra, dec = np.array([50.0, 52.0, 51.0]), np.array([60.0, 61.0, 59.5])
    sigma, known = np.array([1.0, 2.0, 0.7]), np.array([0.1, 0.2, 0.05])
    largest, best_ra, best_dec = joint.coincidence(ra, dec, sigma, known)
    x, y = np.meshgrid(np.linspace(48, 54, 121), np.linspace(58, 62, 81))
    grid = sum(np.log(gaussian(separation(ra[i], dec[i], x, y), sigma[i]) / known[i]) for i in range(3))
    highest = np.unravel_index(np.argmax(grid), x.shape)
    assert largest >= grid.max() - 1e-9
    assert separation(best_ra, best_dec, x[highest], y[highest]) < 0.06
    with pytest.raises(ParameterError, match="above 0"):
        joint.coincidence(ra, dec, sigma, np.zeros(3))


def test_overlap_is_the_integral() -> None:
    near = joint.overlap(10.0, 5.0, 2.0, 12.0, 5.0, 1.0)
    plane, _ = integrate.dblquad(
        lambda y, x: float(gaussian(np.hypot(x, y), 2.0) * gaussian(np.hypot(x - separation(10, 5, 12, 5), y), 1.0)),
        -12,
        12,
        -12,
        12,
        epsabs=1e-4,
    )
    assert near == pytest.approx(4 * np.pi * plane * np.radians(1) ** 2, rel=1e-3)
    assert joint.overlap(10.0, 5.0, 2.0, 100.0, 5.0, 1.0) < 1e-100


def test_maps_that_say_nothing_overlap_by_one() -> None:
    flat = np.ones(12 * 64**2)
    assert joint.overlap_of_maps(flat, flat * 7) == pytest.approx(1)
    ra, dec = skymap.centres(64)
    one, two = gaussian(separation(10, 5, ra, dec), 4.0), gaussian(separation(14, 5, ra, dec), 3.0)
    assert joint.overlap_of_maps(one, two) == pytest.approx(joint.overlap(10, 5, 4.0, 14, 5, 3.0), rel=0.01)
    with pytest.raises(ParameterError, match="same pixels"):
        joint.overlap_of_maps(flat, flat[:10])


def test_joint_rates_multiply() -> None:
    assert joint.joint_false_alarm_rate(1e-7, 1e-5, 1000, 10) == pytest.approx(1e-10)
    with pytest.raises(ParameterError, match="0 or more"):
        joint.joint_false_alarm_rate(-1, 1, 1, 1)
