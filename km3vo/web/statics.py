"""Styles, scripts and pictures of the pages: /static."""

from __future__ import annotations

import hashlib
from functools import cache
from os import PathLike, stat_result
from pathlib import Path

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

FOLDER = Path(__file__).parent / "static"
BUILT = "build/"  # whose files have the hash of their content in their names, but for the list of them
FOREVER = "public, max-age=31536000, immutable"


class Statics(StaticFiles):
    """The files. What is asked for with the hash of its content never has to be asked for again."""

    def __init__(self) -> None:
        super().__init__(directory=FOLDER)

    def file_response(
        self, full_path: str | PathLike[str], stat_result: stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """A file, with how long it may be kept."""
        answer = super().file_response(full_path, stat_result, scope, status_code)
        name = Path(full_path).relative_to(FOLDER).as_posix()
        hashed = name.startswith(BUILT) and not name.endswith(".json")
        stamped = scope["query_string"].decode("latin-1") == stamp()
        answer.headers["Cache-Control"] = FOREVER if hashed or stamped else "no-cache"
        return answer


@cache
def stamp() -> str:
    """Changes when the styles or scripts do, so that no browser keeps old ones."""
    content = b"".join(file.read_bytes() for file in sorted(FOLDER.rglob("*")) if file.is_file())
    return hashlib.sha256(content).hexdigest()[:8]
