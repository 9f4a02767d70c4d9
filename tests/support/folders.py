"""Where the repository lies, and the data that are not in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def shared(variable: str, name: str) -> Path:
    """The folder that an environment variable names, or one beside the repository; without it the test is skipped."""
    folder = Path(os.environ.get(variable) or ROOT.parent / "shared" / name)
    if not folder.is_dir():
        pytest.skip(f"there is no folder {folder}; {variable} names another one")
    return folder
