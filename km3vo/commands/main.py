"""The command `km3vo`: which commands there are. Each is a module of its own here, imported when it is called."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import click

from km3vo import __version__
from km3vo.errors import Km3voError
from km3vo.terminal import tell_error

# As the help shows them. Each is `command` in the module of its name.
SECTIONS = {
    "Run the service": ("up", "serve", "status", "downtime", "check"),
    "Tables and events": ("describe", "publish", "load", "withdraw", "reinstate", "unload", "history", "adql"),
    "Statistics": ("correlate", "skymap"),
    "Alerts": ("alert",),
    "Embargo and access": ("release", "token", "grant", "access"),
    "Look after the database": ("db", "backup", "restore"),
}


class Commands(click.Group):
    """The commands in sections, imported by name: `km3vo --help` needs no database driver."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        try:
            return super().__call__(*arguments, **options)
        except Km3voError as error:
            tell_error(f"km3vo: {error}")
            sys.exit(1)

    def list_commands(self, context: click.Context) -> list[str]:
        """The names of all commands, as in the help."""
        return [name for names in SECTIONS.values() for name in names]

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """The command of that name; None when there is none."""
        if name not in self.list_commands(context):
            return None
        command: click.Command = import_module(f"km3vo.commands.{name}").command
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands with the first sentence of each, section by section."""
        width = max(map(len, self.list_commands(context)))
        for title, names in SECTIONS.items():
            commands = [(name, self.get_command(context, name)) for name in names]
            limit = formatter.width - 6 - width
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), c.get_short_help_str(limit)) for name, c in commands if c])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="km3vo")
def main() -> None:
    """The Virtual Observatory service for the events of KM3NeT.

    \b
    Start here:
      km3vo up                          make a database, load events, serve them
      km3vo load km3net.offline my.csv  add your own events
      km3vo adql "SELECT ..."           see what a query becomes
      km3vo COMMAND --help              what a command does, with examples

    Settings are environment variables that begin with KM3VO_; docs/settings.md lists them.
    """
