"""Finding PostgreSQL, and what is said when it or pgSphere is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from km3vo.cluster import programs
from km3vo.errors import SetupError


def install(root: Path, major: int, *, pgsphere: bool) -> None:
    """A PostgreSQL that can do no more than tell its version."""
    bin, share = root / str(major) / "bin", root / str(major) / "share"
    (share / "extension").mkdir(parents=True)
    bin.mkdir()
    for name, told in (("postgres", f"postgres (PostgreSQL) {major}.4"), ("initdb", ""), ("pg_config", str(share))):
        (bin / name).write_text(f"#!/bin/sh\necho '{told}'\n")
        (bin / name).chmod(0o755)
    if pgsphere:
        (share / "extension" / "pg_sphere.control").touch()


@pytest.fixture
def only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where PostgreSQLs are looked for, and nowhere else."""
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(programs, "PLACES", (f"{tmp_path}/*/bin",))
    return tmp_path


def test_this_machine_has_one_with_pgsphere() -> None:
    installed = programs.find()
    assert installed.has_pgsphere
    assert Path(installed["postgres"]).is_file()
    assert programs.find(installed.major) == installed


def test_none_at_all(only: Path) -> None:
    with pytest.raises(SetupError, match=r"^PostgreSQL is not installed: sudo scripts/install\.sh"):
        programs.find()


def test_without_pgsphere(only: Path) -> None:
    install(only, 15, pgsphere=False)
    with pytest.raises(SetupError, match=r"^pgSphere is not installed: apt-get install postgresql-15-pgsphere"):
        programs.find()


def test_too_old(only: Path) -> None:
    install(only, 14, pgsphere=True)
    with pytest.raises(SetupError, match=r"^PostgreSQL 14 is too old: km3vo needs 15 or newer"):
        programs.find()


def test_the_newest_with_pgsphere_is_taken(only: Path) -> None:
    install(only, 14, pgsphere=True)
    install(only, 15, pgsphere=True)
    install(only, 17, pgsphere=False)
    assert programs.find() == programs.Programs(only / "15" / "bin", 15, only / "15" / "share")


def test_data_of_another_version_want_their_own_programs(only: Path) -> None:
    install(only, 15, pgsphere=True)
    install(only, 17, pgsphere=True)
    assert programs.find(15).major == 15
    with pytest.raises(
        SetupError, match=r"made by PostgreSQL 16, which is not installed: apt-get install postgresql-16"
    ):
        programs.find(16)


def test_what_path_leads_to_comes_through_links(only: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(programs, "PLACES", ())
    install(only, 15, pgsphere=True)
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "postgres").symlink_to(only / "15" / "bin" / "postgres")
    monkeypatch.setenv("PATH", str(tmp_path / "links"))
    assert programs.find().folder == only / "15" / "bin"
