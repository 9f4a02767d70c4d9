"""What may be correlated, and what is refused with its reason."""

from __future__ import annotations

import numpy as np
import pytest

from km3vo.correlation import exposure
from km3vo.correlation.lists import Events, Sources
from km3vo.errors import ParameterError

ONE = np.ones(1)


def test_right_ascensions_of_360_are_0() -> None:
    assert Events(ra=np.array([360.0, -1.0]), dec=np.zeros(2), sigma=np.ones(2)).ra.tolist() == [0, 359]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dec": np.array([91.0])}, "between -90 and 90"),
        ({"ra": np.array([np.nan])}, "ra of the events: 1 values are missing or infinite, the first in row 1"),
        ({"sigma": np.zeros(1)}, "above 0"),
        ({"sigma": np.ones(2)}, "one value of sigma each"),
        ({"mjd": np.array([np.inf])}, "mjd of the events"),
        ({"weight": -ONE}, "0 or more"),
        ({"group": np.array([-1])}, "numbered from 0"),
    ],
)
def test_events_that_are_none(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        Events(**{"ra": ONE, "dec": ONE, "sigma": ONE, **changes})  # type: ignore[arg-type]


def test_windows_have_two_ends_in_order() -> None:
    with pytest.raises(ParameterError, match="stops after it starts"):
        Sources(ra=ONE, dec=ONE, sigma=ONE, start=ONE, stop=ONE)
    with pytest.raises(ParameterError, match="a start and a stop"):
        Sources(ra=ONE, dec=ONE, sigma=ONE, start=ONE)


def test_times_are_asked_for_where_they_are_needed() -> None:
    with pytest.raises(ParameterError, match="name the column"):
        Events(ra=ONE, dec=ONE, sigma=ONE).timed()


def test_live_time_of_runs_in_any_order() -> None:
    live = exposure.of_runs([10.0, 0.0, 20.0], [12.0, 5.0, 30.0], "runs")
    assert live.total == 17
    assert live.live([-5, 4, 11, 5, 0], [100, 11, 21, 10, 0]).tolist() == [17, 2, 2, 0, 0]
    assert live.share(0, 5) == pytest.approx(5 / 17)


def test_runs_that_touch_are_fine_and_runs_that_overlap_are_not() -> None:
    assert exposure.of_runs([0.0, 1.0], [1.0, 2.0], "runs").total == 2
    # Half a second is how far times are rounded.
    assert exposure.of_runs([0.0, 1.0], [1.0 + 0.5 / 86400, 2.0], "runs").total == pytest.approx(2, abs=1e-12)
    with pytest.raises(ParameterError, match=r"overlap at MJD 1\.0"):
        exposure.of_runs([0.0, 1.0], [1.5, 2.0], "runs")
    with pytest.raises(ParameterError, match="ends before it starts"):
        exposure.of_runs([0.0, 3.0], [1.0, 2.0], "runs")


def test_without_runs_the_span_of_the_list_is_said() -> None:
    live = exposure.of_span(np.array([3.0, 1.0, 2.0]))
    assert live.total == 2
    assert "no runs are known" in live.origin
    with pytest.raises(ParameterError, match="two times"):
        exposure.of_span(np.array([3.0]))
