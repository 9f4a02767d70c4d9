"""`km3vo skymap`: how unusual is each direction of a list of events?"""

from __future__ import annotations

from pathlib import Path
from typing import cast, get_args

import click

from km3vo.commands.opening import asking, catalog, opened
from km3vo.terminal import tell_lines

THREADS = 2


@click.command("skymap")
@click.argument("table")
@click.option("--method", default="likelihood", show_default=True, help="likelihood, count or kernel.")
@click.option("--nside", type=int, default=64, show_default=True, help="Of the HEALPix pixels, a power of 2.")
@click.option("--radius", type=float, default=2.0, show_default=True, help="Degrees; of count and kernel.")
@click.option("--select", default="", help="Condition on the events, in ADQL.")
@click.option("--scrambles", type=click.IntRange(0, 10_000), default=0, help="Scrambled maps, for a global p-value.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="The number they follow from.")
@click.option("--share", type=float, help="Part of the probability that error circles hold.")
@click.option(
    "--as", "audience", type=click.Choice(["public", "member"]), default="public", show_default=True,
    help="Whose rows are seen.",
)  # fmt: skip
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), required=True,
    help="FITS file; hot spots, picture and MOC go beside it.",
)  # fmt: skip
def command(
    table: str,
    method: str,
    nside: int,
    radius: float,
    select: str,
    scrambles: int,
    seed: int,
    share: float | None,
    audience: str,
    output: Path,
) -> None:
    """Map the significance of all directions of TABLE.

    TABLE is a published table, or a query in ADQL. What the map means is said in docs/skymaps.md.

    \b
    Examples:
      km3vo skymap ant20_01.main -o antares.fits
      km3vo skymap icecube.ps3yr --nside 128 --select "dec > -5" --scrambles 100 -o north.fits
    """
    from km3vo.commands.progress import bar, on_terminal
    from km3vo.correlation import background, mapfiles, skymap
    from km3vo.correlation.answer import events_of
    from km3vo.correlation.question import query
    from km3vo.correlation.tables import events_in
    from km3vo.errors import ParameterError

    if method not in get_args(skymap.Method):
        raise ParameterError(f"--method {method} is no method: write one of {', '.join(get_args(skymap.Method))}.")
    recipe = skymap.Recipe(cast(skymap.Method, method), nside=nside, radius=radius)
    with opened() as (settings, database), asking(settings, database, catalog(settings), audience) as ask:
        listed = events_in(ask(query(table, select)), table, share)
    events, listed = events_of(listed)
    with bar(on_terminal(), "mapping") as shown:
        significance = skymap.make(
            events,
            background.of_list(events),
            recipe,
            seed=seed,
            scrambles=scrambles,
            threads=THREADS,
            progress=lambda done, total: shown("", done, total),
        )
    files = mapfiles.files(significance, mapfiles.facts(listed, table, select, audience))
    for extension, content in files.items():
        file = output if extension == "fits" else output.with_name(f"{output.stem}.{extension}")
        file.write_bytes(content)
    tell_lines(f"{output}: {len(listed):,} events, pre-trial")
    for spot in significance.spots[:10]:
        place = f"({spot.ra:.2f}, {spot.dec:+.2f})"
        tell_lines(f"{place:>18}  {spot.statistic:6.1f}  n_s {spot.n_s:6.1f}  p {spot.p_local:.2g}")
    if scrambles:
        tell_lines(f"as hot anywhere: {significance.p_global:.3g} of {scrambles} scrambled maps")
