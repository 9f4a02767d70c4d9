"""What answers say that may hold events under embargo, so that nobody passes them on unawares."""

from __future__ import annotations

from collections.abc import Iterable

from km3vo.catalog.model import Table
from km3vo.database.audiences import Audience
from km3vo.results.stream import Info

IN_NAMES = "-EMBARGOED"  # of files
SENTENCE = "Events under embargo may be among these rows: do not pass them on before they are public."
SENTENCE_OF_ONE = "This event is under embargo: others do not see it. Do not pass it on before it is public."

OF_RESULTS = "It was made of events under embargo as well: do not pass it on before they are public."


def is_marked(audience: Audience, tables: Iterable[Table]) -> bool:
    """Whether an answer from these tables may hold events that the public does not see."""
    return audience != "public" and any(table.release.embargoed for table in tables)


def infos(audience: Audience, tables: Iterable[Table], who: str | None) -> tuple[Info, ...]:
    """What an answer to ``who`` says of itself; nothing where the public would get the same."""
    if not is_marked(audience, tables):
        return ()
    return (Info("embargo", SENTENCE, f"made for {who}, who sees more than the public" if who else ""),)


def file_name(stem: str, extension: str, *, marked: bool) -> str:
    """The name of a file with an answer."""
    return f"{stem}{IN_NAMES if marked else ''}.{extension}"


def mark_in(name: str) -> str:
    """The mark that is in the name of a file, or ""."""
    return IN_NAMES if IN_NAMES in name else ""
