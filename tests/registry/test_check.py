"""km3vo check: finds nothing wrong where nothing is, and what is wrong where it is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from km3vo.check.schemas import FOLDER, Schemas
from km3vo.commands.main import main
from km3vo.database.logins import OWNER, Database
from km3vo.errors import SetupError
from tests.support.registry import tell
from tests.support.server import Server, serve

pytestmark = pytest.mark.slow


def check(url: str, option: str = "--no-taplint") -> tuple[int, str]:
    """Run the command; exit status and what it printed."""
    done = CliRunner().invoke(main, ["check", url, option], env={"COLUMNS": "200"})
    return done.exit_code, done.output


def test_a_good_service_is_good(registered: Server) -> None:
    status, said = check(registered.url)
    assert "✗" not in said, said
    assert status == 0
    assert "mistakes: 0" in said
    assert f"{registered.url} is this machine alone: set KM3VO_URL" in said
    if FOLDER.is_dir():
        assert "not found: install python3-gavo" not in said


@pytest.mark.client
@pytest.mark.skipif(shutil.which("stilts") is None, reason="STILTS is not installed")
def test_taplint_is_asked(registered: Server) -> None:
    status, said = check(registered.url, "--taplint")
    assert status == 0, said
    assert "Totals: Errors: " in said


def test_a_wrong_address_is_found(registered: Server, published: Database, tmp_path: Path) -> None:
    with serve(published, tmp_path, url="http://vo.example.org", metadata_seconds=0) as running:
        tell(running, published)
        host, port = running.app.state.service.settings.host, running.app.state.service.settings.port
        status, said = check(f"http://{host}:{port}")
    tell(registered, published)
    assert status == 1
    assert "it is http://vo.example.org/oai: KM3VO_URL?" in said


def test_records_that_are_wrong_are_found(registered: Server, published: Database) -> None:
    with published.connect(OWNER, autocommit=True) as owner:

        def spoil(name: str, old: bytes, new: bytes) -> None:
            row = owner.execute("SELECT xml FROM km3vo.record WHERE identifier = %s", (name,)).fetchone()
            assert row is not None
            assert old in row[0]
            owner.execute("UPDATE km3vo.record SET xml = %s WHERE identifier = %s", (row[0].replace(old, new), name))

        spoil("ivo://km3net.org/tap", b"<title>", b"<title/><title>")
        spoil("ivo://km3net.org/registry", b">km3net.org</managedAuthority>", b">else.org</managedAuthority>")
        spoil("ivo://km3net.org/antares/data", b"antares/data</identifier>", b"antares/other</identifier>")
        spoil("ivo://km3net.org/antares/data/scs", b"<ra>", b"<ra>0")
        spoil("ivo://km3net.org/ant20_01/main/scs", b"<sr>1</sr>", b"<sr>0</sr>")
    try:
        status, said = check(registered.url)
    finally:
        tell(registered, published)
    assert status == 1
    for words in (
        "title",
        "none for else.org",
        "is under another authority",
        "the record calls itself ivo://km3net.org/antares/other",
        "they differ from those in the registry's record",
        "no rows",
    ):
        assert words in said, words


def test_nobody_there_is_told() -> None:
    status, said = check("http://127.0.0.1:9")
    assert status == 1
    assert "no answer" in said
    assert "Traceback" not in said


def test_schemas_that_are_not_there_are_told(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="install python3-gavo"):
        Schemas(tmp_path)


def test_a_document_that_is_no_xml_is_told(schemas: Schemas) -> None:
    assert schemas.mistakes(b"<a>")[0].startswith("not well-formed XML")
    assert schemas.mistakes(b"<a/>")
