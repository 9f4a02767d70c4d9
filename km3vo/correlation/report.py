"""An answer in words: what was done, what came out, and what the numbers do not mean."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from lxml import html
from lxml.html.builder import BODY, H1, HEAD, LI, META, TABLE, TD, TH, TITLE, TR, UL, E, P
from numpy.typing import NDArray

from km3vo.catalog.model import Table
from km3vo.correlation import picture
from km3vo.correlation.sphere import Floats
from km3vo.results.xmltext import permitted

if TYPE_CHECKING:
    from km3vo.correlation.answer import Answer

NAMED = 500  # sources that say their names in the picture
SHOWN = 20  # sources of the report
FALSE = 0.1  # q-value below which a source is marked
HEADINGS = ("source", "events", "expected", "TS", "n_s", "p", "p after trials", "q")
CAVEATS = (
    "A p-value is the chance of such a sky without sources, and not the chance that a source is none.",
    "The local p-value is before trials: of a thousand sources, one has p below 0.001 by chance.",
    "n_s is a number of events and no flux; energies were not used.",
)


@dataclass(frozen=True, slots=True)
class Report:
    """The report.

    Attributes:
        title: one line.
        done, found, caveats: sentences.
        rows: of the sources with the smallest p-values, as texts under `HEADINGS`; marked: whether q is below 0.1.
        marked: of each row.
        citations: how to cite the tables.
    """

    title: str
    done: tuple[str, ...]
    found: tuple[str, ...]
    caveats: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    marked: tuple[bool, ...]
    citations: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def report(answer: Answer, tables: Iterable[Table] = ()) -> Report:
    """The report of an answer; ``tables`` are the published ones that it comes from."""
    known = ~np.isnan(answer.p_local) | (answer.ts > 0)
    best = [int(place) for place in _order(answer)[:SHOWN] if known[place]]
    ids = answer.sources.ids
    return Report(
        title=f"{answer.events.name} and {answer.sources.name}",
        done=tuple(_done(answer)),
        found=tuple(_found(answer)),
        caveats=CAVEATS,
        rows=tuple(
            (
                str(ids[place].as_py()),
                str(answer.number[place]),
                *(_number(column[place]) for column in (answer.mu, answer.ts, answer.n_s)),
                _local(answer, place),
                *(_number(column[place]) for column in (answer.p_post, answer.q)),
            )
            for place in best
        ),
        marked=tuple(bool(answer.q[place] < FALSE) for place in best),
        citations=tuple(_citations(tables)),
    )


def _order(answer: Answer) -> NDArray[np.int64]:
    """The places of the sources, the most significant first.

    Those that fewer than ten scrambles reached have only a bound of their p-value, below that of all others.
    """
    unreached = answer.searched & (answer.ts > 0)
    p = np.where(np.isnan(answer.p_local), np.where(unreached, 0, 2), answer.p_local)
    order: NDArray[np.int64] = np.lexsort((-np.nan_to_num(answer.ts), p))
    return order


def _local(answer: Answer, place: int) -> str:
    if np.isnan(answer.p_local[place]) and answer.searched[place] and answer.ts[place] > 0:
        return f"< {_number(_bound(answer.question.scrambles))}"
    return _number(answer.p_local[place])


def _bound(scrambles: int) -> float:
    """What a p-value is below that fewer than ten of so many scrambles reached."""
    return 11 / (scrambles + 1)


def _done(answer: Answer) -> Iterable[str]:
    question, events, sources = answer.question, answer.events, answer.sources
    for listed, what in ((events, "events"), (sources, "sources")):
        left = f", {listed.without:,} more are left out since they have no position" if listed.without else ""
        yield f"{len(listed):,} {what} of {listed.name}{left}."
    circle = question.circle
    reach = (
        f"{circle.degrees:g} degrees"
        if circle.share is None
        else f"the circle that holds {100 * circle.share:g} % of the combined error, up to {circle.degrees:g} degrees"
    )
    when = "at all times"
    if question.window is not None:
        when = f"from {_span(-question.window[0])} to {_span(question.window[1])} after the time of the source"
    yield f"An event is with a source when it is within {reach}, {when}."
    yield {
        "count": "Counts are compared with what the same events give with their right ascensions drawn anew.",
        "likelihood": "At each source the number of its events n_s is fitted by an unbinned likelihood (Braun et al. "
        "2008); the background is the list's own distribution in declination.",
        "flare": "At each source the best window in time is searched by an unbinned likelihood with a Gaussian in time "
        "(Braun et al. 2010), with a penalty for short windows.",
        "stacking": "The catalogue is one question: the weighted sum of the sources' test statistics (unbinned "
        f"likelihood), weights {'equal' if question.weight is None else 'by ' + question.weight}.",
    }[question.method]
    if answer.exposure:
        yield f"Live-time: {answer.exposure}."
    if question.scrambles:
        what = (
            "right ascensions"
            if question.window is None and question.method != "flare"
            else "right ascensions and times"
        )
        yield f"{question.scrambles:,} scrambles of {what}, from the seed {question.seed}."
    else:
        yield "No scrambles: p-values follow from formulas."
    yield (
        f"That right ascensions are uniform, as scrambling supposes, has p = {_number(answer.uniform_p)} (Rayleigh)."
    )


def _found(answer: Answer) -> Iterable[str]:
    number, mean, spread = answer.total
    yield (
        f"{number:,} pairs of a source and an event within the circles and windows; {_number(mean)} expected by chance"
        f"{'' if np.isnan(spread) else f', with a spread of {_number(spread)} over the scrambles'}."
    )
    left = len(answer.sources) - int(answer.searched.sum())
    if left:
        yield f"{_counted(left)} not searched: too few events have their declination."
    if answer.stack is not None:
        stack = answer.stack
        p = _number(stack.p) if not np.isnan(stack.p) else f"below {_number(_bound(stack.scrambles))}"
        yield f"Together the sources have TS {_number(stack.ts)} and n_s {_number(stack.n_s)}; p = {p}."
    if np.isnan(answer.p_post).all():
        return
    best = int(_order(answer)[0])
    local, post = _local(answer, best), _number(answer.p_post[best])
    yield (
        f"The most significant source is {answer.sources.ids[best].as_py()}: p {'' if local[0] == '<' else '= '}{local}"
        f" by itself{post and f', {post} after looking at {int(answer.searched.sum()):,} sources'}."
    )
    few = int((answer.q < FALSE).sum())
    yield f"{few:,} sources have a false discovery rate below {FALSE:g}."


def _counted(sources: int) -> str:
    return "1 source was" if sources == 1 else f"{sources:,} sources were"


def _citations(tables: Iterable[Table]) -> Iterable[str]:
    for table in tables:
        simulated = " The rows are simulated." if table.simulated else ""
        yield f"{table.qualified}: {table.citation.text or table.title}.{simulated}".replace("..", ".")


def _span(days: float) -> str:
    return f"{days * 86400:g} s" if abs(days) < 0.5 else f"{days:g} d"


def _number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.3g}"


def _heights(answer: Answer) -> tuple[Floats, float]:
    """-log10 p of the sources, and what the last colour stands for."""
    values = -np.log10(np.maximum(answer.p_local, 1e-300))
    return values, float(np.nanmax(values, initial=1.0, where=~np.isnan(values)))


def image(answer: Answer) -> bytes:
    """The same as :func:`drawn`, as PNG and without words."""
    values, largest = _heights(answer)
    return picture.png_of_marks(answer.sources.ra, answer.sources.dec, values, largest)


def drawn(answer: Answer) -> bytes:
    """The sources of an answer on the sky, as SVG: the more significant, the larger and brighter."""
    values, largest = _heights(answer)
    names = [permitted(str(name)) for name in answer.sources.ids.to_pylist()] if len(answer.sources) <= NAMED else []
    return picture.svg(
        permitted(f"{answer.sources.name} and {answer.events.name}"),
        "-log10 p of each source, before trials",
        largest,
        ra=answer.sources.ra,
        dec=answer.sources.dec,
        values=values,
        names=names,
    )


def document(told: Report, address: str) -> bytes:
    """The report as a page of its own; ``address`` is that of its picture."""
    sentences = [
        element
        for heading, lines in (
            ("What was done", told.done),
            ("What came out", told.found),
            ("What it does not mean", told.caveats),
        )
        for element in (E.h2(heading), UL(*(LI(permitted(line)) for line in lines)))
    ]
    table = TABLE(TR(*map(TH, HEADINGS)), *(TR(*(TD(permitted(cell)) for cell in row)) for row in told.rows))
    page = E.html(
        HEAD(META(charset="utf-8"), TITLE(permitted(told.title))),
        BODY(
            H1(permitted(told.title)),
            *sentences,
            P(E.img(src=address, alt="The sources on the sky")),
            table,
            UL(*(LI(permitted(line)) for line in told.citations)),
        ),
        lang="en",
    )
    return bytes(html.tostring(page, doctype="<!doctype html>", encoding="utf-8"))


def text(told: Report) -> str:
    """The report for a terminal."""
    rows = [HEADINGS, *told.rows]
    widths = [max(len(row[place]) for row in rows) for place in range(len(HEADINGS))]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([told.title, "", *told.done, "", *told.found, "", *table, "", *told.caveats, "", *told.citations])
