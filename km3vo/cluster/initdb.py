"""Making the data folder of the embedded cluster, once."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from km3vo.cluster.account import Account
from km3vo.cluster.programs import Programs
from km3vo.errors import SetupError

# What PostgreSQL's programs see: nothing of the caller's PGDATA, PGHOST or language.
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
# If the kernel has to end a process for want of memory, then one that runs a query, and not PostgreSQL's first, nor the
# service (PostgreSQL's documentation, section 19.4.4).
SPARED = {"PG_OOM_ADJUST_FILE": "/proc/self/oom_score_adj", "PG_OOM_ADJUST_VALUE": "500"}


def make_data(
    data: Path, superuser: str, password: str, *, programs: Programs, account: Account, throwaway: bool
) -> None:
    """Run initdb: with checksums, in UTF-8 sorted by code point, with a password asked of everybody.

    Raises:
        SetupError: initdb fails; the text says why in its own words.
    """
    # Made beside its place and renamed, so that an initdb that was killed half-way is not taken for a cluster.
    new = data.with_name("data.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    account.own(new)
    told = write(data.with_name("initdb.password"), password, mode=0o600)
    account.own(told)
    command = [programs["initdb"], "-D", str(new), "-U", superuser, "--pwfile", str(told), "--encoding=UTF8"]
    command += ["--auth-local=scram-sha-256", "--auth-host=reject", "--data-checksums"]
    command += ["--no-sync"] if throwaway else []
    try:
        # Old systems have no C.UTF-8.
        for locale in ("C.UTF-8", "C"):
            done = account.run([*command, f"--locale={locale}"], env=ENVIRONMENT)
            if done.returncode == 0:
                break
    finally:
        told.unlink()
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no reason was given"]
        raise SetupError(f"The embedded cluster could not be made in {data.parent}: {lines[-1]}")
    new.rename(data)


def write(path: Path, text: str, *, mode: int) -> Path:
    """Write a file in one step, with these permissions from the beginning."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
    return new.rename(path)
