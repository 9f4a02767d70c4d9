"""Where files to be loaded come from: paths, patterns of names, addresses, and the standard input."""

from __future__ import annotations

import glob
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from km3vo.errors import LoadError

STDIN = "-"
SECONDS = 60.0  # in which a server has to answer, and to go on
_CHUNK = 1 << 20


@contextmanager
def gathered(names: Sequence[str]) -> Iterator[list[Path]]:
    """The files that names stand for, in their order; what is fetched is kept as long as the context lasts.

    Args:
        names: paths, patterns such as ``run*.csv`` (of which each has to fit a file), http addresses, and "-" for the
            standard input.

    Raises:
        LoadError: there is no such file, or an address cannot be had.
    """
    with tempfile.TemporaryDirectory(prefix="km3vo-load-") as folder:
        files: list[Path] = []
        for number, name in enumerate(names):
            place = Path(folder, str(number))
            if name == STDIN:
                if STDIN in names[:number]:
                    raise LoadError("The standard input can be read once only.")
                files.append(_from_stdin(place))
            elif name.startswith(("http://", "https://")):
                files.append(_fetched(name, place))
            else:
                files += _found(name)
        # The same file by two patterns is one.
        yield list(dict.fromkeys(files))


def _found(name: str) -> list[Path]:
    path = Path(name)
    if path.is_dir():
        raise LoadError(f"{name} is a folder: name the files in it, such as '{name.rstrip('/')}/*.csv'.")
    if path.exists() or not glob.has_magic(name):
        return [path]
    found = sorted(Path(one) for one in glob.glob(name, recursive=True) if not Path(one).is_dir())
    if not found:
        raise LoadError(f"There is no file {name}.")
    return found


def _from_stdin(folder: Path) -> Path:
    folder.mkdir()
    file = folder / "standard input"
    with file.open("wb") as copy:
        while piece := sys.stdin.buffer.read(_CHUNK):
            copy.write(piece)
    return file


def _fetched(url: str, folder: Path) -> Path:
    # Only here: most loads are of files.
    import httpx

    folder.mkdir()
    try:
        file = folder / (PurePosixPath(httpx.URL(url).path).name or "answer")
        with httpx.stream("GET", url, timeout=SECONDS, follow_redirects=True) as answer, file.open("wb") as copy:
            if answer.status_code != httpx.codes.OK:
                raise LoadError(f"{url} cannot be had: the server says {answer.status_code}.")
            for piece in answer.iter_bytes(_CHUNK):
                copy.write(piece)
    except (httpx.HTTPError, httpx.InvalidURL):
        raise LoadError(f"{url} cannot be had: the server does not answer, or broke off.") from None
    return file
