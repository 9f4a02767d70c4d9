"""Files that mean to fill the memory: refused with words, by a process that has little of it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.support.folders import ROOT

pytestmark = pytest.mark.slow


def test_no_file_takes_more_memory_than_there_is() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.readers.bombs"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr[-2000:]
    outcomes = json.loads(done.stdout)
    assert len(outcomes) == 16
    wrong = {name: said for name, said in outcomes.items() if not said.startswith(("UploadError: ", "TooLargeError: "))}
    assert wrong == {}
