"""The table of datatypes agrees with the libraries whose names it holds, and is the only one."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import km3vo
from km3vo.datatypes import DATATYPES, XTYPES, Representation


@pytest.mark.parametrize("known", DATATYPES.values(), ids=list(DATATYPES))
def test_libraries_know_the_names(known: Representation) -> None:
    assert np.dtype(known.binary).itemsize == known.bytes
    arrow = pa.type_for_alias(known.arrow)
    assert np.dtype(known.ecsv if known.ecsv != "string" else "str") == arrow.to_pandas_dtype() or arrow == pa.string()
    if known.low is not None and known.high is not None:
        assert (np.iinfo(known.binary).min, np.iinfo(known.binary).max) == (known.low, known.high)
        assert pa.array([known.low, known.high], arrow).to_pylist() == [known.low, known.high]


def test_xtypes_go_with_known_datatypes() -> None:
    for xtype in XTYPES.values():
        assert set(xtype.datatypes) <= set(DATATYPES)
        assert xtype.length is None or xtype.length > 1


def test_there_is_no_other_table_of_datatypes() -> None:
    others = []
    root = Path(km3vo.__file__).parent
    for file in root.rglob("*.py"):
        if file.name == "datatypes.py":
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.Dict):
                continue
            keys = {key.value for key in node.keys if isinstance(key, ast.Constant)}
            if len(keys & set(DATATYPES)) > 2:
                others.append(f"{file.relative_to(root)}:{node.lineno}")
    assert others == []
