"""The examples of docs/correlate.md: each command runs and says what stands below it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from km3vo.catalog.files import read_catalog
from km3vo.cluster.embedded import Cluster
from km3vo.database.logins import INGEST
from km3vo.loading import loads
from km3vo.loading.files import find_sources
from tests.support.databases import database_of, drop, make_tables
from tests.support.folders import ROOT

pytestmark = pytest.mark.slow

TABLES = ("ant20_01.main", "cat.fermi_4fgl", "cat.gamma_cat", "cat.grbweb")
SECTION = (ROOT / "docs" / "correlate.md").read_text().partition("\n## Examples")[2].partition("\n## ")[0]
EXAMPLES = re.findall(r"```sh\n(.*?)```\n\n```text\n(.*?)```", SECTION, re.DOTALL)


@pytest.fixture(scope="module")
def environment(
    cluster: Cluster, new_database: Callable[[], str], data_dir: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, str]]:  # fmt: skip
    """The environment of commands that see the lists of the examples."""
    database, catalog = database_of(cluster, new_database()), read_catalog(ROOT / "schemas")
    make_tables(database, catalog)
    for name in TABLES:
        table = catalog.table(name)
        with database.connect(INGEST) as connection:
            loads.load(connection, table, find_sources(table, data_dir))
    home = tmp_path_factory.mktemp("home")
    shutil.copy(cluster.folder / "passwords.json", home)
    yield os.environ | {
        "KM3VO_DATABASE_URL": database.admin,
        "KM3VO_HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    drop(database)


@pytest.mark.parametrize(("commands", "said"), EXAMPLES)
def test_an_example(commands: str, said: str, environment: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "-e", "-c", commands], capture_output=True, text=True, check=False, env=environment, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert said in done.stdout, done.stdout


def test_every_class_has_one() -> None:
    assert len(EXAMPLES) == 5
