"""Asks whether the tests notice mistakes: `make mutants` makes some in a room, and runs the tests that reach them.

The tests of a room run once, to know which lines each of them reaches. Then each mutant of a sample gets a process of
its own, forked from the one that holds the cluster and all modules: there the function is exchanged, and its tests run
again until one fails. What only the set-up of the whole run reaches is left out, since it was set up before.
"""

from __future__ import annotations

import ast
import gc
import importlib
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import coverage
import pytest
from _pytest.runner import runtestprotocol

from scripts.mutants.changes import Mutant, mutants

ROOT = Path(__file__).parents[2]
# The tests of each room, without those that take minutes or need a server: each mutant has their set-up anew.
_EMBARGO = "clock credentials guard observers promotion release release_time rights rules statistics versions"
TESTS = {
    "adql": ["tests/adql", "-m", "not slow"],
    "embargo": [f"tests/embargo/test_{name}.py" for name in _EMBARGO.split()],
    "identity": ["tests/identity"],
    "jobs": ["tests/jobs"],
}
# Of the tests that reach a mutant the fastest are run: so many, and more while they took fewer seconds together.
TESTS_EACH, SECONDS_EACH = 12, 6.0


class Mutation:
    """A plugin of pytest that runs the tests once as they are, and then some of them for each mutant."""

    def __init__(self, room: str, number: int, seed: int, seconds: float) -> None:
        self._folder, self._number, self._seed, self._seconds = ROOT / "km3vo" / room, number, seed, seconds
        self._coverage = coverage.Coverage(data_file=None, config_file=False, include=[f"{self._folder}/*"])
        self._took: dict[str, float] = {}
        self._begun = time.monotonic()

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Iterator[None]:
        """What the set-up of the whole run reaches is told apart."""
        if fixturedef.scope != "session":
            return (yield)
        self._coverage.switch_context("set-up")
        try:
            return (yield)
        finally:
            self._coverage.switch_context(request.node.nodeid or "set-up")

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self._session = session
        self._coverage.start()
        for item in session.items:
            self._coverage.switch_context(item.nodeid)
            start = time.monotonic()
            reports = runtestprotocol(item, log=False, nextitem=session)  # type: ignore[arg-type]
            self._took[item.nodeid] = time.monotonic() - start
            for report in reports:
                if report.failed:
                    pytest.exit(f"{item.nodeid} fails without a mistake\n{report.longreprtext}", returncode=2)
        self._coverage.stop()
        lines = {path: self._contexts(path) for path in sorted(self._folder.rglob("*.py"))}
        possible = [mutant for path in lines for mutant in mutants(path)]
        reached = [(mutant, tests) for mutant in possible if (tests := self._reaching(mutant, lines[mutant.path]))]
        killed = tried = 0
        for mutant, tests in random.Random(self._seed).sample(reached, min(self._number, len(reached))):
            if time.monotonic() - self._begun > self._seconds:
                break
            tried += 1
            how = self._try(mutant, tests)
            killed += how != "survived"
            if how != "killed":
                print(f"{how}: {mutant} ({len(tests)} tests)", flush=True)
        print(
            f"{self._folder.name}: {killed} of {tried} mutants killed; of {len(possible)} that there are, "
            f"{len(reached)} are reached; seed {self._seed}, {time.monotonic() - self._begun:.0f} s",
            flush=True,
        )
        session._setupstate.teardown_exact(None)
        return True

    def _contexts(self, path: Path) -> dict[int, list[str]]:
        return self._coverage.get_data().contexts_by_lineno(str(path))

    def _reaching(self, mutant: Mutant, lines: dict[int, list[str]]) -> list[pytest.Item]:
        """The fastest tests that reach a mutant."""
        reached = [mutant.line]
        if mutant.constant:
            tree = ast.parse(mutant.path.read_text())
            reached = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == mutant.name]
        contexts = {context for line in reached for context in lines.get(line, ())}
        fastest = sorted(contexts & self._took.keys(), key=self._took.__getitem__)
        seconds = accumulate(self._took[id] for id in fastest)
        ids = {
            id
            for number, (id, total) in enumerate(zip(fastest, seconds, strict=True))
            if number < TESTS_EACH or total < SECONDS_EACH
        }
        return [item for item in self._session.items if item.nodeid in ids]

    def _try(self, mutant: Mutant, tests: list[pytest.Item]) -> str:
        """What becomes of a mutant."""
        child = os.fork()
        if not child:
            os.setpgid(0, 0)
            os._exit(self._run(mutant, tests))
        until = time.monotonic() + 20 + 5 * sum(self._took[item.nodeid] for item in tests)
        while time.monotonic() < until:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return "killed" if status else "survived"
            time.sleep(0.02)
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return "timed out"

    def _run(self, mutant: Mutant, tests: list[pytest.Item]) -> int:
        try:
            _apply(mutant)
            for item in tests:
                reports = runtestprotocol(item, log=False, nextitem=self._session)  # type: ignore[arg-type]
                if any(report.failed for report in reports):
                    return 1
        except BaseException:
            return 1
        return 0


def _apply(mutant: Mutant) -> None:
    """Exchange a function's code, or a module's constant, wherever it is held."""
    name = ".".join(mutant.path.relative_to(ROOT).with_suffix("").parts)
    module = importlib.import_module(name)
    changed = compile(mutant.source, str(mutant.path), "exec", dont_inherit=True)
    if mutant.constant:
        before = getattr(module, mutant.name)
        space = dict(vars(module))
        (statement,) = (
            node
            for node in ast.parse(mutant.source).body
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == mutant.name
        )
        exec(compile(ast.Module([statement], []), str(mutant.path), "exec", dont_inherit=True), space)
        for other in [one for key, one in sys.modules.items() if key.startswith("km3vo")]:
            for key, value in list(vars(other).items()):
                if value is before:
                    setattr(other, key, space[mutant.name])
        return
    codes = {code.co_qualname: code for code in _codes(changed)}
    for function in gc.get_objects():
        if isinstance(function, FunctionType) and function.__module__ == name:
            code = function.__code__
            if code.co_qualname == mutant.name and code.co_filename == str(mutant.path):
                function.__code__ = codes[mutant.name]


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)


def main() -> None:
    """Run for the rooms that are named, or all."""
    number, seed = int(os.environ.get("KM3VO_MUTANTS", "60")), int(os.environ.get("KM3VO_SEED", "1"))
    seconds = float(os.environ.get("KM3VO_MUTANTS_SECONDS", "1e9"))
    os.chdir(ROOT)
    for room in sys.argv[1:] or TESTS:
        arguments = ["-q", "-s", "-p", "no:cacheprovider", "-p", "no:xdist", *TESTS[room]]
        if code := pytest.main(arguments, plugins=[Mutation(room, number, seed, seconds)]):
            sys.exit(code)


if __name__ == "__main__":
    main()
