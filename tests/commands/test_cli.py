"""The command line as people meet it: help that teaches, one line when something is wrong."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from km3vo import commands
from km3vo.commands.main import SECTIONS, main
from km3vo.commands.opening import WRITTEN

CONTEXT = click.Context(main, info_name="km3vo")
# What a start of the service takes its time for.
SLOW = ["alembic", "astropy", "fastapi", "km3vo.adql", "numpy", "psycopg", "pyarrow", "pydantic", "rich", "yaml"]


def commands_below(command: click.Command, *names: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command and group with the words that call it."""
    yield names, command
    if isinstance(command, click.Group):
        for name in command.list_commands(CONTEXT):
            below = command.get_command(CONTEXT, name)
            assert below is not None
            yield from commands_below(below, *names, name)


COMMANDS = dict(commands_below(main))
EXAMPLES = [
    line.strip()
    for command in COMMANDS.values()
    for line in re.sub(r"\\\n *", "", command.help or "").splitlines()
    if re.match(r" {6}(\w+=\S+ )*km3vo ", line) and "..." not in line and "COMMAND" not in line
]


def km3vo(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("km3vo")
    environment = os.environ | {"KM3VO_HOME": str(home)}
    return subprocess.run([program, *arguments], capture_output=True, text=True, env=environment, check=False)


@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_every_command_explains_itself_and_its_options(names: tuple[str, ...]) -> None:
    command = COMMANDS[names]
    assert command.help
    assert re.search(rf"^ {{6}}(\w+=\S+ )*km3vo {' '.join(names)}", command.help, re.MULTILINE), "it has no example"
    assert "..." not in command.get_short_help_str(66), "its first sentence is too long for a list of commands"
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.is_eager:
            assert parameter.help, parameter.name


def test_nothing_is_decided_without_a_reason_or_by_nobody() -> None:
    """A variable that is not set makes an empty text of it: "$NAME"."""
    asked = {"reason", "by", "owner", "observer", "event", "events"}
    for names, command in COMMANDS.items():
        if names and names[0] in ("alert", "correlate", "history"):
            continue
        for parameter in command.params:
            is_flag = isinstance(parameter, click.Option) and parameter.is_flag
            assert parameter.name not in asked or is_flag or parameter.type is WRITTEN, (names, parameter.name)
    told = CliRunner().invoke(main, ["release", "qc", "km3net.events", "passed", "--all-pending", "--reason", " "])
    assert told.exit_code == 2 and "it is empty" in told.output


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_one(example: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = shlex.split(re.split(r" \| | > \w| < \w+\.| {4,}", example)[0])
    while "=" in words[0]:  # settings
        words.pop(0)
    assert words.pop(0) == "km3vo"
    command: click.Command = main
    while isinstance(command, click.Group):
        below = command.get_command(CONTEXT, words.pop(0))
        assert below is not None
        command = below
    for parameter in command.params:
        if isinstance(parameter.type, click.Path):
            monkeypatch.setattr(parameter.type, "exists", False)  # an example's file
    command.make_context("km3vo", words, parent=CONTEXT)


def test_the_help_is_quick() -> None:
    code = (
        "import sys; from km3vo.commands.main import main; main(['--help'], standalone_mode=False); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(SLOW).intersection(done.stdout.splitlines()[-1].split())


def test_every_module_that_is_a_command_is_registered() -> None:
    files = Path(commands.__path__[0]).glob("*.py")
    # held.py is a part of `km3vo alert`.
    modules = {file.stem for file in files if re.search("^@click.(command|group)", file.read_text(), re.MULTILINE)}
    assert modules - {"main", "held"} == {name for names in SECTIONS.values() for name in names}


def test_a_table_that_is_not_published(tmp_path: Path) -> None:
    events = tmp_path / "events.csv"
    events.write_text("id\n")
    done = km3vo("load", "km3net.evnts", str(events), home=tmp_path / "home")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "there is no table km3net.evnts: published are ant20_01.main" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_status_of_a_cluster_that_was_never_made(tmp_path: Path) -> None:
    done = km3vo("db", "status", home=tmp_path / "home")
    assert done.returncode == 0
    assert "not made yet" in done.stdout


def test_a_command_that_there_is_not(tmp_path: Path) -> None:
    done = km3vo("lod", home=tmp_path / "home")
    assert done.returncode == 2
    assert "No such command 'lod'" in done.stderr
