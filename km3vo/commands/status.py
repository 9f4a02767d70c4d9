"""`km3vo status`: how the service is, on one screen."""

from __future__ import annotations

import click

from km3vo.commands.opening import opened, when
from km3vo.terminal import tell

GIB = 2**30


@click.command("status")
def command() -> None:
    """Tell how the service is, and what is wrong.

    Versions, events, loads, releases, jobs and disk on one screen. It tells of embargoed
    events, and is for the operator. It ends with status 1 when something is wrong.

    \b
    Example:
      km3vo status
    """
    from km3vo import __version__
    from km3vo.cluster.embedded import Cluster
    from km3vo.commands.opening import catalog
    from km3vo.database import migrations
    from km3vo.downtime import read
    from km3vo.operating import troubles
    from km3vo.operating.state import look

    with opened() as (settings, database):
        revision, newest = migrations.current(database), migrations.revisions()[-1]
        tell(f"km3vo {__version__}, database at revision {revision or 'none'} of {newest}")
        place = (settings.database_url and "a server of your own") or Cluster(settings.home / "cluster").describe()
        tell(place)
        if revision != newest:
            tell("wrong: the database is not of this version; type `km3vo db upgrade`")
            raise click.exceptions.Exit(1)
        state = look(settings, database, catalog(settings))
        tell(f"disk: {state.free / GIB:.1f} GiB free; database {state.size / GIB:.2f} GiB")
        tell(f"sessions: {state.sessions} of {state.most_sessions}; the longest statement runs {state.longest:.0f} s")
        for table, rows, at in state.loads:
            tell(f"loaded: {table}, {rows} rows, last {when(at)}")
        for one in state.tables:
            tell(
                f"{one.table}: {one.public} public, {one.embargoed} embargoed ({one.pending} not checked, "
                f"{one.failed} failed, {one.held} held, {one.due} due); looked for due ones {when(one.checked_at)}"
            )
        tell(f"last release: {when(state.released_at)}")
        for phase, lane, count, seconds in sorted(state.jobs):
            tell(f"jobs: {count} {phase} ({lane})" + (f", since {seconds:.0f} s" if phase == "QUEUED" else ""))
        with database.connect() as admin:
            for downtime in read(admin):
                tell(f"downtime: {when(downtime.begins)} to {when(downtime.ends)}")
        found = troubles.of(state, settings)
        for trouble in found:
            tell(f"wrong: {trouble}")
        if found:
            raise click.exceptions.Exit(1)
        tell("nothing is wrong")
