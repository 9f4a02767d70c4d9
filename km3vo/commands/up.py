"""`km3vo up`: from nothing to a running service."""

from __future__ import annotations

import click

from km3vo.commands.serve import serve, server_options, server_settings


@click.command("up")
@server_options
def command(port: int | None, workers: int | None) -> None:
    """Make the database, load events, and serve until Ctrl-C.

    Run again, it starts in seconds and keeps what is there. Real event lists are loaded from the folder that
    KM3VO_DATA names; without it their look-alikes are simulated, and say so.

    \b
    Examples:
      km3vo up
      km3vo up --port 8080
      KM3VO_DATA=~/neutrinos km3vo up                                      the real lists
      KM3VO_HOME=/srv/km3vo-data km3vo up                                  everything it keeps is there
      KM3VO_DATABASE_URL=postgresql://admin@db.example.org/km3vo km3vo up      in a server of yours
    """
    from km3vo.cluster.place import running
    from km3vo.commands.prepare import prepare
    from km3vo.commands.progress import on_terminal

    settings = server_settings(port, workers)
    with running(settings):
        prepare(settings, on_terminal())
        serve(settings)
