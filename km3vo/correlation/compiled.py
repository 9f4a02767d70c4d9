"""Loops that numpy cannot say, compiled to machine code.

numba is imported here and nowhere else, and this module only by whoever computes: importing it takes half a second
and 60 MB, and compiling one function a second or two.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

_numba: Any = numba.config  # its attributes are made as it is imported
Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """Compile a function of numbers and arrays. It runs without Python's lock, so threads share the work.

    Sums keep the order in which they are written (no `fastmath`): the same input gives the same bytes, with however
    many threads. The code is kept for the next process; where no folder can be written, each process compiles it anew.
    """
    try:
        made = numba.njit(nogil=True, cache=True, error_model="numpy")(function)
    except RuntimeError:  # no folder
        made = numba.njit(nogil=True, error_model="numpy")(function)
    return cast(Function, made)


def _folder() -> Path:
    """Where machine code is kept: a folder for exactly these sources.

    numba itself looks at the file of a function only, but the code holds that of the functions which it calls, and
    would go on using old ones when their file changes.
    """
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for source in sorted(here.glob("*.py")):
        digest.update(source.read_bytes())
    if _numba.CACHE_DIR:
        base = Path(_numba.CACHE_DIR)
    elif os.access(here, os.W_OK):
        base = here / "__pycache__"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "km3vo"
    return base / f"compiled-{digest.hexdigest()[:16]}"


_numba.CACHE_DIR = str(_folder())
