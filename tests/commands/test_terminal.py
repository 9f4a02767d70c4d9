"""What users sent cannot write over, or between, the lines that commands print."""

from __future__ import annotations

import ast
import json
import unicodedata
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import km3vo.commands
from km3vo.commands.main import main
from km3vo.database.logins import OWNER, Database
from km3vo.terminal import quoted, visible

# A forged entry, a screen that is wiped, a title that is set (C1), and letters that run backwards.
ATTACK = 'x\n2026-01-01 00:00:00 UTC  bob\r\x1b[2J\x1b]0;pwned\x07\x9b2J\u202egnp\u2028\u200b" by "nobody'


@given(st.text())
def test_nothing_is_left_that_moves_the_cursor_or_other_letters(text: str) -> None:
    for shown in (visible(text), quoted(text)):
        assert not {unicodedata.category(one) for one in shown} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
        assert visible(shown) == shown


@given(st.text(), st.text())
def test_a_quoted_text_ends_where_it_ends(one: str, other: str) -> None:
    """What stands in quotes can be told apart, whatever was sent."""
    inside = quoted(one)[1:-1].replace(r"\\", "").replace(r"\"", "")
    assert '"' not in inside
    assert (quoted(one) == quoted(other)) == (one == other)


def test_commands_write_by_one_function() -> None:
    for file in Path(km3vo.commands.__path__[0]).glob("*.py"):
        calls = [ast.unparse(node.func) for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
        assert not {"print", "click.echo", "click.secho", "sys.stdout.write"} & set(calls), file


@pytest.fixture
def attacked(copy_published: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Database:
    """A database in whose every log and list somebody tried to write lines of their own."""
    with copy_published.connect(OWNER, autocommit=True) as owner:
        owner.execute(
            "INSERT INTO km3vo.access_log (who, audience, client, method, path, parameters, status, location) "
            "VALUES (%s, 'member', '192.0.2.1', 'GET', %s, %s, 200, %s)",
            (ATTACK, ATTACK, "QUERY=SELECT%0A2026-01-01%1B%5B2J%E2%80%AEx&%0Aa=b", ATTACK),
        )
        owner.execute(
            "INSERT INTO km3vo.release_log (published, stream, what, event, reason, decided_by) "
            "VALUES ('km3net.events', 'offline', 'hold', %(text)s, %(text)s, %(text)s)",
            {"text": ATTACK},
        )
        owner.execute(
            "INSERT INTO km3vo.token (sha256, owner, audience, label, expires_at, created_by) "
            "VALUES ('x', %(text)s, 'member', %(text)s, now(), %(text)s)",
            {"text": ATTACK},
        )
        owner.execute("INSERT INTO km3vo.observer (name, login) VALUES (%s, 'km3vo_observer_x')", (ATTACK,))
        owner.execute(
            "INSERT INTO km3vo.observer_grant (observer, published, ends_at, reason, decided_by) "
            "VALUES (%(text)s, 'km3net.events', now(), %(text)s, %(text)s)",
            {"text": ATTACK},
        )
    (tmp_path / "passwords.json").write_text(json.dumps(copy_published.passwords))
    monkeypatch.setenv("KM3VO_HOME", str(tmp_path))
    monkeypatch.setenv("KM3VO_DATABASE_URL", copy_published.admin)
    return copy_published


@pytest.mark.parametrize("command", ["access list", "release log", "token list", "grant list"])
def test_one_entry_is_one_line(attacked: Database, command: str) -> None:
    done = CliRunner().invoke(main, command.split())
    assert done.exit_code == 0, done.output
    told = [line for line in done.stdout.split("\n") if "pwned" in line or "2J" in line]
    assert len(told) == 1, done.stdout
    assert "\x1b" not in done.stdout and "\u202e" not in done.stdout and "\r" not in done.stdout
    assert r"\x1b[2J" in told[0] and r"\u202e" in told[0]
    assert not any(line.startswith("2026-01-01 00:00:00 UTC  bob") for line in done.stdout.split("\n"))
