"""Damaged files: refused with words or read as others read them, by a process of little memory. `make test-readers`
reads 100,000.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys

import pytest

from km3vo.errors import UploadError
from tests.support.folders import ROOT, shared
from tests.support.random_tables import sample
from tests.support.round_trip import uploaded, written

pytestmark = pytest.mark.slow

FILES = int(os.environ.get("KM3VO_FUZZ_FILES", "600"))
SEED = int(os.environ.get("KM3VO_FUZZ_SEED", "1"))


@pytest.mark.parametrize("kind", ["votable", "fits", "parquet", "ecsv", "csv", "tsv"])
def test_no_damaged_file_breaks_a_reader_or_is_read_otherwise_than_by_others(kind: str) -> None:
    folders = [str(shared("KM3VO_READER_CASES", "cases/readers")), str(shared("KM3VO_DATA", "data"))]
    arguments = ["--kind", kind, "--files", str(FILES // 6), "--seed", str(SEED), *folders]
    done = subprocess.run(
        [sys.executable, "-m", "tests.readers.fuzz", *arguments], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr[-2000:]
    outcomes = json.loads(done.stdout)
    sys.stdout.write(done.stdout)
    assert outcomes["faults"] == []
    assert outcomes["counts"].get(f"{kind} read", 0) + outcomes["counts"][f"{kind} refused"] == FILES // 6


def test_a_footer_that_contradicts_itself_does_not_end_the_process() -> None:
    """pyarrow 26 cannot tell of lists in a footer that are longer than they should be: it ends the process."""
    whole = written(sample(2, 8, without=("polygon", "counts", "matrix", "point")), "parquet")
    length = int.from_bytes(whole[-8:-4], "little")
    refused = 0
    for place in range(len(whole) - 8 - length, len(whole) - 8):
        if whole[place] == 0x06:  # an empty list of long integers
            with contextlib.suppress(UploadError):
                uploaded(whole[:place] + b"\x46" + whole[place + 1 :])
                refused -= 1
            refused += 1
    assert refused > 5


def test_what_contradicts_itself_or_its_bounds_is_refused() -> None:
    """Found by damaging files: their values were taken."""
    field = '<FIELD name="a" {}/><DATA><TABLEDATA><TR><TD>{}</TD></TR></TABLEDATA></DATA>'
    whole = '<VOTABLE version="1.4"><RESOURCE><TABLE>{}</TABLE></RESOURCE></VOTABLE>'
    for attributes, cell, says in (
        ('datatype="char" arraysize="3" xtype="timestamp"', "2003-10-05T12:42:01", "has 19 characters"),
        ('datatype="double" arraysize="2x3" xtype="point"', "1 2", "its xtype point has 2"),
    ):
        with pytest.raises(UploadError, match=says):
            uploaded(whole.format(field.format(attributes, cell)).encode())
    with pytest.raises(UploadError, match="UUF-8"):
        uploaded(b'<?xml version="1.0" encoding="UUF-8"?><VOTABLE/>')
    with pytest.raises(UploadError, match="not text in UTF-8"):
        uploaded(b"a\xff,b\n1,2\n")
