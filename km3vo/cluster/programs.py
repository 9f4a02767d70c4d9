"""Where PostgreSQL's programs are on this machine, and which of several installations to use."""

from __future__ import annotations

import glob
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from km3vo.errors import SetupError

# Distributions keep the server's programs out of PATH: Debian and Ubuntu, then the PostgreSQL project's RPMs.
PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin")

# The first whose views can ask with the rights of the asker (security_invoker).
OLDEST = 15

INSTALL = "sudo scripts/install.sh"


@dataclass(frozen=True)
class Programs:
    """One installation of PostgreSQL.

    Attributes:
        folder: holds `postgres`, `initdb` and the rest.
        major: its major version, such as 15.
        share: its share folder, where the scripts of extensions lie.
    """

    folder: Path
    major: int
    share: Path

    @property
    def has_pgsphere(self) -> bool:
        """Whether pgSphere is installed for this PostgreSQL."""
        return (self.share / "extension" / "pg_sphere.control").is_file()

    def __getitem__(self, program: str) -> str:
        return str(self.folder / program)


def find(major: int | None = None, places: Sequence[str] | None = None) -> Programs:
    """The installation to use: the newest that has pgSphere.

    Args:
        major: only this major version will do, because a data folder was made by it.
        places: glob patterns of folders to look in, instead of PATH, pg_config and the usual places.

    Raises:
        SetupError: there is none; the text names the packages to install.
    """
    installed = list(_installed(places))
    fitting = [programs for programs in installed if major in (None, programs.major) and programs.major >= OLDEST]
    if not fitting and major is not None:
        raise SetupError(
            f"The embedded cluster was made by PostgreSQL {major}, which is not installed: "
            f"apt-get install postgresql-{major} postgresql-{major}-pgsphere"
        )
    if not fitting and installed:
        newest = max(programs.major for programs in installed)
        raise SetupError(f"PostgreSQL {newest} is too old: km3vo needs {OLDEST} or newer (docs/install.md)")
    if not fitting:
        raise SetupError(
            f"PostgreSQL is not installed: {INSTALL} (or apt-get install postgresql, then its pgSphere package)"
        )
    complete = [programs for programs in fitting if programs.has_pgsphere]
    if not complete:
        newest = max(programs.major for programs in fitting)
        raise SetupError(f"pgSphere is not installed: apt-get install postgresql-{newest}-pgsphere (or {INSTALL})")
    return max(complete, key=lambda programs: programs.major)


def _installed(places: Sequence[str] | None) -> Iterator[Programs]:
    seen = set()
    for folder in _folders(places):
        if folder in seen or not all((folder / name).is_file() for name in ("postgres", "initdb")):
            continue
        seen.add(folder)
        version = re.search(r"(\d+)", _output(folder / "postgres", "--version"))
        if version:
            major = int(version.group(1))
            yield Programs(folder, major, _share(folder, major))


def _folders(places: Sequence[str] | None) -> Iterator[Path]:
    if places is None:
        # In PATH there may be links only, as /usr/local/bin/postgres: the folder behind them has all programs.
        for name in ("postgres", "pg_ctl", "initdb"):
            if found := shutil.which(name):
                yield Path(found).resolve().parent
        if found := shutil.which("pg_config"):
            yield Path(_output(found, "--bindir")).resolve()
    for pattern in PLACES if places is None else places:
        yield from map(Path, sorted(glob.glob(pattern)))


def _share(folder: Path, major: int) -> Path:
    # pg_config comes with the client package on Debian, and may be missing elsewhere.
    told = _output(folder / "pg_config", "--sharedir") if (folder / "pg_config").is_file() else ""
    return Path(told or f"/usr/share/postgresql/{major}")


def _output(program: Path | str, option: str) -> str:
    done = subprocess.run([str(program), option], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return done.stdout.strip()
