"""pgSphere in a database, with a script that PostgreSQL takes and with one that it does not."""

from __future__ import annotations

import difflib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from km3vo.cluster import programs as cluster_programs
from km3vo.cluster.embedded import Cluster
from km3vo.cluster.programs import Programs, find
from km3vo.database import pgsphere, pgsphere_script
from km3vo.database.pgsphere_script import mend, repaired, repairs
from km3vo.errors import SetupError

pytestmark = pytest.mark.slow

SOUND = """
CREATE OPERATOR <@ (
   LEFTARG = spoint, RIGHTARG = smoc, PROCEDURE = spoint_subset_smoc, COMMUTATOR = '@>', NEGATOR = '!<@'
);
CREATE OPERATOR @ (
   LEFTARG = spoint, RIGHTARG = scircle, PROCEDURE = spoint_in_circle, COMMUTATOR = '~', NEGATOR = '!@'
);
"""

BROKEN = """
CREATE OPERATOR @ (
   LEFTARG    = bigint,
   RIGHTARG   = smoc,
   PROCEDURE  = healpix_subset_smoc,
   COMMUTATOR = '@>',
   NEGATOR    = '!<@',
   RESTRICT   = contsel,
   JOIN       = contjoinsel
);
"""

MENDED = """
CREATE OPERATOR @ (
   LEFTARG    = bigint,
   RIGHTARG   = smoc,
   PROCEDURE  = healpix_subset_smoc,
   RESTRICT   = contsel,
   JOIN       = contjoinsel
);
"""


@pytest.fixture(scope="module")
def programs() -> Programs:
    return find()


@pytest.fixture(scope="module")
def packaged(programs: Programs) -> str:
    """The script of pgSphere 1.2.0, as Debian 12 and Ubuntu 22.04 have it."""
    script = programs.share / "extension" / "pg_sphere--1.2.0.sql"
    if not script.exists():
        pytest.skip("this machine has a newer pgSphere, which needs no repair")
    return script.read_text()


@pytest.fixture
def bare(new_database: Callable[..., str]) -> str:
    """The superuser's conninfo of a database without pgSphere."""
    return new_database("template0")


# The repair of the script


def test_only_the_two_old_spellings_lose_their_relations() -> None:
    assert repaired(SOUND + BROKEN + SOUND) == SOUND + MENDED + SOUND


def test_four_lines_of_the_packaged_script_go(packaged: str) -> None:
    changes = list(difflib.unified_diff(packaged.splitlines(), repaired(packaged).splitlines(), lineterm="", n=0))[2:]
    changed = [line for line in changes if not line.startswith("@@")]
    assert changed == ["-   COMMUTATOR = '@>',", "-   NEGATOR    = '!<@',"] * 2
    assert repaired(repaired(packaged)) == repaired(packaged)


def test_the_repaired_script_lies_beside_the_packaged_one(tmp_path: Path) -> None:
    folder = tmp_path / "extension"
    folder.mkdir()
    (folder / "pg_sphere--1.2.0.sql").write_text(BROKEN)
    (folder / "pg_sphere--1.1--1.2.0.sql").write_text(BROKEN)
    written = {path.name for path in mend(tmp_path)}
    assert written == {"pg_sphere--1.2.0_km3vo.sql", "pg_sphere--1.2.0_km3vo--1.2.0.sql"}
    assert (folder / "pg_sphere--1.2.0.sql").read_text() == BROKEN
    assert (folder / "pg_sphere--1.2.0_km3vo.sql").read_text() == MENDED
    assert mend(tmp_path) == []
    # The package was upgraded.
    (folder / "pg_sphere--1.2.0.sql").write_text(BROKEN + SOUND)
    assert [path.name for path in repairs(tmp_path)] == ["pg_sphere--1.2.0_km3vo.sql"]


def test_a_sound_script_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "extension").mkdir()
    (tmp_path / "extension" / "pg_sphere--1.5.1.sql").write_text(SOUND)
    assert mend(tmp_path) == []
    assert mend(tmp_path / "nowhere") == []


def test_the_repair_runs_before_anything_is_installed() -> None:
    """The install script calls it with any Python, which knows nothing of km3vo."""
    command = ["python3", "-I", pgsphere_script.__file__, "--check"]
    done = subprocess.run(command, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False)
    assert (done.returncode in (0, 1), done.stderr) == (True, "")


# In a database


def ensure_recorded(connection: pgsphere.Connection) -> None:
    """Make pgSphere; skip the test where that could only be done without a record as an extension."""
    if "without a record" in pgsphere.ensure(connection):
        pytest.skip("PostgreSQL refuses the packaged script, and the mended one is not installed: scripts/install.sh")


def cone(conninfo: str) -> object:
    """Whether a point and one too far away are in a circle, and in a MOC."""
    with psycopg.connect(conninfo) as connection:
        return connection.execute(
            "SELECT spoint(0, 0.01) <@ scircle(spoint(0, 0), 0.02), spoint(0, 0.03) <@ scircle(spoint(0, 0), 0.02), "
            "spoint(0, 0) <@ smoc('0/4'), smoc('0/0') @> spoint(0, 0)"
        ).fetchone()


def test_it_is_made_once(bare: str) -> None:
    with psycopg.connect(bare) as connection:
        assert " was created" in pgsphere.ensure(connection)
        assert " is there" in pgsphere.ensure(connection)
    assert cone(bare) == (True, False, True, False)


def test_matches_of_positions_are_shared_among_processors(bare: str) -> None:
    with psycopg.connect(bare) as connection:
        pgsphere.ensure(connection)
        connection.execute("CREATE TABLE place (pos spoint) WITH (parallel_workers = 2)")
        connection.execute("SET LOCAL parallel_setup_cost = 0")
        plan = connection.execute(
            "EXPLAIN SELECT count(*) FROM place AS a JOIN place AS b ON a.pos <@ scircle(b.pos, 0.02)"
        ).fetchall()
        assert any("Parallel Seq Scan" in line for (line,) in plan), plan


def test_it_follows_its_own_updates_later(bare: str) -> None:
    """Whatever script it was made from: it bears a version that newer packages have updates for."""
    with psycopg.connect(bare) as connection:
        ensure_recorded(connection)
        version, offered = connection.execute(
            "SELECT extversion, default_version FROM pg_extension, pg_available_extensions "
            "WHERE extname = 'pg_sphere' AND name = 'pg_sphere'"
        ).fetchone() or ("", None)
        assert version == offered


def test_without_the_right_to_write_scripts(bare: str, packaged: str) -> None:
    """An ordinary user's service on a machine whose PostgreSQL refuses the packaged script."""
    with psycopg.connect(bare) as connection:
        pgsphere.run_script(connection, repaired(packaged))
        assert pgsphere.ensure(connection) == "pgSphere is there, without a record as an extension."
    assert cone(bare) == (True, False, True, False)


def test_a_failed_script_leaves_nothing_behind(bare: str, packaged: str) -> None:
    with psycopg.connect(bare) as connection:
        with pytest.raises(psycopg.errors.DivisionByZero):
            pgsphere.run_script(connection, repaired(packaged) + "SELECT 1/0;")
        assert " was created" in pgsphere.ensure(connection)


def test_an_ordinary_login_is_told_who_may(bare: str) -> None:
    with psycopg.connect(bare) as connection:
        connection.execute("CREATE ROLE test_pgsphere_ordinary")
        connection.execute("SET ROLE test_pgsphere_ordinary")
        with pytest.raises(SetupError, match="has to be created by a superuser"):
            pgsphere.ensure(connection)
        connection.rollback()


def test_a_dump_is_restored_where_pgsphere_was_made_first(
    empty_database: str, bare: str, programs: Programs, tmp_path: Path
) -> None:
    """A dump says CREATE EXTENSION without a version, which by itself would run the packaged script."""
    with psycopg.connect(empty_database) as connection:
        connection.execute("CREATE TABLE event (_pos spoint)")
        connection.execute("INSERT INTO event VALUES (spoint(0, 0.01))")
        connection.execute("CREATE INDEX ON event USING gist (_pos)")
    dump = tmp_path / "dump"
    subprocess.run([programs["pg_dump"], "-Fc", "-f", dump, empty_database], check=True)
    with psycopg.connect(bare) as connection:
        ensure_recorded(connection)
    subprocess.run([programs["pg_restore"], "--exit-on-error", "-d", bare, dump], check=True)
    with psycopg.connect(bare) as connection:
        near = connection.execute("SELECT count(*) FROM event WHERE _pos <@ scircle(spoint(0, 0), 0.02)").fetchone()
    assert near == (1,)


# On a machine of its own


@pytest.fixture
def elsewhere(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The extension folder of a copy of PostgreSQL, without pgSphere, which `Cluster` finds instead of the real one.

    PostgreSQL looks for its files relative to its program, so it is enough to copy programs and link the rest.
    """
    if not programs.folder.is_relative_to("/usr/lib/postgresql"):
        pytest.skip("this PostgreSQL is not laid out as Debian's")
    place = Path(tempfile.mkdtemp(prefix="km3vo-place-"))
    place.chmod(0o755)
    copied = place / programs.folder.relative_to("/usr")
    copied.mkdir(parents=True)
    for name in ("postgres", "initdb"):
        shutil.copy(programs.folder / name, copied)
    (copied.parent / "lib").symlink_to(programs.folder.parent / "lib")
    share = place / programs.share.relative_to("/usr")
    (share / "extension").mkdir(parents=True)
    for path in [*programs.share.iterdir(), *(programs.share / "extension").iterdir()]:
        if path.name != "extension" and not path.name.startswith("pg_sphere"):
            (share / path.relative_to(programs.share)).symlink_to(path)
    # Cluster itself asks for pgSphere, and for where it is, before it starts anything.
    monkeypatch.setattr(cluster_programs, "find", lambda _: Programs(copied, programs.major, share))
    yield share / "extension"
    Cluster(place / "cluster", throwaway=True).destroy()
    shutil.rmtree(place)


def test_a_server_without_pgsphere_names_the_package(elsewhere: Path, programs: Programs) -> None:
    with (
        Cluster(elsewhere.parents[3] / "cluster", throwaway=True).kept() as cluster,
        psycopg.connect(cluster.conninfo()) as connection,
        pytest.raises(SetupError, match=f"apt-get install postgresql-{programs.major}-pgsphere"),
    ):
        pgsphere.ensure(connection)


def test_root_mends_it_for_the_whole_machine(elsewhere: Path, programs: Programs, packaged: str) -> None:
    """Whether PostgreSQL takes the packaged script depends on its version; the sentence says what was done."""
    (elsewhere / "pg_sphere--1.2.0.sql").write_text(packaged)
    shutil.copy(programs.share / "extension" / "pg_sphere.control", elsewhere)
    with (
        Cluster(elsewhere.parents[3] / "cluster", throwaway=True).kept() as cluster,
        psycopg.connect(cluster.conninfo()) as connection,
    ):
        said = pgsphere.ensure(connection)
        connection.commit()
        assert (elsewhere / "pg_sphere--1.2.0_km3vo.sql").exists() == ("repaired script" in said)
        assert cone(cluster.conninfo()) == (True, False, True, False)
