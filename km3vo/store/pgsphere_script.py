"""The repair of pgSphere 1.2.0's extension script, which newer PostgreSQL refuses.

The script makes two old spellings, `@ (bigint, smoc)` and `@ (spoint, smoc)`, and gives them the commutator and the
negator that belong to `<@`. PostgreSQL 15.20 (like 17) says "commutator operator @> is already the commutator of
operator <@" where 15.18 said nothing. pgSphere 1.4 dropped the two (postgrespro/pgsphere, issue 85 and change 92);
Debian 12 still has 1.2.0.

The repaired script lies beside the package's own under a version name of its own, and a second, empty one leads from
there to the package's version: a database made with it then says "1.2.0" and goes on along pgSphere's own updates.

Run as root to put both where PostgreSQL looks for them: `python3 km3vo/store/pgsphere_script.py [SHARE…]`.
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


def mend(share: Path) -> list[Path]:
    """Put the repaired scripts into PostgreSQL's `share` folder, where the package's own needs it.

    Returns:
        The files written: none when there is no pgSphere, when its script is sound, or when they lie there already.

    Raises:
        OSError: the folder cannot be written to.
    """
    folder = share / "extension"
    written = []
    for script in folder.glob("pg_sphere--*.sql"):
        version = script.stem.removeprefix("pg_sphere--")
        # With a second "--" it is an update, and those drop the operators if anything.
        if "--" in version or version.endswith(SUFFIX):
            continue
        text = script.read_text()
        if (mended := repaired(text)) == text:
            continue
        update = "-- Nothing to do: the scripts differ in two declarations only.\n"
        for name, content in ((f"{version}{SUFFIX}", mended), (f"{version}{SUFFIX}--{version}", update)):
            target = folder / f"pg_sphere--{name}.sql"
            if not target.exists() or target.read_text() != content:
                target.write_text(content)
                target.chmod(0o644)
                written.append(target)
    return written


if __name__ == "__main__":
    for share in sys.argv[1:] or sorted(glob.glob("/usr/share/postgresql/*")):
        for path in mend(Path(share)):
            sys.stdout.write(f"pgSphere: wrote {path}\n")
