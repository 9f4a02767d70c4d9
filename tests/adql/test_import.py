"""What `import km3vo.adql` loads: the tool, the tests and each process of the service wait for it."""

from __future__ import annotations

import subprocess
import sys

_LOADED = """
import sys
before = set(sys.modules)
from km3vo.adql import QueryTable, QueryTables, translate
{}
print(*sorted(set(sys.modules) - before))
"""
_TABLE = """
from km3vo.column import Column
columns = tuple(Column(name=name, datatype="double", unit="deg") for name in ("ra", "dec"))
sources = QueryTables([QueryTable(("events",), ("events",), columns)])
translate("SELECT {} FROM events WHERE DISTANCE(ra, dec, 10, 20) < 1 ORDER BY 1", sources)
"""


def _loaded(more: str = "") -> set[str]:
    run = subprocess.run([sys.executable, "-c", _LOADED.format(more)], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_the_package_loads_nothing_but_itself_and_the_standard_library() -> None:
    loaded = _loaded()
    assert {name.split(".")[0] for name in loaded} - sys.stdlib_module_names == {"km3vo"}
    others = {name for name in loaded if name.startswith("km3vo.") and not name.startswith("km3vo.adql")}
    assert others == {"km3vo.column", "km3vo.datatypes", "km3vo.errors", "km3vo.times"}


def test_astropy_is_loaded_only_for_a_unit_that_has_to_be_worked_out() -> None:
    assert "astropy" not in _loaded(_TABLE.format("ra + 2 * dec AS x, ra / dec"))
    assert "astropy" in _loaded(_TABLE.format("ra * dec AS x"))
