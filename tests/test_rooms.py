"""The house: no import runs in a circle, and what belongs together is a package, not a prefix."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections import defaultdict
from graphlib import TopologicalSorter
from pathlib import Path

from tests.support.folders import ROOT


def test_no_module_is_imported_by_what_it_imports() -> None:
    # import-linter compares what lies side by side; a package and what lies within it can make a circle too. Imports
    # within functions count.
    import grimp

    graph = grimp.build_graph("km3vo", cache_dir=None)
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    for expression in {ignored for contract in contracts for ignored in contract.get("ignore_imports", ())}:
        for ignored in graph.find_matching_direct_imports(expression):
            graph.remove_import(**ignored)
    TopologicalSorter({module: graph.find_modules_directly_imported_by(module) for module in graph.modules}).prepare()


def test_three_files_of_one_prefix_are_a_package() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    families: dict[tuple[Path, str], list[str]] = defaultdict(list)
    for name in tracked.splitlines():
        path = Path(name)
        prefix = path.stem.removeprefix("test_").partition("_")[0]
        if prefix:
            families[path.parent, prefix].append(path.name)
    large = {f"{folder}/{prefix}": names for (folder, prefix), names in families.items() if len(names) > 2}
    assert not large, "make each a package of its own, or choose names that say more"


def test_what_tests_share_stands_beside_them_or_in_support() -> None:
    for path in sorted((ROOT / "tests").rglob("*.py")):
        folder = path.relative_to(ROOT).parent
        assert (path.parent / "__init__.py").exists(), f"{folder} is no package: it needs an __init__.py"
        for node in ast.walk(ast.parse(path.read_bytes())):
            if not isinstance(node, ast.Import | ast.ImportFrom):
                continue
            for alias in node.names:
                module = f"{node.module}.{alias.name}" if isinstance(node, ast.ImportFrom) else alias.name
                where = f"{path.relative_to(ROOT)} imports {module}"
                assert not (isinstance(node, ast.ImportFrom) and node.level), f"{where}: write it from `tests.` on"
                if module.split(".")[0] == "tests":
                    assert not re.search(r"\.(conftest|test_)", module), f"{where}: move what it needs to a module"
                    assert module.split(".")[1] in ("support", *folder.parts[1:2]), (
                        f"{where}: what two folders need stands in tests/support/"
                    )
