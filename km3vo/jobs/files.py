"""The files of jobs: one folder each below the results folder, with the uploaded tables and the result.

Whoever can read the folder can read members' results, so it is the service's alone.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from km3vo.errors import ParameterError, TooLargeError
from km3vo.interpreter import one_at_a_time
from km3vo.readers.content import Reserve
from km3vo.results.formats import Format
from km3vo.results.stream import Result

OLD_SECONDS = 3600


def folder(home: Path, id: str) -> Path:
    """The folder of a job."""
    return home / id


def result_file(home: Path, id: str, name: str) -> Path:
    """The file of a job's result, by the name that the job's row has."""
    return folder(home, id) / name


def write(
    home: Path, id: str, form: Format, result: Result, most: int, reserve: Reserve, *, mark: str = ""
) -> tuple[Path, int]:
    """Write a job's result as it comes; the file has its name only when it is whole. Returns it and its size.

    Args:
        mark: that is added to the name.
        most: how many bytes it may have.
        reserve: is told how many bytes are about to be written.

    Raises:
        TooLargeError: it has more bytes.
        FullError, OSError: there is no room.

    And whatever reading the result raises.
    """
    place = folder(home, id)
    _make(place)
    file = place / f"result{mark}.{form.extension}"
    part = place / f"result.{os.getpid()}.{time.monotonic_ns()}.part"
    try:
        with part.open("wb") as out:
            size = 0
            for chunk in one_at_a_time(form.write(result)):
                size += len(chunk)
                if size > most:
                    raise TooLargeError(
                        f"the result has more than {most} bytes, after {result.rows} rows: ask for fewer rows or "
                        "columns, or in a more compact format (FORMAT=parquet)"
                    )
                reserve(len(chunk))
                out.write(chunk)
        part.replace(file)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return file, size


def write_other(home: Path, id: str, name: str, chunks: Iterable[bytes], reserve: Reserve) -> None:
    """Write a file beside a job's result; ``reserve`` is told how many bytes are about to be written.

    Raises:
        FullError, OSError: there is no room.
    """
    _make(folder(home, id))
    with (folder(home, id) / name).open("wb") as out:
        for chunk in one_at_a_time(chunks):
            reserve(len(chunk))
            out.write(chunk)


def save_upload(home: Path, id: str, name: str, source: BinaryIO, reserve: Reserve) -> None:
    """Keep an uploaded table for when its job runs; ``reserve`` is told how many bytes are about to be written.

    Raises:
        FullError, OSError: there is no room.
    """
    _make(folder(home, id))
    with _upload(home, id, name).open("wb") as out:
        while chunk := source.read(1 << 20):
            reserve(len(chunk))
            out.write(chunk)


def uploaded(home: Path, id: str, name: str) -> BinaryIO:
    """An uploaded table of a job.

    Raises:
        ParameterError: it was not sent.
    """
    try:
        return _upload(home, id, name).open("rb")
    except FileNotFoundError:
        raise ParameterError(
            f"UPLOAD={name}: the table was not sent with the job; POST it as multipart/form-data"
        ) from None


def upload_file(home: Path, id: str, name: str) -> Path | None:
    """The file of an uploaded table, or None when it was not sent."""
    file = _upload(home, id, name)
    return file if file.is_file() else None


def remove(home: Path, id: str) -> None:
    """Remove all files of a job."""
    shutil.rmtree(folder(home, id), ignore_errors=True)


def old(home: Path) -> list[str]:
    """Names of the folders that have not been changed for an hour."""
    if not home.is_dir():
        return []
    limit = time.time() - OLD_SECONDS
    return [entry.name for entry in os.scandir(home) if entry.is_dir() and entry.stat().st_mtime < limit]


def _upload(home: Path, id: str, name: str) -> Path:
    return folder(home, id) / f"upload-{name.lower()}"


def _make(place: Path) -> None:
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    place.mkdir(mode=0o700, exist_ok=True)
