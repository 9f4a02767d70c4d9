"""The alerts of a service that has none of its own."""

from __future__ import annotations

from datetime import UTC, datetime

from km3vo.alerts import profile
from km3vo.simulation.alerts import demonstration
from tests.support import samples


def test_only_what_is_public_passes_for_an_observation() -> None:
    events = [profile.read(document, now=datetime.now(UTC)) for document in demonstration()]
    assert [event.alert_id for event in events if not event.is_test] == ["km3-230213a"]
    assert len(events) == 3 and all("no observation" in (event.text or "") for event in events if event.is_test)


def test_the_real_one_is_as_it_was_published() -> None:
    event = profile.read(next(iter(demonstration())), now=datetime.now(UTC))
    wanted = profile.check(samples.km3_230213a(), now=samples.NOW)
    for name in ("time", "ra", "dec", "err50", "err68", "err90", "energy", "cos_zenith", "detector", "configuration"):
        assert getattr(event, name) == getattr(wanted, name), name
