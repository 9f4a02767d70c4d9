"""What the tests of the pages share: a browser for each module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.chromium import chromium


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Chromium without a window; the address of its debugger."""
    with chromium(tmp_path_factory.mktemp("profile")) as address:
        yield address
