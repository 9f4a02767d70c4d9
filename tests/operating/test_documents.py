"""Commands that documents show work as they are printed, from top to bottom."""

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from km3vo.cluster.embedded import Cluster
from km3vo.commands.main import main
from km3vo.database.logins import OWNER, Database
from tests.support.folders import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture
def fresh(copy_published: Database, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without anything but a database and the descriptions of its tables, which may be added to."""
    shutil.copy(cluster.folder / "passwords.json", tmp_path)
    shutil.copytree(ROOT / "schemas", tmp_path / "schemas")
    monkeypatch.setenv("KM3VO_HOME", str(tmp_path))
    monkeypatch.setenv("KM3VO_SCHEMAS", str(tmp_path / "schemas"))
    monkeypatch.setenv("KM3VO_DATABASE_URL", copy_published.admin)
    monkeypatch.chdir(ROOT)
    return tmp_path


def commands(document: str) -> Iterator[str]:
    """The commands of km3vo in the blocks of a document, with their continued lines in one."""
    for block in re.findall(r"^```(?:sh|console)\n(.*?)^```", document, re.DOTALL | re.MULTILINE):
        for line in block.replace("\\\n", " ").splitlines():
            if (command := line.removeprefix("$ ")).startswith("km3vo "):
                yield command


def run(command: str) -> str:
    """What a command says, which has to end well."""
    done = CliRunner().invoke(main, shlex.split(command, comments=True)[1:])
    assert done.exit_code == 0, f"{command}\n{done.output}"
    return done.output


def section(name: str, title: str) -> str:
    """What stands below a title of a document."""
    return (ROOT / name).read_text().partition(f"## {title}\n")[2].partition("\n## ")[0]


def test_own_events_of_the_readme(fresh: Path) -> None:
    """They are loaded, and nothing of them is public unless somebody says so."""
    said = [run(command) for command in commands(section("README.md", "Your own events"))]
    assert len(said) == 3
    assert "rows are due already" in said[1] and "km3vo release qc" in said[1]
    assert "km3net.offline" in said[2]


def test_access(fresh: Path) -> None:
    said = [run(command) for command in commands((ROOT / "docs" / "access.md").read_text())]
    assert len(said) >= 9


def test_a_table_of_your_own(fresh: Path, copy_published: Database) -> None:
    """The description that docs/tables.md begins with is published beside the others, and takes events."""
    example = re.search(r"^```yaml\n(schema: lab.*?)^```", (ROOT / "docs" / "tables.md").read_text(), re.DOTALL | re.M)
    assert example is not None
    (fresh / "schemas" / "lab.yaml").write_text(example[1])
    events = fresh / "run.csv"
    events.write_text("event_id,mjd,obs_time,ra,dec,err50,energy\nL1,60000.25,2023-02-25T06:00:00,83.6,22,0.3,5300\n")
    assert "lab.events" in run("km3vo publish")
    run(f"km3vo load lab.events --yes {events}")
    with copy_published.connect(OWNER) as owner:
        assert owner.execute("SELECT event_id FROM lab.events").fetchall() == [("L1",)]
