"""The command line as people meet it: help that teaches, one line when something is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from km3vo.cli import main


def commands(names: tuple[str, ...] = (), command: click.Command = main) -> list[tuple[str, ...]]:
    deeper = command.commands.items() if isinstance(command, click.Group) else ()
    return [names, *(found for name, below in deeper for found in commands((*names, name), below))]


def km3vo(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("km3vo")
    environment = os.environ | {"KM3VO_HOME": str(home)}
    return subprocess.run([program, *arguments], capture_output=True, text=True, env=environment, check=False)


@pytest.mark.parametrize("names", commands(), ids=" ".join)
def test_every_command_explains_itself_and_its_options(names: tuple[str, ...]) -> None:
    command: click.Command = main
    for name in names:
        assert isinstance(command, click.Group)
        command = command.commands[name]
    assert command.help, names
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.is_eager:
            assert parameter.help, (names, parameter.name)


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
