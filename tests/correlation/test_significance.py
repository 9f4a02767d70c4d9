"""Significances against scipy and against the papers' own numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from km3vo.correlation import significance, trials
from km3vo.errors import ParameterError

COUNT = st.integers(0, 2000)
# Counted on source, counted off source, and how much larger the exposure off source was.
TABLE = ([4, 50, 67, 200, 498426], [5, 55, 15, 10, 493434])
TAU = np.array([5.0, 2.0, 0.5, 0.1, 1.0])


@given(COUNT, st.floats(1e-6, 1500))
def test_poisson_is_scipys(observed: int, expected: float) -> None:
    theirs = stats.poisson.sf(observed - 1, expected)
    assert significance.poisson_p(observed, expected) == pytest.approx(theirs, rel=1e-10, abs=1e-300)


def test_poisson_where_nothing_is_expected() -> None:
    assert significance.poisson_p([0, 1], [0, 0]).tolist() == [1, 0]


@given(COUNT, COUNT, st.floats(0.01, 100))
def test_binomial_is_that_of_all_events_divided_by_exposure(on: int, off: int, tau: float) -> None:
    theirs = stats.binom.sf(on - 1, on + off, 1 / (1 + tau))
    assert significance.binomial_p(on, off, tau) == pytest.approx(theirs, rel=1e-9, abs=1e-290)


def test_binomial_of_the_paper() -> None:
    """Cousins, Linnemann & Tucker 2008 (arXiv:physics/0702156), table 1, Z_Bi of five published searches."""
    p = significance.binomial_p(*TABLE, TAU)
    assert significance.standard_deviations(p) == pytest.approx([1.66, 2.93, 2.89, 2.20, 5.01], abs=0.01)


def test_li_and_ma_of_the_same_table() -> None:
    """Column Z_PL of the same table, which is Li & Ma's equation 17."""
    assert significance.li_ma(*TABLE, 1 / TAU) == pytest.approx([1.95, 3.02, 3.04, 2.38, 5.01], abs=0.01)


def test_li_and_ma_at_the_ends() -> None:
    assert significance.li_ma([0, 10, 0], [0, 10, 10], [0.5, 1.0, 1.0]) == pytest.approx(
        [0, 0, -np.sqrt(2 * 10 * np.log(2))]
    )
    assert significance.li_ma(10, 0, 0.5) == pytest.approx(np.sqrt(2 * 10 * np.log(3)))


@given(st.floats(0, 8))
def test_deviations_and_p_are_one_the_inverse_of_the_other(deviations: float) -> None:
    p = significance.one_sided_p(deviations)
    assert significance.standard_deviations(p) == pytest.approx(deviations, abs=1e-6)


def test_half_chi2_is_the_p_of_the_square() -> None:
    assert significance.half_chi2_p([0, 1, 9, 25]) == pytest.approx([1, 0.158655, 1.349898e-3, 2.866516e-7], rel=1e-5)


@pytest.mark.parametrize(
    ("observed", "expected", "limit"),
    # Feldman & Cousins 1998, table IV (90 percent).
    [
        (0, 0.0, 2.44),
        (1, 0.0, 4.36),
        (2, 0.0, 5.91),
        (3, 0.0, 7.42),
        (5, 1.0, 8.99),
        (10, 0.0, 16.50),
        (10, 3.0, 13.50),
        (3, 3.0, 4.42),
    ],
)
def test_upper_limits_of_the_paper(observed: int, expected: float, limit: float) -> None:
    # The paper steps by 0.005 and smooths along the background; 0.02 is its own rounding.
    assert significance.upper_limit(observed, expected) == pytest.approx(limit, abs=0.02)


def test_upper_limits_refuse_what_they_cannot_do() -> None:
    with pytest.raises(ParameterError, match="0 to 1000"):
        significance.upper_limit(-1, 0.0)


def test_sidak_keeps_small_probabilities() -> None:
    assert trials.after_trials([1e-20, 0.5, 1.0], 1000) == pytest.approx([1e-17, 1, 1])


@given(st.lists(st.floats(1e-12, 1), min_size=1, max_size=60))
def test_q_values_are_those_of_scipy(p: list[float]) -> None:
    assert trials.false_discovery(p) == pytest.approx(stats.false_discovery_control(p), rel=1e-12)


def test_missing_p_values_are_no_looks() -> None:
    q = trials.false_discovery([0.01, np.nan, 0.5])
    assert q[[0, 2]] == pytest.approx([0.02, 0.5])
    assert np.isnan(q[1])


def test_no_p_is_printed_from_too_few_scrambles() -> None:
    p = trials.scrambled_p(np.array([0, 9, 10, 1000]), 1000)
    assert np.isnan(p[:2]).all()
    assert p[2:] == pytest.approx([11 / 1001, 1])


@given(st.lists(st.floats(1e-9, 1), min_size=1, max_size=20))
def test_fisher_is_scipys(p: list[float]) -> None:
    assert trials.fisher(p) == pytest.approx(stats.combine_pvalues(p, method="fisher").pvalue, rel=1e-9)


def test_fisher_refuses_what_is_no_p() -> None:
    with pytest.raises(ParameterError, match="above 0"):
        trials.fisher([0.5, 0.0])
