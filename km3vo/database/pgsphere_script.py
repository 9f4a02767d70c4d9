"""The repair of pgSphere 1.2.0's extension script, which newer PostgreSQL refuses.

The script makes two old spellings, `@ (bigint, smoc)` and `@ (spoint, smoc)`, and gives them the commutator and the
negator that belong to `<@`. PostgreSQL 15.20 (like 17) says "commutator operator @> is already the commutator of
operator <@" where 15.18 said nothing. pgSphere 1.4 dropped the two (postgrespro/pgsphere, issue 85 and change 92);
Debian 12 still has 1.2.0.

The repaired script lies beside the package's own under a version name of its own, and a second, empty one leads from
there to the package's version: a database made with it then says "1.2.0" and goes on along pgSphere's own updates.

Run as root to put both where PostgreSQL looks for them: `python3 km3vo/database/pgsphere_script.py`.
This file needs nothing but Python's own library, so that it can be run before anything is installed.
"""

from __future__ import annotations

import glob
import re
import sys
from pathlib import Path

SUFFIX = "_km3vo"

_OLD_SPELLING = re.compile(
    r"CREATE OPERATOR @ \(\s*LEFTARG\s*=\s*(?:bigint|spoint),\s*RIGHTARG\s*=\s*smoc,.*?\);", re.DOTALL
)
_RELATION = re.compile(r"\s*(?:COMMUTATOR|NEGATOR)\s*=[^,]*,")


def repaired(script: str) -> str:
    """The extension script with the two operators declared without commutator and negator; the rest is untouched."""
    return _OLD_SPELLING.sub(lambda operator: _RELATION.sub("", operator.group()), script)


def repairs(share: Path) -> dict[Path, str]:
    """The files that PostgreSQL's `share` folder lacks, with their texts.

    None when there is no pgSphere, when its script is sound, or when they lie there already.
    """
    folder = share / "extension"
    files = {}
    for script in folder.glob("pg_sphere--*.sql"):
        version = script.stem.removeprefix("pg_sphere--")
        # With a second "--" it is an update, and those drop the operators if anything.
        if "--" in version or version.endswith(SUFFIX):
            continue
        text = script.read_text()
        if (mended := repaired(text)) != text:
            files[folder / f"pg_sphere--{version}{SUFFIX}.sql"] = mended
            files[folder / f"pg_sphere--{version}{SUFFIX}--{version}.sql"] = "-- The two differ in declarations only.\n"
    return {path: text for path, text in files.items() if not path.exists() or path.read_text() != text}


def mend(share: Path) -> list[Path]:
    """Put the repaired scripts into PostgreSQL's `share` folder, and return the files written.

    Raises:
        OSError: the folder cannot be written to.
    """
    files = repairs(share)
    for path, text in files.items():
        path.write_text(text)
        path.chmod(0o644)
    return list(files)


def main(arguments: list[str]) -> int:
    """Mend what is broken, or with `--check` only tell by the exit status 0 that something is."""
    shares = [Path(share) for share in sorted(glob.glob("/usr/share/postgresql/*"))]
    if arguments == ["--check"]:
        return 0 if any(repairs(share) for share in shares) else 1
    for share in shares:
        for path in mend(share):
            sys.stdout.write(f"pgSphere: wrote {path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
