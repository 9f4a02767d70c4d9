"""The tree of errors, and what becomes of an error that is raised again and again."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import httpx
import psutil
import pytest

import km3vo
from km3vo.database import failures
from km3vo.errors import UnavailableError
from tests.support.server import Server

MEGABYTE = 1 << 20


def modules() -> Iterator[ModuleType]:
    """Every module of the package."""
    for found in pkgutil.walk_packages(km3vo.__path__, "km3vo."):
        yield importlib.import_module(found.name)


def exceptions_in(value: Any, name: str, depth: int = 3) -> Iterator[str]:
    """Names of the exception instances in a value, also inside containers and classes."""
    if isinstance(value, BaseException):
        yield name
    elif depth and isinstance(value, dict):
        for key, item in value.items():
            yield from exceptions_in(item, f"{name}[{key!r}]", depth - 1)
    elif depth and isinstance(value, list | tuple | set | frozenset):
        for number, item in enumerate(value):
            yield from exceptions_in(item, f"{name}[{number}]", depth - 1)
    elif depth and isinstance(value, type) and value.__module__.startswith("km3vo"):
        yield from exceptions_in(dict(vars(value)), name, depth - 1)


def test_no_module_keeps_an_exception() -> None:
    """One that is raised twice chains the frames of both times, and their locals stay in memory for ever."""
    found = [
        name
        for module in modules()
        for variable, value in vars(module).items()
        for name in exceptions_in(value, f"{module.__name__}.{variable}")
    ]
    assert not found


def test_the_walk_finds_exceptions_wherever_they_are() -> None:
    class Held:
        error = ValueError()

    Held.__module__ = "km3vo.nowhere"
    assert list(exceptions_in({"a": [ValueError()], "b": Held, "c": ValueError}, "x")) == [
        "x['a'][0]",
        "x['b']['error']",
    ]


@pytest.mark.slow
def test_refused_requests_leave_nothing_behind(server: Server) -> None:
    process = psutil.Process()
    with httpx.Client() as client:

        def refuse(times: int) -> None:
            for number in range(times):
                header = f"Nonsense {number} " + "x" * 30_000
                assert client.get(f"{server.url}/tap/sync", headers={"Authorization": header}).status_code == 401

        refuse(100)
        before = process.memory_info().rss
        refuse(2000)
        assert process.memory_info().rss - before < 20 * MEGABYTE  # with one instance for all: 180 MB


def test_a_lock_that_cannot_be_had_is_not_a_fault_of_ours() -> None:
    error = failures.explain("55P03")
    assert isinstance(error, UnavailableError)
    assert "try again" in str(error)


@pytest.mark.parametrize("sqlstate", ["08006", "22999", "53100", "54001", "57P01", "55P03", None])
def test_every_failure_is_an_error_of_its_own(sqlstate: str | None) -> None:
    assert failures.explain(sqlstate) is not failures.explain(sqlstate)
