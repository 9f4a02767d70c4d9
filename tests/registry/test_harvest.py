"""Harvests, by somebody else's harvester and by ours, while records come, change and go."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from lxml import etree
from oaipmh_scythe import Scythe

from km3vo.database.logins import OWNER, SERVICE, Database
from km3vo.registry import harvested
from tests.support.registry import OAI, Registry
from tests.support.server import Server, serve

pytestmark = pytest.mark.slow

PERIODS: tuple[dict[str, str], ...] = (
    {},
    {"from_": "2020-01-01"},
    {"until": "2999-12-31"},
    {"from_": "2020-01-01T00:00:00Z", "until": "2999-12-31T00:00:00Z"},
)


@pytest.mark.parametrize("prefix", ["ivo_vor", "oai_dc"])
@pytest.mark.parametrize("period", PERIODS, ids=str)
def test_another_harvester_gets_everything_once(
    registered: Server, registry: Registry, prefix: str, period: dict[str, Any]
) -> None:
    expected = sorted(record.findtext(f"{OAI}header/{OAI}identifier") for record in registry.records())
    with Scythe(f"{registered.url}/oai") as scythe:
        records = list(scythe.list_records(metadata_prefix=prefix, **period))
        assert sorted(record.header.identifier for record in records) == expected
        assert all(record.metadata for record in records)
        headers = list(scythe.list_identifiers(metadata_prefix=prefix, **period))
        assert sorted(header.identifier for header in headers) == expected
        assert scythe.identify().baseURL == f"{registered.url}/oai"
        assert [found.setSpec for found in scythe.list_sets()] == ["ivo_managed"]
        one = scythe.get_record(identifier="ivo://km3net.org/tap", metadata_prefix=prefix)
        assert one.header.identifier == "ivo://km3net.org/tap"


def test_a_token_survives_a_restart(copy_published: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KM3VO_LIMITS_OAI_RECORDS", "2")
    with copy_published.connect(SERVICE, autocommit=True) as service:
        harvested.update(service, lambda: {name(number): resource(number, 0) for number in range(5)})
    with serve(copy_published, tmp_path, metadata_seconds=0) as first:
        token = next(Registry(first.url).pages()).findtext(f"{OAI}resumptionToken")
    with serve(copy_published, tmp_path, metadata_seconds=0) as second:
        content = Registry(second.url).get(verb="ListRecords", resumptionToken=token).find(f"{OAI}ListRecords")
        assert [found.text for found in content.iter(f"{OAI}identifier")] == [name(2), name(3)]


def name(number: int) -> str:
    """An identifier."""
    return f"ivo://km3net.org/made-up/{number}"


def resource(number: int, version: int) -> bytes:
    """A record in so far as the store and the harvester care."""
    found = etree.Element("{http://www.ivoa.net/xml/RegistryInterface/v1.0}Resource")
    etree.SubElement(found, "title").text = f"version {version}"
    etree.SubElement(found, "identifier").text = name(number)
    return etree.tostring(found)


@pytest.fixture(scope="module")
def bare(published: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Registry, Database]]:
    """A registry that tells what is put into its store, two records a page."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KM3VO_LIMITS_OAI_RECORDS", "2")
        home = tmp_path_factory.mktemp("bare")
        with serve(published, home, metadata_seconds=0, promote_seconds=0) as running:
            yield Registry(running.url), published


DAYS = st.integers(0, 3 * 86400 - 1)
START = datetime(2026, 1, 1, tzinfo=UTC)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    stamps=st.lists(st.tuples(DAYS, st.booleans()), min_size=1, max_size=7),
    since=st.none() | DAYS,
    until=st.none() | DAYS,
    by_day=st.booleans(),
)
def test_an_interval_gives_what_was_changed_in_it(
    bare: tuple[Registry, Database], stamps: list[tuple[int, bool]], since: int | None, until: int | None, by_day: bool
) -> None:
    registry, database = bare
    moments = [START + timedelta(seconds=seconds) for seconds, _ in stamps]
    with database.connect(OWNER, autocommit=True) as owner:
        owner.execute("DELETE FROM km3vo.record")
        for number, (moment, (_, alive)) in enumerate(zip(moments, stamps, strict=True)):
            owner.execute(
                "INSERT INTO km3vo.record VALUES (%s, %s, %s, %s)",
                (name(number), resource(number, 0) if alive else None, START, moment),
            )
    form = "%Y-%m-%d" if by_day else "%Y-%m-%dT%H:%M:%SZ"
    bounds = {
        key: f"{START + timedelta(seconds=seconds):{form}}"
        for key, seconds in (("from", since), ("until", until))
        if seconds is not None
    }
    expected = [
        name(number)
        for number, moment in enumerate(moments)
        if bounds.get("from", "") <= f"{moment:{form}}" <= bounds.get("until", "~")
    ]
    found = [record.findtext(f"{OAI}header/{OAI}identifier") for record in registry.records(**bounds)]
    if bounds.get("from", "") > bounds.get("until", "~"):
        assert registry.code(verb="ListRecords", metadataPrefix="ivo_vor", **bounds) == "badArgument"
    else:
        assert found == expected
        headers = [
            header for page in registry.pages("ListIdentifiers", **bounds) for header in page.iter(f"{OAI}header")
        ]
        assert [header.findtext(f"{OAI}identifier") for header in headers] == expected
        present = {name(number) for number, (_, alive) in enumerate(stamps) if alive}
        undeleted = {header.findtext(f"{OAI}identifier") for header in headers if not header.get("status")}
        assert undeleted == present & set(expected)


class Harvests(RuleBasedStateMachine):
    """Records come, change and go while a list is read page by page, and a mirror is kept by harvests one by one."""

    registry: Registry
    database: Database

    def __init__(self) -> None:
        super().__init__()
        self.truth: dict[str, bytes] = {}
        self.ever: set[str] = set()
        self.mirror: dict[str, str | None] = {}
        self.since: str | None = None
        # A list that is being read: its pages, what it gave, and what was there at its beginning, unchanged since.
        self.reading: Iterator[etree._Element] | None = None
        self.given: list[str] = []
        self.steady: set[str] = set()
        self.version = 0
        with self.database.connect(OWNER, autocommit=True) as owner:
            owner.execute("DELETE FROM km3vo.record")

    def update(self) -> None:
        with self.database.connect(SERVICE, autocommit=True) as service:
            changed = harvested.update(service, lambda: self.truth)
        self.ever |= set(changed)
        self.steady -= set(changed)

    @rule(number=st.integers(0, 6))
    def publish_or_change(self, number: int) -> None:
        self.version += 1
        self.truth[name(number)] = resource(number, self.version)
        self.update()

    @rule(number=st.integers(0, 6))
    def delete(self, number: int) -> None:
        self.truth.pop(name(number), None)
        self.update()

    @rule(numbers=st.sets(st.integers(0, 6)))
    def release(self, numbers: set[int]) -> None:
        """A release changes several records at once, or none."""
        self.version += 1
        for number in numbers:
            if name(number) in self.truth:
                self.truth[name(number)] = resource(number, self.version)
        self.update()

    @rule()
    def begin_a_list(self) -> None:
        self.reading, self.given, self.steady = self.registry.pages("ListIdentifiers"), [], set(self.ever)
        self.read_a_page()

    @rule()
    def read_a_page(self) -> None:
        if self.reading is None:
            return
        page = next(self.reading, None)
        if page is None:
            assert self.steady <= set(self.given), "a record was lost"
            self.reading = None
            return
        self.given += [header.findtext(f"{OAI}identifier") for header in page.iter(f"{OAI}header")]
        assert len(set(self.given)) == len(self.given), "a record was there twice"

    @rule()
    def harvest(self) -> None:
        """Ask for all that changed since the last time, as harvesters do."""
        since = {} if self.since is None else {"from": self.since}
        asked = {"verb": "ListRecords", "metadataPrefix": "ivo_vor", **since}
        answer = self.registry.get(**asked)
        self.since = answer.findtext(f"{OAI}responseDate")
        while (content := answer.find(f"{OAI}ListRecords")) is not None:
            for record in content.findall(f"{OAI}record"):
                title = record.find(".//title")
                self.mirror[record.findtext(f"{OAI}header/{OAI}identifier")] = None if title is None else title.text
            if not (token := content.findtext(f"{OAI}resumptionToken")):
                break
            answer = self.registry.get(verb="ListRecords", resumptionToken=token)
        truth = {key: etree.fromstring(xml).findtext("title") for key, xml in self.truth.items()}
        assert {key: title for key, title in self.mirror.items() if title is not None} == truth
        # The second that the last harvest was in may give some again, but nothing may be lost.

    @invariant()
    def all_that_ever_was_is_known(self) -> None:
        assert set(self.truth) <= self.ever


def test_no_harvest_loses_or_repeats_a_record(bare: tuple[Registry, Database]) -> None:
    Harvests.registry, Harvests.database = bare
    examples = int(os.environ.get("KM3VO_TEST_HARVESTS", "12"))
    machine = Harvests.TestCase
    machine.settings = settings(max_examples=examples, stateful_step_count=20, deadline=None)
    machine("runTest").runTest()
