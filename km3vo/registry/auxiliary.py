"""What belongs to a table beside its rows: papers elsewhere, and files of ours such as effective areas."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

from km3vo.catalog.model import Link, Table
from km3vo.settings import Settings


def address(settings: Settings, table: Table, link: Link) -> str | None:
    """Where a link leads, or None when it is to a file that is not there."""
    if link.url:
        return link.url
    file = find_file(settings, link)
    return f"{settings.base_url}/auxiliary/{table.schema}/{table.name}/{quote(file.name)}" if file else None


def find_file(settings: Settings, link: Link) -> Path | None:
    """The file of a link in the data folder, or None when it is not there."""
    return _find(settings.data, link.file) if settings.data and link.file else None


@lru_cache
def _find(folder: Path, wanted: str) -> Path | None:
    name = Path(wanted).name
    return next((path for path in sorted(folder.rglob(name)) if path.is_file() and path.match(wanted)), None)
