"""The walks in docs/architecture.md, held against real requests: which functions, which modules, which direction."""

from __future__ import annotations

import re
import threading
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import httpx
import pytest

import km3vo
from km3vo import logs
from km3vo.database.logins import Database
from tests.support.folders import ROOT
from tests.support.server import Server, serve

PACKAGE = Path(km3vo.__file__).parent
FIRST = "protocols/http/exchange.py"
QUERY = "SELECT id, ra FROM icecube.ps3yr WHERE dec > 0"


@dataclass
class Walk:
    """What a request called.

    Attributes:
        stays: "module:function", in the order of their first calls.
        callers: of each stay, the modules that called it; "" where a thread or the event loop did.
    """

    stays: list[str] = field(default_factory=list)
    callers: dict[str, set[str]] = field(default_factory=dict)

    @property
    def modules(self) -> set[str]:
        """The modules of which anything was called."""
        return {stay.partition(":")[0] for stay in self.stays}


def module(frame: FrameType | None) -> str:
    """The module of ours that a frame is in, or was called from; "" where there is none."""
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(PACKAGE):
            return path.relative_to(PACKAGE).as_posix()
        frame = frame.f_back
    return ""


@pytest.fixture(scope="module")
def traced(published: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, list[Walk]]]:
    """A server whose threads write down what they call into the last of the walks."""
    walks: list[Walk] = []

    def note(frame: FrameType, event: str, argument: Any) -> None:
        if event != "call" or not walks or not frame.f_code.co_filename.startswith(str(PACKAGE)):
            return
        here, caller = module(frame), module(frame.f_back)
        # Until the request has its id, it is in the first module and in what that asks.
        if logs.request_id.get() or FIRST in (here, caller):
            stay = f"{here}:{frame.f_code.co_qualname}"
            if stay not in walks[-1].callers:
                walks[-1].stays.append(stay)
            walks[-1].callers.setdefault(stay, set()).add(caller)

    threading.setprofile(note)
    try:
        with serve(published, tmp_path_factory.mktemp("home"), metadata_seconds=0, promote_seconds=0) as server:
            yield server, walks
    finally:
        threading.setprofile(None)


def described(title: str) -> tuple[list[str], set[str]]:
    """The stays of a walk, and what is asked on the way, as the page has them."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    section = page.partition(f"### {title}\n")[2].partition("\n#")[0]
    table, _, asked = section.partition("\nAsked on the way:")
    return re.findall(r"^\| \d+ \| `([^`]+)` \|", table, re.MULTILINE), set(re.findall(r"`([^`]+)`", asked))


def layer(path: str) -> int:
    """How far down a module lies, by the contract in pyproject.toml."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    room = re.split("[/.]", path)[0]
    return next(number for number, line in enumerate(layers) if room in re.findall(r"\w+", line))


@pytest.mark.parametrize(
    ("title", "path", "most"),
    [
        ("A cone search", "/scs/icecube/ps3yr?RA=83&DEC=22&SR=1", 11),
        ("An ADQL query", f"/tap/sync?LANG=ADQL&QUERY={QUERY}", 13),
    ],
)
def test_a_request_goes_the_way_that_the_page_describes(
    traced: tuple[Server, list[Walk]], title: str, path: str, most: int
) -> None:
    server, walks = traced
    walk = Walk()
    walks.append(walk)
    assert httpx.get(server.url + path).status_code == 200
    walks.append(Walk())
    stays, asked = described(title)
    assert 5 < len(stays) <= most
    assert [stay for stay in walk.stays if stay in stays] == stays
    passed = {stay.partition(":")[0] for stay in stays}
    beside = {module for module in walk.modules - passed if not any(module.startswith(name) for name in asked)}
    assert not beside, f"docs/architecture.md does not name {sorted(beside)}"
    # Whether they are asked depends on what is remembered of earlier requests.
    gone = {name for name in asked if not (PACKAGE / name).exists()}
    assert not gone, f"docs/architecture.md names {sorted(gone)}, which are not there"
    for stay in stays:
        for caller in filter(None, walk.callers[stay]):
            assert layer(caller) <= layer(stay), f"{stay} is called from below, by {caller}"
