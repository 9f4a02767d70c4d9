"""Loads, decisions, grants and releases while both servers answer: no answer tells them apart at any moment.

`KM3VO_DIFFERENTIAL` is the number of answers that are compared (default 2000), and asks for the long form;
`KM3VO_SEED` where to begin.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from km3vo.catalog.model import Catalog
from km3vo.cluster.embedded import Cluster
from km3vo.database.logins import Database
from tests.embargo.differential import large
from tests.embargo.differential.actions import ACTIONS, Sides
from tests.embargo.differential.builds import BUILDS, Weak
from tests.embargo.differential.pair import Pair
from tests.embargo.differential.servers import served
from tests.embargo.differential.suite import Suite
from tests.embargo.lab import copy

pytestmark = pytest.mark.slow

ANSWERS = int(os.environ.get("KM3VO_DIFFERENTIAL", "2000"))
SEED = int(os.environ.get("KM3VO_SEED", "1"))
LONG = "KM3VO_DIFFERENTIAL" in os.environ
# The others take minutes each: `make test-embargo` looks for all.
QUICK = ("loads_make_editions", "obscore_counts_all_rows", "loads_move_stamps")
SOUGHT = [weak for weak in BUILDS if LONG or weak.build.__name__ in QUICK]
TELLING = 1  # with this seed few questions find the weaker builds out
MOMENTS = 30  # about so many times are questions asked


@pytest.fixture(scope="module")
def filled(new_published: Callable[[], Database]) -> Database:
    """What both sides begin with."""
    made = new_published()
    large.fill(made)
    return made


@contextmanager
def suite(
    filled: Database,
    cluster: Cluster,
    folder: Path,
    catalog: Catalog,
    capsys: pytest.CaptureFixture[str],
    *,
    each: int,
    seed: int,
) -> Iterator[Suite]:
    """Two servers on copies of a database."""
    sides = Sides(copy(filled, cluster), copy(filled, cluster), catalog, folder)

    def report(line: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{line}")
            sys.stdout.flush()

    with (
        served(sides.bare, sides.home(sides.bare), catalog) as bare,
        served(sides.loaded, sides.home(sides.loaded), catalog) as loaded,
    ):
        pair = Pair(bare, loaded)
        try:
            yield Suite(pair, sides, each=each, seed=seed, skies=LONG, report=report)
        finally:
            pair.close()


def test_no_answer_tells_at_any_moment(
    filled: Database, own_cluster: Cluster, tmp_path: Path, catalog: Catalog, capsys: pytest.CaptureFixture[str]
) -> None:
    with suite(filled, own_cluster, tmp_path, catalog, capsys, each=max(20, ANSWERS // MOMENTS), seed=SEED) as playing:
        found = playing.play(ACTIONS)
        assert not found, "\n\n".join(found)
        assert playing.pair.compared >= ANSWERS


@pytest.mark.parametrize("weak", SOUGHT, ids=lambda weak: weak.build.__name__)
def test_a_weaker_build_is_found_out(
    weak: Weak,
    filled: Database,
    own_cluster: Cluster,
    tmp_path: Path,
    catalog: Catalog,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found: list[str] = []
    for number in range(3):  # whether ANALYZE turns a plan is chance
        home, seed = tmp_path / str(number), TELLING + number
        home.mkdir()
        with (
            suite(filled, own_cluster, home, catalog, capsys, each=40, seed=seed) as playing,
            monkeypatch.context() as patch,
        ):
            weak.build(playing.sides, patch)
            found = playing.play(weak.actions)
        if found:
            break
    assert found, "nothing was found"
    assert any(weak.shows in one for one in found), "\n\n".join(found)
